/* The owner's side of who may come in: the policy that all fronts have, made of the configuration, the bearers and the keys. */
#include <stdio.h>
#include <stdlib.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/owner_private.h"

#define KEYS_CHECK_MS 3000

/* ---- the policy ---- */

static void on_told(struct message *message)
{
    struct owner_told *told = (struct owner_told *)message;
    struct owner *owner = told->owner;

    free(told);
    sign_ons_published(owner->sign_ons);
}

/* What has changed is in force on no front unless all of it can be. */
static int publish(struct owner *owner, struct message *told)
{
    size_t count;
    const struct policy_bearer *bearers = sign_ons_bearers(owner->sign_ons, &count);
    struct policy *policy = policy_with(owner->base, bearers, count, keyring_keys(owner->keyring));

    if (policy == NULL)
        return CG_E_NOMEM;
    policy_unref(&owner->policy);
    owner->policy = policy;
    owner->on_policy(owner->data, policy, told, &owner->loop.mailbox);
    return CG_OK;
}

/* What was revoked must not stay in force: without memory there is no going on. */
static void on_bearers(void *data)
{
    struct owner *owner = data;
    struct owner_told *told = calloc(1, sizeof(*told));

    if (told == NULL)
        abort();
    told->owner = owner;
    told->message.on_deliver = on_told;
    if (publish(owner, &told->message) != CG_OK)
        abort();
}

static void on_keys_due(struct timer *timer)
{
    struct owner *owner = (struct owner *)((char *)timer - offsetof(struct owner, keys_due));

    if (keyring_check(owner->keyring, owner->config))
        publish(owner, NULL);
    timer_arm(&owner->loop, timer, KEYS_CHECK_MS);
}

int owner_configure_access(struct owner *owner, struct config *config, const uint32_t *numbers)
{
    struct policy *base = policy_new(config, numbers);

    if (base == NULL)
        return CG_E_NOMEM;
    policy_unref(&owner->base);
    owner->base = base;
    sign_ons_configure(owner->sign_ons, config);
    keyring_configure(owner->keyring, config);
    return CG_OK;
}

int owner_publish_access(struct owner *owner, struct message *told)
{
    return publish(owner, told);
}

/* ---- beginning and end ---- */

int owner_make_access(struct owner *owner, char *error, size_t error_size)
{
    struct sign_ons_settings settings = {.loop = &owner->loop,
                                         .config = owner->config,
                                         .store = owner->store,
                                         .durable = owner->durable,
                                         .sessions = owner->sessions,
                                         .model = owner->model,
                                         .publish = on_bearers,
                                         .data = owner};
    int rc = (owner->keyring = keyring_new()) != NULL ? sign_ons_new(&owner->sign_ons, &settings)
                                                      : CG_E_NOMEM;

    if (rc != CG_OK)
        snprintf(error, error_size, "signing on: %s", cg_error_name(rc));
    owner->keys_due.on_due = on_keys_due;
    timer_arm(&owner->loop, &owner->keys_due, KEYS_CHECK_MS);
    return rc;
}

void owner_end_access(struct owner *owner)
{
    sign_ons_free(&owner->sign_ons);
    keyring_free(&owner->keyring);
    policy_unref(&owner->base);
    policy_unref(&owner->policy);
}

/* ---- messages ---- */

static void on_ask(struct message *message)
{
    struct sign_ask *ask = (struct sign_ask *)message;
    sign_ons_ask(ask->owner->sign_ons, ask);
}

void sign_ask_send(struct owner *owner, struct sign_ask *ask)
{
    ask->owner = owner;
    ask->message.on_deliver = on_ask;
    mailbox_send(&owner->loop.mailbox, &ask->message);
}

#define I(value) ((json_int_t)(value))
void owner_describe_access(struct owner *owner, json_t *metrics)
{
    struct sign_ons_stats s;
    json_t *more;

    sign_ons_get_stats(owner->sign_ons, &s);
    more = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "sign_ons_total", I(s.signed_on),
                     "sign_offs_total", I(s.signed_off), "sign_on_denials_total", I(s.denied),
                     "sign_on_lockouts_total", I(s.lockouts), "sign_on_refusals_total",
                     I(s.refused), "bearer_expiries_total", I(s.expired), "bearers", I(s.bearers),
                     "sign_ons_in_progress", I(s.waiting));
    json_object_update(metrics, more);
    json_decref(more);
}
#undef I
