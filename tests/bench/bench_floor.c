/*
 * What the kernel alone takes for a request: one thread that reads whatever has come and writes the bytes of a file for it. It looks
 * at nothing, so it is no HTTP server; what tests/bench/compare.py measures of it is what a server would have to get along with that
 * spends nothing of its own.
 *
 *   bench_floor PORT FILE       on 127.0.0.1, until it is ended
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_EVENTS = 1024, MOST_BYTES = 65536 };

static char answer[MOST_BYTES], request[MOST_BYTES];
static size_t answer_length;

static void check(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static int listener_at(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0, "socket");
    check(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, SOMAXCONN) == 0,
          "listen");
    return fd;
}

static void accept_one(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    watch(epoll, fd);
}

/* All that has come is read before the first answer is written, as the gateway does. */
static void turn(int epoll, int listener)
{
    static struct epoll_event events[MOST_EVENTS];
    int asked[MOST_EVENTS];
    int num_asked = 0, num_events = epoll_wait(epoll, events, MOST_EVENTS, -1);

    for (int i = 0; i < num_events; ++i) {
        int fd = events[i].data.fd;
        if (fd == listener)
            accept_one(epoll, listener);
        else if (read(fd, request, sizeof(request)) > 0)
            asked[num_asked++] = fd;
        else
            close(fd);
    }
    for (int i = 0; i < num_asked; ++i)
        if (write(asked[i], answer, answer_length) != (ssize_t)answer_length)
            close(asked[i]);
}

int main(int argc, char **argv)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC), listener;
    FILE *file;
    char *end;
    long port;

    if (argc != 3) {
        fputs("usage: bench_floor PORT FILE\n", stderr);
        return 2;
    }
    file = fopen(argv[2], "r");
    check(file != NULL, argv[2]);
    answer_length = fread(answer, 1, sizeof(answer), file);
    fclose(file);
    port = strtol(argv[1], &end, 10);
    if (*end != '\0' || port < 1 || port > UINT16_MAX) {
        fprintf(stderr, "bench_floor: no port: %s\n", argv[1]);
        return 2;
    }
    listener = listener_at((int)port);
    watch(epoll, listener);
    for (;;)
        turn(epoll, listener);
}
