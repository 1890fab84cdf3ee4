/*
 * usage: connect-timer CONNECTS MILLISECONDS < lanes
 *
 * Times TCP connections over several lanes in rounds, CONNECTS of them over each lane, for so long; with 0 milliseconds, one
 * round. Prints a line for each turn of a lane: its number, then the nanoseconds of every connect(2), or -ERRNO.
 *
 * A line of standard input is a lane: the client's network namespace (a path), the server's, the first address, how many
 * addresses there are, how far they are apart, the port, the port on which the server listens. Every connection goes to
 * an address of its lane, chosen at random; the order of the lanes is another one in each round, so that none always comes
 * after the same other one, with the processor's caches full of that one's rules.
 *
 * Client and server are this one process with sockets in two namespaces: the kernel carries the handshake through the
 * whole path within connect(2), and nobody has to be woken, which would cost more than the path itself.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LANES = 64, BACKLOG = 64, CONNECT_TIMEOUT_S = 3 };

struct lane {
    char server[256];
    int client_netns, listener;
    uint32_t first, count, step;
    uint16_t port;
};

static struct lane lanes[MAX_LANES];
static uint64_t seed = 88172645463325252;

__attribute__((noreturn)) static void die(const char *what) {
    fprintf(stderr, "connect-timer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* xorshift64 (Marsaglia): the same addresses in every run. */
static uint32_t below(uint32_t limit) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 32) * limit >> 32);
}

static int open_netns(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) die(path);
    return fd;
}

static void enter(int netns) {
    if (setns(netns, CLONE_NEWNET)) die("setns");
}

/* The client hangs up by a reset, so that no port waits in TIME-WAIT; it gives up before the kernel would. */
static int make_client(void) {
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    struct timeval timeout = {.tv_sec = CONNECT_TIMEOUT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset)) die("SO_LINGER");
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout)) die("SO_SNDTIMEO");
    return fd;
}

static int make_listener(const char *netns_path, uint16_t port) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    int netns = open_netns(netns_path), on = 1;
    enter(netns);
    close(netns);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)) die("the server's socket");
    if (bind(fd, (const struct sockaddr *)&any, sizeof any) || listen(fd, BACKLOG)) die("listen");
    return fd;
}

/* Lanes to the same namespace share the listener of the first of them. */
static int listener_for(const char *server, size_t lane_count, uint16_t port) {
    for (size_t index = 0; index < lane_count; index++)
        if (strcmp(lanes[index].server, server) == 0) return lanes[index].listener;
    return make_listener(server, port);
}

static size_t read_lanes(void) {
    char client[256], server[256], first[64];
    uint32_t count, step, port, listen_port;
    size_t lane_count = 0;
    while (scanf("%255s %255s %63s %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32, client, server, first, &count, &step,
                 &port, &listen_port) == 7) {
        struct in_addr address;
        if (lane_count == MAX_LANES || inet_pton(AF_INET, first, &address) != 1 || count == 0) {
            errno = EINVAL;
            die(first);
        }
        struct lane *lane = &lanes[lane_count];
        *lane = (struct lane){
            .client_netns = open_netns(client),
            .listener = listener_for(server, lane_count, (uint16_t)listen_port),
            .first = ntohl(address.s_addr),
            .count = count,
            .step = step,
            .port = (uint16_t)port,
        };
        strcpy(lane->server, server);
        lane_count++;
    }
    return lane_count;
}

static int64_t connect_once(const struct lane *lane) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(lane->port)};
    address.sin_addr.s_addr = htonl(lane->first + below(lane->count) * lane->step);
    int client = make_client(), server;
    int64_t start_ns = now_ns();
    int failed = connect(client, (const struct sockaddr *)&address, sizeof address);
    int64_t taken_ns = failed ? -(int64_t)errno : now_ns() - start_ns;
    while ((server = accept4(lane->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        close(client);
        client = -1;
        close(server);
    }
    if (client >= 0) close(client);
    return taken_ns;
}

static void shuffle(size_t order[], size_t count) {
    for (size_t index = count - 1; index > 0; index--) {
        size_t other = below((uint32_t)index + 1), kept = order[index];
        order[index] = order[other];
        order[other] = kept;
    }
}

static void turn(size_t number, unsigned long connects) {
    const struct lane *lane = &lanes[number];
    enter(lane->client_netns);
    printf("%zu", number);
    for (unsigned long connect = 0; connect < connects; connect++) printf(" %" PRId64, connect_once(lane));
    putchar('\n');
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: connect-timer CONNECTS MILLISECONDS < lanes\n", stderr);
        return 2;
    }
    unsigned long connects = strtoul(argv[1], NULL, 10);
    size_t lane_count = read_lanes();
    if (lane_count == 0) {
        fputs("connect-timer: no lanes\n", stderr);
        return 2;
    }
    int64_t end_ns = now_ns() + strtol(argv[2], NULL, 10) * INT64_C(1000000);
    size_t order[MAX_LANES];
    for (size_t index = 0; index < lane_count; index++) order[index] = index;
    do {
        shuffle(order, lane_count);
        for (size_t index = 0; index < lane_count; index++) turn(order[index], connects);
    } while (now_ns() < end_ns);
    return 0;
}
