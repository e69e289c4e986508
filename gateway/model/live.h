/*
 * How the model follows the contact centre (owner's thread only).
 *
 *   subscription active  the user's objects are read anew, all of them; when that is done the session is in step: its view's `live` is
 *                        set, and what is covered and not dirty is live from then on
 *   a message            applied to the graph at once (apply.c), told as an event (notice.c); what it touched is remembered
 *   commit               once per turn of the loop: the records of what was touched, the owners of calls and the events, in one
 *                        transaction; then the events are published
 *   a gap                previousState that is not what was known, time that ran backwards, a failure of delivery, a difference found by
 *                        reading again: gateway.gap is told, the object is dirty until it has been read anew, what that changes is told
 *   subscription lost    nothing it covered is live; the next one reads everything anew, and the differences are told as events
 *
 * A subscription's number is never used again, not by a later process either.
 */
#ifndef CCTGATE_MODEL_LIVE_H
#define CCTGATE_MODEL_LIVE_H

#include "cctgate/event.h"
#include "gateway/model/fetch.h"

/* Reading all that a user has, one user after the other: see warm.c. */
enum warm_stage { WARM_IDLE, WARM_QUEUED, WARM_LISTS, WARM_CALLS, WARM_OBJECTS };

struct coverage {
    UT_hash_handle hh, by_number;
    uint32_t user;
    struct model *model;
    uint64_t subscription; /* 0: none is active */
    int in_step;           /* read since it became active */
    int lost;              /* there was one before: what differs is told */
    int told_restart;      /* of an earlier process */
    enum warm_stage stage;
    uint64_t warming; /* the subscription that the reading began under */
    size_t outstanding;
    int failed, again; /* a read failed; asked for once more meanwhile */
    int heard, twice;  /* events came while it was read; it is read the second time for that */
    int doubtful;      /* they came the second time, too: it is compared soon */
    int failures;
    struct coverage *warm_next;
    struct warming *work;
    struct timer retry, reconcile;
};

struct pending_event {
    struct pending_event *next;
    enum event_type type;
    char *subject, *agent, *property;
    uint32_t *users, *told;
    size_t num_users, num_told;
    int64_t time_ms;
    int derived;
    json_t *data;
    const struct node *about; /* to know it by while it is being made; may be gone later */
    struct event *event;      /* made in the commit */
};

#define RECENT_MAX 8192 /* objects whose latest changes are remembered to know a copy by */
struct history;

struct force_answer;
struct ended_call;
struct warming;

struct live {
    struct model *model;
    uint64_t clock; /* messages that have arrived, reads that have been merged */
    uint64_t next_subscription, visit;
    struct coverage *users, *active; /* by user; by subscription */
    struct node *touched;
    struct pending_event *pending, **pending_end;
    size_t num_pending;
    json_t *ended; /* connections, terminal connections and contacts that are over: id -> clock */
    json_t *
        forgotten; /* those that nobody saw any more, with what events had told of them: id -> clock */
    json_t *lineage; /* contact id -> the contacts that it was transferred from, the oldest first */
    json_t *
        begun; /* contact id of a consult -> [terminal where it began, the contact centre's time of that] */
    struct history *histories; /* the one that changed last is the last */
    unsigned agreement;        /* of the times that sessions are told; recent.c */
    struct coverage *warm_first, **warm_end;
    size_t warming;
    struct message commit_due;
    int commit_scheduled;
    struct force_answer *force_answers;
    struct ended_call *ended_calls, **ended_calls_end; /* in order of when they are erased */
    struct timer ended_timer, commit_retry;
    int restarted;    /* the store was not empty when the process started */
    int pending_lost; /* events were dropped while the store refused */
    void (*publish)(void *data, struct event *const *events, size_t num_events);
    void *publish_data;
    uint64_t num_events, num_duplicates, num_copies, num_gaps, num_differences, num_reconciled;
};

/* live.c */
int live_new(struct model *model, const struct model_settings *settings);
void live_get_stats(struct model *model, struct model_stats *stats);
void live_free(struct model *model);
uint64_t live_clock(const struct model *model);
uint64_t live_tick(struct model *model);
uint64_t live_subscription(const struct model *model, uint32_t user);
struct coverage *live_coverage(const struct model *model,
                               uint64_t subscription);          /* NULL: not active */
struct coverage *live_user(struct model *model, uint32_t user); /* makes it */
int fact_is_fresh(const struct model *model, const struct node *node, const char *field);
int resource_is_complete(struct model *model, enum record_kind kind, struct node *root);
int step_applies(const struct graph *graph, const struct node *node, const struct plan_step *step,
                 enum record_kind kind, const char *after);
void touch(struct model *model, struct node *node);
void live_gap(struct model *model, struct node *node, const char *reason);
void live_verify_calls(struct model *model, uint32_t user); /* are they still there? */
void live_set_in_step(struct coverage *coverage);
void live_lost_events(struct coverage *coverage,
                      const char *reason);    /* what deliveries told is not known */
void live_restart(struct coverage *coverage); /* all is read anew under a new number */

/* merge.c: what a fetch found becomes part of the graph */
void merge_fetch(struct fetch *fetch);
void merge_contact_over(struct model *model, struct node *contact);
void merge_forget_ended(
    struct model *model); /* keeps what is remembered of those who ended within its bound */

/* relations.c: what hangs together */
struct node *contact_of(struct model *model, const struct node *leg);
const char *agent_at(struct model *model, const struct node *place); /* login id, NULL */
void foreach_agent_of_call(struct model *model, const struct node *contact,
                           void (*on_agent)(void *data, const char *agent), void *data);
void relate(struct model *model, struct node *parent, const char *field, const char *child_id);
void connection_over(struct model *model, struct node *connection, uint64_t stamp, uint32_t user);
void terminal_connection_over(struct model *model, struct node *tc, uint64_t stamp, uint32_t user);
void contact_is_over(struct model *model, const char *id);
/* It leaves the graph, and is not over: what was read before, and makes it known again, may lack what it was told meanwhile. */
void note_forgotten(struct model *model, const char *id);
int was_forgotten(const struct model *model, const char *id, uint64_t since);
uint32_t who_ended(const struct model *model,
                   const char *id); /* the user whose session told it; 0: a read did */
int is_over(const struct model *model, const char *id, uint64_t since);
void contact_see(struct model *model, struct node *contact, uint32_t user);
int is_place(const struct node *node); /* an agent, a terminal, an address */
int may_cover(const struct model *model, const struct node *node, uint64_t subscription);
struct node *place_of(struct model *model, const struct node *leg);
int contact_has_leg(struct model *model, const struct node *contact, uint32_t user);
void contact_unsee(struct model *model, struct node *contact, uint32_t user);
/* Nobody's: those whose legs it has are noted first. */
int contact_is_unseen(struct model *model, struct node *contact);
void contact_out_of_sight(struct model *model, struct node *contact, const struct node *place);
int is_rights(const char *field);
uint32_t rights_user(struct model *model, const struct node *leg, uint32_t asking);
void dirty_call(struct model *model, struct node *contact, uint64_t stamp);
void dirty_place(struct model *model, struct node *terminal, uint64_t stamp);
void foreach_affected(struct model *model, struct node *node,
                      void (*on_root)(void *data, struct node *root), void *data);

/* commit.c: CG_OK, CG_E_FULL, CG_E_IO, CG_E_LIMIT */
int model_commit(struct model *model, struct fetch *fetch, const char *body, json_t *calls);
void model_commit_later(struct model *model);
void commit_erase_ended(struct model *model, int64_t now_ms);
void commit_forget_ended(struct live *live);
void commit_untouch(struct model *model); /* what was touched is written, or lost */
uint32_t model_random(struct model *model);

/* capacity.c: the figures that the contact centre's limits are about */
void capacity_restore(struct model *model); /* as the store has them, from an earlier process too */
void note_contact(struct model *model, struct node *contact); /* a contact is seen: counted once */
void note_agent(struct model *model, const struct node *agent); /* what is known has changed */
void capacity_recount(struct model *model);                   /* somebody's agents were forgotten */
int capacity_put(struct model *model, struct store_txn *txn); /* store_put's errors */

/* keep.c: may the resource be stored? What may not is taken out of a call as it is stored, and of an event's data. */
int keeps_kind(const struct model *model, enum record_kind kind);
void keep_out_of_call(const struct model *model, json_t *call);
void keep_out_of_event(const struct model *model, enum event_type type, const char *property,
                       json_t *data);

/* result.c: CG_OK, CG_E_NOTFOUND (the object has gone), CG_E_FULL, CG_E_IO, CG_E_LIMIT */
int fetch_store(struct fetch *fetch);

/* notice.c */
struct notice {
    enum event_type type;
    const struct node *about; /* whose resource is the subject */
    const char *agent, *property;
    uint32_t user; /* whose session told it; 0: the gateway itself */
    int64_t time_ms;
    int derived;
    json_t *data; /* taken */
};
struct pending_event *notice(struct model *model, const struct notice *notice);
void pending_add_users(struct pending_event *pending, const struct node *node); /* NULL: none */
void pending_is_too_large(struct pending_event *pending); /* becomes a gap of the same subject */
void pending_free(struct pending_event *pending);
struct event *pending_make(const struct pending_event *pending, uint64_t epoch, uint64_t seq);
/* To every user; `data` is taken. */
void notice_capacity(struct model *model, json_t *data);
void notice_session(struct model *model, uint32_t user, const char *state, const char *why);
void notice_gap(struct model *model, const struct node *about, const char *reason);
/* About a user's session, or a provider; `data` is taken. */
struct pending_event *notice_about_user(struct model *model, enum event_type type, uint32_t user,
                                        json_t *data);
void notice_provider(struct model *model, uint32_t user, json_t *data);
void pending_leave_out(struct pending_event *pending, uint32_t user);
/* Only this user is to see it, and none who may act for one of `told`. */
void pending_tell_only(struct pending_event *pending, uint32_t user, const uint32_t *told,
                       size_t num_told);

/* recent.c: has this change been told already? Pure. */
enum telling {
    TELLING_NEWS,
    TELLING_COPY,       /* of what another session has told: this session's first word about it */
    TELLING_INTRODUCES, /* a newcomer to what is known */
    TELLING_LATE,     /* it is over already, or not told for the first time: no news for anybody */
    TELLING_REPEATED, /* by the same session */
    TELLING_BACKWARDS /* this session had told what came after it */
};
struct change {
    uint64_t object, hash, place; /* of what changes, of how it changes, of where it was told */
    uint64_t state, previous;     /* 0: it has none */
    uint32_t user;
    int64_t time_ms;
    int introduces; /* it may have begun long ago, and be told because the user has come to see it */
};
struct recent {
    const uint32_t *users; /* who were told; of news: the last; borrowed */
    size_t num_users;
    int is_newest; /* nothing newer has been told of the object */
    int was_found; /* a read had found it */
    int was_read;  /* ... and nobody was told */
    int had_all;   /* this session had told all that was known of the object */
};
enum telling recent_check(struct live *live, const struct change *change, struct recent *recent);
int recent_has_user(const struct recent *recent, uint32_t user);
/* What was found to be news has changed nothing for those who were told the last: only for this user. */
void recent_pass(struct live *live, const struct change *change);
/* What was found to be news has been told; has been found by reading (event: the difference, as it was told; NULL: it was not). */
void recent_add(struct live *live, const struct change *change, const struct pending_event *event);
void recent_read(struct live *live, uint64_t object, uint64_t state, int64_t time_ms,
                 const struct pending_event *event);
void recent_free(struct live *live);

/* apply.c */
void apply_message(struct model *model, uint32_t user, const json_t *message);

/* properties.c */
struct property_row {
    enum event_type type;
    const char *name;                  /* the contract's */
    const char *element;               /* of the payload; NULL: none carries the value */
    const char *member;                /* of the element; NULL: the whole */
    const char *field;                 /* the fact */
    json_t *(*convert)(json_t *value); /* NULL: as it is */
};
extern const struct property_row property_rows[];
extern const size_t num_property_rows;
/* The property that stands for a fact, for differences that were found by reading; NULL: none does. */
const struct property_row *property_of_fact(enum entity kind, const char *field);
extern const char *const element_of_type[EVENT_TYPES]; /* the payload's element */

/* lineage.c: a call begins as a consult at that terminal; a call is said to have one; a party of the call is in its consult now (1) */
void lineage_begun(struct model *model, struct node *consult, const struct node *terminal,
                   int64_t time_ms);
void lineage_named(struct model *model, const struct node *origin, int64_t time_ms);
int lineage_takes_over(struct model *model, const struct node *consult, const char *address);
void lineage_transferred(struct model *model, struct node *consult); /* what it is a consult of */

/* warm.c */
void warm(struct coverage *coverage);
void warm_forget(struct coverage *coverage);
void warm_schedule(struct coverage *coverage);

/* force_answer.c */
void force_answer_watch(struct model *model, struct node *tc);
void force_answer_free(struct live *live);

#endif
