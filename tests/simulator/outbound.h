/*
 * The campaigns behind the three CCMM Outbound services. The contacts a campaign starts with are computed from their
 * number whenever they are asked for; only appended ones and the status of each are stored.
 */
#ifndef CCTSIM_OUTBOUND_H
#define CCTSIM_OUTBOUND_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "buf.h"

enum ob_status { OB_NEW = 1, OB_OPEN, OB_CLOSED, OB_WAITING };
enum ob_campaign_status { OB_RUNNING = 1, OB_CAMPAIGN_WAITING, OB_PAUSED, OB_COMPLETED };

/* What Get200CampaignContacts answers behind the last contact: nobody knows what the real one does. */
enum ob_beyond { OB_EMPTY, OB_ABSENT, OB_REPEAT, OB_FAULT };

enum { OB_TEXTS = 15, OB_CUSTOM_MAX = 10, OB_DISPOSITIONS = 3 };

/* Indexes of ob_contact.texts. */
enum ob_text {
    OB_LINE1,
    OB_LINE2,
    OB_LINE3,
    OB_LINE4,
    OB_LINE5,
    OB_COUNTRY,
    OB_POST_CODE,
    OB_EMAIL,
    OB_FIRST,
    OB_LAST,
    OB_INT_CODE,
    OB_AREA_CODE,
    OB_PHONE_NO,
    OB_TITLE,
    OB_SPARE
};

struct ob_custom {
    char *name;
    char *text;
    bool visible;
};

struct ob_contact {
    long long id;
    char *texts[OB_TEXTS];
    struct ob_custom customs[OB_CUSTOM_MAX];
    size_t custom_count;
    long long preferred_agent;
    bool preferred_given;
    long long skillset;
};

struct ob_campaign {
    long long id;
    const char *name;
    enum ob_campaign_status status;
    size_t made_up;              /* contacts it starts with */
    struct ob_contact *appended; /* the ones after them */
    size_t appended_count;
    unsigned char *statuses; /* enum ob_status of each contact */
    enum ob_beyond beyond;
};

struct ob_disposition {
    long long id;
    const char *name;
    int retry, numeric, max_retry;
    bool fixed;
};

extern struct ob_campaign ob_campaigns[];
extern const size_t ob_campaign_count;
extern const struct ob_disposition ob_dispositions[OB_DISPOSITIONS];

void outbound_init(void);
void outbound_free(void);

/* NULL with `*fault` set to a sentence on failure; otherwise the session key, valid until logoff. */
const char *outbound_login(const char *user, const char *password, const char **fault);
void outbound_logoff(const char *user);
bool outbound_key_valid(const char *key);
/* The keys that are valid now. */
json_t *outbound_keys(void);
/* Makes the key of `user` ("*" for all) invalid, as if it had expired. */
void outbound_expire(const char *user);

/* An active campaign; NULL for closed and unknown ones. */
struct ob_campaign *outbound_campaign(long long id);
size_t outbound_size(const struct ob_campaign *campaign);
/* Contact number `n` (from 0). What is made up lives until the next call. */
const struct ob_contact *outbound_contact(const struct ob_campaign *campaign, size_t n);
/* The number of the contact with `id`, or the first with a custom field; false when there is none. */
bool outbound_find_id(const struct ob_campaign *campaign, long long id, size_t *n);
/* The number of the first contact whose id is above `id`. */
size_t outbound_first_after(const struct ob_campaign *campaign, long long id);
bool outbound_find_custom(const struct ob_campaign *campaign, const char *name, const char *text,
                          size_t *n);
bool outbound_has_custom(const struct ob_contact *contact, const char *name, const char *text);
/* Takes the strings of `contact`; sets its id. */
void outbound_append(struct ob_campaign *campaign, struct ob_contact *contact);
void outbound_contact_free(struct ob_contact *contact);
size_t outbound_count_status(const struct ob_campaign *campaign, enum ob_status status);
const char *outbound_status_name(enum ob_status status);
const char *outbound_campaign_status_name(enum ob_campaign_status status);
/* How often each version of SOAP came. */
extern long long outbound_soap11, outbound_soap12;
/* The dispositions that contacts were to be closed with. */
extern json_t *outbound_dispositions_sent;
/* {"append", "close"}: when the calls came that were not too fast, in ms. */
json_t *outbound_calls(void);
/* False when the last call of this kind was less than a second ago and the limit is on. */
bool outbound_may_append(void);
bool outbound_may_close(void);

#endif
