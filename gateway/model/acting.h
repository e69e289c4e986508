/* What commands may know of the model and do to it: the narrow side of this room for gateway/command. Owner's thread only. */
#ifndef CCTGATE_MODEL_ACTING_H
#define CCTGATE_MODEL_ACTING_H

#include "gateway/model/fetch.h"
#include "gateway/model/graph.h"
#include "gateway/model/live.h"

/* NULL also for an empty or absent id. */
struct node *model_find(struct model *model, enum entity kind, const char *id);
/* A fact that events keep up to date: not a guess. */
int model_fact_is_live(struct model *model, const struct node *node, const char *field);

/* Who sees an agent, terminal, address or call. CG_OK, also for nobody; CG_E_IO. */
int model_owners(struct model *model, enum entity kind, const char *id,
                 void (*on_user)(void *data, uint32_t user), void *data);
/* What the user sees is known by events, calls too: who is not among it does not exist for the user. */
int model_lists_are_live(struct model *model, uint32_t user);

/*
 * A fact of the node (NULL: all) may be another now, without having been told: only a read that begins later, or an event that tells it,
 * makes it fresh again. What an event has told after `since` (live_clock) is known. model_touched_around: so may what hangs together with
 * the node. The store says so once model_commit_touched returns.
 */
void model_touched(struct model *model, struct node *node, const char *field, uint64_t since);
/* Has an event since then told the fact, or that it has changed? */
int model_was_told(const struct node *node, const char *field, uint64_t since);
void model_touched_around(struct model *model, struct node *node);
void model_calls_touched(struct model *model, uint32_t user); /* the user's list of calls */
/* A call that a command has made, before any event tells of it; one that is over already stays so. Committed when this returns. */
void model_introduce(struct model *model, json_t *handle, uint32_t user, uint64_t since);
void model_commit_touched(struct model *model);

/* What a reading operation would answer in the user's session, where events keep just that up to date; NULL: it must be asked. New reference. */
json_t *model_recall(struct model *model, uint32_t user, const struct contract_operation *op,
                     const json_t *arguments);

/* What a command has made of a fact, in the meantime: it is read again before it is served. Takes the reference. */
void model_tell(struct model *model, struct node *node, const char *field, json_t *value);

/* Who controls an agent is asked when its resource is rendered. */
void model_set_controller(struct model *model, json_t *(*describe)(void *data, const char *agent),
                          void *data);
/* ... and is another now: its resource is committed anew, soon. */
void model_control_changed(struct model *model, const char *agent);
/* A gateway.control event about an agent; `data` is taken. Committed soon; an agent that nobody has read yet has no events. */
void model_notice_control(struct model *model, const char *agent, json_t *data);

/* After each commit of what notifications, reads or commands changed. NULL: nobody wants to know. */
void model_set_on_change(struct model *model, void (*on_change)(void *data), void *data);

#endif
