/* What events do to the model. */
#include "cctgate/model.h"
#include "gateway/model/fetch.h"

void model_on_subscribed(struct model *model, struct session *session)
{
    (void)model;
    (void)session;
}

void model_on_unsubscribed(struct model *model, struct session *session, const char *why)
{
    (void)model;
    (void)session;
    (void)why;
}

void model_on_message(struct model *model, struct session *session, const json_t *message)
{
    (void)model;
    (void)session;
    (void)message;
}

void model_on_batch_end(struct model *model)
{
    (void)model;
}
