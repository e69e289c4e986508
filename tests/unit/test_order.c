/*
 * Several sessions tell of one call, each in its own order, in whatever interleaving: what is published is what happened, in order and
 * once. Changes come several to a millisecond, so that nothing but the order tells them apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/loop.h"
#include "cctgate/timestamp.h"
#include "gateway/model/live.h"

/* Two agents who talk to each other, and who sees them both. */
enum { FIRST = 1, SECOND = 2, SUPERVISOR = 3, USERS };
enum { LEG_MAX = 4, STEPS = 40, STREAM_MAX = 256, ROUNDS = 400, BEFORE = 64, APART_MS = 3 };
#define BEGIN_MS INT64_C(1700000000000)

struct leg {
    const char *id, *connection, *place;
    int is_connection;
    uint32_t owner;
    const char *state;
    int64_t entered_ms;
};

struct change_told {
    const char *what, *before, *after;
};

struct play {
    struct model model;
    struct config config;
    struct loop loop;
    uint32_t random;
    int64_t now_ms;
    struct leg legs[LEG_MAX];
    char uui[STEPS + 1][8];
    size_t num_uui;
    struct change_told truth[STREAM_MAX];
    size_t num_truth;
    json_t *streams[USERS];
    int sees[USERS];
    unsigned
        joins; /* the step at which the second agent comes to the call; 0: he was there from its beginning */
};

static uint32_t dice(struct play *play, uint32_t below)
{
    play->random = play->random * 1664525u + 1013904223u;
    return (play->random >> 8) % below;
}

/* ---- what happens, and how each session is told ---- */

static json_t *message(const char *type, const char *element, int64_t time_ms, json_t *body)
{
    char when[TIMESTAMP_BYTES];
    timestamp_print(when, time_ms);
    return json_pack("{s:s, s:{s:s, s:o}}", "Timestamp", when, "Message", "EventType", type,
                     element, body);
}

static json_t *leg_message(const struct leg *leg, const char *before)
{
    json_t *body = json_pack("{s:{s:s}, s:{s:s}, s:s, s:s, s:s}", "Contact", "contactId", "call",
                             "Connection", "connectionId", leg->connection, "NewState", leg->state,
                             "PreviousState", before, "Reason", "DEFAULT");
    if (leg->is_connection) {
        json_object_set_new(body, "Address", json_pack("{s:s}", "addressName", leg->place));
        return message("CONNECTION_STATE", "ConnectionStateEvent", leg->entered_ms, body);
    }
    json_object_set_new(body, "Terminal", json_pack("{s:s}", "terminalName", leg->place));
    json_object_set_new(body, "TerminalConnection",
                        json_pack("{s:s}", "terminalConnectionId", leg->id));
    return message("TERMINAL_CONNECTION_STATE", "TerminalConnectionStateEvent", leg->entered_ms,
                   body);
}

static json_t *uui_message(const struct play *play)
{
    return message("CONTACT_PROPERTY", "ContactPropertyEvent", play->now_ms,
                   json_pack("{s:{s:s}, s:s, s:{s:s}}", "Contact", "contactId", "call",
                             "ContactProperty", "UUI", "ContactPropertyUui", "uui",
                             play->uui[play->num_uui - 1]));
}

static void tell_all(struct play *play, json_t *told)
{
    uint32_t user;
    for (user = FIRST; user < USERS; ++user)
        if (play->sees[user])
            json_array_append(play->streams[user], told);
    json_decref(told);
}

static void note(struct play *play, const char *what, const char *before, const char *after)
{
    assert_true(play->num_truth < STREAM_MAX);
    play->truth[play->num_truth++] = (struct change_told){what, before, after};
}

static void enter(struct play *play, struct leg *leg, const char *state)
{
    const char *before = leg->state;

    play->now_ms += dice(play, 6) == 0;
    if (play->joins > 0 && play->now_ms - leg->entered_ms < APART_MS)
        play->now_ms = leg->entered_ms + APART_MS;
    leg->state = state;
    leg->entered_ms = play->now_ms;
    note(play, leg->id, before, state);
    tell_all(play, leg_message(leg, before));
}

static void set_uui(struct play *play)
{
    char *uui = play->uui[play->num_uui++];

    play->now_ms += dice(play, 6) == 0;
    snprintf(uui, sizeof(play->uui[0]), "%zu", play->num_uui);
    note(play, "UUI", NULL, uui);
    tell_all(play, uui_message(play));
}

static void hold_or_talk(struct play *play)
{
    struct leg *leg = &play->legs[dice(play, 2) ? 1 : 3];
    if (strcmp(leg->state, "IDLE") == 0)
        set_uui(play);
    else if (strcmp(leg->state, "ACTIVE") != 0)
        enter(play, leg, "ACTIVE");
    else
        enter(play, leg, dice(play, 2) ? "HELD" : "AUTOHELD");
}

/* A newcomer is told first what is there, as if it began now. */
static void join(struct play *play, uint32_t user)
{
    size_t i;

    play->sees[user] = 1;
    for (i = 0; i < 2; ++i)
        if (strcmp(play->legs[i].state, "IDLE") != 0)
            json_array_append_new(play->streams[user], leg_message(&play->legs[i], "IDLE"));
    if (play->num_uui > 0)
        json_array_append_new(play->streams[user], uui_message(play));
}

static void begin_side(struct play *play, size_t at)
{
    enter(play, &play->legs[at], "ESTABLISHED");
    enter(play, &play->legs[at + 1], "ACTIVE");
}

/*
 * Where somebody joins, no leg changes twice within APART_MS: which of two states that are alike he was introduced to could not be
 * told.
 */
static void happen(struct play *play, unsigned joins, int ends)
{
    unsigned i;

    play->joins = joins;
    play->sees[FIRST] = play->sees[SUPERVISOR] = 1;
    play->sees[SECOND] = joins == 0;
    begin_side(play, 0);
    if (joins == 0)
        begin_side(play, 2);
    for (i = 1; i < STEPS; ++i) {
        if (i == joins) {
            join(play, SECOND);
            begin_side(play, 2);
        }
        if (dice(play, 4) == 0)
            set_uui(play);
        else
            hold_or_talk(play);
    }
    if (!ends)
        return;
    enter(play, &play->legs[3], "DROPPED");
    enter(play, &play->legs[2], "DISCONNECTED");
    play->sees[SECOND] = 0;
    enter(play, &play->legs[1], "DROPPED");
    enter(play, &play->legs[0], "DISCONNECTED");
}

/* ---- telling ---- */

static void interleave(struct play *play)
{
    size_t at[USERS] = {0};

    for (;;) {
        uint32_t user = FIRST + dice(play, USERS - 1), tries, burst = 1 + dice(play, 6);
        for (tries = 0; tries < USERS && at[user] == json_array_size(play->streams[user]); ++tries)
            user = user + 1 < USERS ? user + 1 : FIRST;
        if (tries == USERS)
            return;
        for (; burst > 0 && at[user] < json_array_size(play->streams[user]); --burst)
            apply_message(&play->model, user, json_array_get(play->streams[user], at[user]++));
    }
}

/* ---- what was published ---- */

static int is_among(const uint32_t *users, size_t count, uint32_t user)
{
    size_t i;
    for (i = 0; i < count; ++i)
        if (users[i] == user)
            return 1;
    return 0;
}

/* As the hub decides for a token of one user. */
static int is_visible(const struct pending_event *event, uint32_t user)
{
    return !event->derived && is_among(event->users, event->num_users, user) &&
           !is_among(event->told, event->num_told, user);
}

static const char *text(const struct pending_event *event, const char *name)
{
    return json_string_value(json_object_get(event->data, name));
}

static const char *told_of(const struct pending_event *event)
{
    if (event->type == EVENT_CONTACT_PROPERTY || event->type == EVENT_TERMINAL_PROPERTY)
        return event->property;
    return text(event,
                event->type == EVENT_CONNECTION_STATE ? "connectionId" : "terminalConnectionId");
}

static const struct pending_event *next_told(const struct pending_event *event, uint32_t user,
                                             const char *what)
{
    for (; event != NULL; event = event->next)
        if (is_visible(event, user) && strcmp(told_of(event), what) == 0)
            return event;
    return NULL;
}

static void check_all_is_told(const struct play *play, uint32_t user, const char *what)
{
    const struct pending_event *event = play->model.live->pending;
    size_t i;

    for (i = 0; i < play->num_truth; ++i) {
        const struct change_told *change = &play->truth[i];
        if (strcmp(change->what, what) != 0)
            continue;
        assert_non_null(event = next_told(event, user, what));
        assert_string_equal(text(event, change->before != NULL ? "newState" : "value"),
                            change->after);
        if (change->before != NULL)
            assert_string_equal(text(event, "previousState"), change->before);
        event = event->next;
    }
    assert_null(next_told(event, user, what));
}

/* Who comes later may be told less, but nothing that does not follow, and the last of it. */
static void check_states_follow(const struct play *play, uint32_t user, const struct leg *leg)
{
    const struct pending_event *event = play->model.live->pending;
    const char *known = NULL;

    for (; (event = next_told(event, user, leg->id)) != NULL; event = event->next) {
        if (known != NULL)
            assert_string_equal(text(event, json_is_true(json_object_get(event->data, "introduced"))
                                                ? "newState"
                                                : "previousState"),
                                known);
        known = text(event, "newState");
    }
    assert_non_null(known);
    assert_string_equal(known, leg->state);
}

static void check_no_gap(const struct play *play)
{
    const struct pending_event *event;
    for (event = play->model.live->pending; event != NULL; event = event->next)
        assert_int_not_equal(event->type, EVENT_GATEWAY_GAP);
    assert_int_equal(play->model.live->num_gaps, 0);
    assert_int_equal(play->model.live->num_duplicates, 0);
}

static void check_model(struct play *play, int ended)
{
    size_t i;
    for (i = 0; i < LEG_MAX; ++i) {
        const struct leg *leg = &play->legs[i];
        const struct node *node = graph_find(
            &play->model.graph, leg->is_connection ? ENTITY_CONNECTION : ENTITY_TERMINAL_CONNECTION,
            leg->id);
        assert_int_equal(node == NULL, ended);
        if (node != NULL)
            assert_string_equal(node_state(node), leg->state);
    }
    if (!ended)
        assert_string_equal(
            json_string_value(json_object_get(
                graph_find(&play->model.graph, ENTITY_CONTACT, "call")->facts, "uui")),
            play->uui[play->num_uui - 1]);
}

/* ---- one play ---- */

/* The sessions have been telling for a while: that they are told the same times is known. */
static void tell_before(struct play *play)
{
    uint32_t user;
    int i;

    for (i = 0; i < BEFORE; ++i) {
        json_t *told = message("TERMINAL_PROPERTY", "TerminalPropertyEvent", BEGIN_MS - BEFORE + i,
                               json_pack("{s:{s:s}, s:s, s:{s:s}}", "Terminal", "terminalName",
                                         "Line 1", "TerminalProperty", "ACTIVITY_CODE",
                                         "AgentTerminalPropertyActivityCode", "activityCode",
                                         i % 2 ? "1" : "2"));
        for (user = FIRST; user < USERS; user += SUPERVISOR - FIRST)
            apply_message(&play->model, user, told);
        json_decref(told);
    }
}

static void own(struct play *play, enum entity kind, const char *name, uint32_t user)
{
    struct node *node = graph_get(&play->model.graph, kind, name, NULL);
    node_add_user(node, user);
    node_add_user(node, SUPERVISOR);
}

static void subscribe(struct play *play, uint32_t user)
{
    struct live *live = play->model.live;
    struct coverage *coverage = live_user(&play->model, user);

    coverage->subscription = ++live->next_subscription;
    coverage->in_step = 1;
    HASH_ADD(by_number, live->active, subscription, sizeof(coverage->subscription), coverage);
}

static struct play *play_new(uint32_t seed)
{
    static const struct leg legs[LEG_MAX] = {
        {"n1", "n1", "51", 1, FIRST, "IDLE", 0},
        {"t1", "n1", "Line 1", 0, FIRST, "IDLE", 0},
        {"n2", "n2", "52", 1, SECOND, "IDLE", 0},
        {"t2", "n2", "Line 2", 0, SECOND, "IDLE", 0},
    };
    struct play *play = calloc(1, sizeof(*play));
    struct model_settings settings = {0};
    uint32_t user;
    size_t i;

    assert_non_null(play);
    play->random = seed;
    play->now_ms = BEGIN_MS;
    assert_int_equal(loop_init(&play->loop), 0);
    play->config.upstream.max_concurrent = 4;
    play->model.loop = &play->loop;
    play->model.config = &play->config;
    play->model.consult_of = json_object();
    play->model.agent_states = json_object();
    assert_int_equal(live_new(&play->model, &settings), 0);
    play->model.live->commit_scheduled = 1; /* nothing is committed: all that was told stays */
    memcpy(play->legs, legs, sizeof(legs));
    for (i = 0; i < LEG_MAX; ++i)
        own(play, legs[i].is_connection ? ENTITY_ADDRESS : ENTITY_TERMINAL, legs[i].place,
            legs[i].owner);
    for (user = FIRST; user < USERS; ++user) {
        play->streams[user] = json_array();
        subscribe(play, user);
    }
    tell_before(play);
    return play;
}

static void play_free(struct play *play)
{
    uint32_t user;

    live_free(&play->model);
    holdings_free(&play->model);
    graph_free(&play->model.graph);
    json_decref(play->model.consult_of);
    json_decref(play->model.agent_states);
    loop_release(&play->loop);
    for (user = FIRST; user < USERS; ++user)
        json_decref(play->streams[user]);
    free(play);
}

static void test_every_change_is_told_once_and_in_order(void **state)
{
    static const char *const all[] = {"n1", "t1", "n2", "t2", "UUI"};
    uint32_t seed;
    size_t i;

    (void)state;
    for (seed = 1; seed <= ROUNDS; ++seed) {
        int ends = seed % 2 == 0;
        struct play *play = play_new(seed);
        happen(play, 0, ends);
        interleave(play);
        check_no_gap(play);
        check_model(play, ends);
        for (i = 0; i < sizeof(all) / sizeof(all[0]); ++i)
            check_all_is_told(play, SUPERVISOR, all[i]);
        for (i = 2; i < LEG_MAX; ++i)
            check_states_follow(play, SECOND, &play->legs[i]);
        play_free(play);
    }
}

static void test_newcomers_come_to_what_is_known(void **state)
{
    uint32_t seed;
    size_t i;

    (void)state;
    for (seed = 1; seed <= ROUNDS; ++seed) {
        struct play *play = play_new(seed);
        happen(play, 1 + seed % (STEPS - 1), 0);
        interleave(play);
        check_no_gap(play);
        check_model(play, 0);
        for (i = 0; i < LEG_MAX; ++i) {
            check_states_follow(play, FIRST, &play->legs[i]);
            check_states_follow(play, SECOND, &play->legs[i]);
            check_states_follow(play, SUPERVISOR, &play->legs[i]);
        }
        play_free(play);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_change_is_told_once_and_in_order),
        cmocka_unit_test(test_newcomers_come_to_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
