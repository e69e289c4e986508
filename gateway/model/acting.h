/* What commands may know of the model and do to it: the narrow side of this room for gateway/command. Owner's thread only. */
#ifndef CCTGATE_MODEL_ACTING_H
#define CCTGATE_MODEL_ACTING_H

#include "gateway/model/graph.h"
#include "gateway/model/live.h"

struct node *model_find(struct model *model, enum entity kind, const char *id);
/* A fact that events keep up to date, or that was read under the subscription that is in force: not a guess. */
int model_fact_is_live(struct model *model, const struct node *node, const char *field);
/* What hangs at the node is not fresh any more, and readers are not told that it is: committed when this returns. */
void model_touched(struct model *model, struct node *node);
/* A fact of an agent that the gateway itself knows ("control"); takes the reference. Committed soon. */
void model_tell(struct model *model, enum entity kind, const char *id, const char *field,
                json_t *value);
/* An event of the gateway about an agent's resource; `data` is taken. Committed soon. */
void model_notice(struct model *model, enum event_type type, enum entity kind, const char *id,
                  json_t *data);
/* After each commit of what notifications, reads or commands changed. NULL: nobody wants to know. */
void model_set_on_change(struct model *model, void (*on_change)(void *data), void *data);

#endif
