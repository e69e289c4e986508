/* The journal of tokens: what a crash leaves is adopted or logged off, and nobody reads a token without the key. */
#include <sys/stat.h>

#include "cctgate/durable.h"
#include "tests/unit/contract_support.h"
#include "tests/unit/test_session_fixture.h"

/* ---- a disk in place of durable.h's: commits when the test says so ---- */

#define ROWS_MAX    64
#define BATCHES_MAX 256

struct row {
    size_t key_length, length;
    char key[300];
    uint8_t value[2048];
};

struct durable_batch {
    struct row *put;
    char deleted[300];
    size_t deleted_length;
    struct mailbox *reply_to;
    void (*on_done)(struct message *);
    void *data;
};

static struct disk {
    struct row rows[ROWS_MAX];
    size_t num_rows;
    int held, full;
    struct durable_batch *waiting[BATCHES_MAX];
    size_t num_waiting;
} disk;

struct durable_batch *durable_batch_new(void)
{
    struct durable_batch *batch = calloc(1, sizeof(*batch));
    assert_non_null(batch);
    return batch;
}

void durable_put(struct durable_batch *batch, enum durable_table table, const void *key,
                 size_t key_length, const void *value, size_t length)
{
    assert_int_equal(table, DURABLE_SESSIONS);
    assert_null(batch->put);
    batch->put = calloc(1, sizeof(*batch->put));
    assert_non_null(batch->put);
    assert_true(key_length <= sizeof(batch->put->key) && length <= sizeof(batch->put->value));
    memcpy(batch->put->key, key, batch->put->key_length = key_length);
    memcpy(batch->put->value, value, batch->put->length = length);
}

void durable_delete(struct durable_batch *batch, enum durable_table table, const void *key,
                    size_t key_length)
{
    assert_int_equal(table, DURABLE_SESSIONS);
    memcpy(batch->deleted, key, batch->deleted_length = key_length);
}

static size_t find_row(const void *key, size_t length)
{
    size_t i;
    for (i = 0; i < disk.num_rows; ++i)
        if (disk.rows[i].key_length == length && memcmp(disk.rows[i].key, key, length) == 0)
            break;
    return i;
}

static void commit(struct durable_batch *batch)
{
    struct durable_done *done;
    size_t at;

    if (batch->put != NULL && !disk.full) {
        at = find_row(batch->put->key, batch->put->key_length);
        assert_true(at < ROWS_MAX);
        disk.rows[at] = *batch->put;
        disk.num_rows += at == disk.num_rows;
    }
    at = find_row(batch->deleted, batch->deleted_length);
    if (batch->deleted_length > 0 && at < disk.num_rows)
        disk.rows[at] = disk.rows[--disk.num_rows];
    if (batch->on_done != NULL) {
        done = calloc(1, sizeof(*done));
        assert_non_null(done);
        done->message.on_deliver = batch->on_done;
        done->data = batch->data;
        done->rc = disk.full ? CG_E_FULL : CG_OK;
        mailbox_send(batch->reply_to, &done->message);
    }
    free(batch->put);
    free(batch);
}

static void disk_commit(void)
{
    size_t i, n = disk.num_waiting;
    disk.num_waiting = 0;
    for (i = 0; i < n; ++i)
        commit(disk.waiting[i]);
}

void durable_submit(struct durable *durable, struct durable_batch *batch, struct mailbox *reply_to,
                    void (*on_done)(struct message *), void *data)
{
    (void)durable;
    batch->reply_to = reply_to;
    batch->on_done = on_done;
    batch->data = data;
    assert_true(disk.num_waiting < BATCHES_MAX);
    disk.waiting[disk.num_waiting++] = batch;
    if (!disk.held)
        disk_commit();
}

int durable_walk(struct durable *durable, enum durable_table table,
                 int (*on_row)(void *, const void *, size_t, const void *, size_t), void *data)
{
    size_t i;
    (void)durable;
    assert_int_equal(table, DURABLE_SESSIONS);
    for (i = 0; i < disk.num_rows; ++i)
        on_row(data, disk.rows[i].key, disk.rows[i].key_length, disk.rows[i].value,
               disk.rows[i].length);
    return CG_OK;
}

/* ---- a life and the next ---- */

static char *folder;

static void open_journal(void)
{
    char error[256] = "";
    int rc =
        sessions_open_journal(w.sessions, (struct durable *)&disk, folder, error, sizeof(error));
    assert_string_equal(error, "");
    assert_int_equal(rc, CG_OK);
}

static int begin(void **state)
{
    memset(&disk, 0, sizeof(disk));
    folder = support_folder();
    set_up(state);
    open_journal();
    return 0;
}

static int end(void **state)
{
    disk.held = 0;
    disk_commit();
    tear_down(state);
    support_remove(&folder);
    return 0;
}

static void wait_up(uint32_t number)
{
    EVENTUALLY(sessions_find(w.sessions, number) != NULL &&
               session_is_up(sessions_find(w.sessions, number)));
}

/* The process is killed before they are on the disk. */
static void lose_waiting(void)
{
    disk.full = 1;
    disk_commit();
    turn();
    disk.full = 0;
}

/* What is not on the disk is lost, and so is every answer under way. */
static void crash(void)
{
    sessions_detach(w.sessions);
    turn();
    sessions_free(&w.sessions);
    turn();
    disk.held = 0;
    make_sessions();
    open_journal();
}

static int on_disk(const char *text)
{
    size_t i;
    for (i = 0; i < disk.num_rows; ++i)
        if (memmem(disk.rows[i].value, disk.rows[i].length, text, strlen(text)) != NULL)
            return 1;
    return 0;
}

static void test_a_token_is_on_the_disk_before_the_session_is_up(void **state)
{
    (void)state;
    disk.held = 1;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    turn();
    assert_int_equal(centre_sessions(), 1);
    assert_int_equal(w.ups, 0);
    disk.held = 0;
    disk_commit();
    wait_up(7);
    assert_int_equal(disk.num_rows, 1);
    assert_string_equal(disk.rows[0].key, "agent7");
    assert_false(on_disk("token-1"));
    assert_false(on_disk("token"));
    sessions_remove(w.sessions, 7);
    EVENTUALLY(centre_sessions() == 0 && disk.num_rows == 0);
}

static void test_a_token_outlives_the_process_before_it_is_on_the_disk(void **state)
{
    char *path = support_format("%s/session.slots", folder), *content;
    size_t length;

    (void)state;
    disk.held = 1;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    turn();
    assert_int_equal(centre_sessions(), 1);
    assert_int_equal(disk.num_rows, 0);
    content = support_read(path, &length);
    assert_non_null(memmem(content, length, "agent7", 6));
    assert_null(memmem(content, length, "token", 5));
    free(content);
    lose_waiting();
    crash();
    assert_int_equal(disk.num_rows, 1); /* now it is */
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    assert_int_equal(centre.logins, 1);
    assert_int_equal(w.sessions->adoptions, 1);
    sessions_remove(w.sessions, 7);
    EVENTUALLY(centre_sessions() == 0 && disk.num_rows == 0);
    content = support_read(path, &length);
    assert_null(memmem(content, length, "agent7", 6));
    free(content);
    crash();
    assert_null(sessions_take_up(w.sessions, 7, "agent7"));
    free(path);
}

static void test_a_torn_slot_is_nothing(void **state)
{
    char *path = support_format("%s/session.slots", folder), *content;
    size_t length, i;
    FILE *file;

    (void)state;
    content = support_read(path, &length);
    assert_int_equal(length, 256 * 1024);
    for (i = 0; i < length; ++i)
        content[i] = (char)(i * 2654435761u >> 13);
    content[0] = 60; /* a key and a value that would fit */
    content[1] = content[3] = 0;
    content[2] = 120;
    sessions_free(&w.sessions);
    assert_non_null(file = fopen(path, "w"));
    assert_int_equal(fwrite(content, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    make_sessions();
    open_journal();
    assert_null(w.sessions->left);
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    free(content);
    free(path);
}

static void test_a_disk_that_refuses_stops_no_session(void **state)
{
    (void)state;
    disk.full = 1;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    assert_int_equal(disk.num_rows, 0);
    disk.full = 0;
    session_on_heartbeat(&sessions_find(w.sessions, 7)->heartbeat); /* tries again */
    EVENTUALLY(disk.num_rows == 1);
}

static void test_a_live_session_is_adopted(void **state)
{
    struct session *session;
    json_t *note = json_pack("{s:s}", "what", "was there");

    (void)state;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    session_set_note(sessions_find(w.sessions, 7), note);
    turn();
    assert_false(on_disk("was there"));
    crash();
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    session = sessions_find(w.sessions, 7);
    assert_int_equal(centre.logins, 1);
    assert_int_equal(centre.heartbeats, 1);
    assert_int_equal(w.sessions->adoptions, 1);
    json_t *left = session_take_left_note(session);
    assert_true(json_equal(left, note));
    assert_null(session_take_left_note(session));
    json_decref(left);
    json_decref(note);
    sessions_settle(w.sessions);
    turn();
    assert_int_equal(centre_sessions(), 1);
    assert_int_equal(disk.num_rows, 1);
}

static void test_a_dead_one_is_logged_in_anew(void **state)
{
    (void)state;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    centre.tokens[0][0] = '\0';
    crash();
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    assert_int_equal(centre.logins, 2);
    assert_int_equal(disk.num_rows, 1);
    assert_int_equal(w.sessions->adoptions, 0);
}

static void test_what_nobody_wants_is_logged_off(void **state)
{
    (void)state;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    assert_int_equal(configure_agent(8, "right"), CG_OK);
    wait_up(7);
    wait_up(8);
    crash();
    assert_int_equal(configure_agent(8, "right"), CG_OK);
    centre.refuses = 1; /* it takes as long as it takes */
    sessions_settle(w.sessions);
    turn();
    assert_int_equal(disk.num_rows, 2);
    centre.refuses = 0;
    EVENTUALLY(centre_sessions() == 1 && disk.num_rows == 1);
    assert_string_equal(disk.rows[0].key, "agent8");
}

static void test_a_signed_on_one_is_taken_up_without_its_password(void **state)
{
    struct session *session;
    (void)state;
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    session_detach(w.asked[0].session);
    crash();
    session = sessions_take_up(w.sessions, 7, "agent7");
    assert_non_null(session);
    assert_ptr_equal(sessions_take_up(w.sessions, 7, "agent7"), session);
    assert_null(sessions_take_up(w.sessions, 9, "agent9"));
    session_attach(session);
    sessions_settle(w.sessions);
    wait_up(7);
    assert_false(session_is_configured(session));
    assert_int_equal(centre.logins, 1);
    /* its loss cannot be made good until its user signs on again */
    session_ended(session);
    turn();
    assert_int_equal(session->state, SESSION_DOWN);
    ask(0, 7, "wrong");
    assert_true(answered(0, CG_E_DENIED));
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    assert_ptr_equal(w.asked[0].session, session);
    session_detach(session);
    session_detach(session);
}

static void test_a_login_that_only_proved_is_known_until_it_is_logged_off(void **state)
{
    (void)state;
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    session_detach(w.asked[0].session);
    centre.password = "changed";
    centre.held = 1;
    ask(1, 7, "changed");
    turn();
    centre_answer(); /* the login; the logoff is under way */
    turn();
    assert_int_equal(centre_sessions(), 2);
    assert_int_equal(disk.num_rows, 2);
    session_detach(w.asked[1].session);
    assert_int_equal(centre.num_pending, 1);
    upstream_call_free(&centre.pending[--centre.num_pending]); /* it never arrives */
    centre.held = 0;
    crash();
    sessions_settle(w.sessions);
    EVENTUALLY(centre_sessions() == 0 && disk.num_rows == 0);
}

static void test_the_end_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    sessions_log_off(w.sessions, 10000, NULL, NULL);
    EVENTUALLY(centre_sessions() == 0 && disk.num_rows == 0);
}

static void test_a_new_session_is_begun_before_the_end_of_the_old(void **state)
{
    struct session *session;
    (void)state;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    session = sessions_find(w.sessions, 7);
    session_renew(session);
    session_renew(session);
    EVENTUALLY(centre_sessions() == 2);
    EVENTUALLY(disk.num_rows == 2);
    assert_int_equal(centre.logins, 2);
    assert_true(session_is_up(session));
    assert_int_equal(w.downs, 0);
    assert_string_equal(session->token, "token-2");
    sessions_log_off(w.sessions, 10000, NULL, NULL);
    EVENTUALLY(centre_sessions() == 0 && disk.num_rows == 0);
}

static void test_a_loss_while_renewing_makes_no_second_login(void **state)
{
    struct session *session;
    (void)state;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    session = sessions_find(w.sessions, 7);
    centre.held = 1;
    session_renew(session);
    centre.tokens[0][0] = '\0';
    session_ended(session);
    turn();
    assert_false(session_is_up(session));
    centre.held = 0;
    centre_answer();
    wait_up(7);
    assert_int_equal(centre.logins, 2);
    assert_int_equal(centre_sessions(), 1);
    assert_int_equal(disk.num_rows, 1);
}

/* ---- the key ---- */

static mode_t mode_of(const char *path)
{
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    return about.st_mode & 07777;
}

static void test_the_key_is_the_owners(void **state)
{
    char *path = support_format("%s/session.key", folder);
    (void)state;
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(chmod(path, 0644), 0);
    crash();
    assert_int_equal(mode_of(path), 0600);
    free(path);
}

static void test_without_the_key_nothing_is_read(void **state)
{
    char *path = support_format("%s/session.key", folder);
    (void)state;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    assert_int_equal(unlink(path), 0);
    crash();
    assert_int_equal(disk.num_rows, 0); /* of no use to anybody */
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    assert_int_equal(centre.logins, 2);
    free(path);
}

static void test_a_row_stands_for_no_other_user(void **state)
{
    (void)state;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    disk.rows[0].key[5] = '8';
    crash();
    assert_int_equal(configure_agent(8, "right"), CG_OK);
    wait_up(8);
    assert_int_equal(centre.logins, 2);
    assert_int_equal(w.sessions->adoptions, 0);
}

static void test_damage_is_no_token(void **state)
{
    size_t length, i;
    (void)state;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    wait_up(7);
    length = disk.rows[0].length;
    for (i = 0; i < 64; ++i) {
        struct row kept = disk.rows[0];
        if (i % 2 == 0)
            disk.rows[0].value[i * length / 64] ^= 1;
        else
            disk.rows[0].length = i * length / 64;
        crash();
        assert_null(sessions_take_up(w.sessions, 7, "agent7"));
        assert_int_equal(disk.num_rows, 0);
        disk.rows[disk.num_rows++] = kept;
    }
    crash();
    assert_non_null(sessions_take_up(w.sessions, 7, "agent7"));
}

int main(void)
{
#define WITH_DISK(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        WITH_DISK(test_a_token_is_on_the_disk_before_the_session_is_up),
        WITH_DISK(test_a_token_outlives_the_process_before_it_is_on_the_disk),
        WITH_DISK(test_a_torn_slot_is_nothing),
        WITH_DISK(test_a_disk_that_refuses_stops_no_session),
        WITH_DISK(test_a_live_session_is_adopted),
        WITH_DISK(test_a_dead_one_is_logged_in_anew),
        WITH_DISK(test_what_nobody_wants_is_logged_off),
        WITH_DISK(test_a_signed_on_one_is_taken_up_without_its_password),
        WITH_DISK(test_a_login_that_only_proved_is_known_until_it_is_logged_off),
        WITH_DISK(test_the_end_leaves_nothing),
        WITH_DISK(test_a_new_session_is_begun_before_the_end_of_the_old),
        WITH_DISK(test_a_loss_while_renewing_makes_no_second_login),
        WITH_DISK(test_the_key_is_the_owners),
        WITH_DISK(test_without_the_key_nothing_is_read),
        WITH_DISK(test_a_row_stands_for_no_other_user),
        WITH_DISK(test_damage_is_no_token),
    };
    return cmocka_run_group_tests(tests, load_contract, unload_contract);
}
