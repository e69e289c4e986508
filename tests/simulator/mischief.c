#include "mischief.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "options.h"

enum { MUTED_MAX = 64 };

struct chance {
    double probability;
    uint64_t next; /* that many for certain */
};

static struct {
    struct chance chances[MISDEED_KINDS];
    char *type; /* only this event type; NULL = all */
    char *user;
    char *muted[MUTED_MAX];
    size_t muted_count;
    uint64_t delay_ms, jitter_ms;
    unsigned batch, parallel;
    uint64_t random;
} m;

static const struct {
    const char *probability;
    const char *next;
} keys[MISDEED_KINDS] = {[MISDEED_DROP] = {"drop", "dropNext"},
                         [MISDEED_DUPLICATE] = {"duplicate", "duplicateNext"},
                         [MISDEED_REORDER] = {"reorder", "reorderNext"}};

static uint64_t next_random(void)
{
    uint64_t z = (m.random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void mischief_init(uint64_t seed)
{
    m.random = seed;
    m.batch = options.notify_batch;
    m.parallel = options.notify_parallel;
}

static void unmute(void)
{
    while (m.muted_count > 0)
        free(m.muted[--m.muted_count]);
}

void mischief_clear(void)
{
    memset(m.chances, 0, sizeof(m.chances));
    free(m.type);
    free(m.user);
    m.type = m.user = NULL;
    unmute();
    m.delay_ms = m.jitter_ms = 0;
    m.batch = options.notify_batch;
    m.parallel = options.notify_parallel;
}

static bool number_ok(json_t *body, const char *key, json_int_t least, json_int_t most)
{
    json_t *v = json_object_get(body, key);
    return v == NULL ||
           (json_is_integer(v) && json_integer_value(v) >= least && json_integer_value(v) <= most);
}

static bool probability_ok(json_t *body, const char *key)
{
    json_t *v = json_object_get(body, key);
    return v == NULL ||
           (json_is_number(v) && json_number_value(v) >= 0 && json_number_value(v) <= 1);
}

static bool words_ok(json_t *body, const char **why)
{
    json_t *mute = json_object_get(body, "mute");
    const char *type = json_string_value(json_object_get(body, "type"));
    if (type != NULL && strcmp(type, "*") != 0 && sim_event_kind(type) < 0)
        *why = "no such event type";
    else if (mute != NULL && (!json_is_array(mute) || json_array_size(mute) > MUTED_MAX))
        *why = "mute must be an array of at most 64 user names";
    return *why == NULL;
}

static bool valid(json_t *body, const char **why)
{
    *why = NULL;
    for (int i = MISDEED_DROP; i < MISDEED_KINDS; i++) {
        if (!probability_ok(body, keys[i].probability))
            *why = "a probability must be a number from 0 to 1";
        if (!number_ok(body, keys[i].next, 0, INT64_MAX))
            *why = "a count must be an integer";
    }
    if (!number_ok(body, "delayMs", 0, 3600000) || !number_ok(body, "jitterMs", 0, 3600000))
        *why = "a delay must be an integer of milliseconds";
    if (!number_ok(body, "batch", 1, 100000) || !number_ok(body, "parallel", 1, PARALLEL_MAX))
        *why = "batch must be from 1, parallel from 1 to 16";
    return *why == NULL && words_ok(body, why);
}

static void set_word(char **slot, json_t *body, const char *key)
{
    json_t *v = json_object_get(body, key);
    if (v == NULL)
        return;
    const char *text = json_string_value(v);
    free(*slot);
    *slot = text != NULL && strcmp(text, "*") != 0 ? mem_strdup(text) : NULL;
}

static void set_number(uint64_t *slot, json_t *body, const char *key)
{
    json_t *v = json_object_get(body, key);
    if (v != NULL)
        *slot = (uint64_t)json_integer_value(v);
}

static void set_small(unsigned *slot, json_t *body, const char *key)
{
    uint64_t value = *slot;
    set_number(&value, body, key);
    *slot = (unsigned)value;
}

static void set_mute(json_t *mute)
{
    size_t i;
    json_t *v;
    if (mute == NULL)
        return;
    unmute();
    json_array_foreach(mute, i, v)
    {
        if (json_is_string(v))
            m.muted[m.muted_count++] = mem_strdup(json_string_value(v));
    }
}

bool mischief_set(json_t *body, const char **why)
{
    if (!valid(body, why))
        return false;
    for (int i = MISDEED_DROP; i < MISDEED_KINDS; i++) {
        json_t *p = json_object_get(body, keys[i].probability);
        if (p != NULL)
            m.chances[i].probability = json_number_value(p);
        set_number(&m.chances[i].next, body, keys[i].next);
    }
    set_number(&m.delay_ms, body, "delayMs");
    set_number(&m.jitter_ms, body, "jitterMs");
    set_number(&m.random, body, "seed");
    set_small(&m.batch, body, "batch");
    set_small(&m.parallel, body, "parallel");
    set_word(&m.type, body, "type");
    set_word(&m.user, body, "user");
    set_mute(json_object_get(body, "mute"));
    return true;
}

json_t *mischief_json(void)
{
    json_t *o = json_object();
    for (int i = MISDEED_DROP; i < MISDEED_KINDS; i++) {
        json_object_set_new(o, keys[i].probability, json_real(m.chances[i].probability));
        json_object_set_new(o, keys[i].next, json_integer((json_int_t)m.chances[i].next));
    }
    json_t *muted = json_array();
    for (size_t i = 0; i < m.muted_count; i++)
        json_array_append_new(muted, json_string(m.muted[i]));
    json_object_set_new(o, "mute", muted);
    json_object_set_new(o, "type", json_string(m.type != NULL ? m.type : "*"));
    json_object_set_new(o, "user", json_string(m.user != NULL ? m.user : "*"));
    json_object_set_new(o, "delayMs", json_integer((json_int_t)m.delay_ms));
    json_object_set_new(o, "jitterMs", json_integer((json_int_t)m.jitter_ms));
    json_object_set_new(o, "batch", json_integer(m.batch));
    json_object_set_new(o, "parallel", json_integer(m.parallel));
    return o;
}

static bool happens(struct chance *chance)
{
    if (chance->next > 0) {
        chance->next--;
        return true;
    }
    return chance->probability > 0 &&
           (double)(next_random() >> 11) / (double)(1ull << 53) < chance->probability;
}

enum misdeed mischief_next(const char *user, enum event_kind kind)
{
    if (m.user != NULL && strcmp(m.user, user) != 0)
        return MISDEED_NONE;
    if (m.type != NULL && strcmp(m.type, sim_event_kind_name(kind)) != 0)
        return MISDEED_NONE;
    for (int i = MISDEED_DROP; i < MISDEED_KINDS; i++) {
        if (happens(&m.chances[i]))
            return (enum misdeed)i;
    }
    return MISDEED_NONE;
}

bool mischief_muted(const char *user)
{
    for (size_t i = 0; i < m.muted_count; i++) {
        if (strcmp(m.muted[i], user) == 0)
            return true;
    }
    return false;
}

uint64_t mischief_delay_ms(void)
{
    return m.delay_ms + (m.jitter_ms > 0 ? next_random() % (m.jitter_ms + 1) : 0);
}

unsigned mischief_batch_max(void)
{
    return m.batch;
}

unsigned mischief_parallel(void)
{
    return m.parallel;
}
