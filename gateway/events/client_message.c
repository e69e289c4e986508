#include "gateway/events/client_message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "gateway/rest/body.h"
#include "gateway/rest/reading.h"

static int refuse(struct message_error *error, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int refuse(struct message_error *error, const char *pointer, const char *format, ...)
{
    va_list arguments;

    error->problem = PROBLEM_BAD_REQUEST;
    snprintf(error->pointer, sizeof(error->pointer), "%s", pointer);
    va_start(arguments, format);
    vsnprintf(error->detail, sizeof(error->detail), format, arguments);
    va_end(arguments);
    return CG_E_INVALID;
}

/* It may be well-formed: the client is to come again. */
static int no_memory(struct message_error *error)
{
    refuse(error, "", "there is no memory for it now");
    error->problem = PROBLEM_OVERLOADED;
    return CG_E_NOMEM;
}

int client_message_parse(struct client_message *message, const char *text, size_t length,
                         struct message_error *error)
{
    char detail[128];
    int rc;

    *message = (struct client_message){NULL, NULL, NULL};
    rc = body_parse(&message->json, text, length, "the message", detail, sizeof(detail));
    if (rc == CG_E_NOMEM)
        return no_memory(error);
    if (rc != CG_OK)
        return refuse(error, "", "%s", detail);
    if (!json_is_object(message->json))
        return refuse(error, "", "expected an object");
    message->id = json_string_value(json_object_get(message->json, "id"));
    if ((message->op = json_string_value(json_object_get(message->json, "op"))) == NULL)
        return refuse(error, "/op", "expected a string");
    return CG_OK;
}

void client_message_release(struct client_message *message)
{
    json_decref(message->json);
    *message = (struct client_message){NULL, NULL, NULL};
}

static int take_number(const char **at, const char *end, uint64_t *number)
{
    const char *from = *at;

    *number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (*number > (UINT64_MAX - digit) / 10)
            return 0;
        *number = *number * 10 + digit;
    }
    return *at > from;
}

int log_place_parse(struct log_place *place, const char *text, size_t length)
{
    const char *at = text, *end = text + length;

    if (!take_number(&at, end, &place->epoch) || at == end || *at++ != '-' ||
        !take_number(&at, end, &place->seq) || at != end)
        return CG_E_INVALID;
    return CG_OK;
}

/* ---- the filter ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int add_type(struct event_filter *filter, const char *name, size_t length)
{
    enum event_type type = event_type_by_name(name, length);
    if (type == EVENT_TYPES)
        return CG_E_NOTFOUND;
    filter->types |= (uint32_t)1 << type;
    return CG_OK;
}

/* What a client sent is not terminated. NULL without memory. */
static char *copy_of(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

static int add_member(char ***members, size_t *count, const char *text, size_t length)
{
    char **grown;

    if (length == 0 || length > CG_PATH_BYTES_MAX || memchr(text, '\0', length) != NULL)
        return CG_E_INVALID;
    if (*count >= CG_FILTER_MEMBERS_MAX)
        return CG_E_LIMIT;
    if ((grown = reallocarray(*members, *count + 1, sizeof(*grown))) == NULL)
        return CG_E_NOMEM;
    *members = grown;
    if ((grown[*count] = copy_of(text, length)) == NULL)
        return CG_E_NOMEM;
    ++*count;
    return CG_OK;
}

enum member { MEMBER_TYPES, MEMBER_SUBJECTS, MEMBER_AGENTS, MEMBERS };
static const struct {
    const char *name, *expected;
} members[MEMBERS] = {[MEMBER_TYPES] = {"types", "the name of an event type"},
                      [MEMBER_SUBJECTS] = {"subjects", "the path of a resource"},
                      [MEMBER_AGENTS] = {"agents", "the login id of an agent"}};

/*
 * A path in the form that subjects have: every byte of a segment but the unreserved ones is escaped (RFC 3986 section 2.3), whether the client
 * did so or not.
 */
static int add_subject(struct event_filter *filter, const char *text, size_t length)
{
    char path[CG_PATH_BYTES_MAX * 3], *at = path;
    size_t i;

    if (length == 0 || *text != '/' || length > CG_PATH_BYTES_MAX)
        return CG_E_INVALID;
    for (i = 0; i < length; ++i) {
        char c = text[i];
        if (c == '/') {
            *at++ = c;
            continue;
        }
        if (c == '%' && i + 2 < length && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
            c = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        }
        at = put_segment(at, &c, 1);
    }
    return add_member(&filter->subjects, &filter->num_subjects, path, (size_t)(at - path));
}

static int add(struct event_filter *filter, enum member member, const char *text, size_t length)
{
    switch (member) {
    case MEMBER_TYPES:
        return add_type(filter, text, length);
    case MEMBER_SUBJECTS:
        return add_subject(filter, text, length);
    default:
        return add_member(&filter->agents, &filter->num_agents, text, length);
    }
}

static int tell(struct message_error *error, int rc, enum member member, const char *pointer)
{
    if (rc == CG_E_NOMEM)
        return no_memory(error);
    if (rc == CG_E_LIMIT)
        return refuse(error, pointer, "expected at most %d members", CG_FILTER_MEMBERS_MAX);
    return refuse(error, pointer, "expected %s", members[member].expected);
}

static int parse_set(struct event_filter *filter, enum member member, const json_t *json,
                     struct message_error *error)
{
    const json_t *set = json_object_get(json, members[member].name);
    char pointer[64];
    size_t i;

    snprintf(pointer, sizeof(pointer), "/%s", members[member].name);
    if (set == NULL || json_is_null(set))
        return CG_OK;
    if (!json_is_array(set))
        return refuse(error, pointer, "expected an array of strings");
    for (i = 0; i < json_array_size(set); ++i) {
        const json_t *text = json_array_get(set, i);
        int rc = json_is_string(text)
                     ? add(filter, member, json_string_value(text), json_string_length(text))
                     : CG_E_INVALID;
        if (rc == CG_OK)
            continue;
        if (rc != CG_E_LIMIT)
            snprintf(pointer, sizeof(pointer), "/%s/%zu", members[member].name, i);
        return tell(error, rc, member, pointer);
    }
    return CG_OK;
}

static int parse_since(struct subscribe *subscribe, const json_t *json, struct message_error *error)
{
    const json_t *since = json_object_get(json, "since");

    if (since == NULL || json_is_null(since))
        return CG_OK;
    subscribe->has_since = 1;
    if (json_is_string(since) && log_place_parse(&subscribe->since, json_string_value(since),
                                                 json_string_length(since)) == CG_OK)
        return CG_OK;
    return refuse(error, "/since", "expected \"<epoch>-<seq>\", the id of an event");
}

int subscribe_parse(struct subscribe *subscribe, const json_t *json, struct message_error *error)
{
    const json_t *snapshot = json_object_get(json, "snapshot");
    enum member member;
    int rc;

    memset(subscribe, 0, sizeof(*subscribe));
    for (member = 0; member < MEMBERS; ++member)
        if ((rc = parse_set(&subscribe->filter, member, json, error)) != CG_OK)
            return rc;
    if ((rc = parse_since(subscribe, json, error)) != CG_OK)
        return rc;
    if (snapshot != NULL && !json_is_boolean(snapshot) && !json_is_null(snapshot))
        return refuse(error, "/snapshot", "expected true or false");
    subscribe->wants_snapshot = json_is_true(snapshot);
    return CG_OK;
}

void subscribe_release(struct subscribe *subscribe)
{
    event_filter_release(&subscribe->filter);
}

/* ---- the query ---- */

/* Percent-escapes in place; SIZE_MAX: a broken one, or a NUL. */
static size_t unescape(char *text, size_t length)
{
    size_t i, n = 0;

    for (i = 0; i < length; ++i) {
        char c = text[i];
        if (c == '%') {
            if (i + 2 >= length || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
                return SIZE_MAX;
            c = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        }
        if (c == '\0')
            return SIZE_MAX;
        text[n++] = c;
    }
    return n;
}

/* A comma separates members and is escaped inside one, so the list is taken apart first. */
static int parse_list(struct event_filter *filter, enum member member, char *value, size_t length,
                      struct message_error *error)
{
    char *at = value, *end = value + length, pointer[64];

    snprintf(pointer, sizeof(pointer), "?%s", members[member].name);
    while (at < end) {
        char *stop = memchr(at, ',', (size_t)(end - at));
        size_t n = unescape(at, (size_t)((stop != NULL ? stop : end) - at));
        int rc = n != SIZE_MAX ? add(filter, member, at, n) : CG_E_INVALID;
        if (rc != CG_OK)
            return tell(error, rc, member, pointer);
        at = stop != NULL ? stop + 1 : end;
    }
    return CG_OK;
}

static int parse_value(struct subscribe *subscribe, const char *name, size_t name_length,
                       char *value, size_t length, struct message_error *error)
{
    enum member member;

    for (member = 0; member < MEMBERS; ++member)
        if (strlen(members[member].name) == name_length &&
            memcmp(members[member].name, name, name_length) == 0)
            return parse_list(&subscribe->filter, member, value, length, error);
    if (name_length == 5 && memcmp(name, "since", 5) == 0) {
        subscribe->has_since = 1;
        if (log_place_parse(&subscribe->since, value, length) == CG_OK)
            return CG_OK;
        return refuse(error, "?since", "expected <epoch>-<seq>, the id of an event");
    }
    if (name_length == 8 && memcmp(name, "snapshot", 8) == 0) {
        subscribe->wants_snapshot = length == 4 && memcmp(value, "true", 4) == 0;
        if (subscribe->wants_snapshot || (length == 5 && memcmp(value, "false", 5) == 0))
            return CG_OK;
        return refuse(error, "?snapshot", "expected true or false");
    }
    if (name_length == 6 && memcmp(name, "ticket", 6) == 0)
        return CG_OK;
    return refuse(error, "?", "expected types, subjects, agents, since, snapshot or ticket");
}

int subscribe_parse_query(struct subscribe *subscribe, const char *query, size_t length,
                          struct message_error *error)
{
    char *copy = copy_of(query, length), *at = copy, *end, *stop;
    int rc = CG_OK;

    memset(subscribe, 0, sizeof(*subscribe));
    if (copy == NULL)
        return no_memory(error);
    for (end = copy + strlen(copy); at < end && rc == CG_OK; at = stop + 1) {
        char *equals;
        if ((stop = memchr(at, '&', (size_t)(end - at))) == NULL)
            stop = end;
        if (stop == at)
            continue;
        if ((equals = memchr(at, '=', (size_t)(stop - at))) == NULL)
            equals = stop;
        rc = parse_value(subscribe, at, (size_t)(equals - at), equals < stop ? equals + 1 : stop,
                         equals < stop ? (size_t)(stop - equals - 1) : 0, error);
    }
    free(copy);
    return rc;
}

int query_find(const char *query, size_t length, const char *name, const char **value,
               size_t *value_length)
{
    const char *at = query, *end = query + length, *stop;
    size_t n = strlen(name);

    for (; at < end; at = stop + 1) {
        if ((stop = memchr(at, '&', (size_t)(end - at))) == NULL)
            stop = end;
        if ((size_t)(stop - at) > n && memcmp(at, name, n) == 0 && at[n] == '=') {
            *value = at + n + 1;
            *value_length = (size_t)(stop - *value);
            return 1;
        }
    }
    return 0;
}
