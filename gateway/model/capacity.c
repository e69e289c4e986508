/*
 * The figures that the contact centre's limits are about: who is logged in, and how many contacts there were in an hour.
 *
 * A contact counts when it is seen for the first time, once, whoever sees it and however it came to be: a consult and what a transfer
 * makes are contacts of their own. The figure is in the store's cache environment, in the transaction that stores the contact, so that
 * a killed process loses neither of the two without the other and what is known from before is not counted again; a power
 * cut that costs the cache costs the figure, too.
 */
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/model/live.h"

#define AGENTS_RETRY_S 60 /* nobody knows when one logs out */

static const char meter[] = "contactsPerHour", levels[] = "capacityLevels";

static void note_login(struct model *model, const char *agent, int is_logged_in)
{
    int before = json_is_true(json_object_get(model->agent_states, agent));

    json_object_set_new(model->agent_states, agent, json_boolean(is_logged_in));
    model->agents_logged_in =
        model->agents_logged_in + (is_logged_in && !before) - (!is_logged_in && before);
}

void note_agent(struct model *model, const struct node *agent)
{
    const json_t *is_logged_in = json_object_get(agent->facts, "loggedIn");
    if (is_logged_in != NULL)
        note_login(model, agent->id, json_is_true(is_logged_in));
}

/* ---- contacts ---- */

/* Who sees a call is stored when it is seen first, by this process or an earlier one. */
static int is_stored(struct model *model, const struct node *contact)
{
    const uint32_t *users;
    size_t num_users;
    int rc;

    if (model->reader == NULL || store_read_begin(model->reader) != CG_OK)
        return 0;
    rc = store_owners(model->reader, RECORD_CALL, contact->id, strlen(contact->id), &users,
                      &num_users);
    store_read_end(model->reader);
    return rc == CG_OK;
}

void note_contact(struct model *model, struct node *contact)
{
    if (contact->counted)
        return;
    contact->counted = 1;
    if (is_stored(model, contact))
        return;
    capacity_count(&model->capacity, clock_monotonic_ms());
    model->capacity_unsaved = 1;
}

static int put_meter(struct store_txn *txn, const char *name, const void *bytes, size_t length)
{
    struct record record = {.provenance = PROVENANCE_EVENT, .body = bytes, .body_length = length};

    record.fetched_at_ms = record.expires_at_ms = clock_steady_ms();
    return store_put(txn, RECORD_METER, name, strlen(name), &record);
}

int capacity_put(struct model *model, struct store_txn *txn)
{
    uint8_t bytes[CAPACITY_SAVED_BYTES],
        told[] = {(uint8_t)model->agents_level, (uint8_t)model->contacts_level};
    size_t length;
    int rc;

    if (!model->capacity_unsaved)
        return CG_OK;
    length = capacity_save(&model->capacity, bytes, clock_monotonic_ms(), clock_steady_ms());
    rc = put_meter(txn, meter, bytes, length);
    return rc == CG_OK ? put_meter(txn, levels, told, sizeof(told)) : rc;
}

/* ---- as the store has them ---- */

/* An agent's own words in its record; the state may be an old one: what is read after the start corrects it. */
static int restore_agent(void *data, const char *id, size_t length)
{
    struct model *model = data;
    struct record record;
    char name[CG_ID_BYTES_MAX + 1];
    json_t *body;

    if (length > CG_ID_BYTES_MAX ||
        store_get(model->reader, RECORD_AGENT, id, length, &record) != CG_OK)
        return 0;
    memcpy(name, id, length);
    name[length] = '\0';
    body = json_loadb(record.body, record.body_length, 0, NULL);
    if (body != NULL) {
        const char *status = json_string_value(json_object_get(body, "loginStatus"));
        note_login(model, name, status != NULL && strcmp(status, "LOGGED_IN") == 0);
    }
    json_decref(body);
    return 0;
}

static void restore_levels(struct model *model)
{
    struct record record;

    if (store_get(model->reader, RECORD_METER, levels, strlen(levels), &record) != CG_OK ||
        record.body_length != 2 || record.body[0] < 0 || record.body[0] > CAPACITY_EXHAUSTED ||
        record.body[1] < 0 || record.body[1] > CAPACITY_EXHAUSTED)
        return;
    model->agents_level = (enum capacity_level)record.body[0];
    model->contacts_level = (enum capacity_level)record.body[1];
}

static void restore_contacts(struct model *model)
{
    struct record record;

    if (store_get(model->reader, RECORD_METER, meter, strlen(meter), &record) == CG_OK &&
        capacity_load(&model->capacity, record.body, record.body_length, clock_monotonic_ms(),
                      clock_steady_ms()) != CG_OK)
        log_write(LOG_LEVEL_WARNING, "capacityUnreadable",
                  "How many contacts there were in the last hour does not read back");
}

void capacity_restore(struct model *model)
{
    capacity_init(&model->capacity, clock_monotonic_ms());
    if (store_read_begin(model->reader) != CG_OK)
        return;
    restore_contacts(model);
    restore_levels(model);
    store_walk(model->reader, RECORD_AGENT, 0, NULL, 0, restore_agent, model);
    store_read_end(model->reader);
}

struct recount {
    struct model *model;
    json_t *states;
};

static int keep_agent(void *data, const char *id, size_t length)
{
    struct recount *recount = data;
    char name[CG_ID_BYTES_MAX + 1];
    json_t *state;

    if (length > CG_ID_BYTES_MAX)
        return 0;
    memcpy(name, id, length);
    name[length] = '\0';
    if ((state = json_object_get(recount->model->agent_states, name)) != NULL) {
        json_object_set(recount->states, name, state);
        recount->model->agents_logged_in += json_is_true(state);
    }
    return 0;
}

/* Whom nobody has any more is not counted. */
void capacity_recount(struct model *model)
{
    struct recount recount = {model, json_object()};

    if (recount.states == NULL || store_read_begin(model->reader) != CG_OK) {
        json_decref(recount.states);
        return;
    }
    model->agents_logged_in = 0;
    store_walk(model->reader, RECORD_AGENT, 0, NULL, 0, keep_agent, &recount);
    store_read_end(model->reader);
    json_decref(model->agent_states);
    model->agent_states = recount.states;
}

/* ---- the limits ---- */

struct capacity_limits model_capacity_limits(const struct model *model)
{
    const struct config *config = model->config;
    return capacity_limits(config->upstream.capacity, config->capacity.max_agents,
                           config->capacity.max_contacts_per_hour);
}

json_t *model_capacity_gauge(enum capacity_level level, uint64_t value, unsigned limit)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:s}", "value", (json_int_t)value, "limit",
                     (json_int_t)limit, "warningAt", (json_int_t)capacity_warning_at(limit),
                     "percent", (json_int_t)capacity_percent(value, limit), "level",
                     capacity_level_names[level]);
}

void model_watch_capacity(struct model *model)
{
    struct capacity_limits limits = model_capacity_limits(model);
    uint64_t agents = model->agents_logged_in,
             contacts = capacity_contacts(&model->capacity, clock_monotonic_ms());
    enum capacity_level for_agents =
                            capacity_next_level(model->agents_level, agents, limits.agents),
                        for_contacts = capacity_next_level(model->contacts_level, contacts,
                                                           limits.contacts_per_hour),
                        worst = for_agents > for_contacts ? for_agents : for_contacts;

    if (for_agents == model->agents_level && for_contacts == model->contacts_level)
        return;
    log_write(worst == CAPACITY_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "capacity",
              "The load has passed a line of the contact centre's limits",
              LOG_S("level", capacity_level_names[worst]), LOG_I("agents", (int64_t)agents),
              LOG_I("contactsPerHour", (int64_t)contacts));
    model->agents_level = for_agents;
    model->contacts_level = for_contacts;
    model->capacity_unsaved = 1;
    notice_capacity(
        model, json_pack("{s:s, s:s, s:o, s:o}", "topology", limits.name, "level",
                         capacity_level_names[worst], "loggedInAgents",
                         model_capacity_gauge(for_agents, agents, limits.agents), "contactsPerHour",
                         model_capacity_gauge(for_contacts, contacts, limits.contacts_per_hour)));
}

int model_admits_agent(struct model *model, size_t logging_in, int *retry_after_s)
{
    struct capacity_limits limits = model_capacity_limits(model);
    int64_t now_ms = clock_monotonic_ms();
    uint64_t agents = model->agents_logged_in + logging_in;

    if (!model->config->capacity.enforce ||
        capacity_admits(&limits, agents, capacity_contacts(&model->capacity, now_ms)))
        return 1;
    *retry_after_s =
        (int)((capacity_room_after_ms(&model->capacity, limits.contacts_per_hour, now_ms) + 999) /
              1000);
    if (agents >= limits.agents && *retry_after_s < AGENTS_RETRY_S)
        *retry_after_s = AGENTS_RETRY_S;
    return 0;
}

int model_counts_agent(const struct model *model, const char *agent)
{
    return json_is_true(json_object_get(model->agent_states, agent));
}

void model_logged_in(struct model *model, const char *agent)
{
    note_login(model, agent, 1);
}
