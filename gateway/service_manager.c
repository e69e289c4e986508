#include "cctgate/service_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"

#define LOOP_TURNS_MS 2000 /* the slowest loop turns once a second, whatever there is to do */

/* ---- sockets ---- */

struct given {
    int fd; /* -1: somebody has got it */
    char *name;
};

static struct given *given;
static size_t num_given;

static void note(const char *event, const char *text, const struct given *socket)
{
    log_write(LOG_LEVEL_WARNING, event, text, LOG_S("name", socket->name), LOG_I("fd", socket->fd));
}

static int is_usable(int fd)
{
    return sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0 &&
           (sd_is_socket(fd, AF_INET, 0, -1) > 0 || sd_is_socket(fd, AF_INET6, 0, -1) > 0) &&
           fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0;
}

void manager_take_sockets(void)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names), i;

    if (count <= 0)
        return;
    if ((given = calloc((size_t)count, sizeof(*given))) == NULL)
        abort();
    for (i = 0; i < count; ++i) {
        struct given socket = {SD_LISTEN_FDS_START + i, names[i]};
        if (is_usable(socket.fd)) {
            given[num_given++] = socket;
            continue;
        }
        note("socketRefused", "What was handed in is no listening TCP socket", &socket);
        close(socket.fd);
        free(socket.name);
    }
    free(names);
}

static int is_bound_to(int fd, const struct sockaddr *address, socklen_t length)
{
    struct sockaddr_storage bound;
    socklen_t bound_length = sizeof(bound);
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&bound;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&bound;

    if (getsockname(fd, (struct sockaddr *)&bound, &bound_length) != 0 || bound_length != length ||
        bound.ss_family != address->sa_family)
        return 0;
    if (bound.ss_family == AF_INET) {
        const struct sockaddr_in *wanted = (const struct sockaddr_in *)address;
        return v4->sin_port == wanted->sin_port && v4->sin_addr.s_addr == wanted->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *wanted = (const struct sockaddr_in6 *)address;
    return v6->sin6_port == wanted->sin6_port &&
           memcmp(&v6->sin6_addr, &wanted->sin6_addr, sizeof(v6->sin6_addr)) == 0;
}

static int hand_over(struct given *socket)
{
    int fd = socket->fd;
    socket->fd = -1;
    return fd;
}

int manager_socket(const struct sockaddr *address, socklen_t length, const char *name)
{
    size_t i;

    for (i = 0; i < num_given; ++i)
        if (given[i].fd >= 0 && is_bound_to(given[i].fd, address, length))
            return hand_over(&given[i]);
    for (i = 0; i < num_given; ++i)
        if (given[i].fd >= 0 && strcmp(given[i].name, name) == 0)
            return hand_over(&given[i]);
    return -1;
}

void manager_drop_sockets(void)
{
    size_t i;

    for (i = 0; i < num_given; ++i) {
        if (given[i].fd >= 0) {
            note("socketUnused", "A socket was handed in that no setting listens on", &given[i]);
            close(given[i].fd);
        }
        free(given[i].name);
    }
    free(given);
    given = NULL;
    num_given = 0;
}

/* ---- how it is ---- */

void manager_ready(const char *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void manager_reloading(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reading the configuration again",
               (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void manager_stopping(void)
{
    sd_notify(0, "STOPPING=1\nSTATUS=Ending what is in progress and logging off");
}

/* ---- the watchdog ---- */

struct watchdog {
    watchdog_is_alive is_alive;
    void *data;
    uint64_t usec;
    int64_t silent_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int stopping;
};

static struct timespec later(uint64_t usec)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(usec / 1000000);
    at.tv_nsec += (long)(usec % 1000000) * 1000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        ++at.tv_sec;
    }
    return at;
}

static void pat(struct watchdog *watchdog, int *was_alive)
{
    int alive = watchdog->is_alive(watchdog->data, watchdog->silent_ms);

    if (alive)
        sd_notify(0, *was_alive ? "WATCHDOG=1" : "WATCHDOG=1\nSTATUS=Serving");
    else if (*was_alive) {
        log_write(LOG_LEVEL_ERROR, "loopSilent",
                  "A loop does not turn any more; the watchdog is left alone",
                  LOG_I("silentMs", watchdog->silent_ms));
        sd_notify(0, "STATUS=A loop does not turn any more");
    }
    *was_alive = alive;
}

static void *watch(void *data)
{
    struct watchdog *watchdog = data;
    struct timespec at;
    int was_alive = 1;

    pthread_setname_np(pthread_self(), "watchdog");
    pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->stopping) {
        pthread_mutex_unlock(&watchdog->lock);
        pat(watchdog, &was_alive);
        at = later(watchdog->usec / 2);
        pthread_mutex_lock(&watchdog->lock);
        while (!watchdog->stopping &&
               pthread_cond_timedwait(&watchdog->wake, &watchdog->lock, &at) != ETIMEDOUT)
            ;
    }
    pthread_mutex_unlock(&watchdog->lock);
    return NULL;
}

/* Half of the time, so that silence and the wait for the next look together are within it; but longer than a loop takes. */
static int64_t silence_allowed(uint64_t usec)
{
    int64_t ms = (int64_t)(usec / 2000);
    if (ms < LOOP_TURNS_MS)
        return LOOP_TURNS_MS;
    return ms < CG_SILENT_MS ? ms : CG_SILENT_MS;
}

int watchdog_start(struct watchdog **out, watchdog_is_alive is_alive, void *data)
{
    struct watchdog *watchdog;
    pthread_condattr_t monotonic;
    uint64_t usec = 0;

    *out = NULL;
    if (sd_watchdog_enabled(0, &usec) <= 0)
        return CG_OK;
    if ((watchdog = calloc(1, sizeof(*watchdog))) == NULL)
        return CG_E_NOMEM;
    watchdog->is_alive = is_alive;
    watchdog->data = data;
    watchdog->usec = usec;
    watchdog->silent_ms = silence_allowed(usec);
    pthread_mutex_init(&watchdog->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&watchdog->thread, NULL, watch, watchdog) != 0) {
        pthread_cond_destroy(&watchdog->wake);
        pthread_mutex_destroy(&watchdog->lock);
        free(watchdog);
        return CG_E_NOMEM;
    }
    *out = watchdog;
    return CG_OK;
}

void watchdog_stop(struct watchdog **in)
{
    struct watchdog *watchdog = *in;

    if (watchdog == NULL)
        return;
    *in = NULL;
    pthread_mutex_lock(&watchdog->lock);
    watchdog->stopping = 1;
    pthread_cond_signal(&watchdog->wake);
    pthread_mutex_unlock(&watchdog->lock);
    pthread_join(watchdog->thread, NULL);
    pthread_cond_destroy(&watchdog->wake);
    pthread_mutex_destroy(&watchdog->lock);
    free(watchdog);
}
