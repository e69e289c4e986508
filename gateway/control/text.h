/* Texts of control: what others wrote, made fit for answers, rows and audit entries. */
#ifndef CCTGATE_CONTROL_TEXT_H
#define CCTGATE_CONTROL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/*
 * Copies as much as fits into `size` bytes with the NUL, whole characters only; control characters and what is not UTF-8 are left
 * out. Returns the bytes written, without the NUL.
 */
size_t text_clean(char *out, size_t size, const char *in);
/* 1: 1 to `max_bytes` bytes of UTF-8 without control characters. */
int text_is_name(const char *text, size_t max_bytes);
/* A clean copy of at most `max_bytes`; NULL for NULL. Aborts without memory. */
char *text_keep(const char *in, size_t max_bytes);
void text_format(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

json_t *time_json(int64_t steady_ms);

/* Sets a member unless `value` is NULL; cleaned. */
void json_set_text(json_t *object, const char *name, const char *value);
/* Takes the reference; aborts without memory. */
void json_set(json_t *object, const char *name, json_t *value);

#endif
