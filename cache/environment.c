#include "cache/environment.h"

#include "cache/checksum.h"
#include "cache/inspect.h"
#include "cache/record.h"
#include "cctgate/error.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define STATE_MAGIC 0x43434754u /* "CCGT" */
#define STATE_KEY   "environment"

#define ROOM_PAGES_MIN 64

struct opening {
    struct environment *environment;
    const struct environment_layout *layout;
    char folder[PATH_MAX];
    const char *damage;
    int cause;
};

static int damaged(struct opening *opening, const char *damage)
{
    opening->damage = damage;
    return CG_E_CORRUPT;
}

static int failed(struct opening *opening, int cause)
{
    opening->cause = cause;
    return cause == ENOMEM ? CG_E_NOMEM : CG_E_IO;
}

/* What LMDB found wrong with the file is damage; what the system refuses is not, except what stays refused. */
static int judged(struct opening *opening, int cause)
{
    switch (cause) {
    case MDB_SUCCESS:
        return CG_OK;
    case EACCES:
    case EISDIR:
    case ENOTDIR:
    case ELOOP:
    case ENXIO:
        return damaged(opening, "the files cannot be opened");
    case MDB_PANIC:
    case MDB_READERS_FULL:
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return failed(opening, cause);
    default:
        return cause < 0 ? damaged(opening, mdb_strerror(cause)) : failed(opening, cause);
    }
}

static uint32_t description_checksum(const char *description)
{
    return checksum(0, description, strlen(description));
}

static MDB_val state_key(void)
{
    static const char key[] = STATE_KEY;
    return (MDB_val){.mv_size = sizeof(key) - 1, .mv_data = (char *)key};
}

int environment_put_state(struct environment *environment, MDB_txn *txn,
                          const struct environment_state *state)
{
    uint8_t sealed[SEALED_HEADER_BYTES + sizeof(*state)];
    MDB_val key = state_key(), value = {.mv_size = sizeof(sealed), .mv_data = sealed};
    sealed_encode(&key, state, sizeof(*state), sealed);
    return mdb_put(txn, environment->databases[0], &key, &value, 0);
}

int environment_save_state(struct environment *environment, const struct environment_state *state)
{
    MDB_txn *txn;
    int mdb_rc = mdb_txn_begin(environment->env, NULL, 0, &txn);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    mdb_rc = environment_put_state(environment, txn, state);
    if (mdb_rc == MDB_SUCCESS)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return mdb_rc;
}

/* Those from the `made_from`th on are made when they are missing. */
static int open_databases(struct opening *opening, MDB_txn *txn, size_t made_from)
{
    const char *const *names = opening->layout->databases;
    for (size_t i = 0; i < ENVIRONMENT_DATABASES_MAX && names[i] != NULL; i++) {
        int mdb_rc = mdb_dbi_open(txn, names[i], i < made_from ? 0 : MDB_CREATE,
                                  &opening->environment->databases[i]);
        if (mdb_rc == MDB_NOTFOUND)
            return damaged(opening, "a database is missing");
        if (mdb_rc != MDB_SUCCESS)
            return judged(opening, mdb_rc);
    }
    return CG_OK;
}

/* Makes what is missing and says that it is of this format now. */
static int make_databases(struct opening *opening, MDB_txn *txn, size_t made_from)
{
    struct environment *environment = opening->environment;
    const struct environment_layout *layout = opening->layout;
    environment->state.format = layout->format;
    environment->state.description_checksum = description_checksum(layout->description);
    int rc = open_databases(opening, txn, made_from);
    return rc != CG_OK
               ? rc
               : judged(opening, environment_put_state(environment, txn, &environment->state));
}

static int start_new(struct opening *opening, MDB_txn *txn)
{
    opening->environment->state = (struct environment_state){.magic = STATE_MAGIC, .next_user = 1};
    return make_databases(opening, txn, 0);
}

static int is_former(const struct opening *opening)
{
    return opening->layout->former_description != NULL &&
           opening->environment->state.format == opening->layout->format - 1;
}

/* The format number is looked at before the seal: what another format seals, and how, is its own affair. */
static int check_state(struct opening *opening, const MDB_val *key, const MDB_val *value)
{
    struct environment_state *state = &opening->environment->state;
    const void *content;
    size_t length;
    if (value->mv_size <
        SEALED_HEADER_BYTES + offsetof(struct environment_state, description_checksum))
        return damaged(opening, "the format is not given");
    memcpy(state, (const char *)value->mv_data + SEALED_HEADER_BYTES,
           offsetof(struct environment_state, description_checksum));
    if (state->magic != STATE_MAGIC)
        return damaged(opening, "the format is not given");
    if (state->format != opening->layout->format && !is_former(opening))
        return damaged(opening, state->format > opening->layout->format
                                    ? "it is of a newer format"
                                    : "it is of an older format");
    if (sealed_decode(key, value, &content, &length) != CG_OK || length != sizeof(*state))
        return damaged(opening, "the description is damaged");
    memcpy(state, content, sizeof(*state));
    if (state->description_checksum !=
            description_checksum(is_former(opening) ? opening->layout->former_description
                                                    : opening->layout->description) ||
        state->next_user == 0)
        return damaged(opening, "the description is another one");
    return CG_OK;
}

static int check_content(struct opening *opening, MDB_txn *txn)
{
    const char *damage = NULL;
    if (opening->layout->check == NULL)
        return CG_OK;
    int mdb_rc = opening->layout->check(opening->environment, txn, &damage);
    return damage != NULL ? damaged(opening, damage) : judged(opening, mdb_rc);
}

static int read_existing(struct opening *opening, MDB_txn *txn)
{
    MDB_val key = state_key(), value;
    MDB_dbi first;
    int mdb_rc = mdb_dbi_open(txn, opening->layout->databases[0], 0, &first);
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = mdb_get(txn, first, &key, &value);
    if (mdb_rc == MDB_NOTFOUND)
        return damaged(opening, "the format is not given");
    int rc = mdb_rc != MDB_SUCCESS ? judged(opening, mdb_rc) : check_state(opening, &key, &value);
    if (rc == CG_OK)
        rc = is_former(opening) ? make_databases(opening, txn, opening->layout->former_databases)
                                : open_databases(opening, txn, ENVIRONMENT_DATABASES_MAX);
    return rc != CG_OK ? rc : check_content(opening, txn);
}

/* An environment without a single database is one whose first transaction never came: new. */
static int read_or_start(struct opening *opening)
{
    MDB_txn *txn;
    MDB_dbi main_database;
    MDB_stat stat;
    int mdb_rc = mdb_txn_begin(opening->environment->env, NULL, 0, &txn);
    if (mdb_rc != MDB_SUCCESS)
        return judged(opening, mdb_rc);
    mdb_rc = mdb_dbi_open(txn, NULL, 0, &main_database);
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = mdb_stat(txn, main_database, &stat);
    int rc = mdb_rc != MDB_SUCCESS  ? judged(opening, mdb_rc)
             : stat.ms_entries == 0 ? start_new(opening, txn)
                                    : read_existing(opening, txn);
    if (rc == CG_OK)
        return judged(opening, mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return rc;
}

static int open_files(struct opening *opening, size_t map_bytes, unsigned max_readers)
{
    struct environment *environment = opening->environment;
    int stale, mdb_rc = mdb_env_create(&environment->env);
    if (mdb_rc != MDB_SUCCESS)
        return failed(opening, mdb_rc);
    mdb_rc = mdb_env_set_mapsize(environment->env, map_bytes);
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = mdb_env_set_maxdbs(environment->env, ENVIRONMENT_DATABASES_MAX);
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = mdb_env_set_maxreaders(environment->env, max_readers);
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = mdb_env_open(environment->env, opening->folder, opening->layout->flags, 0600);
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = mdb_reader_check(environment->env, &stale);
    return judged(opening, mdb_rc);
}

/*
 * A map that was filled to its last page could not even be emptied (see room.c); whatever led to that, a few more pages let the
 * next process go on.
 */
static int leave_room(struct opening *opening)
{
    struct environment *environment = opening->environment;
    MDB_envinfo info;
    MDB_stat stat;
    mdb_env_info(environment->env, &info);
    mdb_env_stat(environment->env, &stat);
    size_t bytes = (info.me_last_pgno + 1 + ROOM_PAGES_MIN) * stat.ms_psize;
    int mdb_rc = MDB_SUCCESS;
    if (info.me_mapsize < bytes) {
        mdb_rc = mdb_env_set_mapsize(environment->env, bytes);
        info.me_mapsize = bytes;
    }
    environment->page_bytes = stat.ms_psize;
    environment->map_pages = info.me_mapsize / stat.ms_psize;
    return judged(opening, mdb_rc);
}

static int make_folder(struct opening *opening)
{
    struct stat status;
    if (mkdir(opening->folder, 0700) == 0)
        return CG_OK;
    if (errno != EEXIST)
        return failed(opening, errno);
    if (stat(opening->folder, &status) != 0 || !S_ISDIR(status.st_mode))
        return damaged(opening, "it is not a folder");
    return CG_OK;
}

static int inspect_folder(struct opening *opening)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/data.mdb", opening->folder);
    if (length < 0 || (size_t)length >= sizeof(path))
        return failed(opening, ENAMETOOLONG);
    int rc = inspect_file(path, &opening->damage);
    if (rc == CG_E_IO || rc == CG_E_NOMEM)
        opening->cause = errno;
    return rc;
}

static int open_all(struct opening *opening, size_t map_bytes, unsigned max_readers)
{
    int rc = make_folder(opening);
    if (rc == CG_OK)
        rc = inspect_folder(opening);
    if (rc == CG_OK)
        rc = open_files(opening, map_bytes, max_readers);
    if (rc == CG_OK)
        rc = leave_room(opening);
    if (rc == CG_OK)
        rc = read_or_start(opening);
    return rc;
}

int environment_open(struct environment *environment, const struct environment_layout *layout,
                     const char *directory, size_t map_bytes, unsigned max_readers,
                     const char **damage, int *cause)
{
    struct opening opening = {.environment = environment, .layout = layout};
    *environment = (struct environment){.env = NULL};
    int length = snprintf(opening.folder, sizeof(opening.folder), "%s/%s", directory, layout->name);
    int rc = length < 0 || (size_t)length >= sizeof(opening.folder)
                 ? failed(&opening, ENAMETOOLONG)
                 : open_all(&opening, map_bytes, max_readers);
    if (rc != CG_OK)
        environment_close(environment);
    *damage = opening.damage;
    *cause = opening.cause;
    return rc;
}

void environment_close(struct environment *environment)
{
    if (environment->env != NULL)
        mdb_env_close(environment->env);
    environment->env = NULL;
}
