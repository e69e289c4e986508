/* What the parts of ws_clients share. One thread; whatever goes wrong ends the program with a sentence on standard error. */
#ifndef CCTGATE_BENCH_WS_CLIENTS_H
#define CCTGATE_BENCH_WS_CLIENTS_H

#include <stddef.h>
#include <stdint.h>

#define NANOSECONDS   1000000000
#define NOT_CONNECTED -1

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Zeroed, one more than `count`, so that there is always something. */
void *take(size_t count, size_t size);
int64_t now_ns(int clock);

/* Connected to that port of 127.0.0.1; `receive_buffer` 0: the kernel's own. */
int open_socket(int port, int receive_buffer);
/* What is sent is small, and the gateway reads it at once. */
void send_all(int fd, const char *bytes, size_t length);
/* `operation` is of epoll_ctl. */
void watch(int epoll, int fd, void *who, int operation);

/* ---- posting.c: the contact centre ---- */

/* What epoll tells of with this has an answer for posting_read. */
extern char posting_place;

void posting_init(int epoll, int port, const char *path);
/*
 * Posts the bodies of a file, each "<bytes> <events>\n" and the body: `rate` a second, 0: one after the other's answer; never more than
 * `window` events ahead of the last of `num_watchers`, 0: no such bound. Everything else is 0 events of everybody.
 */
void posting_start(const char *file, double rate, size_t window, size_t num_watchers);
/* When the next body is due, in nanoseconds from now; -1: not before something comes. */
int64_t posting_due_ns(void);
void posting_next(void);
void posting_read(void);
/* A watcher has got event `number`, counted from 0, each watcher in order. */
void posting_seen(uint64_t number, size_t length, int64_t at_ns);
/* Once all was posted, answered and seen by every watcher it says so on standard output. */
void posting_report_if_complete(void);

#endif
