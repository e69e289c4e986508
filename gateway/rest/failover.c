/* POST /v1/sessions/failover: an operator moves the sessions to another endpoint. The owner does it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/owner.h"
#include "gateway/rest/intake.h"

static const struct {
    const char *name;
    size_t offset, size;
    int required;
} members[] = {
    {"endpoint", offsetof(struct owner_failover, endpoint), CG_ID_BYTES_MAX, 1},
    {"reason", offsetof(struct owner_failover, reason), CG_CONTROL_REASON_BYTES, 0},
};
#define NUM_MEMBERS (sizeof(members) / sizeof(members[0]))

static int is_known(const char *name)
{
    size_t i;
    for (i = 0; i < NUM_MEMBERS; ++i)
        if (strcmp(members[i].name, name) == 0)
            return 1;
    return 0;
}

/* CG_OK, or a problem has been sent. */
static int take_members(struct request *request, json_t *body, struct owner_failover *failover)
{
    char pointer[CG_ID_BYTES_MAX];
    const char *name;
    json_t *value;
    size_t i;

    for (i = 0; i < NUM_MEMBERS; ++i) {
        const char *text;
        value = json_object_get(body, members[i].name);
        text = json_string_value(value);
        snprintf(pointer, sizeof(pointer), "/%s", members[i].name);
        if (value == NULL && !members[i].required)
            continue;
        if (text == NULL || *text == '\0' || strlen(text) > members[i].size ||
            strlen(text) != json_string_length(value)) {
            respond_problem(request, PROBLEM_BAD_REQUEST, pointer,
                            "%s: expected a string of 1 to %zu bytes, found %s", pointer,
                            members[i].size, value == NULL ? "nothing" : "something else");
            return CG_E_INVALID;
        }
        memcpy((char *)failover + members[i].offset, text, strlen(text) + 1);
    }
    json_object_foreach(body, name, value) if (!is_known(name))
    {
        snprintf(pointer, sizeof(pointer), "/%.200s", name);
        respond_problem(request, PROBLEM_BAD_REQUEST, pointer,
                        "expected endpoint and reason, found another member");
        return CG_E_INVALID;
    }
    return CG_OK;
}

static int take_body(struct request *request, struct owner_failover *failover)
{
    h2o_iovec_t entity = request->h2o->entity;
    struct intake_error error;
    json_t *body = intake_body(entity.base, entity.len, &error);
    int rc;

    if (body == NULL) {
        respond_problem(request, error.problem, "", "%s", error.detail);
        return CG_E_INVALID;
    }
    if (json_is_object(body)) {
        rc = take_members(request, body, failover);
    } else {
        respond_problem(request, PROBLEM_BAD_REQUEST, "", "the body: expected an object");
        rc = CG_E_INVALID;
    }
    json_decref(body);
    return rc;
}

static void respond_unknown(struct request *request, const json_t *names)
{
    char text[512];
    size_t i, length = 0;
    json_t *name;

    text[0] = '\0';
    json_array_foreach((json_t *)names, i, name)
    {
        int wrote = snprintf(text + length, sizeof(text) - length, "%s\"%s\"", i > 0 ? ", " : "",
                             json_string_value(name));
        if (wrote < 0 || (size_t)wrote >= sizeof(text) - length)
            break;
        length += (size_t)wrote;
    }
    text[length] = '\0';
    respond_problem(request, PROBLEM_BAD_REQUEST, "/endpoint",
                    "/endpoint: expected one of %s, or a role, found something else", text);
}

static void on_reply(struct message *message)
{
    struct owner_failover *failover = (struct owner_failover *)message;
    struct request *request = asking_end(failover->data);

    if (request == NULL)
        ;
    else if (failover->rc == CG_OK)
        respond_json(request, 200, json_incref(failover->result));
    else if (failover->rc == CG_E_NOTFOUND)
        respond_unknown(request, failover->result);
    else
        respond_problem(request, PROBLEM_STORE, NULL, "nothing was changed");
    json_decref(failover->result);
    free(failover);
}

void post_failover(struct request *request)
{
    struct owner_failover *failover = calloc(1, sizeof(*failover));

    if (failover == NULL)
        abort();
    if (take_body(request, failover) != CG_OK) {
        free(failover);
        return;
    }
    snprintf(failover->application, sizeof(failover->application), "%s",
             request->access->application);
    failover->data = asking_begin_patiently(request);
    failover->reply_to = &request->front->mailbox;
    failover->on_reply = on_reply;
    owner_failover_send(request->front->owner, failover);
}
