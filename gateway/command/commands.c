/* The stages of a command, from the owner's mailbox to the client's answer. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/command/command_private.h"
#include "gateway/rest/body.h"

const char *const command_outcome_names[] = {"done", "notDone", "unknown"};

/* ---- commands as messages ---- */

struct command *command_new(void)
{
    struct command *command = calloc(1, sizeof(*command));
    if (command == NULL)
        abort();
    return command;
}

/* Passwords and digits do not stay in memory for longer than the command. */
void command_free(struct command **in)
{
    struct command *command = *in;

    *in = NULL;
    if (command == NULL)
        return;
    if (command->body != NULL && command->body->refcount == 1)
        body_wipe_json(command->body);
    json_decref(command->body);
    json_decref(command->answer);
    policy_unref(&command->policy);
    explicit_bzero(command, sizeof(*command));
    free(command);
}

/* ---- an execution ---- */

static struct execution *execution_new(struct commands *commands, struct command *command)
{
    struct execution *execution = calloc(1, sizeof(*execution));

    if (execution == NULL)
        abort();
    execution->commands = commands;
    execution->command = command;
    execution->scene.needs_lease = 1;
    if ((execution->next = commands->executions) != NULL)
        execution->next->previous = execution;
    commands->executions = execution;
    ++commands->stats.commands;
    ++commands->stats.in_progress;
    return execution;
}

void execution_free(struct execution *execution)
{
    struct commands *commands = execution->commands;

    *(execution->previous != NULL ? &execution->previous->next : &commands->executions) =
        execution->next;
    if (execution->next != NULL)
        execution->next->previous = execution->previous;
    timer_disarm(commands->settings.loop, &execution->wait_timer);
    --commands->stats.in_progress;
    json_decref(execution->read);
    json_decref(execution->value);
    json_decref(execution->steps);
    command_free(&execution->command);
    free(execution);
}

static void send_answer(struct command *command)
{
    command->message.on_deliver = command->on_reply;
    mailbox_send(command->reply_to, &command->message);
}

void execution_answer(struct execution *execution)
{
    struct command *command = execution->command;
    execution->command = NULL;
    execution_free(execution); /* first: what it shares with the answer goes to another thread */
    send_answer(command);
}

/* ---- turns: who writes the data of one call, one after the other ---- */

void execution_take_turn(struct execution *execution, void (*on_turn)(struct execution *))
{
    struct commands *commands = execution->commands;
    const char *contact = execution->scene.ids[ENTITY_CONTACT];
    size_t length = strlen(contact);
    struct turn *turn;

    HASH_FIND(hh, commands->turns, contact, length, turn);
    execution->on_turn = on_turn;
    if (turn != NULL) {
        turn->last->turn_next = execution;
        turn->last = execution;
        execution->turn = turn;
        return;
    }
    if ((turn = calloc(1, sizeof(*turn) + length + 1)) == NULL)
        abort();
    memcpy(turn->contact, contact, length);
    turn->first = turn->last = execution;
    execution->turn = turn;
    HASH_ADD_KEYPTR(hh, commands->turns, turn->contact, length, turn);
    on_turn(execution);
}

/* A turn of the loop later: however many of them are refused one after the other, none does so inside another. */
static void on_next_turn(struct message *message)
{
    struct turn *turn = (struct turn *)message;
    turn->first->on_turn(turn->first);
}

/* Only who is at it ends a turn: nobody who waits for one can be ended otherwise. */
static void end_turn(struct execution *execution)
{
    struct commands *commands = execution->commands;
    struct turn *turn = execution->turn;

    execution->turn = NULL;
    if (turn == NULL)
        return;
    if ((turn->first = execution->turn_next) != NULL) {
        turn->message.on_deliver = on_next_turn;
        mailbox_send(&commands->settings.loop->mailbox, &turn->message);
        return;
    }
    HASH_DEL(commands->turns, turn);
    free(turn);
}

/* ---- the end ---- */

static void wait_for_effect(struct execution *execution);

static void on_written(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct execution *execution = done->data;

    if (done->rc != CG_OK)
        log_write(LOG_LEVEL_ERROR, "commandNotRecorded",
                  "What became of a command could not be written down",
                  LOG_S("reason", cg_error_name(done->rc)));
    free(done);
    outcomes_told(execution);
    wait_for_effect(execution);
}

static const char *object_of(const struct execution *execution)
{
    static const enum entity order[] = {ENTITY_CONTACT, ENTITY_TERMINAL, ENTITY_ADDRESS,
                                        ENTITY_AGENT};
    size_t i;
    for (i = 0; i < sizeof(order) / sizeof(order[0]); ++i)
        if (execution->scene.ids[order[i]][0] != '\0')
            return execution->scene.ids[order[i]];
    return NULL;
}

static const char *filled(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static json_t *audit_of(struct execution *execution)
{
    const struct command *command = execution->command;
    struct session *session =
        sessions_find(execution->commands->settings.sessions, execution->scene.user);
    const struct contract_operation *op = execution->op != NULL ? execution->op : command->op;
    struct audit_entry entry = {
        .what = execution->called || execution->outcome == OUTCOME_DONE ? "command" : "refused",
        .application = command->access->application,
        .door = command->door,
        .agent = filled(execution->scene.agent),
        .user = session != NULL ? session_user(session) : NULL,
        .command = command->row != NULL ? command->row->name : NULL,
        .object = object_of(execution),
        .service = op != NULL ? op->service->name : NULL,
        .operation = op != NULL ? op->name : NULL,
        .outcome = command_outcome_names[execution->outcome],
        .problem = command->is_problem ? problem_rows[execution->problem].slug : NULL,
        .fault = execution->fault,
        .fence = execution->fence};
    return audit_entry_json(&entry);
}

static void count_end(struct execution *execution)
{
    struct commands_stats *stats = &execution->commands->stats;
    uint64_t *counters[] = {&stats->done, &stats->not_done, &stats->unknown};

    ++*counters[execution->outcome];
    stats->refused += execution->outcome == OUTCOME_NOT_DONE && !execution->called;
}

/* Acts of control audit themselves (control.h). */
static int is_audited_here(const struct execution *execution)
{
    const struct command_row *row = execution->command->row;
    return row == NULL || row->target != TARGET_CONTROL ||
           (execution->outcome == OUTCOME_NOT_DONE && !execution->called);
}

static void end(struct execution *execution)
{
    struct durable_batch *batch = durable_batch_new();

    execution->concluded = 1;
    count_end(execution);
    end_turn(execution);
    if (is_audited_here(execution))
        durable_append(batch, audit_of(execution));
    outcomes_end(execution, batch);
    durable_submit(execution->commands->settings.durable, batch,
                   &execution->commands->settings.loop->mailbox, on_written, execution);
}

void conclude(struct execution *execution, int status, json_t *answer)
{
    execution->command->status = answer == NULL && status == 200 ? 204 : status;
    execution->command->answer = answer;
    execution->outcome = OUTCOME_DONE;
    end(execution);
}

static void set_problem(struct execution *execution, enum problem problem, const char *detail,
                        json_t *members)
{
    struct command *command = execution->command;
    json_t *json = problem_json(problem, detail);

    if (json == NULL)
        json = problem_json(problem, NULL);
    if (members != NULL)
        json_object_update(json, members);
    json_decref(members);
    json_object_set_new(json, "outcome", json_string(command_outcome_names[execution->outcome]));
    if (execution->op != NULL) {
        json_object_set_new(json, "service", json_string(execution->op->service->name));
        json_object_set_new(json, "operation", json_string(execution->op->name));
    }
    if (command->retry_after_s > 0)
        json_object_set_new(json, "retryAfter", json_integer(command->retry_after_s));
    execution->problem = problem;
    command->status = problem_rows[problem].status;
    command->answer = json;
    command->is_problem = 1;
}

void conclude_problem(struct execution *execution, enum problem problem,
                      enum command_outcome outcome, const char *detail, json_t *members)
{
    execution->outcome = outcome;
    set_problem(execution, problem, detail, members);
    end(execution);
}

int refuse_with(struct execution *execution, enum problem problem, const char *detail,
                json_t *members)
{
    if (execution->steps != NULL) { /* what was refused is not the first of them */
        members = members != NULL ? members : json_object();
        json_object_set(members, "steps", execution->steps);
        problem = PROBLEM_HALF_DONE;
    }
    conclude_problem(execution, problem, OUTCOME_NOT_DONE, detail, members);
    return CG_E_DENIED;
}

int refuse(struct execution *execution, enum problem problem, const char *format, ...)
{
    char detail[CG_ERROR_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    return refuse_with(execution, problem, detail, NULL);
}

void note_fault(struct execution *execution, const struct codec_fault *fault)
{
    snprintf(execution->fault_name, sizeof(execution->fault_name), "%s", fault->name);
    execution->fault = execution->fault_name;
}

void conclude_outcome(struct execution *execution, const struct session_outcome *outcome)
{
    enum problem problem = problem_of_error(outcome->rc);
    json_t *members = NULL;

    if (outcome->rc == CG_OK) {
        conclude(execution, 204, NULL);
        return;
    }
    if (outcome->fault != NULL) {
        note_fault(execution, outcome->fault);
        members = json_pack("{s:s}", "fault", outcome->fault->name);
    }
    execution->command->retry_after_s = (int)((outcome->retry_after_ms + 999) / 1000);
    conclude_problem(execution, problem, outcome->unknown ? OUTCOME_UNKNOWN : OUTCOME_NOT_DONE,
                     outcome->fault != NULL ? outcome->fault->message
                                            : codec_error_told(outcome->error),
                     members);
}

/* ---- Prefer: wait ---- */

static void stop_waiting(struct execution *execution)
{
    struct commands *commands = execution->commands;
    struct execution **at = &commands->waiting;

    while (*at != execution)
        at = &(*at)->waits_next;
    *at = execution->waits_next;
    --commands->stats.waiting;
}

static void on_waited_enough(struct timer *timer)
{
    struct execution *execution =
        (struct execution *)((char *)timer - offsetof(struct execution, wait_timer));

    stop_waiting(execution);
    execution->command->status = 202;
    execution_answer(execution);
}

static void wait_for_effect(struct execution *execution)
{
    struct commands *commands = execution->commands;
    struct command *command = execution->command;

    if (command->wait_ms == 0 || command->replayed || execution->outcome != OUTCOME_DONE ||
        command->row == NULL || command->row->effect == NULL || commands->closing) {
        execution_answer(execution);
    } else if (effect_shows(execution)) {
        command->waited = 1;
        execution_answer(execution);
    } else {
        execution->waits_next = commands->waiting;
        commands->waiting = execution;
        ++commands->stats.waiting;
        execution->wait_timer.on_due = on_waited_enough;
        timer_arm(commands->settings.loop, &execution->wait_timer, command->wait_ms);
    }
}

void commands_on_change(struct commands *commands)
{
    struct execution *execution, *next;

    for (execution = commands->waiting; execution != NULL; execution = next) {
        next = execution->waits_next;
        if (!effect_shows(execution))
            continue;
        stop_waiting(execution);
        execution->command->waited = 1;
        execution_answer(execution);
    }
}

/* ---- reading what is not known ---- */

static void on_read(struct fetch_waiter *waiter, struct fetch_outcome *outcome)
{
    struct execution *execution =
        (struct execution *)((char *)waiter - offsetof(struct execution, waiter));

    if (execution->commands->closing || outcome->rc == CG_E_SHUTDOWN) {
        refuse(execution, PROBLEM_SHUTTING_DOWN, "the gateway is stopping");
    } else if (outcome->rc != CG_OK && outcome->rc != CG_E_NOTFOUND) {
        execution->command->retry_after_s = (int)((outcome->retry_after_ms + 999) / 1000);
        refuse(execution, problem_of_error(outcome->rc), "what the command is about: %s",
               outcome->detail);
    } else if (waiter->found == NULL && execution->on_read != execution_resolve) {
        refuse(execution, PROBLEM_NOT_FOUND, "%s", "");
    } else {
        execution->on_read(execution);
    }
}

#define READS_MAX 64
int execution_read(struct execution *execution, enum record_kind kind, const char *id, int anew,
                   void (*then)(struct execution *))
{
    char key[CG_ID_BYTES_MAX + 16];

    snprintf(key, sizeof(key), "%d:%s", (int)kind, id);
    if (execution->read == NULL)
        execution->read = json_object();
    if (!anew && (json_object_get(execution->read, key) != NULL ||
                  json_object_size(execution->read) >= READS_MAX))
        return CG_E_NOTFOUND;
    json_object_set_new(execution->read, key, json_true());
    execution->on_read = then != NULL ? then : execution_resolve;
    execution->waiter.on_done = on_read;
    model_fetch(model_of(execution),
                &(struct model_wanted){kind, id, strlen(id), anew ? FETCH_FROM_NOW : 0,
                                       execution->command->traceparent},
                &execution->waiter);
    return CG_E_BUSY;
}

/* ---- calling ---- */

struct session *execution_session(struct execution *execution)
{
    struct session *session =
        sessions_find(execution->commands->settings.sessions, execution->scene.user);
    int state = session != NULL ? atomic_load(&session_views[session_number(session)].state) : 0;

    if (session != NULL && session_is_up(session))
        return session;
    execution->command->retry_after_s = 1;
    refuse(execution,
           session != NULL && state == SESSION_DENIED ? PROBLEM_SESSION_DENIED
                                                      : PROBLEM_SESSION_LOST,
           "the user's session is not up; a command does not wait for it");
    return NULL;
}

static void on_called(void *data, const struct session_outcome *outcome)
{
    struct execution *execution = data;

    if (outcome->unknown)
        execution->outcome = OUTCOME_UNKNOWN;
    else
        execution->outcome = outcome->rc == CG_OK ? OUTCOME_DONE : OUTCOME_NOT_DONE;
    effect_touch(execution); /* first: it tells what is known, which is the time before the login */
    if (execution->logs_in && outcome->rc == CG_OK && execution->scene.ids[ENTITY_AGENT][0] != '\0')
        model_logged_in(model_of(execution), execution->scene.ids[ENTITY_AGENT]);
    execution->logs_in &= outcome->unknown; /* it is counted, or has not begun */
    execution->on_reply(execution, outcome);
}

void execution_call(struct execution *execution, const struct contract_operation *op,
                    json_t *arguments,
                    void (*on_reply)(struct execution *, const struct session_outcome *))
{
    struct session *session;

    execution->op = op;
    execution->on_reply = on_reply;
    if (gate_pass(execution) == CG_OK && (session = execution_session(execution)) != NULL) {
        execution->called = 1;
        execution->since = live_clock(model_of(execution));
        ++execution->commands->stats.upstream_calls;
        session_command(session, op, arguments, execution->not_after_ms,
                        execution->command->traceparent, on_called, execution);
    }
    json_decref(arguments);
}

/* {"contactId": "..."}: the id of what came out of it. */
static json_t *answer_of(struct execution *execution, const json_t *result)
{
    static const struct {
        const char *member, *key, *name;
    } ids[] = {{"contact", "contactId", "contactId"},
               {"connection", "connectionId", "connectionId"},
               {"terminalConnection", "terminalConnectionId", "terminalConnectionId"}};
    const struct command_row *row = execution->command->row;
    const char *id = NULL;
    size_t i;

    for (i = 0; row->result != NULL && i < sizeof(ids) / sizeof(ids[0]); ++i) {
        if (strcmp(row->result, ids[i].member) != 0)
            continue;
        id = json_string_value(json_object_get(json_object_get(result, ids[i].member), ids[i].key));
        if (id == NULL || *id == '\0')
            return NULL;
        if (i == 0) {
            snprintf(execution->scene.consult, sizeof(execution->scene.consult), "%s", id);
            model_introduce(model_of(execution), json_object_get(result, ids[i].member),
                            execution->scene.user, execution->since);
        }
        return json_pack("{s:s}", ids[i].name, id);
    }
    return NULL;
}

static void on_row_reply(struct execution *execution, const struct session_outcome *outcome)
{
    if (outcome->rc == CG_OK)
        conclude(execution, 200, answer_of(execution, outcome->result));
    else
        conclude_outcome(execution, outcome);
}

/* A login through the catalogue proves credentials, no more; any other of these ends the session, which is then made anew. */
static void session_operation_done(struct execution *execution, json_t *result)
{
    struct session *session =
        sessions_find(execution->commands->settings.sessions, execution->scene.user);

    if (session != NULL && !execution->op->takes_token)
        session_discard(session, result);
    else if (session != NULL)
        session_ended(session);
}

static void on_catalogue_reply(struct execution *execution, const struct session_outcome *outcome)
{
    if (outcome->rc == CG_OK && operation_kind(execution->op) == KIND_SESSION)
        session_operation_done(execution, outcome->result);
    if (outcome->rc == CG_OK) {
        /* what it has made can be asked about at once */
        model_introduce(model_of(execution), json_object_get(outcome->result, "contact"),
                        execution->scene.user, execution->since);
        conclude(execution, 200, json_incref(outcome->result));
    } else {
        conclude_outcome(execution, outcome);
    }
}

static void perform_operation(struct execution *execution)
{
    execution_call(execution, execution->command->op, json_incref(execution->command->body),
                   on_catalogue_reply);
}

/* A write of a call's data through the catalogue takes its turn with the others. */
static int writes_data(const struct contract_operation *op)
{
    size_t i, j;
    for (i = 0; i < num_command_rows; ++i)
        for (j = 0;
             command_rows[i].run == run_set_data || command_rows[i].run == run_set_intrinsics ||
                     command_rows[i].run == run_set_uui
                 ? j < COMMAND_FORMS
                 : 0;
             ++j)
            if (command_rows[i].forms[j].service != NULL &&
                strcmp(command_rows[i].forms[j].service, op->service->name) == 0 &&
                strcmp(command_rows[i].forms[j].operation, op->name) == 0)
                return 1;
    return 0;
}

void execution_perform(struct execution *execution)
{
    const struct command_row *row = execution->command->row;
    json_t *arguments;

    if (row == NULL) {
        if (writes_data(execution->command->op) && execution->scene.ids[ENTITY_CONTACT][0] != '\0')
            execution_take_turn(execution, perform_operation);
        else
            perform_operation(execution);
    } else if (row->run != NULL) {
        row->run(execution);
    } else if ((arguments = arguments_make(execution)) != NULL) {
        execution_call(execution, execution->op, arguments, on_row_reply);
    }
}

/* ---- what a command needs before it may ---- */

static int has_form(struct execution *execution)
{
    const struct command_row *row = execution->command->row;

    if (row == NULL || row->target == TARGET_CONTROL)
        return CG_OK;
    execution->form = form_choose(execution->commands, row, &execution->op);
    if (execution->form == NULL)
        return refuse(execution, PROBLEM_NOT_IMPLEMENTED, "%s: %s", row->name,
                      row->forms[0].service == NULL
                          ? "the contract has no operation for it, and no provider implements it"
                          : "the site's contract has none of its operations");
    return CG_OK;
}

void execution_resolve(struct execution *execution)
{
    int rc;

    memset(&execution->scene, 0, sizeof(execution->scene));
    execution->scene.needs_lease = 1;
    rc = execution->command->row != NULL ? scene_resolve(execution) : scene_derive(execution);
    if (rc == CG_OK && (rc = gate_pass(execution)) == CG_OK &&
        (rc = gate_capability(execution)) == CG_OK && (rc = gate_capacity(execution)) == CG_OK)
        execution_perform(execution);
}

static void begin(struct execution *execution)
{
    if (has_form(execution) == CG_OK)
        execution_resolve(execution);
}

void commands_run(struct commands *commands, struct command *command)
{
    struct execution *execution;

    command->commands = commands;
    execution = execution_new(commands, command);
    if (commands->closing)
        refuse(execution, PROBLEM_SHUTTING_DOWN, "the gateway is stopping");
    else if (command->key[0] != '\0' &&
             (command->row == NULL || command->row->target != TARGET_CONTROL))
        outcomes_begin(execution, begin);
    else
        begin(execution);
}

/* ---- all of them ---- */

int commands_new(struct commands **out, const struct commands_settings *settings)
{
    struct commands *commands = calloc(1, sizeof(*commands));
    int rc;

    *out = NULL;
    if (commands == NULL)
        return CG_E_NOMEM;
    commands->settings = *settings;
    if ((rc = outcomes_new(commands)) != CG_OK) {
        outcomes_free(commands);
        free(commands);
        return rc;
    }
    *out = commands;
    return CG_OK;
}

void commands_close(struct commands *commands)
{
    struct execution *execution;

    commands->closing = 1;
    while ((execution = commands->waiting) != NULL) {
        stop_waiting(execution);
        execution->command->status = 202;
        execution_answer(execution);
    }
}

void commands_free(struct commands **in)
{
    struct commands *commands = *in;
    struct turn *turn, *next;

    *in = NULL;
    if (commands == NULL)
        return;
    while (commands->executions != NULL)
        execution_free(commands->executions);
    HASH_ITER(hh, commands->turns, turn, next)
    {
        HASH_DEL(commands->turns, turn);
        free(turn);
    }
    outcomes_free(commands);
    free(commands);
}

void commands_configure(struct commands *commands, struct config *config)
{
    commands->settings.config = config;
}

void commands_client_gone(struct commands *commands, uint64_t client, unsigned silent_ms)
{
    control_client_gone(commands->settings.control, client, silent_ms);
}

void commands_get_stats(const struct commands *commands, struct commands_stats *stats)
{
    *stats = commands->stats;
}
