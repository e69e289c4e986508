/* OutboundUtilityWS, OutboundCampaignWS and OutboundContactWS. Their faults are plain ones without detail. */
#include <stdlib.h>
#include <string.h>

#include "ops_shared.h"
#include "outbound.h"

enum { PAGE = 200 };

static int login(struct rq *rq)
{
    const char *fault = NULL;
    const char *key = outbound_login(rq_text(rq, "username"), rq_text(rq, "password"), &fault);
    if (key == NULL)
        return rq_fail(rq, "%s", fault);
    put_text(rq, "r:OutboundLoginResult", key);
    return 0;
}

static int logoff(struct rq *rq)
{
    outbound_logoff(rq_text(rq, "username"));
    return 0;
}

static bool key_ok(struct rq *rq)
{
    const char *key = rq_text(rq, "sessionKey");
    if (*key == '\0')
        key = rq_text(rq, "sessionkey");
    if (outbound_key_valid(key))
        return true;
    rq_fail(rq, "Invalid or expired session key");
    return false;
}

/* The active campaign in child `name`; NULL with the fault raised, also for a bad key. */
static struct ob_campaign *campaign_of(struct rq *rq, const char *name)
{
    if (!key_ok(rq))
        return NULL;
    long long id = rq_number(rq, name);
    struct ob_campaign *campaign = outbound_campaign(id);
    if (campaign == NULL)
        rq_fail(rq, "Campaign %lld is not active or does not exist", id);
    return campaign;
}

static void put_status(struct rq *rq, long long id, const char *name)
{
    put_number(rq, "c:Id", id);
    put_text(rq, "c:Name", name);
}

static void put_disposition(struct rq *rq, const struct ob_disposition *d)
{
    buf_str(&rq->out, "<c:OWDispositioncode>");
    put_number(rq, "c:Id", d->id);
    put_text(rq, "c:Name", d->name);
    put_number(rq, "c:RetryTimeOut", d->retry);
    put_number(rq, "c:NumbericValue", d->numeric);
    put_number(rq, "c:MaxRetryCount", d->max_retry);
    put_bool(rq, "c:Deletable", !d->fixed);
    put_bool(rq, "c:CallRequired", !d->fixed);
    put_bool(rq, "c:MarkAsDeleted", false);
    put_bool(rq, "c:SaveAgentScript", d->fixed);
    buf_str(&rq->out, "</c:OWDispositioncode>");
}

static void put_campaign(struct rq *rq, const struct ob_campaign *campaign)
{
    size_t size = outbound_size(campaign);
    size_t closed = outbound_count_status(campaign, OB_CLOSED);
    buf_str(&rq->out, "<c:OWCampaign>");
    put_number(rq, "c:ID", campaign->id);
    put_text(rq, "c:Name", campaign->name);
    put_text(rq, "c:Description", campaign->name);
    put_number(rq, "c:NumberOfContacts", (long long)size);
    put_number(rq, "c:NumberOfContactsProcessed",
               (long long)(size - outbound_count_status(campaign, OB_NEW)));
    put_text(rq, "c:DateCreated", "2020-01-06T09:00:00");
    put_text(rq, "c:Owner", "outboundadmin");
    put_text(rq, "c:StartDateTime", "2020-01-07T08:30:00");
    buf_str(&rq->out, "<c:Skillset>");
    put_status(rq, 10001, "OB_Renewals");
    buf_str(&rq->out, "</c:Skillset><c:Status>");
    put_status(rq, campaign->status, outbound_campaign_status_name(campaign->status));
    buf_str(&rq->out, "</c:Status>");
    put_bool(rq, "c:StartOfRun", campaign->status == OB_CAMPAIGN_WAITING);
    put_number(rq, "c:Priority", 3);
    put_number(rq, "c:LoadContactsPerInterval", 50);
    put_text(rq, "c:DialingPrefix", "9");
    put_number(rq, "c:AutoDialTimeOut", 20);
    put_number(rq, "c:MinimumRingTime", 15);
    put_bool(rq, "c:Locked", false);
    buf_str(&rq->out, "<c:DispositionCodes>");
    for (size_t i = 0; i < OB_DISPOSITIONS; i++)
        put_disposition(rq, &ob_dispositions[i]);
    buf_str(&rq->out, "</c:DispositionCodes>");
    put_number(rq, "c:NumberOfContactsClosed", (long long)closed);
    buf_str(&rq->out, "</c:OWCampaign>");
}

static int get_campaigns(struct rq *rq)
{
    if (!key_ok(rq))
        return -1;
    buf_str(&rq->out, "<r:GetCampaignsResult><c:CampaignList>");
    for (size_t i = 0; i < ob_campaign_count; i++) {
        if (ob_campaigns[i].status != OB_COMPLETED)
            put_campaign(rq, &ob_campaigns[i]);
    }
    buf_str(&rq->out, "</c:CampaignList></r:GetCampaignsResult>");
    return 0;
}

/* Absent optional values are left out, as ASP.NET does. */
static void put_optional(struct rq *rq, const char *element, const char *text)
{
    if (text != NULL)
        put_text(rq, element, text);
}

static void put_contact_address(struct rq *rq, char *const *texts)
{
    static const char *const names[] = {"c:AddressLine1", "c:AddressLine2", "c:AddressLine3",
                                        "c:AddressLine4", "c:AddressLine5", "c:Country",
                                        "c:PostCode"};
    buf_str(&rq->out, "<c:Address>");
    for (size_t i = 0; i < 7; i++)
        put_optional(rq, names[i], texts[OB_LINE1 + i]);
    buf_str(&rq->out, "</c:Address><c:CustomFieldList>");
}

static void put_ob_contact(struct rq *rq, const struct ob_campaign *campaign,
                           const struct ob_contact *c)
{
    buf_str(&rq->out, "<c:OWContact>");
    put_number(rq, "c:ContactID", c->id);
    put_text(rq, "c:CampaignName", campaign->name);
    put_contact_address(rq, c->texts);
    for (size_t i = 0; i < c->custom_count; i++) {
        buf_str(&rq->out, "<c:OWCustomField>");
        put_text(rq, "c:Name", c->customs[i].name);
        put_text(rq, "c:Text", c->customs[i].text);
        put_bool(rq, "c:IsTextVisible", c->customs[i].visible);
        buf_str(&rq->out, "</c:OWCustomField>");
    }
    buf_str(&rq->out, "</c:CustomFieldList>");
    put_optional(rq, "c:EmailAddress", c->texts[OB_EMAIL]);
    put_optional(rq, "c:FirstName", c->texts[OB_FIRST]);
    put_optional(rq, "c:LastName", c->texts[OB_LAST]);
    buf_str(&rq->out, "<c:PhoneNumber>");
    put_optional(rq, "c:IntCode", c->texts[OB_INT_CODE]);
    put_optional(rq, "c:AreaCode", c->texts[OB_AREA_CODE]);
    put_optional(rq, "c:PhoneNo", c->texts[OB_PHONE_NO]);
    buf_str(&rq->out, "</c:PhoneNumber>");
    put_number(rq, "c:PreferredAgentID", c->preferred_agent);
    put_bool(rq, "c:PreferredAgentSpecified", c->preferred_given);
    put_optional(rq, "c:Title", c->texts[OB_TITLE]);
    put_number(rq, "c:SkillsetID", c->skillset);
    buf_str(&rq->out, "</c:OWContact>");
}

static int get_200(struct rq *rq)
{
    struct ob_campaign *campaign = campaign_of(rq, "CampaignID");
    if (campaign == NULL)
        return -1;
    long long last = rq_number(rq, "LastContactID");
    size_t from = outbound_first_after(campaign, last), size = outbound_size(campaign);
    if (from >= size && campaign->beyond == OB_FAULT)
        return rq_fail(rq, "There are no more contacts");
    if (from >= size && campaign->beyond == OB_ABSENT)
        return 0;
    if (from >= size && campaign->beyond == OB_REPEAT)
        from = size > PAGE ? size - PAGE : 0;
    buf_str(&rq->out, "<r:Get200CampaignContactsResult><c:ContactList>");
    for (size_t n = from; n < size && n - from < PAGE; n++)
        put_ob_contact(rq, campaign, outbound_contact(campaign, n));
    buf_str(&rq->out, "</c:ContactList></r:Get200CampaignContactsResult>");
    return 0;
}

static char *take(struct rq *rq, xmlNode *parent, const char *name)
{
    xmlNode *node = node_child(parent, name);
    return node != NULL ? mem_strdup(rq_node_text(rq, node)) : NULL;
}

static void read_customs(struct rq *rq, xmlNode *list, struct ob_contact *c)
{
    for (xmlNode *n = list != NULL ? list->children : NULL; n != NULL; n = n->next) {
        if (n->type != XML_ELEMENT_NODE || n->children == NULL || c->custom_count == OB_CUSTOM_MAX)
            continue;
        const char *visible = rq_node_text(rq, node_child(n, "IsTextVisible"));
        c->customs[c->custom_count++] = (struct ob_custom){
            .name = mem_strdup(rq_node_text(rq, node_child(n, "Name"))),
            .text = mem_strdup(rq_node_text(rq, node_child(n, "Text"))),
            .visible = strchr(visible, 't') != NULL || strchr(visible, '1') != NULL};
    }
}

static void read_contact(struct rq *rq, xmlNode *node, struct ob_contact *c)
{
    static const char *const address[] = {"AddressLine1", "AddressLine2", "AddressLine3",
                                          "AddressLine4", "AddressLine5", "Country",
                                          "PostCode"};
    xmlNode *phone = node_child(node, "PhoneNumber");
    for (size_t i = 0; i < 7; i++)
        c->texts[OB_LINE1 + i] = take(rq, node_child(node, "Address"), address[i]);
    c->texts[OB_EMAIL] = take(rq, node, "EmailAddress");
    c->texts[OB_FIRST] = take(rq, node, "FirstName");
    c->texts[OB_LAST] = take(rq, node, "LastName");
    c->texts[OB_TITLE] = take(rq, node, "Title");
    c->texts[OB_INT_CODE] = take(rq, phone, "IntCode");
    c->texts[OB_AREA_CODE] = take(rq, phone, "AreaCode");
    c->texts[OB_PHONE_NO] = take(rq, phone, "PhoneNo");
    read_customs(rq, node_child(node, "CustomFieldList"), c);
    c->preferred_given =
        strchr(rq_node_text(rq, node_child(node, "PreferredAgentSpecified")), 't') != NULL;
    c->preferred_agent = strtoll(rq_node_text(rq, node_child(node, "PreferredAgentID")), NULL, 10);
    c->skillset = strtoll(rq_node_text(rq, node_child(node, "SkillsetID")), NULL, 10);
}

/* 1 is success; a contact that cannot be taken answers another number, not a fault. */
static int append(struct rq *rq)
{
    struct ob_campaign *campaign = campaign_of(rq, "CampaignID");
    if (campaign == NULL)
        return -1;
    if (!outbound_may_append())
        return rq_fail(rq, "AppendContactsToCampaign may be called once per second at most");
    struct ob_contact contact = {0};
    xmlNode *node = node_child(rq->root, "contact");
    if (node != NULL)
        read_contact(rq, node, &contact);
    bool ok = contact.skillset > 0;
    if (ok)
        outbound_append(campaign, &contact);
    outbound_contact_free(&contact);
    put_number(rq, "r:AppendContactsToCampaignResult", ok ? 1 : -1);
    return 0;
}

/* By custom field when the switch says so, else by contact id. */
static bool locate(struct rq *rq, const struct ob_campaign *campaign, const char *by_custom,
                   size_t *n)
{
    if (rq_bool(rq, by_custom))
        return outbound_find_custom(campaign, rq_text(rq, "customFieldName"),
                                    rq_text(rq, "customFieldValue"), n);
    return outbound_find_id(campaign, rq_number(rq, "contactId"), n);
}

static int get_contact_status(struct rq *rq)
{
    struct ob_campaign *campaign = campaign_of(rq, "campaignID");
    size_t n = 0;
    if (campaign == NULL)
        return -1;
    if (!locate(rq, campaign, "customFieldPassed", &n))
        return 0; /* the result is optional: absent says that there is no such contact */
    enum ob_status status = campaign->statuses[n];
    buf_str(&rq->out, "<r:GetContactStatusResult>");
    put_status(rq, status, outbound_status_name(status));
    buf_str(&rq->out, "</r:GetContactStatusResult>");
    return 0;
}

static bool disposition_known(long long id)
{
    for (size_t i = 0; i < OB_DISPOSITIONS; i++) {
        if (ob_dispositions[i].id == id)
            return true;
    }
    return false;
}

static int close_contact(struct rq *rq)
{
    struct ob_campaign *campaign = campaign_of(rq, "campaignId");
    size_t n = 0;
    if (campaign == NULL)
        return -1;
    if (!outbound_may_close())
        return rq_fail(rq, "CloseContact may be called once per second at most");
    json_array_append_new(outbound_dispositions_sent,
                          json_integer(rq_number(rq, "closedReasonCodeValue")));
    if (rq_bool(rq, "closedReasonCodeSpecified") &&
        !disposition_known(rq_number(rq, "closedReasonCodeValue")))
        return rq_fail(rq, "The disposition is not linked to campaign %lld", campaign->id);
    if (!locate(rq, campaign, "customFieldSpecified", &n))
        return rq_fail(rq, "The contact is not in campaign %lld", campaign->id);
    if (campaign->statuses[n] == OB_CLOSED)
        return rq_fail(rq, "The contact is closed already");
    campaign->statuses[n] = OB_CLOSED;
    put_number(rq, "r:CloseContactResult", 1);
    return 0;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b) == 0;
}

struct phone {
    const char *parts[3];
};

static struct phone read_phone(struct rq *rq, const char *name)
{
    xmlNode *node = node_child(rq->root, name);
    return (struct phone){{rq_node_text(rq, node_child(node, "IntCode")),
                           rq_node_text(rq, node_child(node, "AreaCode")),
                           rq_node_text(rq, node_child(node, "PhoneNo"))}};
}

static bool has_phone(const struct ob_contact *c, const struct phone *phone)
{
    return same(c->texts[OB_INT_CODE], phone->parts[0]) &&
           same(c->texts[OB_AREA_CODE], phone->parts[1]) &&
           same(c->texts[OB_PHONE_NO], phone->parts[2]);
}

static int get_id_by_phone(struct rq *rq)
{
    struct ob_campaign *campaign = campaign_of(rq, "CampaignID");
    if (campaign == NULL)
        return -1;
    struct phone phone = read_phone(rq, "phoneNumber");
    long long id = -1;
    for (size_t n = 0; id < 0 && n < outbound_size(campaign); n++) {
        const struct ob_contact *c = outbound_contact(campaign, n);
        if (has_phone(c, &phone))
            id = c->id;
    }
    put_number(rq, "r:GetContactIDByPhoneNumberResult", id);
    return 0;
}

/* An absent status stands for any; it is compared by Id, by Name where Id is 0. */
static bool status_wanted(struct rq *rq, enum ob_status status)
{
    xmlNode *node = node_child(rq->root, "ContactStatus");
    if (node == NULL || node->children == NULL)
        return true;
    long long id = strtoll(rq_node_text(rq, node_child(node, "Id")), NULL, 10);
    if (id != 0)
        return id == (long long)status;
    return strcmp(rq_node_text(rq, node_child(node, "Name")), outbound_status_name(status)) == 0;
}

static int find_by_phone(struct rq *rq)
{
    struct ob_campaign *campaign = campaign_of(rq, "CampaignID");
    if (campaign == NULL)
        return -1;
    struct phone phone = read_phone(rq, "PhoneNumber");
    if (*phone.parts[2] == '\0')
        return rq_fail(rq, "PhoneNo must not be empty");
    buf_str(&rq->out, "<r:FindContactsByPhoneNumberResult><c:ContactList>");
    for (size_t n = 0; n < outbound_size(campaign); n++) {
        const struct ob_contact *c = outbound_contact(campaign, n);
        if (has_phone(c, &phone) && status_wanted(rq, campaign->statuses[n]))
            put_ob_contact(rq, campaign, c);
    }
    buf_str(&rq->out, "</c:ContactList></r:FindContactsByPhoneNumberResult>");
    return 0;
}

static int find_by_custom(struct rq *rq)
{
    struct ob_campaign *campaign = campaign_of(rq, "CampaignID");
    if (campaign == NULL)
        return -1;
    xmlNode *field = node_child(rq->root, "CustomField");
    const char *name = rq_node_text(rq, node_child(field, "Name"));
    const char *text = rq_node_text(rq, node_child(field, "Text"));
    buf_str(&rq->out, "<r:FindContactsByCustomFieldResult><c:ContactList>");
    for (size_t n = 0; n < outbound_size(campaign); n++) {
        const struct ob_contact *c = outbound_contact(campaign, n);
        if (outbound_has_custom(c, name, text) && status_wanted(rq, campaign->statuses[n]))
            put_ob_contact(rq, campaign, c);
    }
    buf_str(&rq->out, "</c:ContactList></r:FindContactsByCustomFieldResult>");
    return 0;
}

const struct op_row ops_outbound[] = {
    {"OutboundUtilityWS", "OutboundLogin", login},
    {"OutboundUtilityWS", "OutboundLogoff", logoff},
    {"OutboundCampaignWS", "GetCampaigns", get_campaigns},
    {"OutboundCampaignWS", "AppendContactsToCampaign", append},
    {"OutboundCampaignWS", "Get200CampaignContacts", get_200},
    {"OutboundContactWS", "GetContactStatus", get_contact_status},
    {"OutboundContactWS", "CloseContact", close_contact},
    {"OutboundContactWS", "GetContactIDByPhoneNumber", get_id_by_phone},
    {"OutboundContactWS", "FindContactsByPhoneNumber", find_by_phone},
    {"OutboundContactWS", "FindContactsByCustomField", find_by_custom},
    {NULL, NULL, NULL}};
