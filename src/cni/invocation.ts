/** What the runtime handed to the executable: the program's own name, its CNI_ variables and its whole standard input. */
export type Invocation = {
  readonly program: string
  readonly env: ReadonlyMap<string, string>
  readonly stdin: Buffer
}
