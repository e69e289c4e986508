/*
 * One exchange with libcurl. The settings that never change are made once per handle, in tables;
 * the rest in transport_exchange_prepare.
 */
#include "gateway/upstream/transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cctgate/error.h"

#define ALLOWED_PROTOCOLS "http,https"

static int room_for(struct transport_exchange *exchange, size_t more)
{
    size_t needed = exchange->reply_length + more + 1, capacity = exchange->reply_capacity;
    char *reply;

    if (needed <= capacity)
        return 1;
    if (capacity < 4096)
        capacity = 4096;
    while (capacity < needed)
        capacity *= 2;
    if ((reply = realloc(exchange->reply, capacity)) == NULL)
        return 0;
    exchange->reply = reply;
    exchange->reply_capacity = capacity;
    return 1;
}

/*
 * libcurl calls with at most CURL_MAX_WRITE_SIZE bytes and the limit is far from SIZE_MAX, so
 * nothing here overflows.
 */
static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
    struct transport_exchange *exchange = data;
    size_t length = size * count;

    if (length > exchange->endpoint->max_reply_bytes - exchange->reply_length) {
        exchange->limit_passed = 1;
        return 0;
    }
    if (!room_for(exchange, length)) {
        exchange->out_of_memory = 1;
        return 0;
    }
    memcpy(exchange->reply + exchange->reply_length, bytes, length);
    exchange->reply_length += length;
    exchange->reply[exchange->reply_length] = '\0';
    return length;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *data)
{
    struct transport_exchange *exchange = data;
    size_t length = size * count;

    (void)bytes;
    if (length > TRANSPORT_HEADER_BYTES_MAX - exchange->header_bytes) {
        exchange->limit_passed = 1;
        return 0;
    }
    exchange->header_bytes += length;
    return length;
}

static int accepted_bytes(struct transport_exchange *exchange)
{
    long request = 0;
    curl_off_t upload = 0;

    curl_easy_getinfo(exchange->easy, CURLINFO_REQUEST_SIZE, &request);
    curl_easy_getinfo(exchange->easy, CURLINFO_SIZE_UPLOAD_T, &upload);
    return request > 0 || upload > 0;
}

int transport_exchange_sent(struct transport_exchange *exchange)
{
    return exchange->sent_before || accepted_bytes(exchange);
}

/* The rule of the essay in transport.c. True for a first attempt. */
static int may_send(struct transport_exchange *exchange)
{
    if (exchange->attempts == 0)
        return 1;
    if (accepted_bytes(exchange))
        exchange->sent_before = 1;
    if (!exchange->call->call.command && !exchange->sent_before)
        return 1;
    exchange->resend_refused = 1;
    return 0;
}

/* libcurl is about to write the request, on a new connection or an old one. */
static int on_before_request(void *data, char *remote_ip, char *local_ip, int remote_port,
                             int local_port)
{
    struct transport_exchange *exchange = data;

    (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
    if (!may_send(exchange))
        return CURL_PREREQFUNC_ABORT;
    ++exchange->attempts;
    return CURL_PREREQFUNC_OK;
}

/* libcurl wants a new connection: none is opened for a request that could not be sent over it. */
static curl_socket_t on_open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    if (!may_send(data))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int set_fixed_numbers(CURL *easy)
{
    static const struct {
        CURLoption option;
        long value;
    } settings[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_QUICK_EXIT,
         1}, /* else a call that times out in getaddrinfo stops the thread until that returns */
        {CURLOPT_DNS_CACHE_TIMEOUT,
         0}, /* a new connection goes where the name leads now: after a switch, to another machine */
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
        {CURLOPT_POST, 1},
        {CURLOPT_FOLLOWLOCATION, 0},
        {CURLOPT_TCP_NODELAY, 1},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_HTTP09_ALLOWED, 0},
        {CURLOPT_NETRC, CURL_NETRC_IGNORED},
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
        {CURLOPT_SSL_VERIFYPEER, 1},
        {CURLOPT_SSL_VERIFYHOST, 2},
    };
    size_t i;

    for (i = 0; i < sizeof(settings) / sizeof(settings[0]); ++i)
        if (curl_easy_setopt(easy, settings[i].option, settings[i].value) != CURLE_OK)
            return 0;
    return 1;
}

static int set_string(CURL *easy, CURLoption option, const char *value)
{
    return value == NULL || curl_easy_setopt(easy, option, value) == CURLE_OK;
}

static int set_fixed_strings(CURL *easy, const struct transport_endpoint *endpoint)
{
    return set_string(easy, CURLOPT_PROTOCOLS_STR, ALLOWED_PROTOCOLS) &&
           set_string(easy, CURLOPT_REDIR_PROTOCOLS_STR, ALLOWED_PROTOCOLS) &&
           set_string(easy, CURLOPT_PROXY, "") && /* not the environment's either */
           set_string(easy, CURLOPT_USERAGENT, "cctgate") &&
           set_string(easy, CURLOPT_CAINFO, endpoint->ca_file) &&
           /* the distribution's directory of CAs would be trusted beside our file */
           (endpoint->ca_file == NULL ||
            curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK) &&
           set_string(easy, CURLOPT_SSLCERT, endpoint->certificate_file) &&
           set_string(easy, CURLOPT_SSLKEY, endpoint->key_file) &&
           set_string(easy, CURLOPT_KEYPASSWD, ""); /* never ask on the terminal */
}

static int set_callbacks(struct transport_exchange *exchange)
{
    CURL *easy = exchange->easy;

    return curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_before_request) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, exchange) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->curl_text) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange) == CURLE_OK;
}

struct transport_exchange *transport_exchange_new(struct transport_endpoint *endpoint)
{
    struct transport_exchange *exchange = calloc(1, sizeof(*exchange));

    if (exchange == NULL)
        return NULL;
    exchange->endpoint = endpoint;
    exchange->easy = curl_easy_init();
    if (exchange->easy == NULL || !set_fixed_numbers(exchange->easy) ||
        !set_fixed_strings(exchange->easy, endpoint) || !set_callbacks(exchange))
        transport_exchange_free(&exchange);
    return exchange;
}

void transport_exchange_free(struct transport_exchange **exchange)
{
    if (*exchange == NULL)
        return;
    curl_easy_cleanup((*exchange)->easy);
    curl_slist_free_all((*exchange)->headers);
    free((*exchange)->reply);
    free(*exchange);
    *exchange = NULL;
}

/* Appends a header made by printf rules. */
static int add_header(struct curl_slist **headers, const char *format, const char *value)
{
    struct curl_slist *longer = NULL;
    char *line;

    if (asprintf(&line, format, value) < 0)
        return CG_E_NOMEM;
    longer = curl_slist_append(*headers, line);
    free(line);
    if (longer == NULL)
        return CG_E_NOMEM;
    *headers = longer;
    return CG_OK;
}

static int is_trace_context(const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    return length > 0 && length < size && strspn(text, "0123456789abcdef-") == length;
}

/*
 * Contract files may be anybody's: what could end a quoted string or a line does not get into a
 * header or a URL.
 */
static int is_plain(const char *text, const char *forbidden)
{
    for (; *text != '\0'; ++text)
        if ((unsigned char)*text <= ' ' || *text == 0x7f || strchr(forbidden, *text) != NULL)
            return 0;
    return 1;
}

static int build_headers(struct curl_slist **headers, const struct upstream_call *call)
{
    const char *action = call->op->soap_action != NULL ? call->op->soap_action : "";
    int rc;

    if (!is_plain(action, "\"\\"))
        return CG_E_INVALID;
    if (call->version == SOAP_1_2) {
        rc = add_header(headers,
                        *action != '\0'
                            ? "Content-Type: application/soap+xml; charset=utf-8; action=\"%s\""
                            : "Content-Type: application/soap+xml; charset=utf-8%s",
                        action);
    } else {
        rc = add_header(headers, "Content-Type: text/xml; charset=utf-8%s", "");
        if (rc == CG_OK)
            rc = add_header(headers, "SOAPAction: \"%s\"", action);
    }
    if (rc == CG_OK)
        rc = add_header(headers, "Expect:%s",
                        ""); /* DOMAIN 14.24: not known whether the server understands it */
    if (rc == CG_OK && is_trace_context(call->traceparent, sizeof(call->traceparent)))
        rc = add_header(headers, "traceparent: %s", call->traceparent);
    return rc;
}

static int set_url(struct transport_exchange *exchange, const struct upstream_call *call)
{
    const char *service = call->op->service->name;
    char *url;
    CURLcode code;

    if (!is_plain(service, "/?#%\\"))
        return CG_E_INVALID;
    if (asprintf(&url, "%s/%s%s", exchange->endpoint->url, service, exchange->endpoint->suffix) < 0)
        return CG_E_NOMEM;
    code = curl_easy_setopt(exchange->easy, CURLOPT_URL, url); /* copied */
    free(url);
    return code == CURLE_OK ? CG_OK : CG_E_NOMEM;
}

static int set_request(struct transport_exchange *exchange, const struct upstream_call *call)
{
    CURL *easy = exchange->easy;

    /* The body is not copied by these: the buffer stays the call's, which outlives the exchange. */
    if (curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->request.length) !=
            CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                         call->request.length ? call->request.bytes : "") != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN,
                         call->command ? TRANSPORT_COMMAND_IDLE_MAX_S
                                       : TRANSPORT_READ_IDLE_MAX_S) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
                         (curl_off_t)exchange->endpoint->max_reply_bytes) != CURLE_OK)
        return CG_E_NOMEM;
    return CG_OK;
}

static int set_deadlines(struct transport_exchange *exchange, int64_t remaining_us)
{
    long total_ms = (long)((remaining_us + 999) / 1000),
         connect_ms = exchange->endpoint->connect_timeout_ms;

    if (total_ms < 1)
        total_ms = 1; /* 0 would be "no deadline" */
    if (curl_easy_setopt(exchange->easy, CURLOPT_TIMEOUT_MS, total_ms) != CURLE_OK ||
        curl_easy_setopt(exchange->easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) != CURLE_OK)
        return CG_E_NOMEM;
    return CG_OK;
}

int transport_exchange_prepare(struct transport_exchange *exchange, struct transport_call *call,
                               int64_t now_us)
{
    int rc;

    exchange->call = call;
    if ((rc = build_headers(&exchange->headers, &call->call)) != CG_OK ||
        (rc = set_url(exchange, &call->call)) != CG_OK ||
        (rc = set_request(exchange, &call->call)) != CG_OK)
        return rc;
    return set_deadlines(exchange, call->deadline_us - now_us);
}

void transport_exchange_clear(struct transport_exchange *exchange)
{
    curl_easy_setopt(exchange->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(exchange->easy, CURLOPT_POSTFIELDS, NULL);
    curl_slist_free_all(exchange->headers);
    exchange->headers = NULL;
    if (exchange->reply_capacity > TRANSPORT_KEEP_BYTES_MAX) {
        free(exchange->reply);
        exchange->reply = NULL;
        exchange->reply_capacity = 0;
    }
    exchange->call = NULL;
    exchange->reply_length = exchange->header_bytes = 0;
    exchange->attempts = 0;
    exchange->sent_before = exchange->resend_refused = 0;
    exchange->limit_passed = exchange->out_of_memory = 0;
    exchange->curl_text[0] = '\0';
}
