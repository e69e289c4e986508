/*
 * One LMDB environment in a folder of its own: opened after it was inspected, with its databases and its description.
 */
#ifndef CCTGATE_CACHE_ENVIRONMENT_H
#define CCTGATE_CACHE_ENVIRONMENT_H

#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>

#define ENVIRONMENT_DATABASES_MAX 11 /* the names end with a NULL */

struct environment;

struct environment_layout {
    const char *name;        /* of the folder */
    const char *description; /* of the format, in words; another text is another format */
    uint32_t format;         /* grows with every change of the description */
    unsigned flags;          /* of mdb_env_open */
    const char
        *databases[ENVIRONMENT_DATABASES_MAX]; /* the first holds the state; ends with NULL */
    /*
     * The description of the format before this one when all it lacks is databases: what is of it is brought up to this one by
     * making those from the former_databases'th on. NULL: it is set aside.
     */
    const char *former_description;
    unsigned former_databases;
    /* Whether what is in the databases fits together; NULL: nothing to look at. LMDB's error, or *damage set. */
    int (*check)(const struct environment *environment, MDB_txn *txn, const char **damage);
};

/* What an environment says of itself, in one record. `magic` and `format` stay where they are in every format to come. */
struct environment_state {
    uint32_t magic, format, description_checksum;
    uint32_t next_user; /* cache: the number the next new user gets */
    uint64_t epoch;     /* of the last start that got as far as writing it */
};

struct environment {
    MDB_env *env; /* NULL when closed */
    MDB_dbi databases[ENVIRONMENT_DATABASES_MAX];
    struct environment_state state; /* as read at opening */
    size_t page_bytes, map_pages;
};

/*
 * Opens <directory>/<layout->name>, made when absent. CG_E_CORRUPT: not usable as it is, *damage (a constant) says why, nothing is
 * open. CG_E_NOMEM, CG_E_IO: errno or LMDB's error is in *cause.
 */
int environment_open(struct environment *environment, const struct environment_layout *layout,
                     const char *directory, size_t map_bytes, unsigned max_readers,
                     const char **damage, int *cause);
void environment_close(struct environment *environment);

/* Writes the state in a transaction of its own or in `txn`. Returns LMDB's error. */
int environment_put_state(struct environment *environment, MDB_txn *txn,
                          const struct environment_state *state);
int environment_save_state(struct environment *environment, const struct environment_state *state);

#endif
