/* The watchdog is patted while everything turns, and not one more time when it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "cctgate/service_manager.h"

struct fixture {
    char directory[64];
    struct sockaddr_un address;
    int fd;
    struct watchdog *watchdog;
    atomic_int alive, asked, silent_ms;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct timeval patience = {60, 0};

    assert_non_null(f);
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    snprintf(f->directory, sizeof(f->directory), "/tmp/cctgate-notify-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->address.sun_family = AF_UNIX;
    snprintf(f->address.sun_path, sizeof(f->address.sun_path), "%s/notify", f->directory);
    assert_true((f->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) >= 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&f->address, sizeof(f->address)), 0);
    assert_int_equal(setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    setenv("NOTIFY_SOCKET", f->address.sun_path, 1);
    setenv("WATCHDOG_USEC", "40000", 1);
    unsetenv("WATCHDOG_PID");
    atomic_store(&f->alive, 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    watchdog_stop(&f->watchdog);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    close(f->fd);
    unlink(f->address.sun_path);
    rmdir(f->directory);
    free(f);
    return 0;
}

static int is_alive(void *data, int64_t silent_ms)
{
    struct fixture *f = data;
    atomic_store(&f->silent_ms, (int)silent_ms);
    atomic_fetch_add(&f->asked, 1);
    return atomic_load(&f->alive);
}

/* The next message; "" when none is there and nobody waits. */
static const char *receive(struct fixture *f, int flags)
{
    static char text[1024];
    ssize_t got = recv(f->fd, text, sizeof(text) - 1, flags);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void wait_until_asked(struct fixture *f, int times)
{
    int since = atomic_load(&f->asked);
    while (atomic_load(&f->asked) - since < times)
        usleep(1000);
}

static void is_left_alone_when_a_loop_does_not_turn(void **state)
{
    struct fixture *f = *state;
    const char *text;
    int i;

    assert_int_equal(watchdog_start(&f->watchdog, is_alive, f), CG_OK);
    assert_non_null(f->watchdog);
    for (i = 0; i < 3; ++i)
        assert_non_null(strstr(receive(f, 0), "WATCHDOG=1"));
    assert_int_equal(atomic_load(&f->silent_ms), 2000); /* no loop turns more often than that */
    atomic_store(&f->alive, 0);
    while (strstr(text = receive(f, 0), "WATCHDOG=1") != NULL)
        ;
    assert_string_equal(text, "STATUS=A loop does not turn any more");
    wait_until_asked(f, 5);
    assert_string_equal(receive(f, MSG_DONTWAIT), "");
    atomic_store(&f->alive, 1);
    assert_string_equal(receive(f, 0), "WATCHDOG=1\nSTATUS=Serving");
    assert_string_equal(receive(f, 0), "WATCHDOG=1");
}

static void is_there_only_where_it_is_asked_for(void **state)
{
    struct fixture *f = *state;

    unsetenv("WATCHDOG_USEC");
    assert_int_equal(watchdog_start(&f->watchdog, is_alive, f), CG_OK);
    assert_null(f->watchdog);
    assert_int_equal(atomic_load(&f->asked), 0);
}

static void stops_at_once(void **state)
{
    struct fixture *f = *state;
    int asked;

    setenv("WATCHDOG_USEC", "3600000000", 1);
    assert_int_equal(watchdog_start(&f->watchdog, is_alive, f), CG_OK);
    assert_non_null(strstr(receive(f, 0), "WATCHDOG=1"));
    assert_int_equal(atomic_load(&f->silent_ms), 30000);
    watchdog_stop(&f->watchdog);
    asked = atomic_load(&f->asked);
    assert_int_equal(asked, 1);
    assert_null(f->watchdog);
}

static void tells_how_it_is(void **state)
{
    struct fixture *f = *state;

    manager_ready("Serving");
    assert_string_equal(receive(f, 0), "READY=1\nSTATUS=Serving");
    manager_reloading();
    assert_memory_equal(receive(f, 0), "RELOADING=1\nMONOTONIC_USEC=", 27);
    manager_stopping();
    assert_memory_equal(receive(f, 0), "STOPPING=1\n", 11);
    unsetenv("NOTIFY_SOCKET");
    manager_ready("Serving");
    assert_string_equal(receive(f, MSG_DONTWAIT), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_left_alone_when_a_loop_does_not_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_there_only_where_it_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stops_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tells_how_it_is, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
