/*
 * What became of commands that had an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header), for 24 hours.
 *
 * Life of a key. The first command that brings it is written down as begun before it goes on; so a process that dies knows afterwards that it
 * may have acted, and says "unknown" rather than act again. Its outcome is written down with its audit entry. Others with the key and the
 * same body meanwhile wait for it, later ones are told it again; another body is refused. A command that never went upstream leaves its
 * key free: nothing was done that could be done twice. So does one that was turned away there for want of a session, with a time to
 * try again: who does that under the same key is to get it done, and not to be told of the outage for a day.
 *
 * Keys belong to an application. Neither they nor bodies are kept: only digests under a secret of this installation, for a body may hold digits
 * that a plain digest would give away.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/command/command_private.h"

#define DIGEST_BYTES 32
#define LIFE_MS      (24 * 3600 * 1000LL)
#define SWEEP_MS     60000

enum entry_state { ENTRY_BEGUN, ENTRY_ENDED };

struct outcome_entry {
    UT_hash_handle hh;
    uint8_t key[DIGEST_BYTES], request[DIGEST_BYTES];
    enum entry_state state;
    int64_t expires_ms; /* steady */
    int status, is_problem;
    json_t *answer;                    /* ENTRY_ENDED; may be NULL */
    struct execution *first, *waiting; /* ENTRY_BEGUN: who does it, and who wants to know */
    void (*go_on)(struct execution *);
    int forget; /* nothing was done: the key is free again */
};

/* ---- digests ---- */

static void add_bytes(EVP_MD_CTX *context, const void *bytes, size_t length)
{
    uint64_t size = length;
    EVP_DigestSignUpdate(context, &size, sizeof(size));
    EVP_DigestSignUpdate(context, bytes, length);
}

static void add_text(EVP_MD_CTX *context, const char *text)
{
    add_bytes(context, text, strlen(text));
}

static EVP_MD_CTX *digest_begin(const struct commands *commands)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, commands->key, sizeof(commands->key));

    if (context == NULL || key == NULL ||
        EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1)
        abort();
    EVP_PKEY_free(key);
    return context;
}

static void digest_end(EVP_MD_CTX *context, uint8_t out[DIGEST_BYTES])
{
    size_t length = DIGEST_BYTES;
    if (EVP_DigestSignFinal(context, out, &length) != 1)
        abort();
    EVP_MD_CTX_free(context);
}

static void digest_key(const struct commands *commands, const struct access *access,
                       const char *key, uint8_t out[DIGEST_BYTES])
{
    EVP_MD_CTX *context = digest_begin(commands);
    add_text(context, access->application);
    if (access->subject != NULL) /* many may be behind one application */
        add_text(context, access->subject);
    add_text(context, key);
    digest_end(context, out);
}

static void add_json(EVP_MD_CTX *context, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

    if (text == NULL)
        abort();
    add_text(context, text);
    explicit_bzero(text, strlen(text));
    free(text);
}

static void digest_request(const struct command *command, uint8_t out[DIGEST_BYTES])
{
    EVP_MD_CTX *context = digest_begin(command->commands);

    add_text(context, command->row != NULL ? command->row->method : command->op->service->name);
    add_text(context, command->row != NULL ? command->row->path : command->op->name);
    add_bytes(context, command->id, command->id_length);
    add_bytes(context, command->sub_id, command->sub_id_length);
    add_bytes(context, &command->user, sizeof(command->user));
    add_json(context, command->body);
    digest_end(context, out);
}

/* ---- on the disk ---- */

static void write_entry(struct durable_batch *batch, const struct outcome_entry *entry)
{
    char hex[2 * DIGEST_BYTES + 1];
    json_t *json;
    char *text;
    size_t i;

    for (i = 0; i < DIGEST_BYTES; ++i)
        snprintf(hex + 2 * i, 3, "%02x", entry->request[i]);
    json = json_pack("{s:I, s:s}", "expires", (json_int_t)entry->expires_ms, "request", hex);
    if (entry->state == ENTRY_ENDED) {
        json_object_set_new(json, "status", json_integer(entry->status));
        json_object_set_new(json, "problem", json_boolean(entry->is_problem));
        if (entry->answer != NULL)
            json_object_set(json, "answer", entry->answer);
    }
    if ((text = json_dumps(json, JSON_COMPACT)) == NULL)
        abort();
    durable_put(batch, DURABLE_OUTCOMES, entry->key, sizeof(entry->key), text, strlen(text));
    free(text);
    json_decref(json);
}

static void entry_free(struct commands *commands, struct outcome_entry *entry)
{
    HASH_DEL(commands->outcomes, entry);
    --commands->num_outcomes;
    json_decref(entry->answer);
    free(entry);
}

static struct outcome_entry *entry_new(struct commands *commands, const uint8_t key[DIGEST_BYTES])
{
    struct outcome_entry *entry = calloc(1, sizeof(*entry));

    if (entry == NULL)
        abort();
    memcpy(entry->key, key, DIGEST_BYTES);
    entry->expires_ms = clock_steady_ms() + LIFE_MS;
    HASH_ADD(hh, commands->outcomes, key, sizeof(entry->key), entry);
    ++commands->num_outcomes;
    return entry;
}

static void from_hex(const char *hex, uint8_t out[DIGEST_BYTES])
{
    size_t i;
    for (i = 0; hex != NULL && strlen(hex) == 2 * DIGEST_BYTES && i < DIGEST_BYTES; ++i) {
        unsigned value = 0;
        sscanf(hex + 2 * i, "%2x", &value);
        out[i] = (uint8_t)value;
    }
}

/* Begun, and the process ended: it may have been done. */
static void end_as_unknown(struct outcome_entry *entry)
{
    entry->status = problem_rows[PROBLEM_UPSTREAM_TIMEOUT].status;
    entry->is_problem = 1;
    entry->answer = problem_json(PROBLEM_UPSTREAM_TIMEOUT,
                                 "the gateway was ended while the command was under way");
    json_object_set_new(entry->answer, "outcome",
                        json_string(command_outcome_names[OUTCOME_UNKNOWN]));
}

static int on_row(void *data, const void *key, size_t key_length, const void *value, size_t length)
{
    struct commands *commands = data;
    struct outcome_entry *entry;
    json_t *json;

    if (key_length != DIGEST_BYTES || (json = json_loadb(value, length, 0, NULL)) == NULL)
        return 0;
    entry = entry_new(commands, key);
    entry->expires_ms = json_integer_value(json_object_get(json, "expires"));
    from_hex(json_string_value(json_object_get(json, "request")), entry->request);
    entry->state = ENTRY_ENDED;
    if (json_object_get(json, "status") == NULL) {
        end_as_unknown(entry);
    } else {
        entry->status = (int)json_integer_value(json_object_get(json, "status"));
        entry->is_problem = json_is_true(json_object_get(json, "problem"));
        entry->answer = json_incref(json_object_get(json, "answer"));
    }
    json_decref(json);
    return 0;
}

static const char secret_name[] = "outcomeKey";

static int on_state(void *data, const void *key, size_t key_length, const void *value,
                    size_t length)
{
    struct commands *commands = data;

    if (key_length == sizeof(secret_name) - 1 && memcmp(key, secret_name, key_length) == 0 &&
        length == sizeof(commands->key)) {
        memcpy(commands->key, value, length);
        return 1;
    }
    return 0;
}

static int read_secret(struct commands *commands)
{
    static const uint8_t none[sizeof(commands->key)];
    struct durable *durable = commands->settings.durable;
    struct durable_batch *batch;
    int rc = durable_walk(durable, DURABLE_STATE, on_state, commands);

    if (rc != CG_OK || memcmp(commands->key, none, sizeof(none)) != 0)
        return rc;
    if (RAND_bytes(commands->key, sizeof(commands->key)) != 1)
        return CG_E_IO;
    batch = durable_batch_new();
    durable_put(batch, DURABLE_STATE, secret_name, sizeof(secret_name) - 1, commands->key,
                sizeof(commands->key));
    durable_submit(durable, batch, NULL, NULL, NULL);
    return CG_OK;
}

/* ---- the end of their time ---- */

static void sweep(struct timer *timer)
{
    struct commands *commands =
        (struct commands *)((char *)timer - offsetof(struct commands, outcomes_timer));
    struct durable_batch *batch = durable_batch_new();
    struct outcome_entry *entry, *next;
    int64_t now_ms = clock_steady_ms();

    HASH_ITER(hh, commands->outcomes, entry,
              next) /* in order of age: as a rule the first says it all */
    {
        if (entry->expires_ms > now_ms)
            break;
        if (entry->state != ENTRY_ENDED)
            continue;
        durable_delete(batch, DURABLE_OUTCOMES, entry->key, sizeof(entry->key));
        entry_free(commands, entry);
    }
    if (durable_batch_is_empty(batch))
        durable_batch_free(&batch);
    else
        durable_submit(commands->settings.durable, batch, NULL, NULL, NULL);
    timer_arm(commands->settings.loop, &commands->outcomes_timer, SWEEP_MS);
}

static int by_age(const struct outcome_entry *a, const struct outcome_entry *b)
{
    return (a->expires_ms > b->expires_ms) - (a->expires_ms < b->expires_ms);
}

int outcomes_new(struct commands *commands)
{
    int rc = read_secret(commands);

    if (rc == CG_OK)
        rc = durable_walk(commands->settings.durable, DURABLE_OUTCOMES, on_row, commands);
    if (rc != CG_OK)
        return rc;
    HASH_SORT(commands->outcomes, by_age); /* the disk has them in order of their digests */
    commands->outcomes_timer.on_due = sweep;
    timer_arm(commands->settings.loop, &commands->outcomes_timer, SWEEP_MS);
    return CG_OK;
}

void outcomes_free(struct commands *commands)
{
    struct outcome_entry *entry, *next;

    timer_disarm(commands->settings.loop, &commands->outcomes_timer);
    HASH_ITER(hh, commands->outcomes, entry, next)
    {
        entry_free(commands, entry);
    }
    explicit_bzero(commands->key, sizeof(commands->key));
}

/* ---- beginning ---- */

static void give(struct execution *execution, const struct outcome_entry *entry)
{
    struct command *command = execution->command;

    command->status = entry->status;
    command->is_problem = entry->is_problem;
    command->answer = entry->answer != NULL ? json_deep_copy(entry->answer) : NULL;
    command->replayed = 1;
    ++execution->commands->stats.replayed;
    execution_answer(execution);
}

static void on_begun(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct execution *execution = done->data;
    void (*go_on)(struct execution *) = execution->on_turn;
    int rc = done->rc;

    free(done);
    execution->on_turn = NULL;
    if (rc != CG_OK)
        refuse(execution, PROBLEM_STORE, "the key could not be written down; nothing was done");
    else
        go_on(execution);
}

static void write_begun(struct execution *execution, void (*go_on)(struct execution *))
{
    struct commands *commands = execution->commands;
    struct durable_batch *batch = durable_batch_new();

    execution->on_turn = go_on;
    write_entry(batch, execution->entry);
    durable_submit(commands->settings.durable, batch, &commands->settings.loop->mailbox, on_begun,
                   execution);
}

void outcomes_begin(struct execution *execution, void (*go_on)(struct execution *))
{
    struct commands *commands = execution->commands;
    uint8_t key[DIGEST_BYTES], request[DIGEST_BYTES];
    struct outcome_entry *entry;

    digest_key(commands, execution->command->access, execution->command->key, key);
    digest_request(execution->command, request);
    HASH_FIND(hh, commands->outcomes, key, sizeof(key), entry);
    if (entry != NULL && memcmp(entry->request, request, sizeof(request)) != 0) {
        refuse(execution, PROBLEM_KEY_REUSED, "the key came with another command before");
    } else if (entry != NULL && entry->state == ENTRY_ENDED) {
        give(execution, entry);
    } else if (entry != NULL) {
        execution->entry_next = entry->waiting;
        entry->waiting = execution;
    } else if (commands->num_outcomes >= CG_OUTCOMES_MAX) {
        refuse(execution, PROBLEM_OVERLOADED, "as many keys are kept as may be");
    } else {
        execution->entry = entry = entry_new(commands, key);
        memcpy(entry->request, request, sizeof(request));
        entry->first = execution;
        entry->go_on = go_on;
        write_begun(execution, go_on);
    }
}

/* ---- ending ---- */

/* Nothing was done under the key, so that it is as if whoever waited had come first. */
static void begin_anew(struct outcome_entry *entry, struct execution *first)
{
    entry->waiting = first->entry_next;
    entry->state = ENTRY_BEGUN;
    entry->forget = 0;
    json_decref(entry->answer);
    entry->answer = NULL;
    entry->first = first;
    first->entry = entry;
    write_begun(first, entry->go_on);
}

/* Half of a command is none of these: it has another status. */
static int is_to_be_tried_again(const struct command *command)
{
    return command->status == 503 && command->retry_after_s > 0;
}

void outcomes_end(struct execution *execution, struct durable_batch *batch)
{
    struct outcome_entry *entry = execution->entry;
    const struct command *command = execution->command;

    if (entry == NULL)
        return;
    entry->forget = execution->outcome == OUTCOME_NOT_DONE &&
                    (!execution->called || is_to_be_tried_again(execution->command));
    entry->status = command->status;
    entry->is_problem = command->is_problem;
    entry->answer = json_deep_copy(command->answer); /* which another thread is about to have */
    if (entry->forget) {
        durable_delete(batch, DURABLE_OUTCOMES, entry->key, sizeof(entry->key));
        return;
    }
    entry->state = ENTRY_ENDED;
    write_entry(batch, entry);
    entry->state = ENTRY_BEGUN; /* until it is written */
}

void outcomes_told(struct execution *execution)
{
    struct outcome_entry *entry = execution->entry;
    struct execution *waiting, *next;

    if (entry == NULL)
        return;
    execution->entry = NULL;
    entry->state = ENTRY_ENDED;
    entry->first = NULL;
    waiting = entry->waiting;
    entry->waiting = NULL;
    if (entry->forget && waiting != NULL) {
        begin_anew(entry, waiting);
        return;
    }
    for (; waiting != NULL; waiting = next) {
        next = waiting->entry_next;
        give(waiting, entry);
    }
    if (entry->forget)
        entry_free(execution->commands, entry);
}

/* ---- what others do ---- */

enum kept commands_keep(struct commands *commands, const struct kept_request *asked,
                        struct durable_batch *batch, struct outcome_entry **entry)
{
    EVP_MD_CTX *context = digest_begin(commands);
    uint8_t key[DIGEST_BYTES], request[DIGEST_BYTES];

    digest_key(commands, asked->access, asked->key, key);
    add_text(context, asked->what);
    add_json(context, asked->body);
    digest_end(context, request);
    HASH_FIND(hh, commands->outcomes, key, sizeof(key), *entry);
    if (*entry != NULL && memcmp((*entry)->request, request, sizeof(request)) != 0)
        return KEPT_OTHER;
    if (*entry != NULL)
        return (*entry)->state == ENTRY_ENDED ? KEPT_TOLD : KEPT_UNDER_WAY;
    if (commands->num_outcomes >= CG_OUTCOMES_MAX)
        return KEPT_FULL;
    *entry = entry_new(commands, key);
    memcpy((*entry)->request, request, sizeof(request));
    write_entry(batch, *entry);
    return KEPT_NEW;
}

json_t *commands_kept_answer(const struct outcome_entry *entry, int *status, int *is_problem)
{
    *status = entry->status;
    *is_problem = entry->is_problem;
    return entry->answer != NULL ? json_deep_copy(entry->answer) : json_object();
}

void commands_kept_end(struct outcome_entry *entry, int status, int is_problem,
                       const json_t *answer, struct durable_batch *batch)
{
    if ((entry->forget = answer == NULL)) {
        durable_delete(batch, DURABLE_OUTCOMES, entry->key, sizeof(entry->key));
        return;
    }
    entry->status = status;
    entry->is_problem = is_problem;
    entry->answer = json_deep_copy(answer); /* which another thread is about to have */
    entry->state = ENTRY_ENDED;
    write_entry(batch, entry);
    entry->state = ENTRY_BEGUN; /* until it is written */
}

void commands_kept_told(struct commands *commands, struct outcome_entry *entry)
{
    entry->state = ENTRY_ENDED;
    if (entry->forget)
        entry_free(commands, entry);
}
