#include "gateway/upstream/transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"

struct report {
    const char *endpoint;
    char *text;
    size_t size;
};

/* The URL itself is never quoted: somebody may have put a password into it. */
static int fail(const struct report *report, int rc, const char *what, const char *detail)
{
    snprintf(report->text, report->size, "endpoint \"%s\": %s%s%s", report->endpoint, what,
             detail != NULL ? ": " : "", detail != NULL ? detail : "");
    return rc;
}

static int has_part(CURLU *url, CURLUPart part)
{
    char *value = NULL;
    int has = curl_url_get(url, part, &value, 0) == CURLUE_OK && value != NULL;

    curl_free(value);
    return has;
}

static int is_http(CURLU *url)
{
    char *scheme = NULL;
    int http;

    if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        return 0;
    http = strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0;
    curl_free(scheme);
    return http;
}

static const char *url_objection(CURLU *url, const char *text)
{
    if (text == NULL || curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK)
        return "not a URL";
    if (!is_http(url))
        return "the URL is neither http nor https";
    if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
        return "the URL holds credentials";
    if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT))
        return "the URL has a query or a fragment, so no service name can follow it";
    return NULL;
}

static int check_url(const char *text, const struct report *report)
{
    CURLU *url = curl_url();
    const char *objection;

    if (url == NULL)
        return fail(report, CG_E_NOMEM, "out of memory", NULL);
    objection = url_objection(url, text);
    curl_url_cleanup(url);
    return objection != NULL ? fail(report, CG_E_INVALID, objection, NULL) : CG_OK;
}

static int check_readable(const char *file, const struct report *report)
{
    FILE *stream;
    char reason[256];

    if (file == NULL)
        return CG_OK;
    stream = fopen(file, "re");
    if (stream != NULL && fgetc(stream) != EOF) {
        fclose(stream);
        return CG_OK;
    }
    snprintf(reason, sizeof(reason), "%s: %s", file,
             stream == NULL   ? strerror(errno)
             : ferror(stream) ? "cannot be read"
                              : "is empty");
    if (stream != NULL)
        fclose(stream);
    return fail(report, CG_E_IO, "TLS file", reason);
}

/*
 * Without this OpenSSL asks for the passphrase on the terminal, and the thread waits for an answer.
 */
static int no_passphrase(char *buffer, int size, int writing, void *data)
{
    (void)buffer, (void)size, (void)writing, (void)data;
    return 0;
}

/* What libcurl would find out only at the first call, in a text that names no file. */
static const char *tls_objection(SSL_CTX *context, const struct upstream_tls *tls)
{
    const char *key = tls->key_file != NULL ? tls->key_file : tls->certificate_file;

    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    if (tls->ca_file != NULL && SSL_CTX_load_verify_file(context, tls->ca_file) != 1)
        return "the CA file holds no certificate in PEM";
    if (tls->certificate_file == NULL)
        return tls->key_file != NULL ? "a key file without a certificate file" : NULL;
    if (SSL_CTX_use_certificate_chain_file(context, tls->certificate_file) != 1)
        return "the client certificate file holds no certificate in PEM";
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return "the key file holds no key in PEM without a passphrase that fits the certificate";
    return NULL;
}

static int check_tls(const struct upstream_tls *tls, const struct report *report)
{
    SSL_CTX *context;
    const char *objection;
    int rc;

    if ((rc = check_readable(tls->ca_file, report)) != CG_OK ||
        (rc = check_readable(tls->certificate_file, report)) != CG_OK ||
        (rc = check_readable(tls->key_file, report)) != CG_OK)
        return rc;
    if ((context = SSL_CTX_new(TLS_client_method())) == NULL)
        return fail(report, CG_E_NOMEM, "out of memory", NULL);
    objection = tls_objection(context, tls);
    SSL_CTX_free(context);
    ERR_clear_error();
    return objection != NULL ? fail(report, CG_E_INVALID, objection, NULL) : CG_OK;
}

static char *copy(const char *text, int *out_of_memory)
{
    char *copied = text != NULL ? strdup(text) : NULL;

    if (text != NULL && copied == NULL)
        *out_of_memory = 1;
    return copied;
}

static int copy_settings(struct transport_endpoint *endpoint, const struct upstream_endpoint *from)
{
    int out_of_memory = 0;
    size_t length;

    endpoint->name = copy(from->name != NULL ? from->name : "", &out_of_memory);
    endpoint->url = copy(from->url, &out_of_memory);
    endpoint->suffix =
        copy(from->service_suffix != NULL ? from->service_suffix : "", &out_of_memory);
    endpoint->ca_file = copy(from->tls.ca_file, &out_of_memory);
    endpoint->certificate_file = copy(from->tls.certificate_file, &out_of_memory);
    endpoint->key_file =
        copy(from->tls.key_file != NULL ? from->tls.key_file : from->tls.certificate_file,
             &out_of_memory);
    if (out_of_memory)
        return CG_E_NOMEM;
    for (length = strlen(endpoint->url); length > 0 && endpoint->url[length - 1] == '/'; --length)
        endpoint->url[length - 1] = '\0';
    endpoint->watcher = from->watcher;
    endpoint->max_concurrent = from->max_concurrent;
    endpoint->timeout_ms = from->timeout_ms;
    endpoint->connect_timeout_ms =
        from->connect_timeout_ms ? from->connect_timeout_ms : from->timeout_ms;
    endpoint->max_reply_bytes =
        from->max_reply_bytes == 0 || from->max_reply_bytes > CG_XML_BYTES_MAX
            ? CG_XML_BYTES_MAX
            : from->max_reply_bytes;
    return CG_OK;
}

int transport_endpoint_init(struct transport_endpoint *endpoint,
                            const struct upstream_endpoint *settings, char *error,
                            size_t error_size)
{
    const struct report report = {settings->name != NULL ? settings->name : "", error, error_size};
    int rc;

    memset(endpoint, 0, sizeof(*endpoint));
    if (settings->max_concurrent < 1)
        return fail(&report, CG_E_INVALID, "at least one concurrent call must be allowed", NULL);
    if (settings->timeout_ms < 1)
        return fail(&report, CG_E_INVALID, "a call needs a deadline", NULL);
    if ((rc = check_url(settings->url, &report)) != CG_OK ||
        (rc = check_tls(&settings->tls, &report)) != CG_OK)
        return rc;
    if ((rc = copy_settings(endpoint, settings)) != CG_OK) {
        transport_endpoint_release(endpoint);
        return fail(&report, rc, "out of memory", NULL);
    }
    return CG_OK;
}

void transport_endpoint_release(struct transport_endpoint *endpoint)
{
    while (endpoint->spare != NULL) {
        struct transport_exchange *exchange = endpoint->spare;
        endpoint->spare = exchange->next;
        transport_exchange_free(&exchange);
    }
    transport_queue_release(&endpoint->queue);
    free(endpoint->name);
    free(endpoint->url);
    free(endpoint->suffix);
    free(endpoint->ca_file);
    free(endpoint->certificate_file);
    free(endpoint->key_file);
    memset(endpoint, 0, sizeof(*endpoint));
}
