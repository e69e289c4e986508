/* The mailbox: order, wake-ups, what delivery takes, and many senders at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cctgate/mailbox.h"

#define SENDERS    4
#define PER_SENDER 5000

struct letter {
    struct message message; /* first */
    unsigned sender, number;
    struct mailbox *again; /* sent there once more when delivered */
};

static atomic_uint wakes;
static unsigned delivered, last_number[SENDERS];

static void count_wake(void *data)
{
    assert_ptr_equal(data, &wakes);
    atomic_fetch_add(&wakes, 1);
}

static void on_letter(struct message *message)
{
    struct letter *letter = (struct letter *)message;
    struct mailbox *again = letter->again;

    ++delivered;
    assert_int_equal(letter->number, last_number[letter->sender] + 1);
    last_number[letter->sender] = letter->number;
    if (again != NULL) {
        letter->again = NULL;
        ++letter->number;
        mailbox_send(again, message);
    } else {
        free(letter);
    }
}

static struct letter *letter_new(unsigned sender, unsigned number)
{
    struct letter *letter = calloc(1, sizeof(*letter));

    assert_non_null(letter);
    letter->message.on_deliver = on_letter;
    letter->sender = sender;
    letter->number = number;
    return letter;
}

static int reset(void **state)
{
    unsigned i;

    (void)state;
    atomic_store(&wakes, 0);
    delivered = 0;
    for (i = 0; i < SENDERS; ++i)
        last_number[i] = 0;
    return 0;
}

static void delivers_in_order_and_wakes_once(void **state)
{
    struct mailbox box;
    unsigned i;

    (void)state;
    mailbox_init(&box, count_wake, &wakes);
    assert_int_equal(mailbox_deliver(&box), 0);
    for (i = 1; i <= 10; ++i)
        mailbox_send(&box, &letter_new(0, i)->message);
    assert_int_equal(atomic_load(&wakes), 1);
    assert_int_equal(mailbox_deliver(&box), 10);
    assert_int_equal(delivered, 10);
    assert_int_equal(mailbox_deliver(&box), 0);
    mailbox_send(&box, &letter_new(0, 11)->message);
    assert_int_equal(atomic_load(&wakes), 2);
    assert_int_equal(mailbox_deliver(&box), 1);
    mailbox_release(&box);
}

static void what_arrives_during_delivery_waits(void **state)
{
    struct mailbox box;
    struct letter *letter = letter_new(0, 1);

    (void)state;
    mailbox_init(&box, count_wake, &wakes);
    letter->again = &box;
    mailbox_send(&box, &letter->message);
    assert_int_equal(mailbox_deliver(&box), 1);
    assert_int_equal(delivered, 1);
    assert_int_equal(atomic_load(&wakes), 2);
    assert_int_equal(mailbox_deliver(&box), 1);
    assert_int_equal(delivered, 2);
    mailbox_release(&box);
}

static void works_without_a_wake(void **state)
{
    struct mailbox box;

    (void)state;
    mailbox_init(&box, NULL, NULL);
    mailbox_send(&box, &letter_new(0, 1)->message);
    assert_int_equal(mailbox_deliver(&box), 1);
    mailbox_release(&box);
}

struct bell {
    pthread_mutex_t mutex;
    pthread_cond_t rung;
    int ringing;
};

static void ring(void *data)
{
    struct bell *bell = data;

    pthread_mutex_lock(&bell->mutex);
    bell->ringing = 1;
    pthread_cond_signal(&bell->rung);
    pthread_mutex_unlock(&bell->mutex);
}

static void wait_for_ring(struct bell *bell)
{
    pthread_mutex_lock(&bell->mutex);
    while (!bell->ringing)
        pthread_cond_wait(&bell->rung, &bell->mutex);
    bell->ringing = 0;
    pthread_mutex_unlock(&bell->mutex);
}

struct sender {
    struct mailbox *box;
    unsigned index;
};

static void *send_many(void *data)
{
    const struct sender *sender = data;
    unsigned i;

    for (i = 1; i <= PER_SENDER; ++i)
        mailbox_send(sender->box, &letter_new(sender->index, i)->message);
    return NULL;
}

/* A lost wake-up makes this hang, a lost or doubled letter breaks the count or the order. */
static void many_senders_lose_nothing(void **state)
{
    struct bell bell = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    struct mailbox box;
    unsigned i;

    (void)state;
    mailbox_init(&box, ring, &bell);
    for (i = 0; i < SENDERS; ++i) {
        senders[i] = (struct sender){&box, i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
    }
    while (delivered < SENDERS * PER_SENDER) {
        wait_for_ring(&bell);
        mailbox_deliver(&box);
    }
    for (i = 0; i < SENDERS; ++i) {
        pthread_join(threads[i], NULL);
        assert_int_equal(last_number[i], PER_SENDER);
    }
    assert_int_equal(mailbox_deliver(&box), 0);
    mailbox_release(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(delivers_in_order_and_wakes_once, reset),
        cmocka_unit_test_setup(what_arrives_during_delivery_waits, reset),
        cmocka_unit_test_setup(works_without_a_wake, reset),
        cmocka_unit_test_setup(many_senders_lose_nothing, reset),
    };

    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
