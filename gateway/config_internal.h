/*
 * Inside the configuration: the tables that say what a file may hold, the reader that obeys them,
 * and how both speak of errors.
 *
 * One row is one setting. The reader knows nothing of any setting; config_table.c holds no code. A
 * default is the JSON text that a file would have held, so that it passes the same checks. The
 * members of an object are rows over the same C struct as the object itself; the items of an array
 * of objects are rows over a struct of their own.
 */
#ifndef CCTGATE_CONFIG_INTERNAL_H
#define CCTGATE_CONFIG_INTERNAL_H

#include <jansson.h>

#include "cctgate/config.h"

#define CONFIG_STRING_MAX   4096 /* characters of any string that has no bound of its own */
#define CONFIG_STRINGS_MAX  10000
#define CONFIG_LISTEN_MAX   64
#define CONFIG_ENDPOINT_MAX 16
#define CONFIG_RESERVED_MAX 100000

#define CONFIG_CONTRACT_INSTALLED "/usr/share/cctgate/contract"

enum config_kind {
    CONFIG_IGNORED, /* a string that is for editors only */
    CONFIG_INTEGER, /* unsigned or uint64_t, by `size`; multiplied by `scale` */
    CONFIG_BOOLEAN, /* int */
    CONFIG_STRING,  /* char * */
    CONFIG_URL,  /* char *, without the final '/'; a URL with a user name in it is never repeated */
    CONFIG_PATH, /* char *, absolute */
    CONFIG_CHOICE,       /* char *, one of `choices` */
    CONFIG_CHOICE_INDEX, /* int, the index in `choices` */
    CONFIG_CHOICES,      /* unsigned, bit n for each of `choices` named */
    CONFIG_STRINGS,      /* char ** and size_t */
    CONFIG_SHA256,       /* uint8_t[32] */
    CONFIG_SECRET,       /* char *, read from where the object says */
    CONFIG_OBJECT, /* `rows` over the same struct; where `size` is not 0, an int that becomes 1 */
    CONFIG_OBJECTS /* an array of structs of `item_size` bytes and size_t */
};

enum config_flag {
    CONFIG_REQUIRED = 1 << 0,
    CONFIG_READABLE = 1 << 1, /* a path to a file that can be read now */
    CONFIG_DIRECTORY = 1 << 2 /* a path to a directory, where the file itself names it */
};

struct config_row {
    const char *name; /* NULL ends a table */
    enum config_kind kind;
    unsigned flags;
    int64_t minimum, maximum; /* of an integer; of a string's characters; of an array's items */
    unsigned scale;           /* 0 is 1 */
    const char *fallback;     /* JSON text; NULL: required, or left zero when absent */
    const char
        *pattern; /* POSIX extended and ECMA alike; of a string or of each string of an array */
    const char *expected;       /* the pattern in words */
    int (*check)(const char *); /* what a pattern can't say; 1 when fine */
    const char *const *choices; /* NULL-terminated */
    size_t offset, size;        /* of the member */
    size_t count_offset;        /* of the array's length */
    size_t item_size;
    const struct config_row *rows;
};

extern const struct config_row config_rows[];     /* the whole file */
extern const char *const config_secret_sources[]; /* "file", "env", "credential" */
extern const char *const config_role_names[];     /* the index is the bit in enum config_role */

struct config_reader {
    struct config_error *error;
    const char *directory; /* absolute, of the file */
    size_t length;         /* of `pointer` */
    char pointer[256];
};

/*
 * config_read.c: CG_OK, or a refusal with the error filled in; what was read so far stays in
 * `config` for config_free.
 */
int config_read(struct config_reader *reader, const json_t *root, struct config *config);
void config_free_rows(const struct config_row *rows, void *base);
char *config_resolve(const char *directory, const char *path); /* NULL: no memory */

/* config_check.c: what concerns several settings at once, and the checks named in the tables. */
int config_check(struct config_reader *reader, const struct config *config);
int config_is_address(const char *text);
int config_is_network(const char *text);
int config_is_url(const char *text);

/* config_describe.c. Every function that is given a buffer ends it with NUL and cuts at `size`. */
void config_point(struct config_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
size_t config_enter(struct config_reader *reader,
                    const char *name); /* returns what config_leave wants */
size_t config_enter_item(struct config_reader *reader, size_t index);
void config_leave(struct config_reader *reader, size_t mark);
int config_refuse(struct config_reader *reader, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/*
 * "expected <the row in words>, found <the value>"; CG_E_INVALID. `found` NULL: nothing was there.
 */
int config_unexpected(struct config_reader *reader, const struct config_row *row,
                      const json_t *found);
int config_unexpected_item(struct config_reader *reader, const struct config_row *row,
                           const json_t *found);
int config_unknown(struct config_reader *reader, const struct config_row *rows, const char *name);
/* In quotation marks, without control characters, at most about 100 characters. */
const char *config_quote(char *buffer, size_t size, const char *text);

#endif
