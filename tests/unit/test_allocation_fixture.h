/*
 * The Nth allocation fails, for N = 1, 2, 3 ... until a core succeeds: alone, and with all that come after it.
 *
 * The Makefile links test_allocation* with --wrap, so that what the project's own files allocate comes through here; jansson
 * and libxml2 are given these functions, too. What a core allocates between allocation_begin and allocation_end counts. That nothing is
 * left behind is found by what was taken and not given back, in every build, and by LeakSanitizer at the end.
 */
#ifndef CCTGATE_TEST_ALLOCATION_FIXTURE_H
#define CCTGATE_TEST_ALLOCATION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <libxml/xmlerror.h>

#include "cctgate/error.h"
#include "cctgate/memory.h"
#include "cctgate/xml.h"

/* Every N up to here; beyond, steps of a fortieth: it is the kinds of places that count, and they come again. */
#define ALLOCATION_EACH 300
#define ALLOCATION_STEP 40

static struct {
    int armed, lasting;       /* lasting: none succeeds after the Nth */
    size_t at, count, failed; /* at 0: none fails */
    long balance;             /* blocks that were taken less those that were given back */
} allocation;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);
char *__wrap_getcwd(char *buffer, size_t size);
char *__wrap_realpath(const char *path, char *resolved);
char *__real_getcwd(char *buffer, size_t size);
char *__real_realpath(const char *path, char *resolved);
int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap_free(void *memory);

static int allocation_fails(void)
{
    if (!allocation.armed)
        return 0;
    allocation.count++;
    if (allocation.at == 0 ||
        (allocation.lasting ? allocation.count < allocation.at : allocation.count != allocation.at))
        return 0;
    allocation.failed++;
    errno = ENOMEM;
    return 1;
}

static void *allocation_taken(void *memory)
{
    allocation.balance += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : allocation_taken(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : allocation_taken(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (allocation_fails())
        return NULL;
    return memory == NULL ? allocation_taken(__real_realloc(NULL, size))
                          : __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    if (allocation_fails())
        return NULL;
    return memory == NULL ? allocation_taken(__real_reallocarray(NULL, count, size))
                          : __real_reallocarray(memory, count, size);
}

char *__wrap_strdup(const char *text)
{
    return allocation_fails() ? NULL : allocation_taken(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t length)
{
    return allocation_fails() ? NULL : allocation_taken(__real_strndup(text, length));
}

int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list arguments;
    int length;
    if (allocation_fails())
        return -1;
    va_start(arguments, format);
    length = vasprintf(text, format, arguments);
    va_end(arguments);
    allocation.balance += length >= 0;
    return length;
}

/* They allocate only when they are given no room. */
char *__wrap_getcwd(char *buffer, size_t size)
{
    if (buffer != NULL)
        return __real_getcwd(buffer, size);
    return allocation_fails() ? NULL : allocation_taken(__real_getcwd(NULL, size));
}

char *__wrap_realpath(const char *path, char *resolved)
{
    if (resolved != NULL)
        return __real_realpath(path, resolved);
    return allocation_fails() ? NULL : allocation_taken(__real_realpath(path, NULL));
}

void __wrap_free(void *memory)
{
    allocation.balance -= memory != NULL;
    __real_free(memory);
}

/* Before the libraries are used for the first time. */
static void allocation_init(void)
{
    json_object_seed(1);
    memory_init();
    xml_init();
}

static void allocation_begin(void)
{
    allocation.count = allocation.failed = 0;
    allocation.armed = 1;
}

static void allocation_end(void)
{
    allocation.armed = 0;
}

/*
 * Runs the core once, and says what came of it: CG_OK only when the outcome is what it is with memory enough, CG_E_NOMEM only when nothing
 * was given out. It asserts so itself, and releases what it got.
 */
typedef int (*allocation_core)(void *data);

enum allocation_rule {
    ALLOCATION_STRICT, /* any failure is CG_E_NOMEM */
    ALLOCATION_TOLERANT /* CG_OK will do: a library got over it, or the header says what is left out */
};

static void allocation_try(const char *name, size_t at, int lasting, allocation_core core,
                           void *data, enum allocation_rule rule)
{
    const char *how = lasting ? " and all after it" : "";

    xmlResetLastError(); /* which the library keeps */
    long before = allocation.balance;
    allocation.at = at;
    allocation.lasting = lasting;
    int rc = core(data);
    assert_false(allocation.armed);
    xmlResetLastError();
    if (allocation.balance != before)
        fail_msg("%s: %ld blocks are left when allocation %zu%s fails", name,
                 allocation.balance - before, at, how);
    if (rc == CG_OK && allocation.failed > 0 && rule == ALLOCATION_STRICT)
        fail_msg("%s: allocation %zu%s fails, and nobody is told", name, at, how);
    if (rc != CG_OK && (rc != CG_E_NOMEM || allocation.failed == 0))
        fail_msg("%s: %s when allocation %zu%s fails", name, cg_error_name(rc), at, how);
}

static size_t allocation_next(size_t at)
{
    return at < ALLOCATION_EACH ? at + 1 : at + 1 + (at - ALLOCATION_EACH) / ALLOCATION_STEP;
}

static void allocation_torture(const char *name, allocation_core core, void *data,
                               enum allocation_rule rule)
{
    size_t at, all;

    allocation.at = 0;
    assert_int_equal(core(data), CG_OK); /* what libraries keep for good is made the first time */
    allocation_try(name, 0, 0, core, data, rule);
    all = allocation.count;
    for (at = 1; at <= all; at = allocation_next(at)) {
        allocation_try(name, at, 0, core, data, rule);
        allocation_try(name, at, 1, core, data, rule);
    }
    assert_true(all > 0);
}

#endif
