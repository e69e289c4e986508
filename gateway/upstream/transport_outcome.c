/*
 * What an exchange came to: libcurl's result and the server's status, media type and body become
 * one of our outcomes.
 *
 * A SOAP message is looked for where the protocol puts one (200, 500) and, for a fault, in any
 * error status, since servers and what stands in front of them disagree on the status of a fault.
 * Everything else that answers, above all somebody's HTML, is CG_E_PROTOCOL: the peer is there and
 * is not what we expect.
 */
#include "gateway/upstream/transport.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cctgate/error.h"

static const struct {
    CURLcode code;
    int rc;
} reasons[] = {
    {CURLE_COULDNT_RESOLVE_HOST, CG_E_REFUSED},
    {CURLE_COULDNT_CONNECT, CG_E_REFUSED},
    {CURLE_OPERATION_TIMEDOUT, CG_E_TIMEOUT},
    {CURLE_SEND_ERROR, CG_E_RESET},
    {CURLE_RECV_ERROR, CG_E_RESET},
    {CURLE_GOT_NOTHING, CG_E_RESET},
    {CURLE_PARTIAL_FILE, CG_E_RESET},
    {CURLE_SEND_FAIL_REWIND, CG_E_RESET},
    {CURLE_ABORTED_BY_CALLBACK, CG_E_RESET},
    {CURLE_FILESIZE_EXCEEDED, CG_E_LIMIT},
    {CURLE_OUT_OF_MEMORY, CG_E_NOMEM},
    {CURLE_URL_MALFORMAT, CG_E_INVALID},
    {CURLE_SSL_CONNECT_ERROR, CG_E_TLS},
    {CURLE_PEER_FAILED_VERIFICATION, CG_E_TLS},
    {CURLE_SSL_CERTPROBLEM, CG_E_TLS},
    {CURLE_SSL_CIPHER, CG_E_TLS},
    {CURLE_SSL_CACERT_BADFILE, CG_E_TLS},
    {CURLE_SSL_ISSUER_ERROR, CG_E_TLS},
    {CURLE_SSL_INVALIDCERTSTATUS, CG_E_TLS},
    {CURLE_SSL_CLIENTCERT, CG_E_TLS},
    {CURLE_USE_SSL_FAILED, CG_E_TLS},
};

static const char *const xml_types[] = {"text/xml", "application/soap+xml", "application/xml"};

void transport_set_error(struct upstream_call *call, int rc, const char *format, ...)
{
    char *text = call->error.text;
    va_list arguments;

    call->rc = rc;
    va_start(arguments, format);
    vsnprintf(text, sizeof(call->error.text), format, arguments);
    va_end(arguments);
    /* Part of it may be the peer's: it goes into logs, terminals and JSON. */
    for (; *text != '\0'; ++text)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static int is_xml(const char *media_type)
{
    size_t i, length = strcspn(media_type, "; \t");

    for (i = 0; i < sizeof(xml_types) / sizeof(xml_types[0]); ++i)
        if (strlen(xml_types[i]) == length && strncasecmp(xml_types[i], media_type, length) == 0)
            return 1;
    return 0;
}

static int is_blank(const struct transport_exchange *exchange)
{
    return exchange->reply_length == 0 ||
           strspn(exchange->reply, " \t\r\n") == exchange->reply_length;
}

/*
 * With TLS 1.3 our side of the handshake is over before the server has looked at our certificate:
 * its refusal arrives as an alert in place of the reply, and libcurl calls that a failed read.
 */
static int is_tls_alert(const struct transport_exchange *exchange, CURLcode code)
{
    return (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR) &&
           strncmp(exchange->curl_text, "OpenSSL SSL_", 12) == 0 &&
           strstr(exchange->curl_text, "alert") != NULL;
}

static int reason_of(const struct transport_exchange *exchange, CURLcode code, int sent)
{
    size_t i;

    if (exchange->out_of_memory)
        return CG_E_NOMEM;
    if (exchange->limit_passed)
        return CG_E_LIMIT;
    if (exchange->resend_refused || (sent && code == CURLE_COULDNT_CONNECT))
        return CG_E_RESET;
    if (is_tls_alert(exchange, code))
        return CG_E_TLS;
    for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); ++i)
        if (reasons[i].code == code)
            return reasons[i].rc;
    return CG_E_PROTOCOL;
}

static void conclude_failure(struct transport_exchange *exchange, CURLcode code)
{
    struct upstream_call *call = &exchange->call->call;
    const char *endpoint = exchange->endpoint->name;
    int rc = reason_of(exchange, code, call->sent);

    if (rc == CG_E_LIMIT)
        transport_set_error(
            call, rc, "%s: the reply is larger than %zu bytes or its header than %u", endpoint,
            exchange->endpoint->max_reply_bytes, TRANSPORT_HEADER_BYTES_MAX);
    else if (exchange->resend_refused)
        transport_set_error(
            call, rc, "%s: the connection ended before a reply, and the request is not sent twice",
            endpoint);
    else {
        transport_set_error(call, rc, "%s: %s", endpoint,
                            exchange->curl_text[0] != '\0' ? exchange->curl_text
                                                           : curl_easy_strerror(code));
        call->error.is_inside = 1;
    }
}

static void conclude_empty(struct upstream_call *call)
{
    call->result = json_object();
    if (call->result != NULL)
        call->rc = CG_OK;
    else
        transport_set_error(call, CG_E_NOMEM, "out of memory");
}

static void conclude_mismatch(struct transport_exchange *exchange, const char *media_type)
{
    struct upstream_call *call = &exchange->call->call;
    int denied = call->http_status == 401 || call->http_status == 403;

    memset(&call->error, 0, sizeof(call->error));
    snprintf(call->error.expected, sizeof(call->error.expected),
             "a SOAP reply with status 200 or 500");
    transport_set_error(call, denied ? CG_E_DENIED : CG_E_PROTOCOL,
                        "%s answered %s with HTTP status %ld and %s of type \"%s\"",
                        exchange->endpoint->name, call->op->name, call->http_status,
                        is_blank(exchange) ? "an empty body" : "a body", media_type);
    snprintf(call->error.found, sizeof(call->error.found), "status %ld", call->http_status);
}

static int is_accepted(long status)
{
    return status == 200 || status == 202 || status == 204;
}

/* Nothing is to be read in this reply: the operation has no result and the server says so. */
static int is_bare_success(const struct transport_exchange *exchange, int xml)
{
    const struct upstream_call *call = &exchange->call->call;

    if (!is_accepted(call->http_status) || (call->op->output != NULL && !call->op->one_way))
        return 0;
    return is_blank(exchange) || (call->http_status == 202 && !xml);
}

/*
 * True when the status and type promise a SOAP message: what the codec says of it is the outcome.
 */
static int is_soap_reply(long status, int xml)
{
    return xml && (status == 200 || status == 202 || status == 500);
}

static void conclude_reply(struct transport_exchange *exchange)
{
    struct upstream_call *call = &exchange->call->call;
    const char *media_type = NULL;
    int xml;

    curl_easy_getinfo(exchange->easy, CURLINFO_CONTENT_TYPE, &media_type);
    media_type = media_type != NULL ? media_type : "";
    xml = is_xml(media_type);
    if (is_bare_success(exchange, xml)) {
        conclude_empty(call);
        return;
    }
    if (!is_blank(exchange) &&
        (is_soap_reply(call->http_status, xml) || call->http_status >= 400)) {
        call->rc = codec_decode_response(call->op, exchange->reply, exchange->reply_length,
                                         &call->result, &call->fault, &call->error);
        if (call->rc == CG_E_FAULT || is_soap_reply(call->http_status, xml))
            return;
        json_decref(call->result);
        call->result = NULL;
    }
    conclude_mismatch(exchange, media_type);
}

static void count_bytes(struct transport_exchange *exchange)
{
    struct transport_counters *counters = &exchange->endpoint->counters;
    curl_off_t upload = 0, download = 0;
    long request = 0, header = 0, connects = 0;

    curl_easy_getinfo(exchange->easy, CURLINFO_REQUEST_SIZE, &request);
    curl_easy_getinfo(exchange->easy, CURLINFO_SIZE_UPLOAD_T, &upload);
    curl_easy_getinfo(exchange->easy, CURLINFO_HEADER_SIZE, &header);
    curl_easy_getinfo(exchange->easy, CURLINFO_SIZE_DOWNLOAD_T, &download);
    curl_easy_getinfo(exchange->easy, CURLINFO_NUM_CONNECTS, &connects);
    /*
     * libcurl writes a small body together with the header and counts it in both, a large one after
     * it and in one.
     */
    atomic_fetch_add(&counters->bytes_out,
                     (uint64_t)(upload <= request ? request : request + upload));
    atomic_fetch_add(&counters->bytes_in, (uint64_t)(header + download));
    atomic_fetch_add(&counters->connects, (uint64_t)connects);
}

void transport_conclude(struct transport_exchange *exchange, CURLcode code)
{
    struct upstream_call *call = &exchange->call->call;

    call->sent = transport_exchange_sent(exchange);
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &call->http_status);
    count_bytes(exchange);
    if (code == CURLE_OK)
        conclude_reply(exchange);
    else
        conclude_failure(exchange, code);
}
