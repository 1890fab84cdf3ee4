/*
 * usage: request-response serve ADDRESS PORT
 *        request-response ask ADDRESS PORT MILLISECONDS kept|new
 *
 * `ask` sends a request of 64 bytes and waits for a response of 64 bytes, again and again for so long, over one
 * connection (kept) or over a new one for each request (new), and prints how many were answered in a second.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 64, WARM_UP_MS = 50 };

__attribute__((noreturn)) static void die(const char *what) {
    fprintf(stderr, "request-response: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int make_socket(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0) die("socket");
    /* Inherited by accepted connections. */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) die("TCP_NODELAY");
    return fd;
}

/* Returns the bytes read: fewer than a message when the peer has closed or reset the connection. */
static size_t read_message(int fd, char message[MESSAGE_BYTES]) {
    size_t done = 0;
    while (done < MESSAGE_BYTES) {
        ssize_t count = read(fd, message + done, MESSAGE_BYTES - done);
        if (count < 0 && errno != ECONNRESET) die("read");
        if (count <= 0) break;
        done += (size_t)count;
    }
    return done;
}

static void write_message(int fd, const char message[MESSAGE_BYTES]) {
    if (write(fd, message, MESSAGE_BYTES) != MESSAGE_BYTES) die("write");
}

__attribute__((noreturn)) static void serve(const struct sockaddr_in *address) {
    char message[MESSAGE_BYTES];
    int listener = make_socket(), on = 1;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)) die("SO_REUSEADDR");
    if (bind(listener, (const struct sockaddr *)address, sizeof *address) || listen(listener, 64)) die("listen");
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) die("accept");
        while (read_message(fd, message) == MESSAGE_BYTES) write_message(fd, message);
        close(fd);
    }
}

static int connect_to(const struct sockaddr_in *address) {
    /* Closing resets the connection: 60 s of TIME-WAIT would use up the ports within seconds. */
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    int fd = make_socket();
    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset)) die("SO_LINGER");
    if (connect(fd, (const struct sockaddr *)address, sizeof *address)) die("connect");
    return fd;
}

static void ask_once(int fd, uint64_t number) {
    char request[MESSAGE_BYTES] = {0}, response[MESSAGE_BYTES];
    memcpy(request, &number, sizeof number);
    write_message(fd, request);
    if (read_message(fd, response) < MESSAGE_BYTES) die("the server hung up");
    if (memcmp(request, response, MESSAGE_BYTES) != 0) die("the response is to another request");
}

/* Returns how many requests were answered in so long, and how long that took in fact. */
static uint64_t ask_for(const struct sockaddr_in *address, int kept, int64_t allowed_ns, int64_t *taken_ns) {
    int64_t start_ns = now_ns();
    uint64_t answered = 0;
    int fd = kept ? connect_to(address) : -1;
    do {
        if (!kept) fd = connect_to(address);
        ask_once(fd, answered++);
        if (!kept) close(fd);
        *taken_ns = now_ns() - start_ns;
    } while (*taken_ns < allowed_ns);
    if (kept) close(fd);
    return answered;
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int asks = argc == 6 && strcmp(argv[1], "ask") == 0, serves = argc == 4 && strcmp(argv[1], "serve") == 0;
    if ((!asks && !serves) || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) {
        fputs("usage: request-response serve ADDRESS PORT | ask ADDRESS PORT MILLISECONDS kept|new\n", stderr);
        return 2;
    }
    address.sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10));
    if (serves) serve(&address);
    int64_t taken_ns, allowed_ns = strtol(argv[4], NULL, 10) * INT64_C(1000000);
    int kept = strcmp(argv[5], "kept") == 0;
    ask_for(&address, kept, WARM_UP_MS * INT64_C(1000000), &taken_ns);
    uint64_t answered = ask_for(&address, kept, allowed_ns, &taken_ns);
    printf("%.1f\n", (double)answered * 1e9 / (double)taken_ns);
    return 0;
}
