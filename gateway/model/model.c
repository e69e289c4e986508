#include "cctgate/model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/model/live.h"

/* A site's contract may lack an operation of a later or earlier release: that part of the resource is then null. */
static int resolve_steps(struct model *model)
{
    size_t i;
    if ((model->operations = calloc(plan_num_steps, sizeof(struct contract_operation *))) == NULL)
        return CG_E_NOMEM;
    for (i = 0; i < plan_num_steps; ++i) {
        model->operations[i] =
            contract_find(model->contract, plan_steps[i].service, plan_steps[i].operation);
        if (model->operations[i] == NULL)
            log_write(LOG_LEVEL_WARNING, "operationMissing",
                      "The contract lacks an operation that a resource is made of",
                      LOG_S("service", plan_steps[i].service),
                      LOG_S("operation", plan_steps[i].operation));
    }
    return CG_OK;
}

int model_new(struct model **out, const struct model_settings *settings)
{
    struct model *model = calloc(1, sizeof(*model));
    int rc = CG_E_NOMEM;

    *out = NULL;
    if (model == NULL)
        return CG_E_NOMEM;
    model->loop = settings->loop;
    model->store = settings->store;
    model->contract = settings->contract;
    model->config = config_ref(settings->config);
    model->consult_of = json_object();
    model->agent_states = json_object();
    if (getrandom(&model->random, sizeof(model->random), 0) != (ssize_t)sizeof(model->random) ||
        model->random == 0)
        model->random = UINT64_C(88172645463325252);
    if (model->consult_of != NULL && model->agent_states != NULL &&
        (rc = resolve_steps(model)) == CG_OK)
        rc = store_reader_new(&model->reader, model->store);
    if (rc == CG_OK)
        rc = live_new(model, settings);
    if (rc == CG_OK)
        capacity_restore(model);
    if (rc != CG_OK)
        model_free(&model);
    *out = model;
    return rc;
}

void model_free(struct model **in)
{
    struct model *model = *in;

    if (model == NULL)
        return;
    *in = NULL;
    while (model->fetches != NULL) {
        struct outcome_detail detail = {CG_E_SHUTDOWN, NULL, NULL, NULL, NULL, 0};
        struct fetch_outcome *outcome = fetch_outcome_new(&detail);
        fetch_end(model->fetches, outcome);
        fetch_outcome_unref(&outcome);
    }
    live_free(model);
    holdings_free(model);
    graph_free(&model->graph);
    json_decref(model->consult_of);
    json_decref(model->agent_states);
    free(model->operations);
    store_reader_free(&model->reader);
    config_unref(&model->config);
    free(model);
}

void model_set_sessions(struct model *model, struct sessions *sessions)
{
    model->sessions = sessions;
}

void model_configure(struct model *model, struct config *config)
{
    config_ref(config);
    config_unref(&model->config);
    model->config = config;
}

void model_forget_user(struct model *model, uint32_t user)
{
    struct holdings *holdings;
    struct store_txn *txn;

    HASH_FIND(hh, model->holdings, &user, sizeof(user), holdings);
    if (holdings != NULL) {
        HASH_DEL(model->holdings, holdings);
        json_decref(holdings->terminals);
        json_decref(holdings->addresses);
        json_decref(holdings->calls);
        free(holdings);
    }
    if (store_begin(model->store, &txn) != CG_OK)
        return;
    if (store_forget_user(txn, user) == CG_OK)
        store_commit(&txn);
    else
        store_abort(&txn);
    capacity_recount(model);
}

int model_has_read(struct model *model, uint32_t user)
{
    struct holdings *holdings;
    HASH_FIND(hh, model->holdings, &user, sizeof(user), holdings);
    return holdings != NULL && holdings->terminals != NULL;
}

void model_get_stats(struct model *model, struct model_stats *stats)
{
    memset(stats, 0, sizeof(*stats));
    stats->fetches = model->num_fetches;
    stats->collapsed = model->num_collapsed;
    stats->failures = model->num_failures;
    stats->calls = model->num_calls;
    stats->fetching = HASH_COUNT(model->fetches);
    stats->contacts_last_hour = capacity_contacts(&model->capacity, clock_monotonic_ms());
    live_get_stats(model, stats);
    stats->agents_known = json_object_size(model->agent_states);
    stats->agents_logged_in = model->agents_logged_in;
}
