/*
 * What the tests of the configuration share: a directory with every file that
 * tests/unit/config/full.json names, and loading from there. A function fails the test that calls
 * it when it can't do what it says. Run from the top of the tree.
 */
#ifndef CCTGATE_TESTS_CONFIG_FILES_H
#define CCTGATE_TESTS_CONFIG_FILES_H

#include <sys/types.h>

#include "gateway/config_internal.h"

extern char files_directory[];
extern json_t *files_full;   /* tests/unit/config/full.json */
extern json_t *files_schema; /* conf/cctgate.schema.json */

int files_set_up(void **state); /* for cmocka_run_group_tests */
int files_tear_down(void **state);

char *files_path(const char *name); /* in the directory; the caller frees */
void files_assert_path(const char *path, const char *name);
void files_write(const char *name, const char *bytes, size_t length, mode_t mode);
void files_write_text(const char *name, const char *text);
void files_make_directory(const char *name);
json_t *files_read_json(const char *path); /* the caller's reference */

/* Writes the text or value to a file of the directory and loads that. */
int files_load_text(struct config **config, const char *text, struct config_error *error);
int files_load_json(struct config **config, const json_t *json, struct config_error *error);
struct config *files_must_load(const json_t *json);

/* Sets what a JSON pointer names, or removes it where `value` is NULL. */
void files_edit(json_t *root, const char *pointer, json_t *value);

#endif
