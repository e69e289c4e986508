/* The part of the admin port that concerns campaigns. */
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "outbound.h"

static json_t *campaign_json(const struct ob_campaign *campaign)
{
    json_t *phones = json_array();
    for (size_t i = 0; i < campaign->appended_count; i++) {
        const char *phone = campaign->appended[i].texts[OB_PHONE_NO];
        json_array_append_new(phones, json_string(phone != NULL ? phone : ""));
    }
    return json_pack("{s:I, s:s, s:s, s:I, s:I, s:o}", "id", (json_int_t)campaign->id, "name",
                     campaign->name, "status", outbound_campaign_status_name(campaign->status),
                     "contacts", (json_int_t)outbound_size(campaign), "closed",
                     (json_int_t)outbound_count_status(campaign, OB_CLOSED), "appended", phones);
}

static void get_campaigns(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    json_t *list = json_array();
    for (size_t i = 0; i < ob_campaign_count; i++)
        json_array_append_new(list, campaign_json(&ob_campaigns[i]));
    admin_reply(conn, 200,
                json_pack("{s:o, s:o, s:o, s:{s:I, s:I}, s:O}", "campaigns", list, "sessionKeys",
                          outbound_keys(), "calls", outbound_calls(), "soap", "1.1",
                          (json_int_t)outbound_soap11, "1.2", (json_int_t)outbound_soap12,
                          "dispositions", outbound_dispositions_sent));
}

static bool set_status(struct ob_campaign *campaign, const char *name)
{
    for (int status = OB_RUNNING; status <= OB_COMPLETED; status++) {
        if (strcmp(outbound_campaign_status_name((enum ob_campaign_status)status), name) == 0) {
            campaign->status = (enum ob_campaign_status)status;
            return true;
        }
    }
    return false;
}

static bool set_beyond(struct ob_campaign *campaign, const char *name)
{
    static const char *const names[] = {"empty", "absent", "repeat", "fault"};
    for (int beyond = OB_EMPTY; beyond <= OB_FAULT; beyond++) {
        if (strcmp(names[beyond], name) == 0) {
            campaign->beyond = (enum ob_beyond)beyond;
            return true;
        }
    }
    return false;
}

/* Somebody else adds contacts. */
static void append_some(struct ob_campaign *campaign, json_int_t count)
{
    for (; count > 0; count--) {
        struct ob_contact contact = {.skillset = 10001};
        contact.texts[OB_FIRST] = mem_strdup("Added");
        outbound_append(campaign, &contact);
    }
}

static void change_campaign(struct http_conn *conn, json_t *body, const char *argument)
{
    long long id = strtoll(argument, NULL, 10);
    const char *status = admin_text(body, "status", NULL);
    const char *beyond = admin_text(body, "beyond", NULL);
    for (size_t i = 0; i < ob_campaign_count; i++) {
        struct ob_campaign *campaign = &ob_campaigns[i];
        if (campaign->id != id)
            continue;
        if ((status != NULL && !set_status(campaign, status)) ||
            (beyond != NULL && !set_beyond(campaign, beyond)))
            break;
        append_some(campaign, json_integer_value(json_object_get(body, "append")));
        admin_reply(conn, 200, campaign_json(campaign));
        return;
    }
    admin_reply_error(conn, 400, "no such campaign, status or manner of ending");
}

const struct admin_route admin_outbound_routes[] = {
    {"GET", "/campaigns", get_campaigns},
    {"POST", "/campaigns/*", change_campaign},
    {NULL, NULL, NULL},
};
