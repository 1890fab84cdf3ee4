/*
 * vcn-cni, the program that container runtimes execute. It carries the call (its own name, the CNI_ variables, standard
 * input) to the node's agent over a Unix socket, and the answer back; src/cni/frame.ts describes both frames.
 *
 * Without an answer the runtime is told to try again later. A DEL is kept on disk for the agent to replay instead:
 * some runtimes never repeat a failed DEL, others hold the pod until it succeeds. Repeating a done one is harmless.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PROTOCOL_VERSION = 1, KIND_CNI = 1, MAX_REQUEST_BYTES = 4 << 20, MAX_ANSWER_BYTES = 16 << 20 };
enum { DEFAULT_DEADLINE_MS = 60000, CONNECT_RETRY_MS = 2 };
/* CNI specification 1.1.0, section 5 "Error". */
enum { ERROR_ENVIRONMENT = 4, ERROR_IO = 5, ERROR_TRY_LATER = 11, ERROR_NOT_AVAILABLE = 50 };

struct header {
    char magic[4];
    uint16_t version, kind_or_exit_code;
    uint32_t payload_bytes, zero;
};
_Static_assert(sizeof(struct header) == 16, "headers go over the wire as they lie in memory");

/* One call a process. Pages never touched cost nothing, so these have their largest size; standard input stays
 * terminated, and room for one byte too many tells a request that is too large from one that just fits. */
static char standard_input[MAX_REQUEST_BYTES + 2], answer[MAX_ANSWER_BYTES];
static char *request;
static size_t request_bytes;
static char socket_path[PATH_MAX] = "/run/vcn-cni/agent.sock", state_path[PATH_MAX] = "/var/lib/vcn-cni";
static int64_t deadline_ms;
static char details[3 * PATH_MAX]; /* of the error, if there is to be one */

/* Adds to the details. Returns -1, for `return explain(…)`. */
__attribute__((format(printf, 1, 2))) static int explain(const char *format, ...) {
    size_t used = strlen(details);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(details + used, sizeof details - used, format, arguments);
    va_end(arguments);
    return -1;
}

static const char *reason(void) {
    return errno == 0 ? "the stream has ended" : errno == ETIMEDOUT ? "the deadline has passed" : strerror(errno);
}

static int64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t left_ms(void) { return deadline_ms - now_ns(CLOCK_MONOTONIC) / 1000000; }

/* Reads (POLLIN) or writes (POLLOUT) until all is done, the stream ends (errno 0), an error, or the deadline (ETIMEDOUT,
 * also when the descriptor is always ready: an answer may come in drops). Returns the bytes done. */
static size_t transfer(int fd, short direction, char *data, size_t length) {
    size_t done = 0;
    struct pollfd polled = {.fd = fd, .events = direction};
    for (int64_t left; done < length && (left = left_ms()) > 0;) {
        ssize_t moved = -1;
        errno = ETIMEDOUT;
        ...
    }
}
