/*
 * The audit log: JSON texts under their numbers, and in the state database the last number that was given, so that it is not given
 * again when its entry has been dropped. That number counts, whatever keys are there: it is sealed, a key alone is not.
 */
#include "cache/durable_private.h"
#include "cache/record.h"
#include "cctgate/error.h"
#include "cctgate/log.h"

#include <inttypes.h>
#include <stdio.h>

#define STATE_KEY   "audit"
#define EDGE_PAGES  8 /* of a tree, copied once in a transaction */
#define TRIM_FACTOR 4 /* pages that rebalancing may leave behind for each that is emptied */

static MDB_val state_key(void)
{
    static const char key[] = STATE_KEY;
    return (MDB_val){.mv_size = sizeof(key) - 1, .mv_data = (char *)key};
}

static uint64_t number_of(const MDB_val *key)
{
    const uint8_t *bytes = key->mv_data;
    uint64_t number = 0;
    for (size_t i = 0; i < key->mv_size && i < sizeof(number); i++)
        number = number << 8 | bytes[i];
    return number;
}

/* ---- the start ---- */

static int state_decode(const MDB_val *value, uint64_t *last)
{
    MDB_val key = state_key();
    const void *content;
    size_t length;
    if (sealed_decode(&key, value, &content, &length) != CG_OK || length != sizeof(*last))
        return CG_E_CORRUPT;
    memcpy(last, content, sizeof(*last));
    return CG_OK;
}

/* The newest entry that reads back: its checksum is over its number as well. */
static int last_entry(MDB_txn *txn, MDB_dbi database, uint64_t *last)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    const void *content;
    size_t length;
    int mdb_rc = mdb_cursor_open(txn, database, &cursor);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    while ((mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_PREV)) == MDB_SUCCESS &&
           entry_decode(&key, &value, &content, &length) != CG_OK)
        ;
    if (mdb_rc == MDB_SUCCESS)
        *last = number_of(&key);
    mdb_cursor_close(cursor);
    return mdb_rc == MDB_NOTFOUND ? MDB_SUCCESS : mdb_rc;
}

static int read_last(struct durable *durable, MDB_txn *txn)
{
    struct store *store = durable->store;
    const MDB_dbi *databases = store->durable.databases;
    MDB_val key = state_key(), value;
    int mdb_rc = mdb_get(txn, databases[DURABLE_DB_STATE], &key, &value);
    if (mdb_rc != MDB_SUCCESS && mdb_rc != MDB_NOTFOUND)
        return mdb_rc;
    if (mdb_rc == MDB_SUCCESS && state_decode(&value, &durable->audit.last) == CG_OK)
        return MDB_SUCCESS;
    if (mdb_rc == MDB_SUCCESS) {
        store_corrupt(store, CG_E_CORRUPT, 1);
        log_write(LOG_LEVEL_ERROR, "auditNumberLost",
                  "The audit log's last number does not read back; it goes on from its last entry");
    }
    return last_entry(txn, databases[DURABLE_DB_AUDIT], &durable->audit.last);
}

int audit_load(struct durable *durable)
{
    MDB_txn *txn;
    MDB_stat stat;
    const struct environment *environment = &durable->store->durable;
    int mdb_rc = mdb_txn_begin(environment->env, NULL, MDB_RDONLY, &txn);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    mdb_rc = mdb_stat(txn, environment->databases[DURABLE_DB_AUDIT], &stat);
    if (mdb_rc == MDB_SUCCESS) {
        durable->audit.entries = stat.ms_entries;
        mdb_rc = read_last(durable, txn);
    }
    mdb_txn_abort(txn);
    return mdb_rc;
}

/* ---- writing ---- */

/* The entry with its number before its own members. `json` is an object's text. */
static size_t number_entry(char *to, uint64_t number, const char *json, size_t length)
{
    int head =
        snprintf(to, AUDIT_HEAD_BYTES_MAX, "{\"seq\":%" PRIu64 "%s", number, length > 2 ? "," : "");
    memcpy(to + head, json + 1, length - 1);
    return (size_t)head + length - 1;
}

int audit_append(struct durable_txn *txn, const char *json, size_t length)
{
    struct durable *durable = txn->durable;
    struct key key;
    key_of_entry(&key, txn->audit.last + 1);
    length = number_entry(durable->scratch, txn->audit.last + 1, json, length);
    MDB_val number = key_value(&key), value = {.mv_size = ENTRY_HEADER_BYTES + length};
    int mdb_rc = mdb_put(txn->txn, durable->store->durable.databases[DURABLE_DB_AUDIT], &number,
                         &value, MDB_RESERVE);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    entry_encode(&number, durable->scratch, length, value.mv_data);
    txn->audit.last++;
    txn->audit.entries++;
    return MDB_SUCCESS;
}

static int drop_first(MDB_cursor *cursor, size_t *bytes)
{
    MDB_val key, value;
    int mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    *bytes += key.mv_size + value.mv_size;
    return mdb_cursor_del(cursor, 0);
}

int audit_trim(struct durable_txn *txn, uint64_t count, size_t pages)
{
    const struct environment *environment = &txn->durable->store->durable;
    MDB_cursor *cursor;
    size_t bytes = 0;
    if (count == 0 || pages < EDGE_PAGES)
        return MDB_SUCCESS;
    int mdb_rc = mdb_cursor_open(txn->txn, environment->databases[DURABLE_DB_AUDIT], &cursor);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    for (; count != 0 && mdb_rc == MDB_SUCCESS &&
           EDGE_PAGES + TRIM_FACTOR * (bytes / environment->page_bytes) <= pages;
         count--) {
        mdb_rc = drop_first(cursor, &bytes);
        txn->audit.entries -= mdb_rc == MDB_SUCCESS;
    }
    mdb_cursor_close(cursor);
    if (mdb_rc == MDB_NOTFOUND) /* counted wrong, which only damage can bring about */
        txn->audit.entries = 0;
    return mdb_rc == MDB_NOTFOUND ? MDB_SUCCESS : mdb_rc;
}

int audit_save(struct durable_txn *txn)
{
    uint8_t sealed[SEALED_HEADER_BYTES + sizeof(txn->audit.last)];
    MDB_val key = state_key(), value = {.mv_size = sizeof(sealed), .mv_data = sealed};
    if (txn->audit.last == txn->durable->audit.last)
        return MDB_SUCCESS;
    sealed_encode(&key, &txn->audit.last, sizeof(txn->audit.last), sealed);
    return mdb_put(txn->txn, txn->durable->store->durable.databases[DURABLE_DB_STATE], &key, &value,
                   0);
}

/* ---- questions ---- */

/* Looks at one entry. CG_OK, CG_E_NOMEM. */
static int consider(struct durable *durable, struct durable_query *query, const MDB_val *key,
                    const MDB_val *value)
{
    const void *content;
    size_t length;
    json_error_t error;
    if (entry_decode(key, value, &content, &length) != CG_OK)
        return store_corrupt(durable->store, CG_OK, 1);
    json_t *entry = json_loadb(content, length, JSON_ALLOW_NUL, &error);
    if (entry == NULL)
        return json_error_code(&error) == json_error_out_of_memory
                   ? CG_E_NOMEM
                   : store_corrupt(durable->store, CG_OK, 1);
    int wanted = query->matches == NULL || query->matches(query, entry);
    int failed = wanted && json_array_append(query->items, entry) != 0;
    json_decref(entry);
    return failed ? CG_E_NOMEM : CG_OK;
}

/* Puts the cursor on the newest entry below `before`. */
static int go_below(MDB_cursor *cursor, uint64_t before, MDB_val *key, MDB_val *value)
{
    struct key place;
    int mdb_rc = MDB_NOTFOUND;
    if (before != 0) {
        key_of_entry(&place, before);
        *key = key_value(&place);
        mdb_rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    }
    if (mdb_rc == MDB_NOTFOUND)
        return mdb_cursor_get(cursor, key, value, MDB_LAST);
    return mdb_rc == MDB_SUCCESS ? mdb_cursor_get(cursor, key, value, MDB_PREV) : mdb_rc;
}

static int look(struct durable *durable, struct durable_query *query, MDB_cursor *cursor)
{
    MDB_val key, value;
    uint64_t number = query->before;
    unsigned looked_at = 0;
    int rc = CG_OK, mdb_rc = go_below(cursor, query->before, &key, &value);
    while (mdb_rc == MDB_SUCCESS && rc == CG_OK) {
        if (looked_at == query->look_at || json_array_size(query->items) == query->limit) {
            query->next = number;
            break;
        }
        looked_at++;
        number = number_of(&key);
        rc = consider(durable, query, &key, &value);
        mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
    }
    return mdb_rc == MDB_SUCCESS || mdb_rc == MDB_NOTFOUND ? rc : CG_E_IO;
}

static int answer_in(struct durable *durable, struct durable_query *query, MDB_txn *txn)
{
    MDB_cursor *cursor;
    int mdb_rc = mdb_cursor_open(txn, durable->store->durable.databases[DURABLE_DB_AUDIT], &cursor);
    if (mdb_rc != MDB_SUCCESS)
        return store_error(mdb_rc) == CG_E_NOMEM ? CG_E_NOMEM : CG_E_IO;
    int rc = look(durable, query, cursor);
    mdb_cursor_close(cursor);
    return rc;
}

void audit_answer(struct durable *durable, struct durable_query *query)
{
    MDB_txn *txn;
    query->next = 0;
    query->items = json_array();
    query->rc = query->items == NULL ? CG_E_NOMEM : CG_OK;
    if (query->rc == CG_OK &&
        mdb_txn_begin(durable->store->durable.env, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS)
        query->rc = CG_E_IO;
    else if (query->rc == CG_OK) {
        query->rc = answer_in(durable, query, txn);
        mdb_txn_abort(txn);
    }
    if (query->rc != CG_OK) {
        json_decref(query->items);
        query->items = NULL;
        query->next = 0;
    }
    query->message.on_deliver = query->on_reply;
    mailbox_send(query->reply_to, &query->message);
}
