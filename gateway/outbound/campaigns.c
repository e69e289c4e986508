/*
 * The campaigns, as the contact centre told them last: one call at a time, whoever asks meanwhile waits for it. They are short and change
 * slowly, and are kept in memory for cache.ttlMs.outbound; contacts, which are about people, are kept nowhere.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cctgate/error.h"
#include "cctgate/outbound_shape.h"
#include "gateway/outbound/client_private.h"

#define ABSENT_MS 1000 /* that a campaign which was not there is not asked for again */

json_t *outbound_value(const json_t *result)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)result, name, value) if (name[0] != '#') return value;
    return NULL;
}

json_t *outbound_list(json_t *value)
{
    while (json_is_object(value))
        value = outbound_value(value);
    return json_is_array(value) ? value : NULL;
}

json_t *outbound_find_campaign(const struct outbound *outbound, int64_t id)
{
    json_t *campaign;
    size_t i;

    json_array_foreach(outbound->campaigns.items, i,
                       campaign) if (json_integer_value(json_object_get(campaign, "id")) ==
                                     id) return campaign;
    return NULL;
}

/* ---- what clients want to know besides ---- */

static void add_progress(json_t *campaign)
{
    json_object_set_new(campaign, "progress",
                        json_pack("{s:O?, s:O?, s:O?}", "processed",
                                  json_object_get(campaign, "numberOfContactsProcessed"), "closed",
                                  json_object_get(campaign, "numberOfContactsClosed"), "total",
                                  json_object_get(campaign, "numberOfContacts")));
}

static void add_dispositions(json_t *campaign)
{
    json_t *names = json_array(), *disposition;
    size_t i;

    json_array_foreach(json_object_get(campaign, "dispositionCodes"), i, disposition)
    {
        json_t *name = json_object_get(disposition, "name");
        if (json_is_string(name))
            json_array_append(names, name);
    }
    json_object_set_new(campaign, "dispositions", names);
}

static void insert(json_t *items, json_t *campaign)
{
    json_int_t id = json_integer_value(json_object_get(campaign, "id"));
    size_t at = json_array_size(items);

    while (at > 0 && json_integer_value(json_object_get(json_array_get(items, at - 1), "id")) > id)
        --at;
    json_array_insert(items, at, campaign);
}

/* In the order of their ids. */
static json_t *shape(const json_t *result)
{
    json_t *client = outbound_to_client(outbound_value(result)), *items = json_array(), *campaign;
    json_t *list = outbound_list(client);
    size_t i;

    json_array_foreach(list, i, campaign)
    {
        if (!json_is_object(campaign))
            continue; /* nil */
        add_progress(campaign);
        add_dispositions(campaign);
        insert(items, campaign);
    }
    json_decref(client);
    return items;
}

/* ---- fetching ---- */

static void take(struct outbound *outbound, const json_t *result)
{
    struct campaigns *campaigns = &outbound->campaigns;
    uint32_t random = 0;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = 0;
    json_decref(campaigns->items);
    campaigns->items = shape(result);
    campaigns->fetched_at_ms = clock_steady_ms();
    campaigns->expires_at_ms =
        campaigns->fetched_at_ms + freshness_jitter(outbound->config->cache.ttl_ms[TTL_OUTBOUND],
                                                    outbound->config->cache.jitter_percent, random);
    if (campaigns->source.healthy_since_ms == 0)
        campaigns->source.healthy_since_ms = campaigns->fetched_at_ms;
}

static void on_fetched(void *data, const struct outbound_outcome *outcome)
{
    struct outbound *outbound = data;
    struct campaigns *campaigns = &outbound->campaigns;
    struct campaigns_waiter *waiter = campaigns->waiting, *following;

    campaigns->fetching = 0;
    campaigns->waiting = NULL;
    campaigns->waiting_end = &campaigns->waiting;
    if (outcome->rc == CG_OK) {
        take(outbound, outcome->result);
    } else if (campaigns->source.healthy_since_ms != 0) {
        campaigns->source.healthy_since_ms = 0;
        campaigns->source.lost_at_ms = clock_steady_ms();
    }
    for (; waiter != NULL; waiter = following) {
        following = waiter->next;
        waiter->on_done(waiter, outcome);
    }
}

void outbound_fetch_campaigns(struct outbound *outbound, struct campaigns_waiter *waiter)
{
    struct campaigns *campaigns = &outbound->campaigns;

    waiter->next = NULL;
    *campaigns->waiting_end = waiter;
    campaigns->waiting_end = &waiter->next;
    if (campaigns->fetching)
        return;
    campaigns->fetching = 1;
    outbound_call(outbound, outbound->campaigns_op, NULL, 0, NULL, on_fetched, outbound);
}

struct freshness outbound_judge_campaigns(const struct outbound *outbound,
                                          const struct freshness_directives *directives,
                                          int64_t now_ms)
{
    const struct campaigns *campaigns = &outbound->campaigns;
    struct freshness_policy policy = {outbound->config->cache.stale_while_revalidate_ms,
                                      outbound->config->cache.stale_if_error_ms};
    struct freshness_record record = {campaigns->fetched_at_ms, campaigns->expires_at_ms, 0, 0};

    return freshness_decide(campaigns->items != NULL ? &record : NULL, &campaigns->source, &policy,
                            directives, now_ms);
}

/* ---- one of them ---- */

struct wanted {
    struct campaigns_waiter waiter; /* first, or `message` is */
    struct message message;
    struct outbound *outbound;
    int64_t id;
    outbound_campaign_done done;
    void *data;
};

static void tell(struct wanted *wanted, const struct outbound_outcome *outcome)
{
    json_t *campaign = outbound_find_campaign(wanted->outbound, wanted->id);
    struct outbound_outcome told = *outcome;

    if (told.rc == CG_OK && campaign == NULL)
        told.rc = CG_E_NOTFOUND;
    wanted->done(wanted->data, told.rc == CG_OK ? campaign : NULL, &told);
    free(wanted);
}

static void on_campaigns(struct campaigns_waiter *waiter, const struct outbound_outcome *outcome)
{
    tell((struct wanted *)waiter, outcome);
}

static void on_known(struct message *message)
{
    struct wanted *wanted = (struct wanted *)((char *)message - offsetof(struct wanted, message));
    tell(wanted, &(struct outbound_outcome){.rc = CG_OK, .op = wanted->outbound->campaigns_op});
}

/* Told within the time to live; that there is no such campaign, for a moment only: it may just have been made. */
static int is_known(const struct outbound *outbound, int64_t id)
{
    const struct campaigns *campaigns = &outbound->campaigns;
    int64_t now = clock_steady_ms();

    if (campaigns->items == NULL || campaigns->source.healthy_since_ms == 0)
        return 0;
    if (outbound_find_campaign(outbound, id) != NULL)
        return now < campaigns->expires_at_ms;
    return now - campaigns->fetched_at_ms < ABSENT_MS;
}

void outbound_campaign(struct outbound *outbound, int64_t id, int anew, outbound_campaign_done done,
                       void *data)
{
    struct wanted *wanted = calloc(1, sizeof(*wanted));

    if (wanted == NULL)
        abort();
    wanted->outbound = outbound;
    wanted->id = id;
    wanted->done = done;
    wanted->data = data;
    if (anew || !is_known(outbound, id)) {
        wanted->waiter.on_done = on_campaigns;
        outbound_fetch_campaigns(outbound, &wanted->waiter);
        return;
    }
    wanted->message.on_deliver = on_known;
    mailbox_send(&outbound->loop->mailbox, &wanted->message);
}
