/* The transport over TLS: who is believed, and how we show who we are. */
#include "tests/unit/test_upstream_transport_fixture.h"
#include "tests/unit/certificates.h"

#define DAY_S (24L * 60 * 60)

static char directory[] = "/tmp/cctgate-test-XXXXXX";
static struct certificate ca, other_ca, good, wrong_host, expired, foreign, client;

static int make_certificates(void **state)
{
    set_up_all(state);
    assert_non_null(mkdtemp(directory));
    certificate_make(&ca, NULL, directory, "ca", NULL, DAY_S);
    certificate_make(&other_ca, NULL, directory, "other-ca", NULL, DAY_S);
    certificate_make(&good, &ca, directory, "good", "IP:127.0.0.1", DAY_S);
    certificate_make(&wrong_host, &ca, directory, "wrong-host", "DNS:elsewhere.example", DAY_S);
    certificate_make(&expired, &ca, directory, "expired", "IP:127.0.0.1", -60);
    certificate_make(&foreign, &other_ca, directory, "foreign", "IP:127.0.0.1", DAY_S);
    certificate_make(&client, &ca, directory, "client", NULL, DAY_S);
    return 0;
}

static int remove_certificates(void **state)
{
    struct certificate *all[] = {&ca, &other_ca, &good, &wrong_host, &expired, &foreign, &client};
    size_t i;

    tear_down_all(state);
    for (i = 0; i < sizeof(all) / sizeof(all[0]); ++i)
        certificate_release(all[i]);
    return rmdir(directory);
}

static struct upstream_endpoint tls_endpoint(void)
{
    struct upstream_endpoint endpoint = endpoint_for("reply");

    snprintf(url, sizeof(url), "https://127.0.0.1:%d/reply/services", server.port);
    endpoint.tls.ca_file = ca.certificate_file;
    return endpoint;
}

/* Two calls with these settings against a server with this certificate. */
static void try_tls(const struct certificate *certificate, const char *client_ca_file,
                    struct upstream_tls tls, int rc, int sent)
{
    struct upstream_endpoint endpoint;
    struct upstream *upstream;

    bad_server_start(&server, certificate->certificate_file, certificate->key_file, client_ca_file);
    bad_server_set_reply(&server, 200, "text/xml", read_reply);
    endpoint = tls_endpoint();
    endpoint.tls = tls;
    upstream = start(&endpoint);
    expect(read_once(upstream), rc, sent);
    expect(read_once(upstream), rc, sent);
    if (rc == CG_OK)
        assert_int_equal(bad_server_read(&server, &server.connections), 1);
    else
        assert_int_equal(bad_server_read(&server, &server.requests), 0);
    upstream_stop(&upstream, 0);
    bad_server_stop(&server);
}

static void certificates_are_verified(void **state)
{
    struct upstream_tls ours = {.ca_file = ca.certificate_file};

    (void)state;
    inbox_init(&inbox);
    try_tls(&good, NULL, ours, CG_OK, 1);
    try_tls(&wrong_host, NULL, ours, CG_E_TLS, 0);
    try_tls(&expired, NULL, ours, CG_E_TLS, 0);
    try_tls(&foreign, NULL, ours, CG_E_TLS, 0);
    try_tls(&good, NULL, (struct upstream_tls){0}, CG_E_TLS,
            0); /* the system does not know our CA */
    inbox_release(&inbox);
}

static void client_certificates_are_shown(void **state)
{
    struct upstream_tls without = {.ca_file = ca.certificate_file}, with = without, pair = without;
    struct upstream_endpoint mismatched;

    (void)state;
    inbox_init(&inbox);
    with.certificate_file = client.certificate_file;
    with.key_file = client.key_file;
    try_tls(&good, ca.certificate_file, with, CG_OK, 1);
    /* With TLS 1.3 we learn of it only after the request went out. */
    try_tls(&good, ca.certificate_file, without, CG_E_TLS, 1);
    pair.certificate_file = client.certificate_file;
    pair.key_file = good.key_file;
    mismatched = tls_endpoint();
    mismatched.tls = pair;
    expect_refused_settings(&mismatched, CG_E_INVALID, "hunter2");
    inbox_release(&inbox);
}

static void tls_without_tls_there(void **state)
{
    struct upstream_endpoint endpoint;
    struct upstream *upstream;

    (void)state;
    inbox_init(&inbox);
    bad_server_start(&server, NULL, NULL, NULL);
    endpoint = tls_endpoint();
    endpoint.timeout_ms = 300; /* the server waits for the end of a header that never comes */
    upstream = start(&endpoint);
    expect(read_once(upstream), CG_E_TIMEOUT, 0);
    upstream_stop(&upstream, 0);
    bad_server_stop(&server);
    inbox_release(&inbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_verified),
        cmocka_unit_test(client_certificates_are_shown),
        cmocka_unit_test(tls_without_tls_there),
    };

    return cmocka_run_group_tests_name("upstream transport, TLS", tests, make_certificates,
                                       remove_certificates);
}
