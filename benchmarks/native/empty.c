/* What an execution costs that does nothing: the floor under every plugin. */
int main(void) { return 0; }
