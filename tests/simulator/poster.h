/*
 * One HTTP/1.1 connection to a consumer, without blocking: posts a body, waits for the head of the answer, keeps the
 * connection. One post at a time; nothing is ever sent twice.
 */
#ifndef CCTSIM_POSTER_H
#define CCTSIM_POSTER_H

#include <netinet/in.h>
#include <stdbool.h>

#include "buf.h"
#include "loop.h"

/* Where to post, from an http:// URL. */
struct consumer_address {
    char *authority; /* for the Host header */
    char *path;
    struct sockaddr_storage addr;
    socklen_t addr_len; /* 0: the name is not known */
};

enum poster_state { POSTER_CLOSED, POSTER_CONNECTING, POSTER_WRITING, POSTER_READING, POSTER_IDLE };

struct poster {
    struct loop_io io; /* first: callbacks cast back */
    struct loop_timer timeout;
    enum poster_state state;
    const struct consumer_address *to;
    struct buf out;
    size_t written;
    struct buf in;
    void (*on_done)(struct poster *poster, bool delivered);
};

/* False when the URL is no http:// URL. A name that is not known is no error here, but every post to it fails. */
bool consumer_address_init(struct consumer_address *to, const char *url);
void consumer_address_release(struct consumer_address *to);

/* `to` must outlive the poster. */
void poster_init(struct poster *poster, const struct consumer_address *to,
                 void (*on_done)(struct poster *poster, bool delivered));
/* Sends `body`; on_done is called once, maybe before this returns. Any 2xx counts as delivered. */
void poster_send(struct poster *poster, const struct buf *body);
/* Closes without calling on_done. The memory must stay until the end of the turn. */
void poster_release(struct poster *poster);
bool poster_busy(const struct poster *poster);

#endif
