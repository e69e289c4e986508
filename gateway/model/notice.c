/* What happened, as an event: who may see it, what it is about, and the CloudEvent that clients get. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cctgate/log.h"
#include "cctgate/timestamp.h"
#include "gateway/model/live.h"

static const char *const collections[ENTITIES] = {
    [ENTITY_USER] = "users",        [ENTITY_AGENT] = "agents",  [ENTITY_TERMINAL] = "terminals",
    [ENTITY_ADDRESS] = "addresses", [ENTITY_CONTACT] = "calls",
};

static char *format_subject(const char *collection, const char *id)
{
    char *text = malloc(strlen(id) * 3 + 32), *at = text;
    size_t i;

    if (text == NULL)
        abort();
    at += snprintf(text, 32, "/v1/%s/", collection);
    for (i = 0; id[i] != '\0'; ++i) {
        unsigned char c = (unsigned char)id[i];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            strchr("-._~", c) != NULL) {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = "0123456789ABCDEF"[c >> 4];
            *at++ = "0123456789ABCDEF"[c & 15];
        }
    }
    *at = '\0';
    return text;
}

static char *copy_text(const char *text)
{
    char *copy = text != NULL ? strdup(text) : NULL;
    if (text != NULL && copy == NULL)
        abort();
    return copy;
}

static int has_agent(const struct pending_event *pending, const char *agent)
{
    const char *at = pending->agent;
    size_t length = strlen(agent);

    while (at != NULL && *at != '\0') {
        const char *end = strchrnul(at, EVENT_AGENTS_SEPARATOR);
        if ((size_t)(end - at) == length && memcmp(at, agent, length) == 0)
            return 1;
        at = *end != '\0' ? end + 1 : end;
    }
    return 0;
}

/* The nearest agents, as many as have room. */
static void add_agent(void *data, const char *agent)
{
    struct pending_event *pending = data;
    size_t length = pending->agent != NULL ? strlen(pending->agent) : 0;
    char *longer;

    if (agent == NULL || *agent == '\0' || length + 1 + strlen(agent) > CG_ID_BYTES_MAX ||
        has_agent(pending, agent))
        return;
    if ((longer = realloc(pending->agent, length + strlen(agent) + 2)) == NULL)
        abort();
    if (length > 0)
        longer[length++] = EVENT_AGENTS_SEPARATOR;
    memcpy(longer + length, agent, strlen(agent) + 1);
    pending->agent = longer;
}

static json_t *agents_array(const char *agents)
{
    json_t *list = json_array();
    while (agents != NULL && *agents != '\0') {
        const char *end = strchrnul(agents, EVENT_AGENTS_SEPARATOR);
        json_array_append_new(list, json_stringn(agents, (size_t)(end - agents)));
        agents = *end != '\0' ? end + 1 : end;
    }
    return list;
}

static void add_user(struct pending_event *pending, uint32_t user)
{
    size_t i;
    for (i = 0; i < pending->num_users; ++i)
        if (pending->users[i] == user)
            return;
    pending->users = reallocarray(pending->users, pending->num_users + 1, sizeof(*pending->users));
    if (pending->users == NULL)
        abort();
    pending->users[pending->num_users++] = user;
}

void pending_add_users(struct pending_event *pending, const struct node *node)
{
    size_t i;
    for (i = 0; node != NULL && i < node->num_users; ++i)
        add_user(pending, node->users[i]);
}

void pending_leave_out(struct pending_event *pending, uint32_t user)
{
    size_t i, left = 0;
    for (i = 0; i < pending->num_users; ++i)
        if (pending->users[i] != user)
            pending->users[left++] = pending->users[i];
    pending->num_users = left;
}

static struct pending_event *append(struct model *model, enum event_type type, char *subject,
                                    json_t *data)
{
    struct pending_event *pending = calloc(1, sizeof(*pending));
    struct live *live = model->live;

    if (pending == NULL)
        abort();
    pending->type = type;
    pending->subject = subject;
    pending->data = data;
    pending->time_ms = clock_unix_ms();
    *live->pending_end = pending;
    live->pending_end = &pending->next;
    ++live->num_pending;
    model_commit_later(model);
    return pending;
}

struct pending_event *notice(struct model *model, const struct notice *n)
{
    struct pending_event *pending =
        append(model, n->type, format_subject(collections[n->about->kind], n->about->id), n->data);

    add_agent(pending, n->agent);
    if (n->about->kind == ENTITY_CONTACT)
        foreach_agent_of_call(model, n->about, add_agent, pending);
    pending->property = copy_text(n->property);
    pending->derived = n->derived;
    if (n->time_ms != 0)
        pending->time_ms = n->time_ms;
    if (n->user != 0)
        add_user(pending, n->user);
    pending_add_users(pending, n->about);
    if (n->agent != NULL && json_object_get(n->data, "agent") == NULL)
        json_object_set_new(n->data, "agent", json_string(n->agent));
    return pending;
}

static const char *user_name(struct model *model, uint32_t user)
{
    const struct session *session =
        model->sessions != NULL ? sessions_find(model->sessions, user) : NULL;
    return session != NULL ? session_user(session) : "";
}

struct pending_event *notice_about_user(struct model *model, enum event_type type, uint32_t user,
                                        json_t *data)
{
    struct pending_event *pending =
        append(model, type, format_subject("users", user_name(model, user)), data);
    add_user(pending, user);
    return pending;
}

void notice_session(struct model *model, uint32_t user, const char *state, const char *why)
{
    const struct session *session =
        model->sessions != NULL ? sessions_find(model->sessions, user) : NULL;
    json_t *data =
        json_pack("{s:s, s:s, s:s*, s:s*}", "user", user_name(model, user), "state", state,
                  "reason", why, "endpoint", session != NULL ? session_endpoint(session) : NULL);
    json_t *copy = json_copy(data);

    notice_about_user(model, EVENT_GATEWAY_SESSION, user, data);
    notice_about_user(model, EVENT_USER_STATE, user, copy)->derived = 1;
}

void notice_capacity(struct model *model, json_t *data)
{
    char *subject = copy_text("/v1/capacity");
    struct pending_event *pending = append(model, EVENT_GATEWAY_CAPACITY, subject, data);
    const struct coverage *coverage, *next;

    HASH_ITER(hh, model->live->users, coverage, next)
    {
        add_user(pending, coverage->user);
    }
}

void model_notice_job(struct model *model, const char *id, const char *owner, json_t *data)
{
    struct pending_event *pending =
        append(model, EVENT_OUTBOUND_PROGRESS, format_subject("outbound/jobs", id), data);
    pending->property = copy_text(owner);
}

void notice_gap(struct model *model, const struct node *about, const char *reason)
{
    struct notice n = {EVENT_GATEWAY_GAP, about, agent_at(model, about), NULL, 0, 0, 0, NULL};

    log_write(LOG_LEVEL_WARNING, "gap", "Notifications do not fit what was known; reading anew",
              LOG_S("kind", collections[about->kind]), LOG_S("id", about->id),
              LOG_S("reason", reason));
    n.data = json_pack("{s:s}", "reason", reason);
    if (about->kind == ENTITY_CONTACT)
        json_object_set_new(n.data, "contactId", json_string(about->id));
    notice(model, &n);
}

void notice_provider(struct model *model, uint32_t user, json_t *data)
{
    json_t *provider = json_object_get(data, "provider");
    const char *name = json_string_value(json_object_get(provider, "providerName"));

    add_user(append(model, EVENT_PROVIDER_STATUS,
                    format_subject("providers", name != NULL ? name : ""), data),
             user);
}

void pending_tell_only(struct pending_event *pending, uint32_t user, const uint32_t *told,
                       size_t num_told)
{
    size_t i;

    pending->num_users = 0;
    add_user(pending, user);
    if ((pending->told = calloc(num_told + 1, sizeof(*told))) == NULL)
        abort();
    for (i = 0; i < num_told; ++i)
        if (told[i] != user)
            pending->told[pending->num_told++] = told[i];
}

void pending_free(struct pending_event *pending)
{
    free(pending->subject);
    free(pending->agent);
    free(pending->property);
    free(pending->users);
    free(pending->told);
    json_decref(pending->data);
    event_unref(&pending->event);
    free(pending);
}

static char *cloud_event(const struct pending_event *pending, uint64_t epoch, uint64_t seq)
{
    char id[48], when[TIMESTAMP_BYTES];
    json_t *json;
    char *text;

    snprintf(id, sizeof(id), "%" PRIu64 "-%" PRIu64, epoch, seq);
    timestamp_print(when, pending->time_ms);
    if (pending->derived)
        json_object_set_new(pending->data, "derived", json_true());
    json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "specversion", "1.0", "id", id,
                     "source", "/cctgate", "type", event_types[pending->type].name, "subject",
                     pending->subject, "time", when, "datacontenttype", "application/json", "seq",
                     (json_int_t)seq);
    if (json == NULL)
        return NULL;
    if (pending->agent != NULL) {
        json_t *agents = agents_array(pending->agent);
        json_object_set(json, "agent", json_array_get(agents, 0));
        json_object_set_new(json, "agents", agents);
    }
    if (pending->derived)
        json_object_set_new(json, "derived", json_true());
    json_object_set(json, "data", pending->data);
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

void pending_is_too_large(struct pending_event *pending)
{
    pending->type = EVENT_GATEWAY_GAP;
    free(pending->agent);
    free(pending->property);
    pending->agent = pending->property = NULL;
    json_decref(pending->data);
    pending->data = json_pack("{s:s}", "reason", "tooLarge");
    if (strlen(pending->subject) >= CG_PATH_BYTES_MAX)
        pending->subject[CG_PATH_BYTES_MAX - 1] = '\0';
}

struct event *pending_make(const struct pending_event *pending, uint64_t epoch, uint64_t seq)
{
    char *text = cloud_event(pending, epoch, seq);
    struct event_parts parts = {seq,
                                pending->type,
                                pending->subject,
                                pending->agent,
                                pending->property,
                                pending->users,
                                pending->told,
                                pending->num_users,
                                pending->num_told,
                                text,
                                text != NULL ? strlen(text) : 0};
    struct event *event = text != NULL ? event_new(&parts) : NULL;

    free(text);
    if (event == NULL)
        log_write(LOG_LEVEL_ERROR, "eventTooLarge", "An event cannot be told",
                  LOG_S("type", event_types[pending->type].name),
                  LOG_S("subject", pending->subject));
    return event;
}
