/* What the files of the owner share. */
#ifndef CCTGATE_OWNER_PRIVATE_H
#define CCTGATE_OWNER_PRIVATE_H

#include "cctgate/command.h"
#include "cctgate/control.h"
#include "cctgate/durable.h"
#include "cctgate/jobs.h"
#include "cctgate/loop.h"
#include "cctgate/outbound.h"
#include "cctgate/owner.h"
#include "cctgate/sign_on.h"
#include "cctgate/subscription.h"
#include "gateway/access/keyring.h"

struct owner {
    struct loop loop;
    pthread_t thread;
    struct config *config;
    const struct contract *contract;
    struct store *store;
    struct store_opened opened;
    struct upstream *upstream;
    struct sessions *sessions;
    struct consumer *consumer;
    struct subscriptions *subscriptions; /* NULL: no events are taken */
    struct model *model;
    struct durable *durable;
    struct control *control;
    struct commands *commands;
    unsigned wanted_endpoint;  /* that the last failover asked for */
    struct outbound *outbound; /* NULL: it is not configured */
    struct jobs *jobs;
    int leaving; /* parts that have to log off before the end */
    struct sign_ons *sign_ons;
    struct keyring *keyring;
    struct timer keys_due;
    struct policy *base, *policy; /* the configuration alone; what the fronts have */
    void (*on_policy)(void *, struct policy *, struct message *, struct mailbox *);
    void (*on_reloaded)(void *, int);
    void (*on_events)(void *, struct event *const *, size_t);
    void *data;
    struct timer pulse;
    _Atomic int64_t last_turn_ms;
};

/* owner_commands.c: what writes down, who controls, what is commanded. After the model and the sessions. */
int owner_make_commands(struct owner *owner, char *error, size_t error_size);
/* The upstream has stopped, and what it had to say has been delivered: what is under way is written down and answered. */
void owner_end_commands(struct owner *owner);
void owner_describe_commands(struct owner *owner, json_t *metrics);
/* owner_capacity.c */
void owner_describe_load(struct owner *owner, json_t *metrics);
void owner_configure_commands(struct owner *owner, struct config *config);

/* owner_outbound.c: the campaigns. After the sessions' journal and what writes down. */
int owner_make_outbound(struct owner *owner, char *error, size_t error_size);
void owner_describe_outbound(struct owner *owner, json_t *metrics);

/* owner_jobs.c: outbound work that goes on by itself. After the campaigns. */
int owner_make_jobs(struct owner *owner, char *error, size_t error_size);
void owner_describe_jobs(struct owner *owner, json_t *metrics);

/* owner_access.c: who may come in. After the sessions and what writes down. */
struct owner_told { /* all fronts have a policy */
    struct message message;
    struct owner *owner;
};
int owner_make_access(struct owner *owner, char *error, size_t error_size);
/* Takes over a configuration; owner_publish_access puts it in force, and has `told` delivered when all fronts have it. CG_E_NOMEM. */
int owner_configure_access(struct owner *owner, struct config *config, const uint32_t *numbers);
int owner_publish_access(struct owner *owner, struct message *told);
/* Nothing else of the owner is there any more. */
void owner_end_access(struct owner *owner);
void owner_describe_access(struct owner *owner, json_t *metrics);
/* owner_failover.c: which endpoint is in use, over restarts. After owner_make_commands, before there are sessions. */
int owner_recall_endpoint(struct owner *owner, char *error, size_t error_size);
void owner_on_elsewhere(void *data, unsigned endpoint);
void owner_sum_upstream(struct owner *owner, struct upstream_stats *sum);
json_t *owner_describe_endpoints(struct owner *owner); /* with their counters: for metrics */

#endif
