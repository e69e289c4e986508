#include "outbound.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "loop.h"
#include "options.h"

enum { IDS_PER_CAMPAIGN = 100000, LOGINS = 2, KEY_BYTES = 37 };

struct ob_campaign ob_campaigns[] = {
    {.id = 101, .name = "Nobody yet", .status = OB_RUNNING, .made_up = 0},
    {.id = 102, .name = "Renewal reminders", .status = OB_RUNNING, .made_up = 199},
    {.id = 103, .name = "Survey", .status = OB_CAMPAIGN_WAITING, .made_up = 200},
    {.id = 104, .name = "Service notice", .status = OB_PAUSED, .made_up = 201},
    {.id = 105, .name = "Win back", .status = OB_RUNNING, .made_up = 1234},
    {.id = 106, .name = "All customers", .status = OB_RUNNING, .made_up = 20000},
    {.id = 107, .name = "Last year", .status = OB_COMPLETED, .made_up = 50},
};
const size_t ob_campaign_count = sizeof(ob_campaigns) / sizeof(*ob_campaigns);

const struct ob_disposition ob_dispositions[OB_DISPOSITIONS] = {
    {41, "Completed", 0, 1, 0, true},
    {42, "Busy", 300, 2, 3, false},
    {43, "No answer", 900, 3, 5, false}};

static struct {
    const char *user;
    char key[KEY_BYTES];
    bool logged_in;
} logins[LOGINS] = {{.user = "outboundadmin"}, {.user = "outboundadmin2"}};

static struct {
    struct ob_contact contact;
    char texts[OB_TEXTS][64];
    char account[32];
    char tier[8];
} made_up;

long long outbound_soap11, outbound_soap12;
json_t *outbound_dispositions_sent;

/* When calls came, for whoever checks how often they do. */
enum { TIMES_MAX = 4096 };
static struct times {
    uint64_t last_ms, at_ms[TIMES_MAX];
    size_t count;
} appends, closes;

static enum ob_status first_status(const struct ob_campaign *campaign, size_t n)
{
    if (campaign->status == OB_COMPLETED)
        return OB_CLOSED;
    if (n < campaign->made_up / 20)
        return OB_CLOSED;
    return n < campaign->made_up / 10 ? OB_OPEN : OB_NEW;
}

void outbound_init(void)
{
    outbound_dispositions_sent = json_array();
    for (size_t i = 0; i < ob_campaign_count; i++) {
        struct ob_campaign *campaign = &ob_campaigns[i];
        campaign->statuses = mem_new(campaign->made_up, 1);
        for (size_t n = 0; n < campaign->made_up; n++)
            campaign->statuses[n] = (unsigned char)first_status(campaign, n);
    }
}

void outbound_contact_free(struct ob_contact *contact)
{
    for (size_t i = 0; i < OB_TEXTS; i++)
        free(contact->texts[i]);
    for (size_t i = 0; i < contact->custom_count; i++) {
        free(contact->customs[i].name);
        free(contact->customs[i].text);
    }
    *contact = (struct ob_contact){0};
}

void outbound_free(void)
{
    json_decref(outbound_dispositions_sent);
    for (size_t i = 0; i < ob_campaign_count; i++) {
        struct ob_campaign *campaign = &ob_campaigns[i];
        for (size_t n = 0; n < campaign->appended_count; n++)
            outbound_contact_free(&campaign->appended[n]);
        free(campaign->appended);
        free(campaign->statuses);
    }
}

static int find_login(const char *user)
{
    for (int i = 0; i < LOGINS; i++) {
        if (strcmp(logins[i].user, user) == 0)
            return i;
    }
    return -1;
}

static void fresh_key(char key[KEY_BYTES])
{
    unsigned char r[16] = {0};
    if (getrandom(r, sizeof(r), 0) < 0)
        r[0] = 1;
    snprintf(key, KEY_BYTES, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13],
             r[14], r[15]);
}

const char *outbound_login(const char *user, const char *password, const char **fault)
{
    static char message[128];
    int i = find_login(user);
    *fault = "Invalid user name or password";
    if (i < 0 || strcmp(password, options.password) != 0)
        return NULL;
    if (logins[i].logged_in) {
        snprintf(message, sizeof(message),
                 "Application administrator, user ID %s, is already logged in", user);
        *fault = message;
        return NULL;
    }
    logins[i].logged_in = true;
    fresh_key(logins[i].key);
    return logins[i].key;
}

void outbound_logoff(const char *user)
{
    int i = find_login(user);
    if (i >= 0) {
        logins[i].logged_in = false;
        logins[i].key[0] = '\0';
    }
}

bool outbound_key_valid(const char *key)
{
    for (int i = 0; i < LOGINS; i++) {
        if (logins[i].logged_in && *key != '\0' && strcmp(logins[i].key, key) == 0)
            return true;
    }
    return false;
}

json_t *outbound_keys(void)
{
    json_t *keys = json_array();
    for (int i = 0; i < LOGINS; i++) {
        if (logins[i].logged_in)
            json_array_append_new(keys, json_string(logins[i].key));
    }
    return keys;
}

void outbound_expire(const char *user)
{
    for (int i = 0; i < LOGINS; i++) {
        if (strcmp(user, "*") == 0 || strcmp(user, logins[i].user) == 0)
            outbound_logoff(logins[i].user);
    }
}

struct ob_campaign *outbound_campaign(long long id)
{
    for (size_t i = 0; i < ob_campaign_count; i++) {
        if (ob_campaigns[i].id == id && ob_campaigns[i].status != OB_COMPLETED)
            return &ob_campaigns[i];
    }
    return NULL;
}

size_t outbound_size(const struct ob_campaign *campaign)
{
    return campaign->made_up + campaign->appended_count;
}

static void fill(enum ob_text which, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fill(enum ob_text which, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(made_up.texts[which], sizeof(made_up.texts[which]), format, args);
    va_end(args);
    made_up.contact.texts[which] = made_up.texts[which];
}

static const struct ob_contact *make_up(const struct ob_campaign *campaign, size_t n)
{
    static const char *const firsts[] = {"Ann", "Bob",   "Carla", "Dmitri",
                                         "Eve", "Fritz", "Gül",   "Hana"};
    static const char *const lasts[] = {"Adler",   "Byrne", "Costa",       "Dunn",
                                        "Eriksen", "Fehér", "O'Neill & Co"};
    static const char *const cities[] = {"Galway", "Cork", "Dublin", "Limerick"};
    static char name_account[] = "Account", name_tier[] = "Tier";
    struct ob_contact *c = &made_up.contact;
    *c = (struct ob_contact){.id = campaign->id * IDS_PER_CAMPAIGN + (long long)n + 1,
                             .skillset = 10001};
    fill(OB_FIRST, "%s", firsts[n % 8]);
    fill(OB_LAST, "%s", lasts[n % 7]);
    fill(OB_TITLE, "%s", n % 2 ? "Mr" : "Ms");
    fill(OB_EMAIL, "customer%lld@example.com", c->id);
    fill(OB_LINE1, "%zu Main Street", n + 1);
    fill(OB_LINE2, "%s", cities[n % 4]);
    fill(OB_COUNTRY, "Ireland");
    fill(OB_POST_CODE, "D%02zu", n % 100);
    fill(OB_INT_CODE, "353");
    fill(OB_AREA_CODE, "%zu", 91 + n % 3);
    fill(OB_PHONE_NO, "5%07lld", c->id % 10000000);
    snprintf(made_up.account, sizeof(made_up.account), "A%lld", c->id);
    snprintf(made_up.tier, sizeof(made_up.tier), "T%zu", n % 5);
    c->customs[0] =
        (struct ob_custom){.name = name_account, .text = made_up.account, .visible = true};
    c->customs[1] = (struct ob_custom){.name = name_tier, .text = made_up.tier, .visible = false};
    c->custom_count = 2;
    return c;
}

const struct ob_contact *outbound_contact(const struct ob_campaign *campaign, size_t n)
{
    return n < campaign->made_up ? make_up(campaign, n)
                                 : &campaign->appended[n - campaign->made_up];
}

bool outbound_find_id(const struct ob_campaign *campaign, long long id, size_t *n)
{
    long long at = id - campaign->id * IDS_PER_CAMPAIGN - 1;
    if (at < 0 || (size_t)at >= outbound_size(campaign))
        return false;
    *n = (size_t)at;
    return true;
}

size_t outbound_first_after(const struct ob_campaign *campaign, long long id)
{
    long long at = id - campaign->id * IDS_PER_CAMPAIGN;
    size_t size = outbound_size(campaign);
    if (at < 0)
        return 0;
    return (size_t)at < size ? (size_t)at : size;
}

bool outbound_has_custom(const struct ob_contact *contact, const char *name, const char *text)
{
    for (size_t i = 0; i < contact->custom_count; i++) {
        if (strcmp(contact->customs[i].name, name) == 0 &&
            strcmp(contact->customs[i].text, text) == 0)
            return true;
    }
    return false;
}

bool outbound_find_custom(const struct ob_campaign *campaign, const char *name, const char *text,
                          size_t *n)
{
    for (size_t i = 0; i < outbound_size(campaign); i++) {
        if (outbound_has_custom(outbound_contact(campaign, i), name, text)) {
            *n = i;
            return true;
        }
    }
    return false;
}

void outbound_append(struct ob_campaign *campaign, struct ob_contact *contact)
{
    size_t n = outbound_size(campaign);
    contact->id = campaign->id * IDS_PER_CAMPAIGN + (long long)n + 1;
    campaign->appended =
        mem_resize(campaign->appended, campaign->appended_count + 1, sizeof(*campaign->appended));
    campaign->appended[campaign->appended_count++] = *contact;
    campaign->statuses = mem_resize(campaign->statuses, n + 1, 1);
    campaign->statuses[n] = OB_NEW;
    *contact = (struct ob_contact){0};
}

size_t outbound_count_status(const struct ob_campaign *campaign, enum ob_status status)
{
    size_t count = 0;
    for (size_t i = 0; i < outbound_size(campaign); i++)
        count += campaign->statuses[i] == status;
    return count;
}

const char *outbound_status_name(enum ob_status status)
{
    static const char *const names[] = {"", "New", "Open", "Closed", "Waiting"};
    return names[status];
}

const char *outbound_campaign_status_name(enum ob_campaign_status status)
{
    static const char *const names[] = {"", "Running", "Waiting", "Paused", "Completed"};
    return names[status];
}

static bool once_per_second(struct times *times)
{
    uint64_t now = loop_now_ms();
    if (options.outbound_rate_limit && times->last_ms != 0 && now - times->last_ms < 1000)
        return false;
    times->last_ms = now;
    if (times->count < TIMES_MAX)
        times->at_ms[times->count++] = now;
    return true;
}

static json_t *times_json(const struct times *times)
{
    json_t *list = json_array();
    for (size_t i = 0; i < times->count; i++)
        json_array_append_new(list, json_integer((json_int_t)times->at_ms[i]));
    return list;
}

json_t *outbound_calls(void)
{
    return json_pack("{s:o, s:o}", "append", times_json(&appends), "close", times_json(&closes));
}

bool outbound_may_append(void)
{
    return once_per_second(&appends);
}

bool outbound_may_close(void)
{
    return once_per_second(&closes);
}
