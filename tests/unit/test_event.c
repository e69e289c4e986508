/* Events: made, written to the log and read back, shown to whom they concern, filtered. */
#include "cctgate/error.h"
#include "cctgate/event.h"
#include "cctgate/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static struct event_parts sample(void)
{
    static const uint32_t users[] = {7, 3, 900000, 3}, told[] = {9};
    static const char json[] = "{\"id\":\"1-42\",\"data\":{}}";
    return (struct event_parts){.seq = 42,
                                .type = EVENT_CONTACT_PROPERTY,
                                .subject = "/v1/calls/17",
                                .agent = "4711",
                                .property = "UUI",
                                .users = users,
                                .num_users = COUNT(users),
                                .told = told,
                                .num_told = COUNT(told),
                                .json = json,
                                .json_length = sizeof(json) - 1};
}

static struct event *make(const struct event_parts *parts)
{
    struct event *event = event_new(parts);
    assert_non_null(event);
    return event;
}

static void assert_texts(const char *a, const char *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a != NULL)
        assert_string_equal(a, b);
}

static void assert_same(const struct event *a, const struct event *b)
{
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->type, b->type);
    assert_texts(a->subject, b->subject);
    assert_texts(a->agent, b->agent);
    assert_texts(a->property, b->property);
    assert_int_equal(a->num_users, b->num_users);
    assert_int_equal(a->num_told, b->num_told);
    for (size_t i = 0; i < a->num_users; i++)
        assert_int_equal(a->users[i], b->users[i]);
    for (size_t i = 0; i < a->num_told; i++)
        assert_int_equal(a->told[i], b->told[i]);
    assert_int_equal(a->json_length, b->json_length);
    if (a->json_length != 0)
        assert_memory_equal(a->json, b->json, a->json_length);
}

static void made_of_its_parts(void **state)
{
    (void)state;
    struct event_parts parts = sample();
    char subject[] = "/v1/calls/17";
    parts.subject = subject;
    struct event *event = make(&parts), *other;
    subject[0] = 'x'; /* everything is copied */
    assert_int_equal(event->seq, 42);
    assert_int_equal(event->type, EVENT_CONTACT_PROPERTY);
    assert_string_equal(event->subject, "/v1/calls/17");
    assert_string_equal(event->agent, "4711");
    assert_string_equal(event->property, "UUI");
    assert_int_equal(event->num_users, 3);
    assert_int_equal(event->users[0], 3);
    assert_int_equal(event->users[1], 7);
    assert_int_equal(event->users[2], 900000);
    assert_int_equal(event->num_told, 1);
    assert_int_equal(event->told[0], 9);
    assert_int_equal(event->json_length, parts.json_length);
    assert_memory_equal(event->json, parts.json, parts.json_length);
    other = event_ref(event);
    assert_ptr_equal(other, event);
    event_unref(&event);
    assert_null(event);
    assert_string_equal(other->subject, "/v1/calls/17");
    event_unref(&other);
    event_unref(&other); /* nothing is not an error */
}

static void beyond_the_limits(void **state)
{
    (void)state;
    static char text[CG_PATH_BYTES_MAX + 2];
    static uint32_t users[CG_EVENT_USERS_MAX + 1];
    char *json = calloc(1, CG_EVENT_BYTES_MAX + 1);
    assert_non_null(json);
    memset(text, 'x', CG_PATH_BYTES_MAX + 1);
    struct event_parts good = {.type = EVENT_SYSTEM,
                               .subject = text + 1,
                               .agent = text + 1 + CG_PATH_BYTES_MAX - CG_ID_BYTES_MAX,
                               .property = text + 1 + CG_PATH_BYTES_MAX - CG_ID_BYTES_MAX,
                               .users = users,
                               .num_users = CG_EVENT_USERS_MAX,
                               .told = users,
                               .num_told = CG_EVENT_USERS_MAX,
                               .json = json,
                               .json_length = CG_EVENT_BYTES_MAX};
    for (uint32_t i = 0; i < CG_EVENT_USERS_MAX; i++)
        users[i] = UINT32_MAX - 3 * i;
    struct event *event = make(&good), *again;
    size_t length;
    void *encoded = event_encode(event, &length);
    assert_non_null(encoded);
    assert_true(length <= CG_EVENT_ENTRY_BYTES_MAX);
    assert_int_equal(event_decode(&again, 0, encoded, length), CG_OK);
    assert_same(event, again);
    event_unref(&event);
    event_unref(&again);
    free(encoded);
    struct event_parts bad[8];
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = good;
    bad[0].subject--;
    bad[1].agent--;
    bad[2].property--;
    bad[3].num_users++;
    bad[4].num_told++;
    bad[5].json_length++;
    bad[6].subject = NULL;
    bad[7].type = EVENT_TYPES;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_null(event_new(&bad[i]));
    free(json);
}

/* ---- the form in the log ---- */

static void round_trip(void **state)
{
    (void)state;
    struct event_parts all[7];
    for (size_t i = 0; i < COUNT(all); i++)
        all[i] = sample();
    all[1].agent = NULL;
    all[2].property = NULL;
    all[3].agent = all[3].property = "";
    all[4].num_users = all[4].num_told = 0;
    all[5].json_length = 0;
    all[6] = (struct event_parts){
        .seq = UINT64_MAX, .type = EVENT_TYPES - 1, .subject = "", .json = NULL};
    for (size_t i = 0; i < COUNT(all); i++) {
        struct event *event = make(&all[i]), *again;
        size_t length;
        char *encoded = event_encode(event, &length), *moved = malloc(length + 1);
        assert_non_null(encoded);
        assert_non_null(moved);
        memcpy(moved + 1, encoded, length); /* not aligned */
        assert_int_equal(event_decode(&again, all[i].seq, moved + 1, length), CG_OK);
        assert_same(event, again);
        event_unref(&event);
        event_unref(&again);
        free(moved);
        free(encoded);
    }
}

/* Another version must read it, on any machine. */
static void the_form_is_fixed(void **state)
{
    (void)state;
    static const uint8_t expected[] = "\x01\x02\x03\x00\x0c\x00\x04\x00\x03\x00\x00\x00"
                                      "\x03\x00\x00\x00\x01\x00\x00\x00\x17\x00\x00\x00"
                                      "\x03\x00\x00\x00\x07\x00\x00\x00\xa0\xbb\x0d\x00"
                                      "\x09\x00\x00\x00/v1/calls/174711UUI"
                                      "{\"id\":\"1-42\",\"data\":{}}";
    struct event_parts parts = sample();
    struct event *event = make(&parts);
    size_t length;
    void *encoded = event_encode(event, &length);
    assert_non_null(encoded);
    assert_int_equal(length, sizeof(expected) - 1);
    assert_memory_equal(encoded, expected, length);
    free(encoded);
    event_unref(&event);
}

/* Decodes a copy that ends where its memory ends; what decodes is what event_encode would have written. */
static int decode_exactly(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length);
    struct event *event;
    assert_true(copy != NULL || length == 0);
    if (length != 0)
        memcpy(copy, bytes, length);
    int rc = event_decode(&event, 1, copy, length);
    assert_int_equal(rc == CG_OK, event != NULL);
    if (rc == CG_OK) {
        size_t again_length;
        void *again = event_encode(event, &again_length);
        assert_non_null(again);
        assert_int_equal(again_length, length);
        assert_memory_equal(again, bytes, length);
        free(again);
        event_unref(&event);
    } else {
        assert_int_equal(rc, CG_E_CORRUPT);
    }
    free(copy);
    return rc;
}

static void what_is_damaged(void **state)
{
    (void)state;
    struct event_parts parts = sample();
    struct event *event = make(&parts);
    size_t length, refused = 0;
    uint8_t *encoded = event_encode(event, &length);
    assert_non_null(encoded);
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(decode_exactly(encoded, cut), CG_E_CORRUPT);
    uint8_t *longer = calloc(1, length + 1);
    assert_non_null(longer);
    memcpy(longer, encoded, length);
    assert_int_equal(decode_exactly(longer, length + 1), CG_E_CORRUPT);
    free(longer);
    for (size_t bit = 0; bit < length * 8; bit++) {
        encoded[bit / 8] ^= (uint8_t)(1u << bit % 8);
        refused += decode_exactly(encoded, length) != CG_OK;
        encoded[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(refused >= 100); /* all but the type of those of the header */
    assert_int_equal(decode_exactly(encoded, length), CG_OK);
    free(encoded);
    event_unref(&event);
}

static void put_byte(uint8_t *bytes, size_t at, uint8_t value)
{
    bytes[at] = value;
}

/* Each of these has lengths that add up, so that only the one thing is wrong. */
static void what_no_event_is(void **state)
{
    (void)state;
    static const struct {
        size_t at[2];
        uint8_t value[2];
    } cases[] = {
        {{0, 0}, {2, 2}},                     /* format */
        {{1, 1}, {EVENT_TYPES, EVENT_TYPES}}, /* type */
        {{2, 2}, {7, 7}},                     /* a text nobody knows */
        {{2, 2}, {1, 1}},                     /* a property of three bytes that is absent */
        {{2, 2}, {2, 2}},                     /* an agent of four bytes that is absent */
        {{3, 3}, {1, 1}},                     /* what must be zero */
        {{11, 11}, {1, 1}},
        {{4, 6}, {11, 6}},  /* one byte is missing */
        {{24, 24}, {7, 7}}, /* the same user twice */
        {{24, 24}, {8, 8}}, /* not ascending */
        {{42, 42}, {0, 0}}, /* NUL in the subject */
        {{53, 53}, {0, 0}}, /* in the agent */
        {{57, 57}, {0, 0}}, /* in the property */
    };
    struct event_parts parts = sample();
    struct event *event = make(&parts);
    size_t length;
    uint8_t *encoded = event_encode(event, &length);
    assert_non_null(encoded);
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t *changed = malloc(length);
        assert_non_null(changed);
        memcpy(changed, encoded, length);
        put_byte(changed, cases[i].at[0], cases[i].value[0]);
        put_byte(changed, cases[i].at[1], cases[i].value[1]);
        if (decode_exactly(changed, length) != CG_E_CORRUPT)
            fail_msg("case %zu", i);
        free(changed);
    }
    put_byte(encoded, 4, 13); /* the subject has one more, the agent one less: sound */
    put_byte(encoded, 6, 3);
    assert_int_equal(decode_exactly(encoded, length), CG_OK);
    free(encoded);
    event_unref(&event);
}

/* Lengths that are beyond their limits, or overflow, in a header alone or with as many bytes as they ask for. */
static void hostile_lengths(void **state)
{
    (void)state;
    static const struct {
        size_t at, bytes;
        uint32_t value, asks;
    } cases[] = {{4, 2, CG_PATH_BYTES_MAX + 1, CG_PATH_BYTES_MAX + 1},
                 {6, 2, CG_ID_BYTES_MAX + 1, CG_ID_BYTES_MAX + 1},
                 {8, 2, CG_ID_BYTES_MAX + 1, CG_ID_BYTES_MAX + 1},
                 {12, 4, CG_EVENT_USERS_MAX + 1, (CG_EVENT_USERS_MAX + 1) * 4},
                 {16, 4, CG_EVENT_USERS_MAX + 1, (CG_EVENT_USERS_MAX + 1) * 4},
                 {20, 4, CG_EVENT_BYTES_MAX + 1, CG_EVENT_BYTES_MAX + 1},
                 {12, 4, UINT32_MAX, 100},
                 {16, 4, UINT32_MAX, 100},
                 {12, 4, 1u << 30, 0},
                 {20, 4, UINT32_MAX, 100}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t length = 24 + cases[i].asks;
        uint8_t *bytes = malloc(length);
        assert_non_null(bytes);
        memset(bytes, 'x', length);
        memset(bytes, 0, 24);
        bytes[0] = 1;
        bytes[2] = 3;
        for (size_t j = 0; j < cases[i].bytes; j++)
            bytes[cases[i].at + j] = (uint8_t)(cases[i].value >> (8 * j));
        for (uint32_t j = 0; (cases[i].at == 12 || cases[i].at == 16) && j < cases[i].asks / 4; j++)
            for (size_t k = 0; k < 4; k++) /* ascending, so that nothing else is wrong */
                bytes[24 + 4 * j + k] = (uint8_t)(j >> (8 * k));
        assert_int_equal(decode_exactly(bytes, 24), CG_E_CORRUPT);
        assert_int_equal(decode_exactly(bytes, length), CG_E_CORRUPT);
        free(bytes);
    }
}

/* ---- who may see it ---- */

static int shows(const char *users, const char *told, int every_user, const char *token)
{
    struct access_user of_token[8];
    uint32_t sets[2][8];
    const char *texts[2] = {users, told};
    struct access access = {.every_user = every_user, .users = of_token};
    struct event_parts parts = {.subject = "/v1/calls/1", .users = sets[0], .told = sets[1]};
    for (; *token != '\0'; token++)
        of_token[access.num_users++] = (struct access_user){.number = (uint32_t)(*token - '0')};
    for (size_t i = 0; i < 2; i++) {
        size_t count = 0;
        for (const char *at = texts[i]; *at != '\0'; at++)
            sets[i][count++] = (uint32_t)(*at - '0');
        *(i == 0 ? &parts.num_users : &parts.num_told) = count;
    }
    struct event *event = make(&parts);
    int visible = event_is_visible(event, &access);
    event_unref(&event);
    return visible;
}

static void visibility(void **state)
{
    (void)state;
    static const struct {
        const char *users, *told;
        int every_user;
        const char *token; /* its users, ascending */
        int visible;
    } cases[] = {
        {"1", "", 0, "1", 1},        {"1", "", 0, "2", 0},      {"1", "", 0, "", 0},
        {"531", "", 0, "3", 1},      {"531", "", 0, "4", 0},    {"531", "", 0, "2468", 0},
        {"531", "", 0, "24568", 1},  {"1", "", 0, "123456", 1}, {"6", "", 0, "123456", 1},
        {"7", "", 0, "123456", 0},   {"", "", 0, "123", 0},     {"", "", 0, "", 0},
        {"", "", 1, "123", 1},       {"", "", 1, "", 1},        {"9", "", 1, "123", 1},
        {"2", "1", 0, "1", 0},       {"2", "1", 0, "2", 1},     {"2", "1", 0, "12", 0},
        {"2", "135", 0, "24", 1},    {"2", "135", 0, "25", 0},  {"23456", "1", 0, "6", 1},
        {"2", "1", 1, "12", 0},      {"2", "9", 1, "12", 0},    {"12", "1", 0, "1", 0},
        {"123456", "7", 0, "67", 0}, {"123", "456", 0, "3", 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (shows(cases[i].users, cases[i].told, cases[i].every_user, cases[i].token) !=
            cases[i].visible)
            fail_msg("case %zu", i);
}

/* Jobs belong to an application, or to one subject of it; a campaigner sees nothing else. */
static void progress_of_jobs(void **state)
{
    static const struct access_user users[] = {{3, "agent"}};
    static const struct access own = {.application = "one", .roles = ROLE_CAMPAIGNER};
    static const struct {
        struct access access;
        int progress, others;
    } cases[] = {
        {{.application = "one", .roles = ROLE_CAMPAIGNER}, 1, 0},
        {{.application = "one", .roles = ROLE_CAMPAIGNER | ROLE_VIEWER}, 1, 1},
        {{.application = "one", .subject = "ann", .roles = ROLE_CAMPAIGNER}, 0, 0},
        {{.application = "one", .subject = "", .roles = ROLE_CAMPAIGNER}, 0, 0},
        {{.application = "two", .roles = ROLE_CAMPAIGNER}, 0, 0},
        {{.application = "one", .roles = ROLE_VIEWER}, 0, 1},
        {{.application = "one", .roles = ROLE_SUPERVISOR | ROLE_RECORDER | ROLE_CONTROLLER}, 0, 1},
        {{.application = "two", .roles = ROLE_OPERATOR}, 1, 1},
    };
    char owner[ACCESS_OWNER_BYTES + 1];
    struct event_parts parts = sample();

    (void)state;
    access_owner(&own, owner);
    parts.type = EVENT_OUTBOUND_PROGRESS;
    parts.property = owner;
    parts.num_users = parts.num_told = 0;
    struct event *progress = make(&parts);
    parts.property = NULL;
    struct event *nobodys = make(&parts);
    parts = sample();
    struct event *other = make(&parts);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct access access = cases[i].access;
        access.users = users;
        access.num_users = 1;
        assert_int_equal(event_is_visible(progress, &access), cases[i].progress);
        assert_int_equal(event_is_visible(nobodys, &access), (access.roles & ROLE_OPERATOR) != 0);
        assert_int_equal(event_is_visible(other, &access), cases[i].others);
        access.every_user = 1;
        assert_int_equal(event_is_visible(progress, &access), cases[i].progress);
    }
    event_unref(&progress);
    event_unref(&nobodys);
    event_unref(&other);
}

/* ---- filters ---- */

static struct event_filter filter_of(uint32_t types, char *subjects[], char *agents[])
{
    struct event_filter filter = {.types = types, .subjects = subjects, .agents = agents};
    while (subjects != NULL && subjects[filter.num_subjects] != NULL)
        filter.num_subjects++;
    while (agents != NULL && agents[filter.num_agents] != NULL)
        filter.num_agents++;
    return filter;
}

static void subjects(void **state)
{
    (void)state;
    static const struct {
        char *filter[3];
        const char *subject;
        int covers;
    } cases[] = {
        {{NULL}, "/v1/calls/x", 1},
        {{"/v1/calls/x"}, "/v1/calls/x", 1},
        {{"/v1/calls/x"}, "/v1/calls/x/data", 1},
        {{"/v1/calls/x"}, "/v1/calls/xy", 0},
        {{"/v1/calls/x"}, "/v1/calls", 0},
        {{"/v1/calls/x"}, "/v1/calls/", 0},
        {{"/v1/calls/x/"}, "/v1/calls/x", 1},
        {{"/v1/calls/x/"}, "/v1/calls/x/data", 1},
        {{"/v1/calls/x/"}, "/v1/calls/xy", 0},
        {{"/v1/agents"}, "/v1/agents/4711", 1},
        {{"/v1/agents"}, "/v1/agents", 1},
        {{"/v1/agents"}, "/v1/agentsx", 0},
        {{"/v1/agents"}, "/v1/calls/4711", 0},
        {{"/v1/agents", "/v1/calls"}, "/v1/calls/4711", 1},
        {{"/v1/agents", "/v1/calls"}, "/v1/terminals/4711", 0},
        {{"/"}, "/v1/calls", 1},
        {{"/v1/calls/x"}, "", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct event_filter filter = filter_of(0, (char **)cases[i].filter, NULL);
        if (event_filter_covers(&filter, cases[i].subject, NULL) != cases[i].covers)
            fail_msg("case %zu", i);
    }
}

static void agents_and_subjects(void **state)
{
    (void)state;
    char *agents[] = {"4711", "4712", NULL}, *calls[] = {"/v1/calls", NULL};
    struct event_filter by_agent = filter_of(0, NULL, agents), both = filter_of(0, calls, agents);
    assert_true(event_filter_covers(&by_agent, "/v1/calls/1", "4711"));
    assert_true(event_filter_covers(&by_agent, "/v1/agents/4712", "4712"));
    assert_false(event_filter_covers(&by_agent, "/v1/calls/1", "471"));
    assert_false(event_filter_covers(&by_agent, "/v1/calls/1", "47110"));
    assert_false(event_filter_covers(&by_agent, "/v1/calls/1", NULL));
    assert_true(event_filter_covers(&both, "/v1/calls/1", "4712"));
    assert_false(event_filter_covers(&both, "/v1/agents/4712", "4712"));
    assert_false(event_filter_covers(&both, "/v1/calls/1", "4713"));
}

static void types(void **state)
{
    (void)state;
    char *calls[] = {"/v1/calls", NULL}, *other_agents[] = {"1", NULL};
    struct event_parts parts = sample();
    for (unsigned type = 0; type < EVENT_TYPES; type++) {
        parts.type = type;
        struct event *event = make(&parts);
        struct event_filter any = filter_of(0, NULL, NULL),
                            only = filter_of(UINT32_C(1) << type, calls, NULL),
                            others = filter_of(~(UINT32_C(1) << type), calls, NULL),
                            of_another = filter_of(UINT32_C(1) << type, calls, other_agents);
        assert_true(event_filter_matches(&any, event));
        assert_true(event_filter_matches(&only, event));
        assert_false(event_filter_matches(&others, event));
        assert_false(event_filter_matches(&of_another, event));
        assert_true(event_filter_covers(&others, event->subject, event->agent)); /* of any type */
        event_unref(&event);
    }
}

static void released(void **state)
{
    (void)state;
    struct event_filter filter = {.types = 1, .num_subjects = 2, .num_agents = 1};
    filter.subjects = calloc(2, sizeof(char *));
    filter.agents = calloc(1, sizeof(char *));
    assert_non_null(filter.subjects);
    assert_non_null(filter.agents);
    filter.subjects[0] = strdup("/v1/calls");
    filter.agents[0] = strdup("4711");
    event_filter_release(&filter);
    assert_null(filter.subjects);
    assert_int_equal(filter.num_agents, 0);
    event_filter_release(&filter);
}

/* ---- the table ---- */

static void names(void **state)
{
    (void)state;
    for (unsigned type = 0; type < EVENT_TYPES; type++) {
        const struct event_type_row *row = &event_types[type];
        assert_int_equal(event_type_by_name(row->name, strlen(row->name)), type);
        if (row->wire != NULL)
            assert_int_equal(event_type_by_wire(row->wire), type);
    }
    assert_int_equal(event_type_by_name("cct.system", 9), EVENT_TYPES);
    assert_int_equal(event_type_by_name("cct.systemx", 11), EVENT_TYPES);
    assert_int_equal(event_type_by_wire("SYSTEMS"), EVENT_TYPES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_of_its_parts),
        cmocka_unit_test(beyond_the_limits),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(the_form_is_fixed),
        cmocka_unit_test(what_is_damaged),
        cmocka_unit_test(what_no_event_is),
        cmocka_unit_test(hostile_lengths),
        cmocka_unit_test(visibility),
        cmocka_unit_test(progress_of_jobs),
        cmocka_unit_test(subjects),
        cmocka_unit_test(agents_and_subjects),
        cmocka_unit_test(types),
        cmocka_unit_test(released),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
