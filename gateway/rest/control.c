/* GET /v1/agents/{loginId}/control: told by the owner, to whoever sees the agent. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/control.h"
#include "cctgate/error.h"
#include "cctgate/owner.h"
#include "gateway/rest/reading.h"

struct control_query {
    struct owner_query query; /* first: it is freed as one */
    char agent[CG_ID_BYTES_MAX + 1];
};

static json_t *run(struct owner *owner, const struct owner_query *query)
{
    return control_describe_all(owner_control(owner), ((const struct control_query *)query)->agent);
}

static void on_reply(struct message *message)
{
    struct control_query *asked = (struct control_query *)message;
    struct request *request = asking_end(asked->query.data);

    if (request != NULL)
        respond_json(request, 200, json_incref(asked->query.result));
    json_decref(asked->query.result);
    free(asked);
}

static void ask(struct request *request)
{
    struct control_query *asked = calloc(1, sizeof(*asked));

    if (asked == NULL)
        abort();
    memcpy(asked->agent, request->id, request->id_length);
    asked->query.data = asking_begin(request);
    asked->query.run = run;
    asked->query.reply_to = &request->front->mailbox;
    asked->query.on_reply = on_reply;
    owner_query_send(request->front->owner, &asked->query);
}

static void step(struct reading *reading)
{
    struct request *request = reading->request;
    struct viewpoint viewpoint = viewpoint_of(request);
    int visible;

    if (store_read_begin(request->front->reader) != CG_OK) {
        respond_problem(request, PROBLEM_STORE, NULL, NULL);
        return;
    }
    visible = viewpoint_sees(&viewpoint, RECORD_AGENT, request->id, request->id_length, NULL, NULL);
    store_read_end(request->front->reader);
    if (visible)
        ask(request);
    else
        reading_absent(reading, RECORD_USER);
}

void get_control(struct request *request)
{
    step(reading_new(request, step));
}
