/*
 * What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput; its invariants are FUZZ_CHECKs, which hold for
 * every input there can be. libFuzzer drives it (make fuzz), or replay.c, which knows the corpus alone.
 *
 * Where an input has to say what it is for, its first line does, in words: seeds stay readable, and stay good when tables grow.
 */
#ifndef CCTGATE_TESTS_FUZZ_FUZZ_H
#define CCTGATE_TESTS_FUZZ_FUZZ_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "cctgate/contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* Ends the program with the condition on standard error. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_failed(#condition, __FILE__, __LINE__);                                           \
    } while (0)
void fuzz_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

/* libxml2 as the program sets it up, a seed of its own for hashes, no log below errors. The first call counts. */
void fuzz_init(void);

/* The first line (without its end) and what follows; no line end: all is the line. */
struct fuzz_input {
    char line[256]; /* cut there */
    const char *rest;
    size_t rest_length;
};
void fuzz_split(struct fuzz_input *input, const uint8_t *bytes, size_t length);
/* A number that the text stands for: the same for the same text. */
size_t fuzz_choice(const char *text, size_t count);

/* conf/contract, loaded once. */
const struct contract *fuzz_contract(void);
/* "Service/Operation"; any other text stands for some operation, too. */
const struct contract_operation *fuzz_operation(const char *text);

/* Equal as JSON, where an empty array is as good as none. */
int fuzz_same(const json_t *left, const json_t *right);
/* The same, where white space is as XML Schema collapses it, an empty string is as good as none, and {"#text":x} is x. */
int fuzz_alike(const json_t *left, const json_t *right);

/* A folder of this process below TMPDIR, in memory where that is not set; it goes with the process. */
const char *fuzz_folder(void);
void fuzz_write(const char *path, const void *bytes, size_t length);

#endif
