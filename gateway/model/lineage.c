/*
 * Which call is a consult of which, and what was transferred into what.
 *
 * No event says so outright. A consult begins at a terminal that has just put another call on hold, and after that a property of the
 * other call tells that it has a consult. The property decides; where it is never told, the call that was held last does. Sessions lag
 * behind each other: what is looked at is therefore where and when a consult began, whatever has happened there since, and it is looked
 * at again whenever another session tells the same.
 */
#include <string.h>

#include "gateway/model/live.h"

/* conf/contract: terminalConnectionState */
#define HELD     "HELD"
#define AUTOHELD "AUTOHELD"

static int is(const struct node *tc, const char *state)
{
    return node_state(tc) != NULL && strcmp(node_state(tc), state) == 0;
}

static int is_held(const struct node *tc)
{
    return is(tc, HELD) || is(tc, AUTOHELD);
}

/* Nobody has told of its state since then. */
static int is_as_of(const struct node *tc, int64_t time_ms)
{
    return time_ms == 0 || tc->told_ms <= time_ms;
}

static void link_consult(struct model *model, struct node *consult, const struct node *origin)
{
    json_object_set_new(model->consult_of, consult->id, json_string(origin->id));
    touch(model, consult);
}

void lineage_begun(struct model *model, struct node *consult, const struct node *terminal,
                   int64_t time_ms)
{
    const struct node *tc, *last = NULL, *contact;
    json_t *begun = model->live->begun;

    if (json_object_get(begun, consult->id) == NULL)
        json_object_set_new(begun, consult->id,
                            json_pack("[s, I]", terminal->id, (json_int_t)time_ms));
    if (json_object_get(model->consult_of, consult->id) != NULL)
        return;
    GRAPH_FOREACH(&model->graph, terminal, "terminalConnections", ENTITY_TERMINAL_CONNECTION, tc)
    {
        contact = contact_of(model, tc);
        if (contact != NULL && contact != consult && is_held(tc) && is_as_of(tc, time_ms) &&
            (last == NULL || tc->told_at > last->told_at))
            last = tc;
    }
    if (last != NULL)
        link_consult(model, consult, contact_of(model, last));
}

/* When the call began as a consult at that terminal; -1: it did not, or later than at `time_ms`. */
static int64_t begun_ms(const struct model *model, const struct node *call,
                        const struct node *terminal, int64_t time_ms)
{
    json_t *begun = json_object_get(model->live->begun, call->id);
    const char *at = json_string_value(json_array_get(begun, 0));
    int64_t ms = json_integer_value(json_array_get(begun, 1));

    return at != NULL && strcmp(at, terminal->id) == 0 && ms <= time_ms ? ms : -1;
}

static struct node *newest_at(struct model *model, const struct node *origin,
                              const struct node *terminal, int64_t time_ms, int64_t *newest_ms)
{
    const struct node *tc;
    struct node *newest = NULL;

    GRAPH_FOREACH(&model->graph, terminal, "terminalConnections", ENTITY_TERMINAL_CONNECTION, tc)
    {
        struct node *call = contact_of(model, tc);
        int64_t ms = call != NULL && call != origin ? begun_ms(model, call, terminal, time_ms) : -1;
        if (ms >= *newest_ms) {
            *newest_ms = ms;
            newest = call;
        }
    }
    return newest;
}

void lineage_named(struct model *model, const struct node *origin, int64_t time_ms)
{
    const struct node *connection, *tc, *terminal;
    struct node *consult = NULL, *newer;
    int64_t newest_ms = 0;

    GRAPH_FOREACH(&model->graph, origin, "connections", ENTITY_CONNECTION, connection)
    {
        GRAPH_FOREACH(&model->graph, connection, "terminalConnections", ENTITY_TERMINAL_CONNECTION,
                      tc)
        {
            if ((terminal = place_of(model, tc)) != NULL &&
                (newer = newest_at(model, origin, terminal, time_ms, &newest_ms)) != NULL)
                consult = newer;
        }
    }
    if (consult != NULL)
        link_consult(model, consult, origin);
}

int lineage_takes_over(struct model *model, const struct node *consult, const char *address)
{
    const char *id = json_string_value(json_object_get(model->consult_of, consult->id));
    const struct node *origin = graph_find(&model->graph, ENTITY_CONTACT, id), *connection;

    if (origin == NULL || address == NULL)
        return 0;
    GRAPH_FOREACH(&model->graph, origin, "connections", ENTITY_CONNECTION, connection)
    {
        const char *at = json_string_value(json_object_get(connection->facts, "address"));
        if (at != NULL && strcmp(at, address) == 0)
            return 1;
    }
    return 0;
}

void lineage_transferred(struct model *model, struct node *consult)
{
    json_t *origin = json_object_get(model->consult_of, consult->id), *chain, *older;

    if (origin == NULL || json_object_get(model->live->lineage, consult->id) != NULL)
        return;
    chain = json_array();
    older = json_object_get(model->live->lineage, json_string_value(origin));
    if (older != NULL)
        json_array_extend(chain, older);
    json_array_append(chain, origin);
    json_object_set_new(model->live->lineage, consult->id, chain);
    touch(model, consult);
}
