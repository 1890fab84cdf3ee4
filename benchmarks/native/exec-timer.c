/*
 * usage: exec-timer CONCURRENCY PROGRAM < executions
 *
 * Executes PROGRAM once for each line of standard input, CONCURRENCY at a time, and prints a line for each, in the
 * order of the input: microseconds from the call of posix_spawn to the return of waitpid, and the exit code.
 *
 * A line is: file for standard input, file for standard output, then the whole environment as NAME=VALUE; tabs between.
 * A C program because Node's spawn takes milliseconds, in which its own threads compete with what is measured.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EXECUTIONS = 65536, MAX_FIELDS = 64, MAX_CONCURRENCY = 64 };

struct execution {
    char *input, *output, *environment[MAX_FIELDS];
    pid_t pid;
    int64_t start_ns, end_ns;
    int status;
};

static struct execution executions[MAX_EXECUTIONS];
static size_t execution_count;

__attribute__((noreturn)) static void die(const char *what, int error) {
    fprintf(stderr, "exec-timer: %s: %s\n", what, strerror(error));
    exit(2);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void read_executions(void) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        if (execution_count == MAX_EXECUTIONS) die("too many executions", E2BIG);
        struct execution *execution = &executions[execution_count++];
        if (line[length - 1] == '\n') line[length - 1] = '\0';
        char *rest = strdup(line);
        execution->input = strsep(&rest, "\t");
        execution->output = strsep(&rest, "\t");
        if (!execution->output) die(line, EINVAL);
        for (size_t field = 0; rest; field++) {
            if (field == MAX_FIELDS - 1) die("too many variables", E2BIG);
            execution->environment[field] = strsep(&rest, "\t");
        }
    }
    free(line);
}

/* glibc's posix_spawn suspends the caller until the child has executed its program: nothing here competes with it. */
static void start(struct execution *execution, char *program) {
    posix_spawn_file_actions_t actions;
    char *arguments[] = {program, NULL};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, execution->input, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, execution->output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    execution->start_ns = now_ns();
    int error = posix_spawn(&execution->pid, program, &actions, NULL, arguments, execution->environment);
    if (error) die(program, error);
    posix_spawn_file_actions_destroy(&actions);
}

static void await_any(struct execution *running[], size_t count) {
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    int64_t end_ns = now_ns();
    if (pid < 0) die("waitpid", errno);
    for (size_t slot = 0; slot < count; slot++) {
        if (running[slot]->pid != pid) continue;
        struct execution *ended = running[slot];
        ended->end_ns = end_ns;
        ended->status = status;
        running[slot] = running[count - 1];
        return;
    }
    die("a child that was never started ended", ECHILD);
}

int main(int argc, char **argv) {
    struct execution *running[MAX_CONCURRENCY];
    size_t concurrency = argc == 3 ? strtoul(argv[1], NULL, 10) : 0, running_count = 0, next = 0;
    if (concurrency < 1 || concurrency > MAX_CONCURRENCY) {
        fputs("usage: exec-timer CONCURRENCY PROGRAM < executions\n", stderr);
        return 2;
    }
    read_executions();
    while (next < execution_count || running_count > 0) {
        if (next < execution_count && running_count < concurrency) {
            running[running_count++] = &executions[next];
            start(&executions[next++], argv[2]);
        } else {
            await_any(running, running_count);
            running_count--;
        }
    }
    for (size_t index = 0; index < execution_count; index++) {
        const struct execution *execution = &executions[index];
        int code = WIFEXITED(execution->status) ? WEXITSTATUS(execution->status) : 128 + WTERMSIG(execution->status);
        printf("%.1f %d\n", (double)(execution->end_ns - execution->start_ns) / 1000, code);
    }
    return 0;
}
