/*
 * What clients ask of the campaigns: a question becomes the operation that the table in ask.c names for it. The owner's thread answers;
 * any thread may send (owner_outbound_send).
 */
#ifndef CCTGATE_OUTBOUND_ASK_H
#define CCTGATE_OUTBOUND_ASK_H

#include "cctgate/command.h"
#include "cctgate/freshness.h"
#include "cctgate/jobs.h"
#include "cctgate/mailbox.h"
#include "cctgate/outbound.h"
#include "cctgate/policy.h"
#include "gateway/outbound/listing.h"
#include "gateway/outbound/spool.h"
#include "gateway/rest/problem.h"

struct owner;

enum outbound_question {
    OUTBOUND_CAMPAIGNS,  /* {"items": [...]} */
    OUTBOUND_ONE,        /* a campaign */
    OUTBOUND_CONTACTS,   /* the next page of `listing`: an array */
    OUTBOUND_STATUS,     /* {"contactId"?, "status"} */
    OUTBOUND_CLOSE,      /* {"contactId"?, "disposition", "value"} */
    OUTBOUND_CONTACT_ID, /* {"contactId"} by phone */
    OUTBOUND_BY_PHONE,   /* {"items": [...]} */
    OUTBOUND_BY_FIELD,
    OUTBOUND_LIST,   /* all contacts, as a job: {"id", "state", ...} */
    OUTBOUND_LISTED, /* what such a job has found: `spool` */
    OUTBOUND_QUESTIONS
};

struct outbound_ask {
    struct message message; /* on_deliver of the answer is `on_reply` */
    struct owner *owner;
    struct outbound *outbound;
    struct jobs *jobs;
    struct commands *commands;
    struct mailbox *reply_to;
    void (*on_reply)(struct message *message); /* owns the struct, calls outbound_ask_free */
    void *data;
    char traceparent[64];

    /* in */
    enum outbound_question question;
    int64_t campaign;
    int64_t contact; /* by_field: not looked at */
    int by_field;
    /* What else was said, of people among it: "phone" {"intCode", "areaCode", "phoneNo"}, "customField" {"name", "text"}, "status",
     * "disposition", "text". One reference. */
    json_t *words;
    struct freshness_directives directives; /* of the campaigns */
    uint64_t limit;                         /* OUTBOUND_LIST: how many at most */
    char key[COMMAND_KEY_BYTES_MAX + 1];    /* Idempotency-Key of a close; "": none */
    char job[JOB_ID_BYTES + 1];             /* OUTBOUND_LISTED */
    struct policy *policy; /* what `access` stands in: one reference; of what is audited */
    const struct access *access;

    /* in and out */
    struct listing listing;

    /* out */
    enum problem problem; /* PROBLEMS: none, and `answer` is one */
    json_t *answer;       /* one reference: what was asked for, or the problem document */
    int64_t retry_after_ms;
    struct freshness freshness; /* of the campaigns */
    int64_t age_ms;
    int replayed;        /* the outcome of an earlier close with the same key */
    struct spool *spool; /* one reference, or NULL */
    int called;          /* the contact centre was asked for the campaigns */

    /* the owner's */
    struct outbound_turn turn;
    struct outcome_entry *entry; /* of the key */
    const struct contract_operation *op;
    json_t *found; /* the campaign; borrowed while a step runs */
    int64_t disposition;
    int tries, is_anew;
    char fault[128];
};
struct outbound_ask *outbound_ask_new(enum outbound_question question); /* aborts without memory */
void outbound_ask_free(struct outbound_ask **ask);
/* Owner's thread; `outbound` NULL: it is not configured. Answered later, exactly once. */
void outbound_run(struct outbound *outbound, struct outbound_ask *ask);

/* Any thread. */
void owner_outbound_send(struct owner *owner, struct outbound_ask *ask);

#endif
