/* What the files of /v1/outbound share. Front threads. */
#ifndef CCTGATE_REST_OUTBOUND_H
#define CCTGATE_REST_OUTBOUND_H

#include "cctgate/jobs.h"
#include "gateway/outbound/ask.h"
#include "gateway/rest/rest.h"

/* Query parameters of the resources, or'ed: which one knows. */
enum outbound_parameter {
    QUERY_LIMIT = 1,
    QUERY_AFTER = 2,
    QUERY_PHONE = 4,
    QUERY_FIELD = 8,
    QUERY_STATUS = 16,
    QUERY_PRIORITY = 32,
    QUERY_ON_DUPLICATE = 64
};

struct outbound_query {
    unsigned given; /* enum outbound_parameter */
    uint64_t limit;
    int64_t after, priority; /* priority -1: not given */
    enum on_duplicate on_duplicate;
    json_t *
        words; /* "phone", "customField", "status": as struct outbound_ask has them; one reference */
};
/* CG_OK, or a problem has been sent and there is nothing to release. */
int outbound_query_take(struct request *request, unsigned known, struct outbound_query *query);
void outbound_query_release(struct outbound_query *query);
/* Its words, which it has no more: they go to another thread. */
json_t *outbound_query_words(struct outbound_query *query);

/* The campaign's id in the path. CG_OK, or a problem has been sent. */
int outbound_take_campaign(struct request *request, int64_t *campaign);
/* Digits, up to `max`: CG_OK, CG_E_INVALID. */
int outbound_take_number(const char *text, int64_t max, int64_t *number);

/* A question in the request's name, its answer to on_reply. */
struct outbound_ask *outbound_ask_of(struct request *request, enum outbound_question question,
                                     int64_t campaign);
/* Asks; `data` of the ask is the asking. The owner answers always. Or a problem is sent: only-if-cached. */
void outbound_ask_send(struct request *request, struct outbound_ask *ask,
                       void (*on_reply)(struct message *));
/* The question has no answer but a problem: it is sent. 1: it was so. */
int outbound_respond_problem(struct request *request, struct outbound_ask *ask);

/* Does the Prefer field (RFC 7240) have this preference, without a value? */
int request_prefers(const struct request *request, const char *preference);

#endif
