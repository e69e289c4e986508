/*
 * Growing byte buffers and the small memory helpers of the simulator. The simulator is a test program: running out of
 * memory ends it with a message instead of an error path in every caller.
 */
#ifndef CCTSIM_BUF_H
#define CCTSIM_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* always NUL-terminated once something was added; NULL before */
    size_t len;
    size_t cap;
};

/* Zeroed memory for `count` objects of `size` bytes; never NULL. */
void *mem_new(size_t count, size_t size);
void *mem_resize(void *p, size_t count, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len);
/* Formats into fresh memory that the caller frees. */
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

void buf_add(struct buf *b, const void *data, size_t len);
void buf_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* Adds `s` as XML character data; what XML 1.0 cannot carry becomes U+FFFD. NULL counts as "". */
void buf_xml(struct buf *b, const char *s);
/* Removes the first `count` bytes. */
void buf_consume(struct buf *b, size_t count);
/* Frees the memory and leaves an empty, usable buffer. */
void buf_free(struct buf *b);

#endif
