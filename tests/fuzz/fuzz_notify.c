/*
 * A Notify as anybody may post it: decoded entry by entry, each taken apart as the model does, and told as clients are told. The same
 * bytes give the same entries, the same digests and the same events.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/codec.h"
#include "cctgate/error.h"
#include "gateway/model/live.h"
#include "gateway/model/payload.h"
#include "gateway/upstream/subscription_terms.h"

struct seen {
    size_t entries, bad;
    uint64_t digest;
};

static void look_at_properties(const struct payload *payload)
{
    size_t i;

    for (i = 0; i < num_property_rows; ++i) {
        json_t *fact, *value;
        if (!payload_tells(payload, &property_rows[i]))
            continue;
        if ((fact = payload_fact(payload, &property_rows[i])) == NULL)
            continue;
        value = public_value(property_rows[i].field, fact);
        json_decref(value);
        json_decref(fact);
    }
}

static void take_apart(struct seen *seen, const json_t *entry)
{
    struct payload payload;
    json_t *data;
    char *text;

    if (payload_take(&payload, entry) != CG_OK)
        return;
    FUZZ_CHECK(payload.type < EVENT_TYPES && event_types[payload.type].wire != NULL);
    seen->digest = seen->digest * 31 + payload_hash(&payload) * 7 + payload_place(&payload);
    FUZZ_CHECK(payload.time_ms >= 0);
    data = payload_data(&payload);
    FUZZ_CHECK(json_is_object(data));
    text = json_dumps(data, JSON_COMPACT);
    FUZZ_CHECK(text != NULL);
    free(text);
    json_decref(data);
    look_at_properties(&payload);
}

static void on_entry(void *data, json_t *entry, const struct codec_error *error)
{
    struct seen *seen = data;

    ++seen->entries;
    if (entry == NULL) {
        FUZZ_CHECK(error != NULL && error->text[0] != '\0');
        ++seen->bad;
        return;
    }
    FUZZ_CHECK(json_is_object(entry));
    seen->digest = seen->digest * 31 + terms_fingerprint(json_object_get(entry, "Message"));
    take_apart(seen, entry);
}

static int decode(struct seen *seen, const char *xml, size_t length)
{
    const struct contract_operation *op =
        contract_find(fuzz_contract(), "NotificationConsumer", "Notify");
    struct codec_error error = {0};
    int rc;

    *seen = (struct seen){0, 0, 0};
    rc = codec_decode_list(op, xml, length, on_entry, seen, &error);
    FUZZ_CHECK(rc == CG_OK || (seen->entries == 0 && error.text[0] != '\0'));
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    const char *xml = length > 0 ? (const char *)bytes : "";
    struct seen first, second;

    if (decode(&first, xml, length) != CG_OK)
        return 0;
    FUZZ_CHECK(decode(&second, xml, length) == CG_OK);
    FUZZ_CHECK(first.entries == second.entries && first.bad == second.bad &&
               first.digest == second.digest);
    return 0;
}
