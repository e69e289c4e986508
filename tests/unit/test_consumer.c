/* What the consumer knows: networks, secrets, how much may wait, and what it publishes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/contract.h"
#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/xml.h"
#include "gateway/events/consumer_private.h"
#include "gateway/events/network.h"

/* ---- networks ---- */

static int is_in(const char *network, const char *peer)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct network parsed;

    assert_int_equal(network_parse(&parsed, network), CG_OK);
    if (inet_pton(AF_INET, peer, &v4.sin_addr) == 1)
        return network_contains(&parsed, 1, (struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, peer, &v6.sin6_addr), 1);
    return network_contains(&parsed, 1, (struct sockaddr *)&v6);
}

static void test_networks(void **state)
{
    static const char *const bad[] = {
        "",       "10.0.0.0", "10.0.0.0/",   "10.0.0.0/33",   "10.0.0.0/a", "10.0.0/8",    "/8",
        "::/129", "::/-1",    "10.0.0.0/8 ", "10.0.0.0/0008", "fd00::/8/8", "10.0.0.256/8"};
    struct network parsed;
    size_t i;

    (void)state;
    assert_true(is_in("10.0.0.0/8", "10.255.0.1"));
    assert_false(is_in("10.0.0.0/8", "11.0.0.1"));
    assert_true(is_in("10.1.2.3/8", "10.9.9.9")); /* bits beyond the prefix do not matter */
    assert_true(is_in("192.168.4.0/22", "192.168.7.255"));
    assert_false(is_in("192.168.4.0/22", "192.168.8.0"));
    assert_true(is_in("192.168.4.7/32", "192.168.4.7"));
    assert_false(is_in("192.168.4.7/32", "192.168.4.6"));
    assert_true(is_in("0.0.0.0/0", "1.2.3.4"));
    assert_false(is_in("0.0.0.0/0", "fd00::1"));
    assert_true(is_in("10.0.0.0/8", "::ffff:10.0.0.1")); /* as a dual-stack socket sees it */
    assert_true(is_in("fd00::/8", "fdff::1"));
    assert_false(is_in("fd00::/8", "fe00::1"));
    assert_true(is_in("fd00:0:0:8000::/49", "fd00:0:0:ffff::1"));
    assert_false(is_in("fd00:0:0:8000::/50", "fd00:0:0:ffff::1"));
    assert_true(is_in("::1/128", "::1"));
    assert_false(is_in("::1/128", "::2"));
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i)
        assert_int_equal(network_parse(&parsed, bad[i]), CG_E_INVALID);
}

/* ---- secrets and the queue ---- */

struct fixture {
    struct contract *contract;
    struct consumer *consumer;
    struct mailbox mailbox;
    char secret[2 * CONSUMER_SECRET_BYTES + 1];
    uint8_t digest[CONSUMER_DIGEST_BYTES];
    size_t taken;
};

static void on_notify(struct message *message)
{
    struct consumer_notify *notify = (struct consumer_notify *)message;
    struct fixture *fixture = notify->data;

    ++fixture->taken;
    assert_memory_equal(notify->digest, fixture->digest, sizeof(notify->digest));
    consumer_notify_free(&notify);
    assert_null(notify);
}

static int set_up(void **state)
{
    static char *allow[] = {"127.0.0.0/8"}, address[] = "::1", directory[] = "conf/contract";
    struct config config = {.contract = directory};
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    char error[512] = "";

    config.consumer.address = address;
    config.consumer.allow = allow;
    config.consumer.num_allow = 1;
    assert_int_equal(contract_load(&fixture->contract, directory, error, sizeof(error)), CG_OK);
    assert_int_equal(
        consumer_new(&fixture->consumer, &config, fixture->contract, error, sizeof(error)), CG_OK);
    assert_int_equal(consumer_bound(fixture->consumer, 9091, error, sizeof(error)), CG_OK);
    mailbox_init(&fixture->mailbox, NULL, NULL);
    consumer_set_receiver(fixture->consumer, &fixture->mailbox, on_notify, fixture);
    assert_int_equal(consumer_make_secret(fixture->secret, fixture->digest), CG_OK);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    while (mailbox_deliver(&fixture->mailbox) > 0)
        ;
    mailbox_release(&fixture->mailbox);
    consumer_free(&fixture->consumer);
    contract_free(&fixture->contract);
    free(fixture);
    return 0;
}

static int take(struct fixture *fixture, const char *body, size_t length)
{
    return consumer_take(fixture->consumer, fixture->secret, strlen(fixture->secret), body, length);
}

static void test_only_a_known_secret(void **state)
{
    struct fixture *fixture = *state;
    char other[sizeof(fixture->secret)];
    uint8_t digest[CONSUMER_DIGEST_BYTES];

    assert_int_equal(take(fixture, "x", 1), CG_E_NOTFOUND);
    assert_int_equal(consumer_admit(fixture->consumer, fixture->digest), CG_OK);
    assert_int_equal(take(fixture, "x", 1), CG_OK);
    assert_int_equal(consumer_make_secret(other, digest), CG_OK);
    assert_string_not_equal(other, fixture->secret);
    assert_int_equal(strspn(other, "0123456789abcdef"), 2 * CONSUMER_SECRET_BYTES);
    assert_int_equal(consumer_take(fixture->consumer, other, strlen(other), "x", 1), CG_E_NOTFOUND);
    assert_int_equal(consumer_take(fixture->consumer, fixture->secret, 8, "x", 1), CG_E_NOTFOUND);
    assert_int_equal(consumer_take(fixture->consumer, "", 0, "x", 1), CG_E_NOTFOUND);
    consumer_dismiss(fixture->consumer, fixture->digest);
    consumer_dismiss(fixture->consumer, fixture->digest);
    assert_int_equal(take(fixture, "x", 1), CG_E_NOTFOUND);
    mailbox_deliver(&fixture->mailbox);
    assert_int_equal(fixture->taken, 1);
}

static void test_what_waits_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    size_t length = 4 * 1024 * 1024, count = 0;
    struct consumer_stats stats;
    char *body = calloc(1, length);
    int rc;

    assert_int_equal(consumer_admit(fixture->consumer, fixture->digest), CG_OK);
    while ((rc = take(fixture, body, length)) == CG_OK)
        ++count;
    assert_int_equal(rc, CG_E_BUSY);
    assert_int_equal(count, CG_NOTIFY_QUEUE_BYTES_MAX / length - 1);
    consumer_get_stats(fixture->consumer, &stats);
    assert_in_range(stats.queued_bytes, count * length, CG_NOTIFY_QUEUE_BYTES_MAX);
    mailbox_deliver(&fixture->mailbox);
    assert_int_equal(fixture->taken, count);
    consumer_get_stats(fixture->consumer, &stats);
    assert_int_equal(stats.queued_bytes, 0);
    assert_int_equal(take(fixture, body, length), CG_OK);
    free(body);
}

static void test_url_and_documents(void **state)
{
    struct fixture *fixture = *state;
    const struct contract_document *document;
    size_t i;

    assert_string_equal(consumer_url(fixture->consumer), "http://[::1]:9091/NotificationConsumer");
    for (i = 0; (document = consumer_document(fixture->consumer, i)) != NULL; ++i) {
        const char *at = document->bytes;
        assert_int_equal(strlen(document->bytes), document->length);
        while ((at = strstr(at, "ocation=\"")) != NULL) {
            at += strlen("ocation=\"");
            assert_int_equal(strncmp(at, consumer_url(fixture->consumer),
                                     strlen(consumer_url(fixture->consumer))),
                             0);
        }
    }
    assert_in_range(i, 5, 50);
    assert_non_null(strstr(consumer_document(fixture->consumer, 0)->bytes, "definitions"));
    assert_null(consumer_document(fixture->consumer, SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks),
        cmocka_unit_test_setup_teardown(test_only_a_known_secret, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_waits_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_url_and_documents, set_up, tear_down),
    };
    xml_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
