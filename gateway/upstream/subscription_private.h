/* What the files of the subscription manager share. Owner's thread only. */
#ifndef CCTGATE_UPSTREAM_SUBSCRIPTION_PRIVATE_H
#define CCTGATE_UPSTREAM_SUBSCRIPTION_PRIVATE_H

#include <uthash.h>

#include "cctgate/codec.h"
#include "cctgate/subscription.h"
#include "gateway/upstream/subscription_terms.h"

#define SUBSCRIBE_BACKOFF_MIN_MS 500
#define SUBSCRIBE_BACKOFF_MAX_MS 60000
#define SUBSCRIPTION_STABLE_MS                                                                     \
    30000                     /* active for so long, its end is news and not the last one again */
#define RETIRED_MS     600000 /* what is over is told apart from what never was for so long */
#define LEFTOVERS_MAX  16
#define TOPOLOGY_KEEPS "missionCritical" /* a switch ends neither sessions nor subscriptions */

enum way { WAY_PRODUCER, WAY_USER, WAYS };
struct way_row {
    const char *name;
    const struct contract_operation *subscribe, *renew, *unsubscribe; /* renew NULL: no lease */
    json_t *schema, *template;                                        /* of subscribe's arguments */
};

enum subscription_state { SUBSCRIPTION_PENDING, SUBSCRIPTION_ACTIVE, SUBSCRIPTION_RETIRED };

/* One Subscribe, from the moment it is sent until nothing can come of it any more. */
struct subscription {
    UT_hash_handle hh; /* by digest */
    struct subscriptions *all;
    struct subscriber *of; /* NULL: its session was removed */
    uint8_t digest[CONSUMER_DIGEST_BYTES];
    char *url; /* holds the secret: never logged */
    enum way way;
    unsigned endpoint; /* where it was made */
    enum subscription_state state;
    int references; /* the table, calls in flight, the batch that is being read, the list of leftovers */
    unsigned generation; /* of the session's token that it was made with */
    int suspended;       /* pending again: its server was away, and it is to be proven */
    int orphan;          /* its Subscribe has no known outcome: the first message tells the id */
    char *id, *session_id;
    json_t *reference;                  /* arguments that name it */
    int64_t since_ms;                   /* steady, when it became active */
    int64_t active_at_ms;               /* monotonic */
    int64_t until_ms;                   /* steady; 0: no end is known */
    int renewals_refused;               /* its end could not be moved */
    int end_announced;                  /* and it has not been renewed since */
    char end_stamp[64];                 /* of the message that announced it */
    int64_t retired_at_ms;              /* monotonic */
    struct subscription *older, *newer; /* retired ones, by age */
    struct subscription
        *leftover_next; /* of its subscriber: to be unsubscribed once the session is up */
    struct message *held, **held_end; /* struct consumer_notify */
    size_t held_bytes;
};

/* What the active one told while its successor was made; counts, since one thing may happen twice. */
struct told {
    UT_hash_handle hh;
    uint64_t fingerprint;
    unsigned count;
};

/* A session, seen from here. */
struct subscriber {
    UT_hash_handle hh; /* by number */
    struct subscriptions *all;
    struct session *session;
    uint32_t number;
    struct subscription *active, *pending, *leftovers;
    struct timer attempt, renewal;
    struct timer session_end; /* a call may not have moved it: a new session is begun before it */
    int64_t noticed_ms;       /* monotonic: when a switch was told last */
    int slotted;              /* the attempt has its place in the pace */
    int failures;             /* attempts that came to nothing, or not to much */
    int excused;              /* whoever waits for on_subscribed has been told not to */
    int64_t skew_ms;          /* once skew_is_known */
    int skew_is_known;
    struct terms_bounds bounds;
    int64_t session_end_ms;     /* monotonic: announced for then; 0: not */
    char session_end_stamp[64]; /* of the message that announced it */
    struct told *told;
};

struct subscriptions {
    struct subscriptions_settings settings;
    struct config *config;
    const struct contract_operation *notify;
    struct way_row ways[WAYS];
    struct subscriber *subscribers;
    struct subscription *by_digest;
    struct subscription *retired_first, *retired_last;
    size_t num_retired;
    const struct contract_operation *ha_start, *ha_stop; /* NULL: not listened */
    int64_t next_slot_ms;
    int detached;
    struct subscriptions_stats stats;
};

/* subscription.c: life */
struct subscription *subscription_hold(struct subscription *subscription);
void subscription_drop(struct subscription *subscription);
/* It is over for us; `leftover`: it may not be over upstream, and is unsubscribed when the session is up. */
void subscription_retire(struct subscription *subscription, int leftover);
void subscription_lose(struct subscription *subscription, const char *why, int leftover);
void subscription_leave_over(struct subscription *subscription);
void subscriber_attempt(struct subscriber *subscriber, int64_t delay_ms);
enum way subscription_way(const struct subscriptions *all);
int64_t subscription_backoff(int failures);

/* subscription_call.c: Subscribe, Renew, Unsubscribe */
void subscription_start(struct subscriber *subscriber);
void subscription_renew(struct subscription *subscription);
int subscription_unsubscribe(struct subscription *subscription); /* 0: there is nobody who could */
void subscription_on_renewal(struct timer *timer);
/* Of one that is suspended, with its session up again by the token it had: active again, or made anew. */
void subscription_prove(struct subscription *subscription);
void subscription_drop_leftovers(struct subscriber *subscriber);

/* ha_listener.c: the notice of a switch */
void ha_resolve(struct subscriptions *all); /* what there is to listen with; also after a reload */
void ha_listen(struct subscription *subscription);
void ha_part(const struct subscription *subscription); /* within on_parting */
void ha_noticed(struct subscription *subscription);

/* subscription_notify.c: what comes */
void subscription_release_held(struct subscription *subscription, int deliver);
void subscriber_forget_told(struct subscriber *subscriber);

/* subscription_system.c: what system events mean for the subscription itself */
void subscription_on_session_end(struct timer *timer);
void subscription_act(struct subscription *subscription, const json_t *message);

#endif
