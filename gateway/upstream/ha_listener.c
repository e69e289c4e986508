/*
 * The contact centre's notice of a switch (DOMAIN section 6): start/stopHASwitchEventListener, which a mission-critical site's
 * contract may have. It is in none of the contracts that are known, so it is found by the names that the configuration gives, and
 * what it wants is read from its schema: nothing, or the address that events come to.
 *
 * The notice itself carries no identifier and comes to the same address. What comes there and names no subscription is taken for
 * one. It is never believed: the session and its subscription are proven by calls of their own, and what those find out counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/codec.h"
#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/upstream/subscription_private.h"

#define PROVE_AGAIN_MS 1000 /* notices that follow each other sooner are one */

/* "Service.Operation"; the case of letters does not matter, for it is known from prose only. */
static const struct contract_operation *find(const struct contract *contract, const char *name)
{
    const char *dot = strchr(name, '.');
    size_t i, j;

    for (i = 0; i < contract_num_services(contract); ++i) {
        const struct contract_service *service = contract_service_at(contract, i);
        if (strlen(service->name) != (size_t)(dot - name) ||
            strncasecmp(service->name, name, (size_t)(dot - name)) != 0)
            continue;
        for (j = 0; j < service->num_operations; ++j)
            if (strcasecmp(service->operations[j].name, dot + 1) == 0)
                return &service->operations[j];
    }
    return NULL;
}

/* Each member that has to be there gets the address. CG_E_INVALID: one of them cannot be an address. */
static int make_arguments(const struct contract_operation *op, const char *url, json_t **arguments)
{
    json_t *schema = codec_input_schema(op), *name;
    int rc = schema != NULL ? CG_OK : CG_E_NOMEM;
    size_t i;

    *arguments = json_object();
    json_array_foreach(json_object_get(schema, "required"), i, name)
    {
        const char *member = json_string_value(name);
        json_t *type =
            json_object_get(json_object_get(json_object_get(schema, "properties"), member), "type");
        if (!json_is_string(type) || strcmp(json_string_value(type), "string") != 0)
            rc = CG_E_INVALID;
        json_object_set_new(*arguments, member, json_string(url));
    }
    json_decref(schema);
    if (rc != CG_OK) {
        json_decref(*arguments);
        *arguments = NULL;
    }
    return rc;
}

void ha_resolve(struct subscriptions *all)
{
    const struct config *config = all->config;
    int wanted = strcmp(config->upstream.topology, TOPOLOGY_KEEPS) == 0;

    all->ha_start = all->ha_stop = NULL;
    if (!wanted)
        return;
    all->ha_start = find(all->settings.contract, config->upstream.ha_listener.start);
    if (all->ha_start != NULL)
        all->ha_stop = find(all->settings.contract, config->upstream.ha_listener.stop);
}

static void on_started(void *data, const struct session_outcome *outcome)
{
    struct subscription *subscription = data;

    if (outcome->rc == CG_OK)
        ++subscription->all->stats.ha_listeners;
    else
        log_write(LOG_LEVEL_WARNING, "haListenerRefused",
                  "The contact centre will not tell of a switch; it is found out all the same",
                  LOG_S("reason", cg_error_name(outcome->rc)),
                  LOG_S("fault", outcome->fault != NULL ? outcome->fault->name : NULL));
    subscription_drop(subscription);
}

void ha_listen(struct subscription *subscription)
{
    struct subscriptions *all = subscription->all;
    json_t *arguments;

    if (all->ha_start == NULL)
        return;
    if (make_arguments(all->ha_start, subscription->url, &arguments) != CG_OK) {
        log_write(LOG_LEVEL_WARNING, "haListenerUnknown",
                  "The contract's listener for a switch wants what is not known",
                  LOG_S("operation", all->ha_start->name));
        all->ha_start = all->ha_stop = NULL;
        return;
    }
    session_call(subscription->of->session, all->ha_start, arguments, 1, NULL, on_started,
                 subscription_hold(subscription));
    json_decref(arguments);
}

void ha_part(const struct subscription *subscription)
{
    struct subscriptions *all = subscription->all;
    json_t *arguments;

    if (all->ha_stop == NULL ||
        make_arguments(all->ha_stop, subscription->url, &arguments) != CG_OK)
        return;
    session_part(subscription->of->session, all->ha_stop, arguments);
    json_decref(arguments);
}

void ha_noticed(struct subscription *subscription)
{
    struct subscriptions *all = subscription->all;
    struct subscriber *subscriber = subscription->of;
    int64_t now = all->settings.loop->now_ms;

    if (all->ha_start == NULL || subscription->state != SUBSCRIPTION_ACTIVE ||
        (subscriber->noticed_ms != 0 && now - subscriber->noticed_ms < PROVE_AGAIN_MS))
        return;
    subscriber->noticed_ms = now;
    ++all->stats.ha_notices;
    log_write(LOG_LEVEL_WARNING, "switchNoticed",
              "The contact centre tells of a switch; the session is proven",
              LOG_S("user", session_user(subscriber->session)));
    session_prove(subscriber->session);
    if (all->ways[subscription->way].renew != NULL)
        subscription_renew(subscription);
}
