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
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PROTOCOL_VERSION = 1, KIND_CNI = 1, MAX_REQUEST_BYTES = 4 << 20, MAX_ANSWER_BYTES = 16 << 20 };
enum { AGENT_DEADLINE_MS = 60000, OUTPUT_ALLOWANCE_MS = 10000, CONNECT_RETRY_MS = 2 };
/* CNI specification 1.1.0, section 5 "Error". */
enum { ERROR_ENVIRONMENT = 4, ERROR_IO = 5, ERROR_TRY_LATER = 11, ERROR_NOT_AVAILABLE = 50 };

struct header {
    char magic[4];
    uint16_t version, kind_or_exit_code;
    uint32_t payload_bytes, zero;
};
_Static_assert(sizeof(struct header) == 16, "headers go over the wire as they lie in memory");

/* Pages never touched cost nothing, so these have their largest size. Standard input has room for one byte too many,
 * which tells what is too large from what just fits, and stays terminated. */
static char standard_input[MAX_REQUEST_BYTES + 2], answer[MAX_ANSWER_BYTES];
static char *request;
static size_t request_bytes, answer_bytes;
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
    return errno == 0 ? "the stream ended" : errno == ETIMEDOUT ? "the deadline has passed" : strerror(errno);
}

static int64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t left_ms(void) { return deadline_ms - now_ns(CLOCK_MONOTONIC) / 1000000; }

/* Reads (POLLIN) or writes (POLLOUT). Returns the bytes done: fewer than asked when the stream ends (errno 0), on an
 * error, or at the deadline (ETIMEDOUT). That holds for a descriptor that is always ready, too: an answer in drops. */
static size_t transfer(int fd, short direction, char *data, size_t length) {
    struct pollfd polled = {.fd = fd, .events = direction};
    size_t done = 0;
    while (done < length) {
        int64_t left = left_ms();
        int ready = left > 0 ? poll(&polled, 1, (int)left) : 0;
        ssize_t moved = ready;
        if (ready > 0 && direction == POLLIN) moved = read(fd, data + done, length - done);
        else if (ready > 0) moved = write(fd, data + done, length - done);
        if (moved > 0) {
            done += (size_t)moved;
        } else if (moved == 0) {
            errno = ready == 0 ? ETIMEDOUT : 0;
            return done;
        } else if (errno != EINTR && errno != EAGAIN) {
            return done;
        }
    }
    return done;
}

static void put_number(FILE *frame, size_t number) {
    fwrite(&(uint32_t){htobe32((uint32_t)number)}, sizeof(uint32_t), 1, frame);
}

static void put_block(FILE *frame, const char *data, size_t length) {
    put_number(frame, length);
    fwrite(data, 1, length, frame);
}

static int make_request(void) {
    size_t input_bytes = transfer(STDIN_FILENO, POLLIN, standard_input, MAX_REQUEST_BYTES + 1), variables = 0;
    if (input_bytes <= MAX_REQUEST_BYTES && errno != 0) return explain("reading standard input: %s", reason());
    FILE *frame = open_memstream(&request, &request_bytes);
    if (!frame) return explain("%s", reason());
    struct header header = {"VCNQ", htobe16(PROTOCOL_VERSION), htobe16(KIND_CNI), 0, 0};
    fwrite(&header, sizeof header, 1, frame);
    put_block(frame, program_invocation_short_name, strlen(program_invocation_short_name));
    for (char **variable = environ; *variable; variable++) variables += strncmp(*variable, "CNI_", 4) == 0;
    put_number(frame, variables);
    for (char **variable = environ; *variable; variable++) {
        if (strncmp(*variable, "CNI_", 4) == 0) put_block(frame, *variable, strlen(*variable));
    }
    put_block(frame, standard_input, input_bytes);
    if (fclose(frame)) return explain("%s", reason());
    size_t payload_bytes = request_bytes - sizeof header;
    if (payload_bytes > MAX_REQUEST_BYTES) return explain("the request is larger than %d bytes", MAX_REQUEST_BYTES);
    header.payload_bytes = htobe32((uint32_t)payload_bytes);
    memcpy(request, &header, sizeof header);
    return 0;
}

/* A file beside the executable: a machine may have several agents, and the runtime's environment has no say in it. */
static int read_settings(void) {
    char path[PATH_MAX + sizeof "vcn-cni.paths"], line[PATH_MAX + 8];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length < 0) return explain("reading /proc/self/exe: %s", reason());
    path[length] = '\0';
    strcpy(strrchr(path, '/') + 1, "vcn-cni.paths");
    FILE *file = fopen(path, "re");
    if (!file) return errno == ENOENT ? 0 : explain("reading %s: %s", path, reason());
    while (fgets(line, sizeof line, file)) {
        sscanf(line, "socket=%4095[^\n]", socket_path);
        sscanf(line, "state=%4095[^\n]", state_path);
    }
    fclose(file);
    return 0;
}

static int connect_agent(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof address.sun_path) return explain("%s: too long for a socket's path", socket_path);
    strcpy(address.sun_path, socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return explain("making a socket: %s", reason());
    while (connect(fd, (const struct sockaddr *)&address, sizeof address)) {
        /* EAGAIN: the backlog is full (connect(2)); no event tells when it has room again. */
        if (errno == EAGAIN && left_ms() > 0) poll(NULL, 0, CONNECT_RETRY_MS);
        else if (errno == EAGAIN) return explain("connecting to %s: backlog full until the deadline", socket_path);
        else if (errno != EINTR) return explain("connecting to %s: %s", socket_path, reason());
    }
    return fd;
}

static int receive(int fd, char *into, size_t length, const char *what) {
    size_t done = transfer(fd, POLLIN, into, length);
    return done == length ? 0 : explain("%s from %s: %zu of %zu bytes: %s", what, socket_path, done, length, reason());
}

/* Returns the exit code that goes with the answer, or -1. */
static int ask_agent(void) {
    struct header header;
    int fd = connect_agent();
    if (fd < 0) return -1;
    /* The stream is not half-closed (frame.ts tells why). An agent that hangs up early may have answered before. */
    if (transfer(fd, POLLOUT, request, request_bytes) < request_bytes && errno != EPIPE && errno != ECONNRESET) {
        return explain("sending to %s: %s", socket_path, reason());
    }
    if (receive(fd, (char *)&header, sizeof header, "answer's header")) return -1;
    if (memcmp(header.magic, "VCNR", 4) != 0) return explain("%s does not speak vcn-cni's protocol", socket_path);
    if (be16toh(header.version) != PROTOCOL_VERSION) {
        return explain("%s speaks protocol version %d, not %d", socket_path, be16toh(header.version), PROTOCOL_VERSION);
    }
    int exit_code = be16toh(header.kind_or_exit_code);
    answer_bytes = be32toh(header.payload_bytes);
    /* exit(3) keeps eight bits: 256 would arrive as success. */
    if (exit_code > 255 || answer_bytes > MAX_ANSWER_BYTES || header.zero != 0) {
        return explain("%s sent a garbled header", socket_path);
    }
    return receive(fd, answer, answer_bytes, "answer") ? -1 : exit_code;
}

static int keep_for_later(void) {
    char directory[PATH_MAX + 16], temporary[64], final[64];
    snprintf(directory, sizeof directory, "%s/deferred-dels", state_path);
    /* Failures show in open. */
    for (char *slash = directory; (slash = strchr(slash + 1, '/')); *slash = '/') {
        *slash = '\0';
        mkdir(directory, 0700);
    }
    mkdir(directory, 0700);
    snprintf(final, sizeof final, "%" PRId64 "-%d.frame", now_ns(CLOCK_REALTIME), getpid());
    snprintf(temporary, sizeof temporary, "%.58s.tmp", final);
    int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int file = folder < 0 ? -1 : openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0 && transfer(file, POLLOUT, request, request_bytes) == request_bytes && !fsync(file) &&
        !renameat(folder, temporary, folder, final) && !fsync(folder)) {
        return 0;
    }
    explain("; keeping the DEL in %s: %s", directory, reason());
    if (file >= 0) unlinkat(folder, temporary, 0);
    return -1;
}

/* Bytes that are not printable ASCII are shown as Latin-1: JSON must be UTF-8, a path or variable need not. */
static void print_json_string(const char *text) {
    putchar('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        printf(c < ' ' || c > '~' || c == '"' || c == '\\' ? "\\u%04x" : "%c", c);
    }
    putchar('"');
}

/* Prints a CNI error. Returns the exit code. */
static int fail(int code, const char *message) {
    char version[16], quote = 0;
    const char *found = strstr(standard_input, "\"cniVersion\"");
    int matched = found ? sscanf(found, "\"cniVersion\" : \"%15[0-9.]%c", version, &quote) : 0;
    printf("{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":", matched == 2 && quote == '"' ? version : "1.0.0", code);
    print_json_string(message);
    fputs(",\"details\":", stdout);
    print_json_string(details);
    puts("}");
    return 1;
}

static int answer_without_agent(void) {
    const char *command = getenv("CNI_COMMAND");
    char unknown[256];
    if (!command) command = "";
    if (!strcmp(command, "ADD") || !strcmp(command, "CHECK") || !strcmp(command, "GC")) {
        return fail(ERROR_TRY_LATER, "no answer from the node's agent, try again later");
    }
    if (!strcmp(command, "STATUS")) return fail(ERROR_NOT_AVAILABLE, "no answer from the node's agent");
    if (!strcmp(command, "DEL")) return keep_for_later() ? fail(ERROR_IO, "DEL is neither done nor kept for later") : 0;
    if (!strcmp(command, "VERSION")) {
        puts("{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
        return 0;
    }
    snprintf(unknown, sizeof unknown, "CNI_COMMAND: \"%.64s\" is not ADD, DEL, CHECK, GC, STATUS or VERSION", command);
    return fail(ERROR_ENVIRONMENT, unknown);
}

int main(void) {
    const char *allowed = getenv("VCN_CNI_DEADLINE_MS");
    long allowed_ms = allowed ? strtol(allowed, NULL, 10) : 0;
    if (allowed_ms <= 0 || allowed_ms > INT_MAX / 2) allowed_ms = AGENT_DEADLINE_MS;
    deadline_ms = now_ns(CLOCK_MONOTONIC) / 1000000 + allowed_ms;
    signal(SIGPIPE, SIG_IGN);
    if (make_request() || read_settings()) return fail(ERROR_IO, "the call cannot be carried to the node's agent");
    int exit_code = ask_agent();
    deadline_ms += OUTPUT_ALLOWANCE_MS;
    if (exit_code < 0) return answer_without_agent();
    return transfer(STDOUT_FILENO, POLLOUT, answer, answer_bytes) == answer_bytes ? exit_code : 1;
}
