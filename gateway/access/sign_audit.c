/* What signing on leaves in the audit log: never a password, never a token. */
#include "cctgate/control.h"
#include "gateway/access/sign_private.h"

void sign_audit(struct durable_batch *batch, const char *what, const char *user,
                const char *address, const char *outcome, const char *problem)
{
    json_t *json = audit_entry_json(&(struct audit_entry){.what = what,
                                                          .application = user,
                                                          .door = "http",
                                                          .user = user,
                                                          .outcome = outcome,
                                                          .problem = problem});

    if (address != NULL && address[0] != '\0')
        json_object_set_new(json, "address", json_string(address));
    durable_append(batch, json);
}

void sign_audit_alone(struct sign_ons *all, const char *what, const char *user, const char *address,
                      const char *outcome, const char *problem)
{
    struct durable_batch *batch = durable_batch_new();

    sign_audit(batch, what, user, address, outcome, problem);
    durable_submit(all->settings.durable, batch, NULL, NULL, NULL);
}
