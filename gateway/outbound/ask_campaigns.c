/* Questions about campaigns: what was told last will do, as fresh as the request wants it. */
#include <stdlib.h>

#include "cctgate/error.h"
#include "gateway/outbound/ask_private.h"

static void add_sync(json_t *json, const struct freshness *f)
{
    json_object_set_new(json, "sync", json_string(sync_label_name(f->label)));
    /* the owner speaks in Unix ms; the front makes a time of it */
    json_object_set_new(json, "staleSince",
                        f->label == SYNC_STALE ? json_integer(clock_told_ms(f->stale_since_ms))
                                               : json_null());
}

static json_t *list_statuses(const struct outbound *outbound)
{
    json_t *list = json_array(), *id;
    const char *name;

    json_object_foreach(outbound->statuses, name, id)
        json_array_append_new(list, json_pack("{s:O, s:s}", "id", id, "name", name));
    return list;
}

/* Nothing is shared with what the owner keeps: another thread is to have it. */
static json_t *show(const struct outbound_ask *ask, const json_t *campaign)
{
    json_t *copy = json_deep_copy(campaign);

    json_object_set_new(copy, "statuses", list_statuses(ask->outbound));
    add_sync(copy, &ask->freshness);
    return copy;
}

static void show_campaigns(struct outbound_ask *ask)
{
    const struct campaigns *campaigns = &ask->outbound->campaigns;
    json_t *items = json_array(), *campaign, *json;
    size_t i;

    ask->age_ms = clock_steady_ms() - campaigns->fetched_at_ms;
    if (ask->question == OUTBOUND_ONE) {
        json_decref(items);
        if ((campaign = outbound_find_campaign(ask->outbound, ask->campaign)) == NULL)
            outbound_ask_refuse_campaign(ask);
        else
            outbound_ask_answer(ask, show(ask, campaign));
        return;
    }
    json_array_foreach(campaigns->items, i, campaign)
        json_array_append_new(items, show(ask, campaign));
    json = json_pack("{s:o}", "items", items);
    add_sync(json, &ask->freshness);
    outbound_ask_answer(ask, json);
}

struct fetching {
    struct campaigns_waiter waiter;
    struct outbound_ask *ask; /* NULL: nobody waits */
};

static void on_fetched(struct campaigns_waiter *waiter, const struct outbound_outcome *outcome)
{
    struct outbound_ask *ask = ((struct fetching *)waiter)->ask;
    enum freshness_reason reason;
    int serve = 0;

    free(waiter);
    if (ask == NULL)
        return;
    if (outcome->rc != CG_OK)
        serve = ask->freshness.serve_on_error && !ask->directives.no_cache &&
                ask->outbound->campaigns.items != NULL;
    if (outcome->rc != CG_OK && !serve) {
        outbound_ask_fail(ask, outcome);
        return;
    }
    reason = ask->freshness.reason;
    freshness_directives_init(&ask->directives); /* what has just been fetched will do */
    ask->directives.only_if_cached = 1;
    ask->freshness = outbound_judge_campaigns(ask->outbound, &ask->directives, clock_steady_ms());
    ask->freshness.reason = reason;
    if (outcome->rc == CG_OK)
        ask->freshness.label = SYNC_CACHED;
    show_campaigns(ask);
}

static void fetch(struct outbound *outbound, struct outbound_ask *ask)
{
    struct fetching *fetching = calloc(1, sizeof(*fetching));

    if (fetching == NULL)
        abort();
    fetching->waiter.on_done = on_fetched;
    fetching->ask = ask;
    if (ask != NULL)
        ask->called = 1;
    outbound_fetch_campaigns(outbound, &fetching->waiter);
}

static int is_missing(const struct outbound_ask *ask)
{
    return ask->question == OUTBOUND_ONE &&
           outbound_find_campaign(ask->outbound, ask->campaign) == NULL;
}

void outbound_ask_run_campaigns(struct outbound_ask *ask)
{
    struct outbound *outbound = ask->outbound;

    ask->freshness = outbound_judge_campaigns(outbound, &ask->directives, clock_steady_ms());
    if (ask->freshness.action == FRESHNESS_NOTHING) {
        outbound_ask_refuse_with(ask, PROBLEM_NOT_CACHED, NULL, NULL);
        return;
    }
    if (ask->freshness.action == FRESHNESS_FETCH ||
        (is_missing(ask) && !ask->directives.only_if_cached)) {
        fetch(outbound, ask);
        return;
    }
    if ((ask->freshness.action == FRESHNESS_SERVE_AND_REFRESH ||
         ask->freshness.label == SYNC_STALE) &&
        !outbound->campaigns.fetching)
        fetch(outbound, NULL);
    show_campaigns(ask);
}
