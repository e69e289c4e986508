/*
 * What systemd and the gateway tell each other: sockets that are handed in, and how the service is (sd_notify(3), sd_listen_fds(3),
 * sd_watchdog_enabled(3)). Without systemd, or whatever speaks for it in the environment, all of this does nothing.
 */
#ifndef CCTGATE_SERVICE_MANAGER_H
#define CCTGATE_SERVICE_MANAGER_H

#include <stdint.h>
#include <sys/socket.h>

/* ---- sockets: before there are threads ---- */

/* Takes LISTEN_FDS out of the environment. What is no listening TCP socket is closed and logged. */
void manager_take_sockets(void);
/*
 * The socket that is bound to `address`, else the first that is named `name` (FileDescriptorName=) and that no other call has got;
 * -1: there is none. The caller's from then on; it neither blocks nor outlives an exec.
 */
int manager_socket(const struct sockaddr *address, socklen_t length, const char *name);
/* Closes, and logs, what nobody wanted. */
void manager_drop_sockets(void);

/* ---- how it is: any thread, one at a time ---- */

void manager_ready(const char *status);
/* The configuration is read again; manager_ready tells the end of that, however it ended. */
void manager_reloading(void);
void manager_stopping(void);

/*
 * Where a watchdog is asked for (WATCHDOG_USEC), a thread of its own pats it twice in its time for as long as is_alive says so;
 * `silent_ms` is how long whoever is to be alive may have been silent. is_alive runs on that thread.
 */
struct watchdog;
typedef int (*watchdog_is_alive)(void *data, int64_t silent_ms);
/* CG_OK, with *watchdog NULL where none is asked for; CG_E_NOMEM: no thread. */
int watchdog_start(struct watchdog **watchdog, watchdog_is_alive is_alive, void *data);
/* Nobody is asked any more. NULL: nothing. */
void watchdog_stop(struct watchdog **watchdog);

#endif
