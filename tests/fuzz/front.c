#include "tests/fuzz/front.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "cctgate/durable.h"
#include "cctgate/error.h"
#include "cctgate/hub.h"
#include "cctgate/loop.h"
#include "gateway/outbound/ask.h"
#include "gateway/rest/connection.h"
#include "gateway/rest/rest.h"
#include "tests/fuzz/fuzz.h"

#define QUIET_TURNS 3   /* nothing comes for so many turns of the loop: nothing will */
#define TURNS_MAX   400 /* an answer takes less */
#define LOG_EVENTS  40

static struct {
    struct store *store;
    struct config *config;
    struct policy *policy;
    struct fronts *fronts;
    struct front *front;
    uint64_t seq;
} world;

/* ---- what asks the owner is answered ---- */

struct owner {
    int unused;
};
static struct owner nobody;

static void answer(struct mailbox *mailbox, struct message *message,
                   void (*on_reply)(struct message *))
{
    message->on_deliver = on_reply;
    mailbox_send(mailbox, message);
}

static struct fetch_outcome *refused(void)
{
    struct fetch_outcome *outcome = calloc(1, sizeof(*outcome));

    FUZZ_CHECK(outcome != NULL);
    atomic_init(&outcome->references, 1);
    outcome->rc = CG_E_REFUSED;
    return outcome;
}

void owner_fetch_send(struct owner *owner, struct owner_fetch *fetch)
{
    (void)owner;
    if (fetch->reply_to == NULL) {
        owner_fetch_free(&fetch);
        return;
    }
    fetch->outcome = refused();
    answer(fetch->reply_to, &fetch->message, fetch->on_reply);
}

void owner_call_free(struct owner_call **call)
{
    if (*call != NULL) {
        json_decref((*call)->arguments);
        json_decref((*call)->result);
        fetch_outcome_unref(&(*call)->outcome);
    }
    free(*call);
    *call = NULL;
}

void owner_call_send(struct owner *owner, struct owner_call *call)
{
    (void)owner;
    call->outcome = refused();
    answer(call->reply_to, &call->message, call->on_reply);
}

void owner_query_send(struct owner *owner, struct owner_query *query)
{
    (void)owner;
    query->result = json_object();
    answer(query->reply_to, &query->message, query->on_reply);
}

void owner_command_send(struct owner *owner, struct command *command)
{
    (void)owner;
    FUZZ_CHECK(json_is_object(command->body));
    FUZZ_CHECK(strlen(command->id) == command->id_length);
    command->status = 204;
    answer(command->reply_to, &command->message, command->on_reply);
}

void owner_client_gone(struct owner *owner, uint64_t client, unsigned silent_ms)
{
    (void)owner, (void)client, (void)silent_ms;
}

int64_t owner_last_turn_ms(const struct owner *owner)
{
    (void)owner;
    return clock_monotonic_ms();
}

struct control *owner_control(struct owner *owner)
{
    (void)owner;
    return NULL;
}

struct durable *owner_durable(struct owner *owner)
{
    (void)owner;
    return NULL;
}

static json_t *nothing(void)
{
    return json_object();
}

json_t *owner_describe_sessions(struct owner *owner, const struct owner_query *query)
{
    (void)owner, (void)query;
    return nothing();
}

json_t *owner_describe_capacity(struct owner *owner, const struct owner_query *query)
{
    (void)owner, (void)query;
    return nothing();
}

json_t *owner_describe_readiness(struct owner *owner, const struct owner_query *query)
{
    (void)owner, (void)query;
    return nothing();
}

json_t *owner_describe_metrics(struct owner *owner, const struct owner_query *query)
{
    (void)owner, (void)query;
    return nothing();
}

/* Campaigns 1 and 2, of 500 contacts each. */
static json_t *page_after(struct listing *listing)
{
    json_t *page = json_array(), *fresh;
    int64_t id;

    for (id = listing->after + 1; id <= 500 && json_array_size(page) < LISTING_PAGE; ++id)
        json_array_append_new(page, json_pack("{s:I}", "contactId", (json_int_t)id));
    if (listing->seen == 0)
        listing_begin(listing, listing->after, 500);
    fresh = listing_take(listing, page);
    json_decref(page);
    return fresh;
}

void owner_outbound_send(struct owner *owner, struct outbound_ask *ask)
{
    (void)owner;
    FUZZ_CHECK(ask->question < OUTBOUND_QUESTIONS && ask->campaign >= 0 && ask->contact >= -1);
    FUZZ_CHECK(ask->words == NULL || json_is_object(ask->words));
    FUZZ_CHECK(strlen(ask->key) < sizeof(ask->key));
    if (ask->question == OUTBOUND_CAMPAIGNS) {
        ask->answer = json_pack("{s:[{s:i}, {s:i}]}", "items", "id", 1, "id", 2);
    } else if (ask->question == OUTBOUND_CONTACTS) {
        ask->answer = page_after(&ask->listing);
    } else if (ask->question == OUTBOUND_LIST) {
        ask->answer = json_pack("{s:s}", "id", "0123456789abcdef0123456789abcdef");
    } else if (ask->question == OUTBOUND_LISTED) {
        ask->problem = PROBLEM_NOT_FOUND;
        ask->answer = problem_json(PROBLEM_NOT_FOUND, NULL);
    } else {
        ask->answer = json_object();
    }
    FUZZ_CHECK(ask->answer != NULL);
    answer(ask->reply_to, &ask->message, ask->on_reply);
}

void owner_jobs_send(struct owner *owner, struct jobs_ask *ask)
{
    (void)owner;
    ask->rc = CG_OK;
    ask->answer = json_pack("{s:s}", "id", "0123456789abcdef0123456789abcdef");
    FUZZ_CHECK(ask->answer != NULL);
    answer(ask->reply_to, &ask->message, ask->on_reply);
}

/* Of the durable disk the front asks for the audit log alone. */
void durable_ask(struct durable *durable, struct durable_query *query)
{
    (void)durable;
    query->rc = CG_OK;
    query->items = json_array();
    query->next = 0;
    answer(query->reply_to, &query->message, query->on_reply);
}

/* What writes there is linked with the front, and is the owner's: nobody calls it. */
struct durable_batch *durable_batch_new(void)
{
    abort();
}

void durable_put(struct durable_batch *batch, enum durable_table table, const void *key,
                 size_t key_length, const void *value, size_t length)
{
    (void)batch, (void)table, (void)key, (void)key_length, (void)value, (void)length;
    abort();
}

void durable_delete(struct durable_batch *batch, enum durable_table table, const void *key,
                    size_t key_length)
{
    (void)batch, (void)table, (void)key, (void)key_length;
    abort();
}

void durable_append(struct durable_batch *batch, json_t *entry)
{
    (void)batch, (void)entry;
    abort();
}

int durable_batch_is_empty(const struct durable_batch *batch)
{
    (void)batch;
    abort();
}

void durable_batch_free(struct durable_batch **batch)
{
    (void)batch;
    abort();
}

void durable_submit(struct durable *durable, struct durable_batch *batch, struct mailbox *reply_to,
                    void (*on_done)(struct message *message), void *data)
{
    (void)durable, (void)batch, (void)reply_to, (void)on_done, (void)data;
    abort();
}

int durable_walk(struct durable *durable, enum durable_table table,
                 int (*on_row)(void *data, const void *key, size_t key_length, const void *value,
                               size_t length),
                 void *data)
{
    (void)durable, (void)table, (void)on_row, (void)data;
    abort();
}

/* ---- the world ---- */

static void write_config(char *file, size_t size)
{
    unsigned char sha256[32];
    char hex[65], path[PATH_MAX], text[2048];
    int i;

    SHA256((const unsigned char *)FUZZ_TOKEN, strlen(FUZZ_TOKEN), sha256);
    for (i = 0; i < 32; ++i)
        snprintf(hex + 2 * i, 3, "%02x", sha256[i]);
    snprintf(path, sizeof(path), "%s/password", fuzz_folder());
    fuzz_write(path, "secret", 6);
    snprintf(path, sizeof(path), "%s/contract", fuzz_folder());
    if (symlink("/", path) != 0) /* it is not read */
        exit(1);
    snprintf(
        text, sizeof(text),
        "{\"listen\":[{\"address\":\"127.0.0.1\",\"port\":0}],\"threads\":1,"
        "\"contract\":\"contract\",\"data\":{\"directory\":\"data\"},"
        "\"upstream\":{\"endpoints\":[{\"name\":\"campus\",\"url\":\"http://127.0.0.1:1/\"}]},"
        "\"sessions\":[{\"user\":\"a\",\"domain\":\"D\",\"password\":{\"file\":\"password\"}}],"
        "\"tokens\":[{\"application\":\"a\",\"sha256\":\"%s\",\"users\":[\"a\"],\"roles\":["
        "\"viewer\",\"controller\",\"supervisor\",\"operator\"]}],"
        "\"outbound\":{\"url\":\"http://127.0.0.1:1/"
        "\",\"user\":\"a\",\"password\":{\"file\":\"password\"}},"
        "\"events\":{\"origins\":[\"https://desk.example\"]}}",
        hex);
    snprintf(file, size, "%s/cctgate.json", fuzz_folder());
    fuzz_write(file, text, strlen(text));
}

static void put(struct store_txn *txn, enum record_kind kind, const char *id, const char *body)
{
    struct record record = {.fetched_at_ms = clock_unix_ms(),
                            .expires_at_ms = clock_unix_ms() + 3600000,
                            .user = 1,
                            .provenance = PROVENANCE_FETCH,
                            .body = body,
                            .body_length = strlen(body)};
    int has_owners = kind == RECORD_AGENT || kind == RECORD_TERMINAL || kind == RECORD_ADDRESS ||
                     kind == RECORD_CALL;

    FUZZ_CHECK(store_put(txn, kind, id, strlen(id), &record) == CG_OK);
    if (has_owners)
        FUZZ_CHECK(store_add_owner(txn, kind, id, strlen(id), 1) == CG_OK);
}

static void open_store(void)
{
    char data[PATH_MAX], error[256] = "";
    struct store_settings settings = {data, (size_t)64 << 20, (size_t)1 << 20, 0};
    struct store_opened opened;
    struct store_txn *txn;
    uint32_t number;

    snprintf(data, sizeof(data), "%s/data", fuzz_folder());
    FUZZ_CHECK(store_open(&world.store, &settings, &opened, error, sizeof(error)) == CG_OK);
    FUZZ_CHECK(store_begin(world.store, &txn) == CG_OK);
    FUZZ_CHECK(store_user_id(txn, "a", &number) == CG_OK && number == 1);
    put(txn, RECORD_AGENT, "2001", "{\"loginId\":\"2001\",\"presence\":\"ready\"}");
    put(txn, RECORD_TERMINAL, "t1", "{\"name\":\"t1\"}");
    put(txn, RECORD_ADDRESS, "4001", "{\"name\":\"4001\"}");
    put(txn, RECORD_CALL, "c1", "{\"contactId\":\"c1\"}");
    put(txn, RECORD_CALL_DATA, "c1", "{\"key\":\"value\"}");
    put(txn, RECORD_USER, "a", "{\"user\":\"a\"}");
    put(txn, RECORD_USER_CALLS, "a", "{}");
    FUZZ_CHECK(store_commit(&txn) == CG_OK);
}

/* The kernel's listener is never used: a talk is a pair of sockets. */
static void prepare(void)
{
    static const uint32_t numbers[] = {1};
    char file[PATH_MAX], error[256] = "";
    struct config_error config_error;
    struct fronts_settings settings = {.contract = fuzz_contract()};

    if (world.fronts != NULL)
        return;
    write_config(file, sizeof(file));
    if (config_load(&world.config, file, &config_error) != CG_OK) {
        fprintf(stderr, "%s: %s\n", config_error.pointer, config_error.text);
        exit(1);
    }
    open_store();
    FUZZ_CHECK((world.policy = policy_new(world.config, numbers)) != NULL);
    atomic_store(&session_views[1].configured, 1);
    atomic_store(&session_views[1].healthy_since_ms, 1);
    settings.config = world.config;
    settings.store = world.store;
    FUZZ_CHECK(fronts_new(&world.fronts, &settings, error, sizeof(error)) == CG_OK);
    FUZZ_CHECK(fronts_prepare(world.fronts) == CG_OK);
    world.front = &world.fronts->front[0];
    world.front->owner = &nobody;
    fronts_set_policy(world.fronts, world.policy, NULL, NULL);
    mailbox_deliver(&world.front->mailbox);
    fuzz_publish();
}

void fuzz_publish(void)
{
    static const char json[] =
        "{\"type\":\"cct.agent.property\",\"data\":{\"property\":\"READY\"}}";
    static const uint32_t users[] = {1};
    struct event_parts parts = {.seq = world.seq + 1,
                                .type = EVENT_AGENT_PROPERTY,
                                .subject = "/v1/agents/2001",
                                .agent = "2001",
                                .property = "READY",
                                .users = users,
                                .num_users = 1,
                                .json = json,
                                .json_length = sizeof(json) - 1};
    struct event *event = event_new(&parts);
    struct store_txn *txn;
    unsigned dropped;
    size_t length;
    uint64_t seq;
    void *entry;

    FUZZ_CHECK(event != NULL && (entry = event_encode(event, &length)) != NULL);
    FUZZ_CHECK(store_begin(world.store, &txn) == CG_OK);
    FUZZ_CHECK(store_log_append(txn, entry, length, &seq) == CG_OK && seq == world.seq + 1);
    FUZZ_CHECK(store_log_trim(txn, LOG_EVENTS, 1u << 20, 2, &dropped) == CG_OK);
    FUZZ_CHECK(store_commit(&txn) == CG_OK);
    world.seq = seq;
    fronts_publish(world.fronts, &event, 1);
    event_unref(&event);
    free(entry);
}

/* ---- talking ---- */

void fuzz_talk_begin(struct fuzz_talk *talk)
{
    int fds[2];
    h2o_socket_t *sock;

    prepare();
    memset(talk, 0, sizeof(*talk));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
        perror("socketpair");
        exit(1);
    }
    talk->fd = fds[0];
    sock =
        h2o_evloop_socket_create(world.front->loop, fds[1], H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    connection_begin(world.front, &world.front->accept[0], sock);
}

/* 1: something came */
static int listen_to(struct fuzz_talk *talk)
{
    ssize_t got;

    if (talk->capacity - talk->length < 65536) {
        talk->capacity = talk->capacity * 2 + 131072;
        FUZZ_CHECK((talk->answer = realloc(talk->answer, talk->capacity)) != NULL);
    }
    got = talk->fd >= 0
              ? read(talk->fd, talk->answer + talk->length, talk->capacity - talk->length - 1)
              : 0;
    if (got > 0)
        talk->length += (size_t)got;
    talk->answer[talk->length] = '\0';
    return got > 0;
}

static void turn(struct fuzz_talk *talk)
{
    unsigned quiet = 0, turns = 0;

    while (quiet < QUIET_TURNS && turns++ < TURNS_MAX) {
        h2o_evloop_run(world.front->loop, 0);
        quiet = listen_to(talk) ? 0 : quiet + 1;
    }
    FUZZ_CHECK(turns < TURNS_MAX);
    talk->gone = world.front->open_connections == 0;
}

void fuzz_talk_say(struct fuzz_talk *talk, const void *bytes, size_t length)
{
    const char *at = bytes;

    while (length > 0 && !talk->gone) {
        ssize_t n = send(talk->fd, at, length, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        at += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
        turn(talk);
    }
    turn(talk);
}

void fuzz_talk_end(struct fuzz_talk *talk)
{
    unsigned turns = 0;

    close(talk->fd);
    talk->fd = -1;
    while (world.front->open_connections > 0 && turns++ < TURNS_MAX)
        h2o_evloop_run(world.front->loop, 0);
    FUZZ_CHECK(world.front->open_connections == 0);
    FUZZ_CHECK(world.front->in_progress == 0);
    free(talk->answer);
}
