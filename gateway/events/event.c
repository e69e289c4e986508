/*
 * An event is one block of memory: the structure, then the users, then the texts. In the log it is a header of fixed size, then
 * the same parts in the same order, numbers little-endian:
 *
 *   0  format   1  type   2  which texts there are   3  0   4  length of subject   6  of agent   8  of property   10  0
 *   12  number of users   16  of told   20  length of JSON   24  users, told, subject, agent, property, JSON
 *
 * There is one such form of an event and no other: sets ascend, and what is absent has no length. So whatever decodes is what
 * event_encode makes of the result.
 */
#include "cctgate/event.h"
#include "cctgate/error.h"
#include "cctgate/limits.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT       1
#define HEADER_BYTES 24u
#define HAS_AGENT    1u
#define HAS_PROPERTY 2u

_Static_assert(EVENT_TYPES <= 32, "a filter's types are bits of 32");
_Static_assert(CG_PATH_BYTES_MAX <= UINT16_MAX && CG_ID_BYTES_MAX <= UINT16_MAX,
               "lengths of texts are numbers of 16 bits");
_Static_assert(HEADER_BYTES + CG_EVENT_BYTES_MAX + 2 * sizeof(uint32_t) * CG_EVENT_USERS_MAX +
                       CG_PATH_BYTES_MAX + 2 * CG_ID_BYTES_MAX <=
                   CG_EVENT_ENTRY_BYTES_MAX,
               "every event fits into an entry of the log");

/* ---- one block ---- */

/* How large the parts of an event are, which is all that it takes to lay it out. */
struct shape {
    enum event_type type;
    int has_agent, has_property;
    size_t users, told, subject, agent, property, json;
};

static int shape_is_allowed(const struct shape *shape)
{
    return (unsigned)shape->type < EVENT_TYPES && shape->subject <= CG_PATH_BYTES_MAX &&
           shape->agent <= CG_ID_BYTES_MAX && shape->property <= CG_ID_BYTES_MAX &&
           shape->json <= CG_EVENT_BYTES_MAX && shape->users <= CG_EVENT_USERS_MAX &&
           shape->told <= CG_EVENT_USERS_MAX;
}

static size_t shape_bytes(const struct shape *shape)
{
    return (shape->users + shape->told) * sizeof(uint32_t) + shape->subject + shape->agent +
           shape->property + shape->json;
}

/* The parts point to where they are to be written, except those that are absent; texts end with a NUL there. */
static struct event *allocate(const struct shape *shape, uint64_t seq)
{
    enum { NULS = 3 };
    struct event *event = calloc(1, sizeof(*event) + shape_bytes(shape) + NULS);
    if (event == NULL)
        return NULL;
    uint32_t *users = (uint32_t *)(event + 1), *told = users + shape->users;
    char *subject = (char *)(told + shape->told), *agent = subject + shape->subject + 1,
         *property = agent + shape->agent + 1;
    atomic_init(&event->references, 1);
    event->seq = seq;
    event->type = shape->type;
    event->users = users;
    event->num_users = shape->users;
    event->told = told;
    event->num_told = shape->told;
    event->subject = subject;
    event->agent = shape->has_agent ? agent : NULL;
    event->property = shape->has_property ? property : NULL;
    event->json = property + shape->property + 1;
    event->json_length = shape->json;
    return event;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int ascends(const uint32_t *numbers, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (numbers[i - 1] >= numbers[i])
            return 0;
    return 1;
}

/* Returns how many different ones there are. */
static size_t copy_set(const uint32_t *block, const uint32_t *numbers, size_t count)
{
    uint32_t *to = (uint32_t *)block;
    size_t kept = 0;
    if (count == 0)
        return 0;
    memcpy(to, numbers, count * sizeof(*to));
    if (ascends(to, count))
        return count;
    qsort(to, count, sizeof(*to), by_value);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || to[i] != to[kept - 1])
            to[kept++] = to[i];
    return kept;
}

static void copy_bytes(const char *block, const char *bytes, size_t length)
{
    if (length != 0)
        memcpy((char *)block, bytes, length);
}

static size_t length_of(const char *text)
{
    return text == NULL ? 0 : strlen(text);
}

struct event *event_new(const struct event_parts *parts)
{
    struct shape shape = {.type = parts->type,
                          .has_agent = parts->agent != NULL,
                          .has_property = parts->property != NULL,
                          .users = parts->num_users,
                          .told = parts->num_told,
                          .subject = length_of(parts->subject),
                          .agent = length_of(parts->agent),
                          .property = length_of(parts->property),
                          .json = parts->json_length};
    if (parts->subject == NULL || !shape_is_allowed(&shape))
        return NULL;
    struct event *event = allocate(&shape, parts->seq);
    if (event == NULL)
        return NULL;
    event->num_users = copy_set(event->users, parts->users, shape.users);
    event->num_told = copy_set(event->told, parts->told, shape.told);
    copy_bytes(event->subject, parts->subject, shape.subject);
    copy_bytes(event->agent, parts->agent, shape.agent);
    copy_bytes(event->property, parts->property, shape.property);
    copy_bytes(event->json, parts->json, shape.json);
    return event;
}

struct event *event_ref(struct event *event)
{
    atomic_fetch_add_explicit(&event->references, 1, memory_order_relaxed);
    return event;
}

void event_unref(struct event **in)
{
    struct event *event = *in;
    *in = NULL;
    if (event != NULL &&
        atomic_fetch_sub_explicit(&event->references, 1, memory_order_acq_rel) == 1)
        free(event);
}

/* ---- the form in the log ---- */

static void put16(uint8_t *to, size_t value)
{
    uint16_t little = htole16((uint16_t)value);
    memcpy(to, &little, sizeof(little));
}

static void put32(uint8_t *to, size_t value)
{
    uint32_t little = htole32((uint32_t)value);
    memcpy(to, &little, sizeof(little));
}

static size_t get16(const uint8_t *from)
{
    uint16_t little;
    memcpy(&little, from, sizeof(little));
    return le16toh(little);
}

static uint32_t get32(const uint8_t *from)
{
    uint32_t little;
    memcpy(&little, from, sizeof(little));
    return le32toh(little);
}

static uint8_t *put_set(uint8_t *at, const uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++, at += sizeof(uint32_t))
        put32(at, numbers[i]);
    return at;
}

static uint8_t *put_bytes(uint8_t *at, const char *bytes, size_t length)
{
    if (length != 0)
        memcpy(at, bytes, length);
    return at + length;
}

static void put_header(uint8_t *to, const struct shape *shape)
{
    memset(to, 0, HEADER_BYTES);
    to[0] = FORMAT;
    to[1] = (uint8_t)shape->type;
    to[2] =
        (uint8_t)((shape->has_agent ? HAS_AGENT : 0) | (shape->has_property ? HAS_PROPERTY : 0));
    put16(to + 4, shape->subject);
    put16(to + 6, shape->agent);
    put16(to + 8, shape->property);
    put32(to + 12, shape->users);
    put32(to + 16, shape->told);
    put32(to + 20, shape->json);
}

void *event_encode(const struct event *event, size_t *length)
{
    struct shape shape = {.type = event->type,
                          .has_agent = event->agent != NULL,
                          .has_property = event->property != NULL,
                          .users = event->num_users,
                          .told = event->num_told,
                          .subject = strlen(event->subject),
                          .agent = length_of(event->agent),
                          .property = length_of(event->property),
                          .json = event->json_length};
    *length = HEADER_BYTES + shape_bytes(&shape);
    uint8_t *encoded = malloc(*length);
    if (encoded == NULL)
        return NULL;
    put_header(encoded, &shape);
    uint8_t *at = put_set(encoded + HEADER_BYTES, event->users, shape.users);
    at = put_set(at, event->told, shape.told);
    at = put_bytes(at, event->subject, shape.subject);
    at = put_bytes(at, event->agent, shape.agent);
    at = put_bytes(at, event->property, shape.property);
    put_bytes(at, event->json, shape.json);
    return encoded;
}

/* After this the lengths are within their limits and add up to what is there. */
static int get_header(const uint8_t *from, size_t length, struct shape *shape)
{
    if (length < HEADER_BYTES || from[0] != FORMAT || from[1] >= EVENT_TYPES ||
        (from[2] & ~(HAS_AGENT | HAS_PROPERTY)) != 0 || from[3] != 0 || get16(from + 10) != 0)
        return CG_E_CORRUPT;
    *shape = (struct shape){.type = (enum event_type)from[1],
                            .has_agent = (from[2] & HAS_AGENT) != 0,
                            .has_property = (from[2] & HAS_PROPERTY) != 0,
                            .subject = get16(from + 4),
                            .agent = get16(from + 6),
                            .property = get16(from + 8),
                            .users = get32(from + 12),
                            .told = get32(from + 16),
                            .json = get32(from + 20)};
    if ((!shape->has_agent && shape->agent != 0) || (!shape->has_property && shape->property != 0))
        return CG_E_CORRUPT;
    return shape_is_allowed(shape) && HEADER_BYTES + shape_bytes(shape) == length ? CG_OK
                                                                                  : CG_E_CORRUPT;
}

static int get_set(const uint8_t **at, const uint32_t *block, size_t count)
{
    uint32_t *to = (uint32_t *)block;
    for (size_t i = 0; i < count; i++, *at += sizeof(*to))
        to[i] = get32(*at);
    return ascends(to, count) ? CG_OK : CG_E_CORRUPT;
}

static int get_text(const uint8_t **at, const char *block, size_t length)
{
    if (length == 0)
        return CG_OK;
    copy_bytes(block, (const char *)*at, length);
    *at += length;
    return memchr(block, '\0', length) == NULL ? CG_OK : CG_E_CORRUPT;
}

static int get_parts(const uint8_t *at, const struct shape *shape, struct event *event)
{
    int rc = get_set(&at, event->users, shape->users);
    if (rc == CG_OK)
        rc = get_set(&at, event->told, shape->told);
    if (rc == CG_OK)
        rc = get_text(&at, event->subject, shape->subject);
    if (rc == CG_OK)
        rc = get_text(&at, event->agent, shape->agent);
    if (rc == CG_OK)
        rc = get_text(&at, event->property, shape->property);
    if (rc == CG_OK)
        copy_bytes(event->json, (const char *)at, shape->json);
    return rc;
}

int event_decode(struct event **event, uint64_t seq, const void *bytes, size_t length)
{
    struct shape shape;
    *event = NULL;
    if (get_header(bytes, length, &shape) != CG_OK)
        return CG_E_CORRUPT;
    struct event *made = allocate(&shape, seq);
    if (made == NULL)
        return CG_E_NOMEM;
    int rc = get_parts((const uint8_t *)bytes + HEADER_BYTES, &shape, made);
    if (rc == CG_OK)
        *event = made;
    else
        event_unref(&made);
    return rc;
}

/* ---- who may see it ---- */

static int holds(const uint32_t *users, size_t count, uint32_t user)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (users[middle] == user)
            return 1;
        if (users[middle] < user)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

/* Both ascend: each of the fewer is looked for among the many. */
static int may_act_for_any(const struct access *access, const uint32_t *users, size_t count)
{
    if (count <= access->num_users) {
        for (size_t i = 0; i < count; i++)
            if (access_has_user(access, users[i]))
                return 1;
        return 0;
    }
    for (size_t i = 0; i < access->num_users; i++)
        if (holds(users, count, access->users[i].number))
            return 1;
    return 0;
}

/* Operators see every job; whoever works campaigns, those of its own application. */
static int is_of_own_job(const struct event *event, const struct access *access)
{
    char owner[ACCESS_OWNER_BYTES + 1];

    if ((access->roles & ROLE_OPERATOR) != 0)
        return 1;
    if ((access->roles & ROLE_CAMPAIGNER) == 0 || event->property == NULL)
        return 0;
    access_owner(access, owner);
    return strcmp(event->property, owner) == 0;
}

int event_is_visible(const struct event *event, const struct access *access)
{
    if (event->type == EVENT_OUTBOUND_PROGRESS)
        return is_of_own_job(event, access);
    if (!access_reads(access))
        return 0;
    if (access->every_user)
        return event->num_told == 0;
    return may_act_for_any(access, event->users, event->num_users) &&
           !may_act_for_any(access, event->told, event->num_told);
}

/* ---- filters ---- */

static void release_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

void event_filter_release(struct event_filter *filter)
{
    release_texts(filter->subjects, filter->num_subjects);
    release_texts(filter->agents, filter->num_agents);
    *filter = (struct event_filter){.types = 0};
}

static int is_at_or_below(const char *subject, const char *path)
{
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        length--;
    return strncmp(subject, path, length) == 0 &&
           (subject[length] == '\0' || subject[length] == '/');
}

static int matches_subject(const struct event_filter *filter, const char *subject)
{
    for (size_t i = 0; i < filter->num_subjects; i++)
        if (is_at_or_below(subject, filter->subjects[i]))
            return 1;
    return filter->num_subjects == 0;
}

static int matches_agent(const struct event_filter *filter, const char *agent)
{
    while (agent != NULL && filter->num_agents > 0) {
        const char *end = strchrnul(agent, EVENT_AGENTS_SEPARATOR);
        for (size_t i = 0; i < filter->num_agents; i++)
            if (strncmp(agent, filter->agents[i], (size_t)(end - agent)) == 0 &&
                filter->agents[i][end - agent] == '\0')
                return 1;
        agent = *end != '\0' ? end + 1 : NULL;
    }
    return filter->num_agents == 0;
}

int event_filter_covers(const struct event_filter *filter, const char *subject, const char *agent)
{
    return matches_subject(filter, subject) && matches_agent(filter, agent);
}

int event_filter_matches(const struct event_filter *filter, const struct event *event)
{
    return (filter->types == 0 || (filter->types >> event->type & 1) != 0) &&
           event_filter_covers(filter, event->subject, event->agent);
}
