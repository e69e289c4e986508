#include "gateway/rest/tls.h"

#include <stdio.h>
#include <stdlib.h>

#include "cctgate/error.h"
#include "gateway/events/consumer_http.h"
#include "gateway/rest/connection.h"
#include "gateway/rest/rest.h"

#define CIPHERS                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"     \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

static _Thread_local struct front *serving;

void tls_serve(struct front *front)
{
    serving = front;
}

/*
 * libh2o keeps the SSL object to itself, so the certificate is taken when the handshake is over. The BIO's datum is the
 * library's socket; it is compared with those of the front's connections, never followed.
 */
static void on_info(const SSL *ssl, int where, int value)
{
    X509 *certificate;

    (void)value;
    if ((where & SSL_CB_HANDSHAKE_DONE) == 0 || serving == NULL ||
        (certificate = SSL_get1_peer_certificate(ssl)) == NULL)
        return;
    connection_certify(serving, BIO_get_data(SSL_get_rbio(ssl)), certificate);
    X509_free(certificate);
}

static int ask_for_certificates(SSL_CTX *ctx, const struct config_tls_server *tls)
{
    STACK_OF(X509_NAME) * names;

    if (tls->client_ca_file == NULL)
        return 1;
    if (SSL_CTX_load_verify_locations(ctx, tls->client_ca_file, NULL) != 1 ||
        (names = SSL_load_client_CA_file(tls->client_ca_file)) == NULL)
        return 0;
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(
        ctx, SSL_VERIFY_PEER | (tls->client_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT), NULL);
    SSL_CTX_set_info_callback(ctx, on_info);
    return 1;
}

SSL_CTX *tls_new(const struct config_tls_server *tls, char *error, size_t error_size)
{
    static const unsigned char context[] = "cctgate";
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1 ||
        SSL_CTX_set_session_id_context(ctx, context, sizeof(context) - 1) != 1 ||
        SSL_CTX_use_certificate_chain_file(ctx, tls->certificate_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, tls->key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        snprintf(error, error_size, "cannot use certificate %s with key %s", tls->certificate_file,
                 tls->key_file);
        SSL_CTX_free(ctx);
        return NULL;
    }
    if (!ask_for_certificates(ctx, tls)) {
        snprintf(error, error_size, "cannot use the certificates in %s", tls->client_ca_file);
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    return ctx;
}

void tls_set(SSL_CTX **place, SSL_CTX *ssl)
{
    if (ssl != NULL)
        SSL_CTX_up_ref(ssl);
    SSL_CTX_free(*place);
    *place = ssl;
}

/* ---- other certificates ---- */

struct tls_message {
    struct message message;
    struct front *front;
    SSL_CTX *consumer;
    SSL_CTX *ssl[]; /* one per listen entry */
};

/* Connections that are open go on with what they began with. */
static void on_tls(struct message *message)
{
    struct tls_message *set = (struct tls_message *)message;
    size_t i;

    for (i = 0; i < set->front->fronts->num_listen; ++i) {
        tls_set(&set->front->accept[i].ssl_ctx, set->ssl[i]);
        SSL_CTX_free(set->ssl[i]);
    }
    if (set->front->consumer != NULL)
        consumer_listener_set_tls(set->front->consumer, set->consumer);
    SSL_CTX_free(set->consumer);
    free(set);
}

static void send_tls(struct fronts *fronts, struct front *front)
{
    struct tls_message *set = calloc(1, sizeof(*set) + fronts->num_listen * sizeof(set->ssl[0]));
    size_t i;

    if (set == NULL)
        abort();
    set->message.on_deliver = on_tls;
    set->front = front;
    for (i = 0; i < fronts->num_listen; ++i)
        tls_set(&set->ssl[i], fronts->ssl[i]);
    tls_set(&set->consumer, fronts->consumer_ssl);
    mailbox_send(&front->mailbox, &set->message);
}

static int load_tls(struct fronts *fronts, SSL_CTX **ssl, char *error, size_t error_size)
{
    const struct config *config = fronts->config;
    size_t i;

    for (i = 0; i < fronts->num_listen; ++i)
        if (config->listen[i].tls.certificate_file != NULL &&
            (ssl[i] = tls_new(&config->listen[i].tls, error, error_size)) == NULL)
            return CG_E_INVALID;
    if (fronts->consumer_ssl != NULL &&
        (ssl[i] = tls_new(&config->consumer.tls, error, error_size)) == NULL)
        return CG_E_INVALID;
    return CG_OK;
}

int fronts_reload_tls(struct fronts *fronts, char *error, size_t error_size)
{
    SSL_CTX **ssl = calloc(fronts->num_listen + 1, sizeof(*ssl));
    size_t i;
    int rc;

    if (ssl == NULL)
        abort();
    if ((rc = load_tls(fronts, ssl, error, error_size)) == CG_OK) {
        for (i = 0; i < fronts->num_listen; ++i)
            tls_set(&fronts->ssl[i], ssl[i]);
        tls_set(&fronts->consumer_ssl, ssl[i]);
        for (i = 0; i < fronts->num_fronts; ++i)
            send_tls(fronts, &fronts->front[i]);
    }
    for (i = 0; i <= fronts->num_listen; ++i)
        SSL_CTX_free(ssl[i]);
    free(ssl);
    return rc;
}
