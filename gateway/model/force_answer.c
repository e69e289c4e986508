/* Force answer, which only the vendor's .NET API tells of: a call that has been ringing at an agent's terminal for longer than the configured time. */
#include <stdlib.h>
#include <string.h>

#include "gateway/model/live.h"

#define RINGING        "RINGING" /* conf/contract: terminalConnectionState */
#define AGENT_TERMINAL "AGENT"   /* terminalType */

static int fits(const char *wanted, const char *is)
{
    return wanted == NULL || (is != NULL && strcmp(wanted, is) == 0);
}

struct force_answer {
    UT_hash_handle hh;
    struct model *model;
    struct timer timer;
    int64_t since_ms; /* monotonic */
    char id[];        /* of the terminal connection */
};

static void forget(struct force_answer *entry)
{
    HASH_DEL(entry->model->live->force_answers, entry);
    timer_disarm(entry->model->loop, &entry->timer);
    free(entry);
}

static const struct node *terminal_of(struct model *model, const struct node *tc)
{
    return graph_find(&model->graph, ENTITY_TERMINAL,
                      json_string_value(json_object_get(tc->facts, "terminal")));
}

static void tell(struct force_answer *entry, const struct node *tc)
{
    struct model *model = entry->model;
    const struct node *terminal = terminal_of(model, tc), *contact = contact_of(model, tc);
    struct notice n = {EVENT_FORCE_ANSWER, contact, NULL, NULL, 0, 0, 1, NULL};

    if (terminal == NULL || contact == NULL)
        return;
    n.agent = agent_at(model, terminal);
    n.data = json_pack("{s:s, s:s, s:s, s:I}", "terminalConnectionId", tc->id, "contactId",
                       contact->id, "terminal", terminal->id, "ringingMs",
                       (json_int_t)(clock_monotonic_ms() - entry->since_ms));
    notice(model, &n);
}

static void on_due(struct timer *timer)
{
    struct force_answer *entry =
        (struct force_answer *)((char *)timer - offsetof(struct force_answer, timer));
    const struct node *tc = graph_find(&entry->model->graph, ENTITY_TERMINAL_CONNECTION, entry->id);

    if (tc != NULL && node_state(tc) != NULL && strcmp(node_state(tc), RINGING) == 0)
        tell(entry, tc);
    forget(entry);
}

static unsigned timeout_ms(struct model *model, const struct node *terminal)
{
    const char *type =
        json_string_value(json_object_get(terminal->handle, entity_rows[ENTITY_TERMINAL].type));
    const struct config *config = model->config;
    const char *agent = agent_at(model, terminal);
    size_t i;

    for (i = 0; i < config->events.num_force_answer; ++i)
        if (fits(config->events.force_answer[i].agent, agent) &&
            fits(config->events.force_answer[i].terminal_type, type))
            return config->events.force_answer[i].ms;
    return fits(AGENT_TERMINAL, type) ? config->events.force_answer_ms : 0;
}

void force_answer_watch(struct model *model, struct node *tc)
{
    const struct node *terminal = terminal_of(model, tc);
    struct force_answer *entry;
    unsigned wait_ms = terminal != NULL ? timeout_ms(model, terminal) : 0;

    HASH_FIND_STR(model->live->force_answers, tc->id, entry);
    if (node_state(tc) == NULL || strcmp(node_state(tc), RINGING) != 0) {
        if (entry != NULL)
            forget(entry);
        return;
    }
    if (entry != NULL || wait_ms == 0 ||
        (entry = calloc(1, sizeof(*entry) + strlen(tc->id) + 1)) == NULL)
        return;
    memcpy(entry->id, tc->id, strlen(tc->id) + 1);
    entry->model = model;
    entry->since_ms = clock_monotonic_ms();
    entry->timer.on_due = on_due;
    HASH_ADD_STR(model->live->force_answers, id, entry);
    timer_arm(model->loop, &entry->timer, wait_ms);
}

void force_answer_free(struct live *live)
{
    struct force_answer *entry, *next;
    HASH_ITER(hh, live->force_answers, entry, next)
    {
        forget(entry);
    }
}
