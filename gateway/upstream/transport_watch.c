/*
 * Whether the server is still there while nobody asks it anything.
 *
 * When a server stops, its system closes its connections, the idle ones in libcurl's pool among
 * them; but libcurl looks at those only when it takes one for the next call. So every connection
 * that has come into the pool is also in an epoll set, for EPOLLRDHUP alone and one-shot: a close
 * is told once and cannot spin, a call that uses the connection is not disturbed, any number of
 * them costs one descriptor, and the system forgets a socket when libcurl closes it. (The set is
 * needed: curl_multi_poll's extra descriptors know neither POLLRDHUP nor POLLHUP.)
 *
 * A close says little by itself, since servers close what has been idle for long. One TCP connect
 * to the same numeric address tells the two apart. There is one at once and, if that one succeeds,
 * another a second later: a server that stops may close its connections before it closes its
 * listening socket. What is closed meanwhile is covered by the one that is still to come; closes
 * without end cost one connect a second.
 *
 * When a connect fails there is one notice, and then nothing until a call has been answered again:
 * the connections of the server that went may be closed one after the other.
 */
#include "gateway/upstream/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cctgate/error.h"

#define PROBE_INTERVAL_US INT64_C(1000000)
#define PROBES_PER_CLOSE  2
#define EVENTS_AT_ONCE    32

/* Which endpoint and socket an event is about. */
static int add(const struct transport_watch *watch, const struct transport_endpoint *endpoint,
               int fd, uint32_t events)
{
    uint64_t index = (uint64_t)(endpoint - watch->endpoints);
    struct epoll_event event = {.events = events | EPOLLONESHOT};

    event.data.u64 = index << 32 | (uint32_t)fd;
    return epoll_ctl(watch->set, EPOLL_CTL_ADD, fd, &event);
}

/* After a reset the system no longer knows: then it stays what it was for the last connection. */
static void remember_peer(struct transport_probe *probe, int fd)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);

    if (getpeername(fd, (struct sockaddr *)&peer, &length) != 0 || length > sizeof(peer))
        return;
    probe->peer = peer;
    probe->peer_length = length;
}

int transport_watch_init(struct transport_watch *watch, struct transport_endpoint *endpoints,
                         size_t num_endpoints)
{
    int wanted = 0;
    size_t i;

    *watch = (struct transport_watch){-1, endpoints, num_endpoints};
    for (i = 0; i < num_endpoints; ++i) {
        endpoints[i].probe.fd = -1;
        wanted |= endpoints[i].watcher.mailbox != NULL;
    }
    if (wanted && (watch->set = epoll_create1(EPOLL_CLOEXEC)) < 0)
        return CG_E_IO;
    return CG_OK;
}

static void end_probe(struct transport_probe *probe)
{
    if (probe->fd >= 0)
        close(probe->fd);
    probe->fd = -1;
}

void transport_watch_release(struct transport_watch *watch)
{
    size_t i;

    if (watch->set < 0)
        return;
    for (i = 0; i < watch->num_endpoints; ++i)
        end_probe(&watch->endpoints[i].probe);
    close(watch->set);
    watch->set = -1;
}

void transport_watch_answered(struct transport_watch *watch, struct transport_exchange *exchange)
{
    struct transport_endpoint *endpoint = exchange->endpoint;
    curl_socket_t fd = CURL_SOCKET_BAD;

    if (endpoint->watcher.mailbox == NULL)
        return;
    endpoint->probe.noticed = 0;
    curl_easy_getinfo(exchange->easy, CURLINFO_ACTIVESOCKET, &fd);
    /* EEXIST: it was in the pool before. Without memory it is tried again after the next call. */
    if (fd != CURL_SOCKET_BAD && add(watch, endpoint, fd, EPOLLRDHUP) == 0)
        remember_peer(&endpoint->probe, fd);
}

/* ---- how a probe ends ---- */

/* Says nothing of the server: the probe is made again. */
static int is_our_own(int error)
{
    return error == EADDRNOTAVAIL || error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

static int send_notice(const struct transport_watch *watch,
                       const struct transport_endpoint *endpoint)
{
    struct upstream_notice *notice = calloc(1, sizeof(*notice));

    if (notice == NULL)
        return CG_E_NOMEM;
    notice->message.on_deliver = endpoint->watcher.on_notice;
    notice->endpoint = (unsigned)(endpoint - watch->endpoints);
    notice->data = endpoint->watcher.data;
    mailbox_send(endpoint->watcher.mailbox, &notice->message);
    return CG_OK;
}

/* `error` 0: the server is there. */
static void conclude(const struct transport_watch *watch, struct transport_endpoint *endpoint,
                     int error)
{
    struct transport_probe *probe = &endpoint->probe;

    end_probe(probe);
    if (error == 0)
        return;
    if (is_our_own(error) || send_notice(watch, endpoint) != CG_OK) {
        probe->left = probe->left > 0 ? probe->left : 1;
        return;
    }
    probe->left = 0;
    probe->noticed = 1;
}

/* ---- what the set tells ---- */

static void on_probed(const struct transport_watch *watch, struct transport_endpoint *endpoint)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(endpoint->probe.fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    conclude(watch, endpoint, error);
}

static void on_close(struct transport_probe *probe, int fd)
{
    remember_peer(probe, fd);
    if (!probe->noticed && probe->peer_length > 0)
        probe->left = PROBES_PER_CLOSE;
}

/*
 * To be called before libcurl is let close anything. Each event disarms its socket, so this ends.
 */
void transport_watch_read(struct transport_watch *watch)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int i, count;

    while ((count = epoll_wait(watch->set, events, EVENTS_AT_ONCE, 0)) > 0)
        for (i = 0; i < count; ++i) {
            struct transport_endpoint *endpoint = &watch->endpoints[events[i].data.u64 >> 32];
            int fd = (int)(events[i].data.u64 & UINT32_MAX);
            if (fd == endpoint->probe.fd)
                on_probed(watch, endpoint);
            else
                on_close(&endpoint->probe, fd);
        }
}

/* ---- when a probe is due ---- */

static void start(const struct transport_watch *watch, struct transport_endpoint *endpoint,
                  int64_t now_us)
{
    struct transport_probe *probe = &endpoint->probe;

    --probe->left;
    probe->not_before_us = now_us + PROBE_INTERVAL_US;
    probe->deadline_us = now_us + (int64_t)endpoint->connect_timeout_ms * 1000;
    probe->fd = socket(probe->peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0)
        conclude(watch, endpoint, EAGAIN);
    else if (connect(probe->fd, (struct sockaddr *)&probe->peer, probe->peer_length) == 0)
        conclude(watch, endpoint, 0);
    else if (errno != EINPROGRESS)
        conclude(watch, endpoint, errno);
    else if (add(watch, endpoint, probe->fd, EPOLLOUT) != 0)
        conclude(watch, endpoint, EAGAIN);
}

/* What is to happen next with the endpoint's probe, and when; INT64_MAX: nothing. */
static int64_t due_us(const struct transport_probe *probe)
{
    if (probe->fd >= 0)
        return probe->deadline_us;
    return probe->left > 0 ? probe->not_before_us : INT64_MAX;
}

void transport_watch_probe(struct transport_watch *watch, int64_t now_us)
{
    size_t i;

    for (i = 0; i < watch->num_endpoints; ++i) {
        struct transport_endpoint *endpoint = &watch->endpoints[i];
        if (due_us(&endpoint->probe) > now_us)
            continue;
        if (endpoint->probe.fd >= 0)
            conclude(watch, endpoint, ETIMEDOUT);
        else
            start(watch, endpoint, now_us);
    }
}

int64_t transport_watch_next_us(const struct transport_watch *watch)
{
    int64_t next = INT64_MAX;
    size_t i;

    for (i = 0; i < watch->num_endpoints; ++i) {
        int64_t due = due_us(&watch->endpoints[i].probe);
        next = due < next ? due : next;
    }
    return next;
}
