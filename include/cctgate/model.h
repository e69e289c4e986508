/*
 * What the contact centre looks like now, as far as it is known: the owner's side of every read.
 *
 * A front thread answers from the store; what the store cannot answer it asks for by key: (record kind, id). A fetch belongs
 * to its key: whoever asks for a key that is being fetched waits for that fetch, and nobody's hanging up ends it. A fetch is a plan
 * (gateway/model/plan.c): the upstream calls that a resource is made of, each launched the moment the handle it needs is known, so
 * that independent calls run side by side and a composite costs as many round trips as its longest chain. The outcome is rendered,
 * committed to the store, and only then told.
 *
 * Owner's thread only, but for fetch_outcome_unref.
 */
#ifndef CCTGATE_MODEL_H
#define CCTGATE_MODEL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "cctgate/capacity.h"
#include "cctgate/config.h"
#include "cctgate/contract.h"
#include "cctgate/event.h"
#include "cctgate/loop.h"
#include "cctgate/session.h"
#include "cctgate/store.h"

struct model;

/* Why a fetch ended as it did; shared by all who waited. */
struct fetch_outcome {
    atomic_int references;
    int rc;
    int64_t retry_after_ms; /* 0: not known */
    char service[64], operation[64], fault[128];
    char detail[256]; /* a sentence without secrets */
    int was_asked;    /* of the contact centre, any of it */
    char *
        unkept; /* CG_OK: the resource's body, where the store may not have it (cache.callData); NULL: it has */
};
struct fetch_outcome *fetch_outcome_ref(struct fetch_outcome *outcome);
void fetch_outcome_unref(struct fetch_outcome **outcome); /* any thread */

/* What a call's end means to whoever asked; one reference. */
struct fetch_outcome *model_outcome(const struct session_outcome *outcome);

struct fetch_waiter {
    struct fetch_waiter *next;
    void (*on_done)(struct fetch_waiter *waiter,
                    struct fetch_outcome *outcome); /* may free the waiter; `outcome` is borrowed */
    const json_t *found; /* in on_done: the facts as just read, borrowed; NULL unless CG_OK */
    int collapsed;       /* set by model_fetch: joined a fetch that was under way */
};

struct model_settings {
    struct loop *loop;
    struct store *store;
    const struct contract *contract;
    struct config *config;
    uint64_t epoch; /* of the store: subscriptions are numbered from it */
    int restarted;  /* the store holds what an earlier process knew */
};

int model_new(struct model **model, const struct model_settings *settings);
void model_free(struct model **model);
void model_set_sessions(struct model *model, struct sessions *sessions);
void model_configure(struct model *model, struct config *config);

/* model_wanted.anew: what another's read may have seen before now will not do */
#define FETCH_FROM_NOW 2
struct model_wanted {
    enum record_kind kind;
    const char *id;
    size_t id_length;
    int anew;                /* what events keep fresh is asked for, too */
    const char *traceparent; /* passed upstream when the fetch starts; NULL or "" for none */
};
/* Starts or joins the fetch of a key. on_done never runs inside. */
void model_fetch(struct model *model, const struct model_wanted *wanted,
                 struct fetch_waiter *waiter);

/* Forgets a user who is no longer configured. */
void model_forget_user(struct model *model, uint32_t user);

/* Has this process read what the user owns? */
int model_has_read(struct model *model, uint32_t user);

/* Who gets the events that were committed: `events` are borrowed, in order. */
void model_set_publisher(struct model *model,
                         void (*publish)(void *data, struct event *const *events,
                                         size_t num_events),
                         void *data);

/* What subscriptions tell (subscription.h). */
void model_on_subscribed(struct model *model, struct session *session);
void model_on_unsubscribed(struct model *model, struct session *session, const char *why);
void model_on_message(struct model *model, struct session *session, const json_t *message);
void model_on_batch_end(struct model *model);

/*
 * The contact centre's limits (capacity.h). What the configuration says of them; a change of level becomes an event: to be called now
 * and then. May one more agent begin, with so many logins under way? 0: `retry_after_s` says when to try again, and always when
 * capacity.enforce is off the answer is 1.
 */
struct capacity_limits model_capacity_limits(const struct model *model);
/* {"value","limit","warningAt","percent","level"}, as /v1/capacity and its event have it. New reference. */
json_t *model_capacity_gauge(enum capacity_level level, uint64_t value, unsigned limit);
void model_watch_capacity(struct model *model);
int model_admits_agent(struct model *model, size_t logging_in, int *retry_after_s);
/* A login has been answered with success: counted at once, ahead of its event. */
void model_logged_in(struct model *model, const char *agent);
/* 1: the agent is among those who are logged in. */
int model_counts_agent(const struct model *model, const char *agent);

/* A gateway.outbound.progress event about a job; `owner` as access_owner has it, `data` is taken. Committed soon. */
void model_notice_job(struct model *model, const char *id, const char *owner, json_t *data);

struct model_stats {
    uint64_t fetches, collapsed, failures, calls;
    size_t fetching; /* now */
    size_t contacts_last_hour;
    size_t agents_known, agents_logged_in;
    uint64_t events, event_duplicates, event_copies, event_gaps, event_differences, reconciliations;
    size_t objects, users_live;
};
void model_get_stats(struct model *model, struct model_stats *stats);

#endif
