/*
 * The journal of the upstream's tokens: what a crash leaves at the contact centre is known to the next start (DOMAIN 2.5, rule 9).
 *
 * A token is written down before its session is announced, and struck out when the contact centre has said that it is over; one that only
 * proved a password is written down, too, until it is logged off. Between the contact centre's answer and the commit it is in a mapped file
 * (session_slots.h), which outlives the process. What is left is an answer that was on its way when the process was killed: such a
 * session ends by the contact centre's own timer.
 *
 * Rows: key = user NUL 16 hexadecimal digits; value = version, nonce, ciphertext, tag: AES-256-GCM with the row's key as associated data, so
 * that no row can stand for another user's. The key is in a file of its own beside the store, made at the first start. Who has both has the tokens.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "cctgate/durable.h"
#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "cctgate/secret.h"
#include "gateway/upstream/session_private.h"
#include "gateway/upstream/session_slots.h"

#define KEY_FILE      "session.key"
#define KEY_BYTES     32
#define VERSION       1
#define NONCE_BYTES   12
#define TAG_BYTES     16
#define HEADER_BYTES  (1 + NONCE_BYTES)
#define ROW_KEY_BYTES (CG_ID_BYTES_MAX + 1 + JOURNAL_ID_BYTES)

struct journal {
    struct durable *durable;
    struct slots *slots;
    uint8_t key[KEY_BYTES];
    struct left_token *left; /* while it is read */
    uint64_t unreadable;
};

/* ---- the key ---- */

static int failed(char *error, size_t size, const char *path)
{
    snprintf(error, size, "%s: %s", path, strerror(errno));
    return CG_E_IO;
}

static int write_whole(int fd, const uint8_t *bytes, size_t length)
{
    return write(fd, bytes, length) == (ssize_t)length && fsync(fd) == 0 ? CG_OK : CG_E_IO;
}

static void sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

/* Written beside its place and moved there, so that a crash leaves a whole one or none. */
static int make_key(struct journal *journal, const char *directory, const char *path, char *error,
                    size_t size)
{
    char fresh[PATH_MAX];
    int fd, rc;

    if (getrandom(journal->key, KEY_BYTES, 0) != KEY_BYTES ||
        snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
        return failed(error, size, path);
    if (unlink(fresh) != 0 && errno != ENOENT)
        return failed(error, size, fresh);
    if ((fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0)
        return failed(error, size, fresh);
    rc = write_whole(fd, journal->key, KEY_BYTES);
    if (rc != CG_OK || rename(fresh, path) != 0)
        rc = failed(error, size, fresh);
    close(fd);
    if (rc == CG_OK)
        sync_directory(directory);
    return rc;
}

static int check_key_file(int fd, const char *path)
{
    struct stat about;

    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        return CG_E_IO;
    if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        log_write(LOG_LEVEL_WARNING, "sessionKeyReadable",
                  "Others could read the key of the tokens' journal", LOG_S("file", path));
        if (fchmod(fd, 0600) != 0)
            return CG_E_IO;
    }
    return CG_OK;
}

/* CG_E_NOTFOUND: there is none, or none that could be one. */
static int read_key(struct journal *journal, const char *path, char *error, size_t size)
{
    uint8_t bytes[KEY_BYTES + 1];
    size_t length = 0;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), rc;

    if (fd < 0)
        return errno == ENOENT ? CG_E_NOTFOUND : failed(error, size, path);
    rc = check_key_file(fd, path);
    if (rc != CG_OK || secret_read_bytes(fd, (char *)bytes, sizeof(bytes), &length) != CG_OK)
        rc = failed(error, size, path);
    else if (length != KEY_BYTES)
        rc = CG_E_NOTFOUND;
    else
        memcpy(journal->key, bytes, KEY_BYTES);
    explicit_bzero(bytes, sizeof(bytes));
    close(fd);
    return rc;
}

static int open_key(struct journal *journal, const char *directory, char *error, size_t size)
{
    char path[PATH_MAX];
    int rc;

    if (snprintf(path, sizeof(path), "%s/" KEY_FILE, directory) >= (int)sizeof(path)) {
        snprintf(error, size, "the data directory's name is too long");
        return CG_E_LIMIT;
    }
    if ((rc = read_key(journal, path, error, size)) == CG_E_NOTFOUND)
        rc = make_key(journal, directory, path, error, size);
    return rc;
}

/* ---- sealing ---- */

static size_t row_key(char key[ROW_KEY_BYTES], const char *user, const struct journal_id *id)
{
    size_t length = strlen(user);
    if (length > CG_ID_BYTES_MAX)
        return 0;
    memcpy(key, user, length + 1);
    memcpy(key + length + 1, id->text, JOURNAL_ID_BYTES);
    return length + 1 + JOURNAL_ID_BYTES;
}

static int seal(const uint8_t *secret, const void *key, size_t key_length, const char *text,
                uint8_t *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    size_t length = strlen(text);
    int n, ok;

    out[0] = VERSION;
    ok = context != NULL && getrandom(out + 1, NONCE_BYTES, 0) == NONCE_BYTES &&
         EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, secret, out + 1) == 1 &&
         EVP_EncryptUpdate(context, NULL, &n, key, (int)key_length) == 1 &&
         EVP_EncryptUpdate(context, out + HEADER_BYTES, &n, (const uint8_t *)text, (int)length) ==
             1 &&
         EVP_EncryptFinal_ex(context, out + HEADER_BYTES + length, &n) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES,
                             out + HEADER_BYTES + length) == 1;
    EVP_CIPHER_CTX_free(context);
    return ok ? CG_OK : CG_E_NOMEM;
}

/* `out` takes length - HEADER_BYTES - TAG_BYTES bytes. */
static int unseal(const uint8_t *secret, const void *key, size_t key_length, const uint8_t *in,
                  size_t length, uint8_t *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    size_t text = length - HEADER_BYTES - TAG_BYTES;
    uint8_t tag[TAG_BYTES];
    int n, ok;

    memcpy(tag, in + HEADER_BYTES + text, TAG_BYTES);
    ok = context != NULL && in[0] == VERSION &&
         EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, secret, in + 1) == 1 &&
         EVP_DecryptUpdate(context, NULL, &n, key, (int)key_length) == 1 &&
         EVP_DecryptUpdate(context, out, &n, in + HEADER_BYTES, (int)text) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
         EVP_DecryptFinal_ex(context, out + text, &n) == 1;
    EVP_CIPHER_CTX_free(context);
    return ok ? CG_OK : CG_E_CORRUPT;
}

uint8_t *sessions_seal(const struct sessions *sessions, const char *name, const char *text,
                       size_t *length)
{
    uint8_t *out;

    if (sessions->journal == NULL)
        return NULL;
    *length = HEADER_BYTES + strlen(text) + TAG_BYTES;
    if ((out = malloc(*length)) == NULL)
        abort();
    if (seal(sessions->journal->key, name, strlen(name), text, out) == CG_OK)
        return out;
    free(out);
    return NULL;
}

char *sessions_unseal(const struct sessions *sessions, const char *name, const void *sealed,
                      size_t length)
{
    char *text;

    if (sessions->journal == NULL || length < HEADER_BYTES + TAG_BYTES ||
        length > CG_RECORD_BYTES_MAX)
        return NULL;
    if ((text = calloc(1, length - HEADER_BYTES - TAG_BYTES + 1)) == NULL)
        abort();
    if (unseal(sessions->journal->key, name, strlen(name), sealed, length, (uint8_t *)text) ==
        CG_OK)
        return text;
    free(text);
    return NULL;
}

/* ---- reading what a crash has left ---- */

void left_token_free(struct left_token **left)
{
    if (*left == NULL)
        return;
    secret_wipe(&(*left)->token);
    free((*left)->user);
    free((*left)->domain);
    free((*left)->endpoint);
    json_decref((*left)->note);
    free(*left);
    *left = NULL;
}

static struct left_token *left_token_of(json_t *row, const char *user, const char *id)
{
    const char *token = json_string_value(json_object_get(row, "token"));
    const char *domain = json_string_value(json_object_get(row, "domain"));
    const char *endpoint = json_string_value(json_object_get(row, "endpoint"));
    struct left_token *left = calloc(1, sizeof(*left));

    if (left == NULL)
        abort();
    left->user = strdup(user);
    left->domain = strdup(domain != NULL ? domain : "");
    left->token = strdup(token != NULL ? token : "");
    left->endpoint = strdup(endpoint != NULL ? endpoint : "");
    left->since_ms = json_integer_value(json_object_get(row, "since"));
    left->note = json_incref(json_object_get(row, "note"));
    memcpy(left->id.text, id, JOURNAL_ID_BYTES);
    if (left->user == NULL || left->domain == NULL || left->token == NULL || left->endpoint == NULL)
        abort();
    if (*left->token == '\0')
        left_token_free(&left);
    return left;
}

/* jansson's copy is wiped with the text. */
static void wipe_row(json_t *row, char *text, size_t length)
{
    json_t *token = json_object_get(row, "token");
    if (json_is_string(token))
        explicit_bzero((char *)json_string_value(token), json_string_length(token));
    json_decref(row);
    if (text != NULL)
        explicit_bzero(text, length);
    free(text);
}

static struct left_token *read_row(const struct journal *journal, const char *key,
                                   size_t key_length, const uint8_t *value, size_t length)
{
    struct left_token *left = NULL;
    size_t user = strnlen(key, key_length), text_length;
    json_t *row = NULL;
    char *text = NULL;

    if (user + 1 + JOURNAL_ID_BYTES != key_length || length < HEADER_BYTES + TAG_BYTES ||
        length > CG_RECORD_BYTES_MAX)
        return NULL;
    text_length = length - HEADER_BYTES - TAG_BYTES;
    if ((text = malloc(text_length + 1)) == NULL)
        abort();
    if (unseal(journal->key, key, key_length, value, length, (uint8_t *)text) == CG_OK &&
        (row = json_loadb(text, text_length, 0, NULL)) != NULL)
        left = left_token_of(row, key, key + user + 1);
    wipe_row(row, text, text_length);
    return left;
}

struct reading {
    struct journal *journal;
    struct durable_batch *batch;
};

static int on_row(void *data, const void *key, size_t key_length, const void *value, size_t length)
{
    struct reading *reading = data;
    struct left_token *left = read_row(reading->journal, key, key_length, value, length);

    if (left == NULL) {
        ++reading->journal->unreadable;
        durable_delete(reading->batch, DURABLE_SESSIONS, key, key_length);
        return 0;
    }
    left->next = reading->journal->left;
    reading->journal->left = left;
    return 0;
}

static int is_known(const struct journal *journal, const struct left_token *wanted)
{
    const struct left_token *left;
    for (left = journal->left; left != NULL; left = left->next)
        if (strcmp(left->user, wanted->user) == 0 && strcmp(left->id.text, wanted->id.text) == 0)
            return 1;
    return 0;
}

/* It had not come to the disk. Now it does, and goes from its slot when its session is over. */
static void on_slot(void *data, const void *key, size_t key_length, const void *value,
                    size_t length)
{
    struct reading *reading = data;
    struct left_token *left = read_row(reading->journal, key, key_length, value, length);

    if (left == NULL || is_known(reading->journal, left)) {
        slots_drop(reading->journal->slots, key, key_length);
        left_token_free(&left);
        return;
    }
    durable_put(reading->batch, DURABLE_SESSIONS, key, key_length, value, length);
    left->next = reading->journal->left;
    reading->journal->left = left;
}

static int read_rows(struct journal *journal)
{
    struct reading reading = {journal, durable_batch_new()};
    int rc = durable_walk(journal->durable, DURABLE_SESSIONS, on_row, &reading);

    slots_walk(journal->slots, on_slot, &reading);

    if (journal->unreadable > 0)
        log_write(LOG_LEVEL_ERROR, "sessionJournalUnreadable",
                  "Tokens that a crash has left cannot be read; their sessions end by themselves",
                  LOG_I("tokens", (int64_t)journal->unreadable));
    durable_submit(journal->durable, reading.batch, NULL, NULL, NULL);
    return rc;
}

int sessions_open_journal(struct sessions *sessions, struct durable *durable, const char *directory,
                          char *error, size_t error_size)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    int rc;

    if (journal == NULL)
        return CG_E_NOMEM;
    journal->durable = durable;
    journal->slots = slots_open(directory);
    if ((rc = open_key(journal, directory, error, error_size)) == CG_OK &&
        (rc = read_rows(journal)) != CG_OK)
        snprintf(error, error_size, "the tokens' journal: %s", cg_error_name(rc));
    sessions->left = journal->left;
    journal->left = NULL;
    sessions->journal = journal;
    return rc;
}

void session_set_note(struct session *session, json_t *note)
{
    json_decref(session->note);
    session->note = json_incref(note);
    if (session->token != NULL)
        journal_put(session->all,
                    &(struct journal_entry){session->user, session->domain, session->token,
                                            session->note, &session->row, session->all->endpoint},
                    NULL, NULL);
}

json_t *session_take_left_note(struct session *session)
{
    json_t *note = session->left_note;
    session->left_note = NULL;
    return note;
}

void journal_free(struct journal **journal)
{
    if (*journal != NULL)
        explicit_bzero((*journal)->key, KEY_BYTES);
    if (*journal != NULL)
        slots_close(&(*journal)->slots);
    free(*journal);
    *journal = NULL;
}

/* ---- writing ---- */

static int make_id(struct journal_id *id)
{
    uint8_t bytes[JOURNAL_ID_BYTES / 2];
    size_t i;

    if (id->text[0] != '\0')
        return CG_OK;
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return CG_E_IO;
    for (i = 0; i < sizeof(bytes); ++i)
        snprintf(id->text + 2 * i, 3, "%02x", bytes[i]);
    return CG_OK;
}

static const char *endpoint_name(const struct sessions *sessions, unsigned endpoint)
{
    return sessions->config->upstream.endpoints[endpoint].name;
}

/* One row on its way to the disk. */
struct writing {
    struct sessions *all;
    char key[ROW_KEY_BYTES];
    size_t key_length;
    void (*on_done)(struct message *);
    void *data;
};

static void on_written(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct writing *writing = done->data;

    if (done->rc == CG_OK)
        slots_drop(writing->all->journal->slots, writing->key, writing->key_length);
    done->data = writing->data;
    if (writing->on_done != NULL)
        writing->on_done(message);
    else
        free(done);
    free(writing);
}

static int put_row(struct writing *writing, struct durable_batch *batch,
                   const struct journal_entry *entry, int is_new)
{
    const struct journal *journal = writing->all->journal;
    json_t *row = json_pack("{s:s, s:s, s:s, s:I, s:O*}", "domain", entry->domain, "token",
                            entry->token, "endpoint", endpoint_name(writing->all, entry->endpoint),
                            "since", (json_int_t)clock_steady_ms(), "note", entry->note);
    char *text = row != NULL ? json_dumps(row, JSON_COMPACT) : NULL;
    size_t length = text != NULL ? strlen(text) : 0,
           sealed_length = HEADER_BYTES + length + TAG_BYTES;
    uint8_t *sealed = malloc(sealed_length);
    int rc = CG_E_LIMIT;

    if (row == NULL || text == NULL || sealed == NULL)
        abort();
    writing->key_length = row_key(writing->key, entry->user, entry->id);
    if (writing->key_length > 0 &&
        (rc = seal(journal->key, writing->key, writing->key_length, text, sealed)) == CG_OK) {
        if (is_new)
            slots_put(journal->slots, writing->key, writing->key_length, sealed, sealed_length);
        durable_put(batch, DURABLE_SESSIONS, writing->key, writing->key_length, sealed,
                    sealed_length);
    }
    free(sealed);
    wipe_row(row, text, length);
    return rc;
}

void journal_put(struct sessions *sessions, const struct journal_entry *entry,
                 void (*on_done)(struct message *), void *data)
{
    int is_new = entry->id->text[0] == '\0', rc;
    struct durable_batch *batch;
    struct writing *writing;

    if (sessions->journal == NULL)
        return;
    if ((writing = calloc(1, sizeof(*writing))) == NULL)
        abort();
    writing->all = sessions;
    writing->on_done = on_done;
    writing->data = data;
    batch = durable_batch_new();
    if ((rc = make_id(entry->id)) != CG_OK ||
        (rc = put_row(writing, batch, entry, is_new)) != CG_OK)
        log_write(LOG_LEVEL_ERROR, "sessionNotJournalled",
                  "A crash would leave this session at the contact centre",
                  LOG_S("user", entry->user), LOG_S("reason", cg_error_name(rc)));
    durable_submit(sessions->journal->durable, batch, &sessions->loop->mailbox, on_written,
                   writing);
}

void journal_strike(struct sessions *sessions, const char *user, struct journal_id *id)
{
    struct durable_batch *batch;
    char key[ROW_KEY_BYTES];
    size_t length;

    if (sessions->journal == NULL || id->text[0] == '\0' || (length = row_key(key, user, id)) == 0)
        return;
    slots_drop(sessions->journal->slots, key, length);
    batch = durable_batch_new();
    durable_delete(batch, DURABLE_SESSIONS, key, length);
    durable_submit(sessions->journal->durable, batch, NULL, NULL, NULL);
    id->text[0] = '\0';
}

/* ---- taking it up ---- */

struct left_token *journal_take(struct sessions *sessions, const char *user, const char *domain)
{
    struct left_token **at, **best = NULL, *left;

    for (at = &sessions->left; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->user, user) == 0 &&
            strcmp((*at)->endpoint, endpoint_name(sessions, sessions->endpoint)) == 0 &&
            (domain == NULL || strcasecmp((*at)->domain, domain) == 0) &&
            (best == NULL || (*at)->since_ms > (*best)->since_ms))
            best = at;
    if (best == NULL)
        return NULL;
    left = *best;
    *best = left->next;
    return left;
}

void session_adopt(struct session *session, struct left_token *left)
{
    session_forget_token(session);
    session->token = left->token;
    left->token = NULL;
    session->row = left->id;
    session->left_note = left->note;
    left->note = NULL;
    session->adopted = 1;
    ++session->generation;
}

static void depart(struct sessions *sessions, struct left_token *left)
{
    unsigned endpoint;

    for (endpoint = 0; endpoint < sessions->num_endpoints; ++endpoint)
        if (strcmp(endpoint_name(sessions, endpoint), left->endpoint) == 0)
            break;
    if (endpoint ==
        sessions->num_endpoints) /* it is not configured any more: nobody can be asked */
        journal_strike(sessions, left->user, &left->id);
    else
        sessions_depart_from(
            sessions, &(struct departing_token){left->user, left->domain, left->token, &left->id},
            DEPARTURE_LEFT, endpoint);
}

struct session *sessions_take_up(struct sessions *sessions, uint32_t number, const char *user)
{
    struct session *session = sessions_find(sessions, number);
    struct left_token *left;
    int rc;

    if (session != NULL || number == 0 || number >= SESSION_VIEWS_MAX ||
        (left = journal_take(sessions, user, NULL)) == NULL)
        return session;
    session = sessions_insert(sessions, &(struct login_credentials){left->user, left->domain, NULL},
                              number, &rc);
    if (session != NULL) {
        session_adopt(session, left);
        session_linger(session);
        session_connect(session);
    } else {
        depart(sessions, left);
    }
    left_token_free(&left);
    return session;
}

void sessions_settle(struct sessions *sessions)
{
    struct left_token *left;

    while ((left = sessions->left) != NULL) {
        sessions->left = left->next;
        depart(sessions, left);
        left_token_free(&left);
    }
}
