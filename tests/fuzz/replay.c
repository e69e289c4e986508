/*
 * The fuzz targets without a fuzzer, for `make test`: every input of the corpus as it is, then some thousand mutations, always the
 * same ones. Prints TAP, as the unit tests do.
 *
 *   PROGRAM [FILE]...    (without a FILE: tests/fuzz/corpus/<the program's name>/)
 *
 * An input that ends the program is left beside it as PROGRAM.failed.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MUTATIONS   3000 /* of all inputs together */
#define FILES_MAX   1000
#define INPUT_BYTES (1u << 20)
#define CHANGES_MAX 8

struct seed {
    uint8_t *bytes;
    size_t length;
};

static struct seed seeds[FILES_MAX];
static size_t num_seeds;

/* What is being run, for whoever wants to know what ended it. */
static const uint8_t *current;
static size_t current_length;
static char failed[PATH_MAX];

/* Nothing here but system calls: the program is ending. */
static void keep_input(void)
{
    int fd = current != NULL ? open(failed, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    if (write(fd, current, current_length) == (ssize_t)current_length)
        (void)!write(STDERR_FILENO, "the input was kept: PROGRAM.failed\n", 35);
    close(fd);
    current = NULL;
}

static void on_abort(int number)
{
    signal(number, SIG_DFL);
    keep_input();
    raise(number);
}

/* A sanitizer does not abort. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void keep_what_fails(const char *program)
{
    snprintf(failed, sizeof(failed), "%s.failed", program);
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(keep_input);
}

static uint32_t random_number(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static int read_seed(const char *path)
{
    struct seed *seed = &seeds[num_seeds];
    FILE *file = num_seeds < FILES_MAX ? fopen(path, "rb") : NULL;

    if (file == NULL || (seed->bytes = malloc(INPUT_BYTES)) == NULL) {
        perror(path);
        return -1;
    }
    seed->length = fread(seed->bytes, 1, INPUT_BYTES, file);
    fclose(file);
    ++num_seeds;
    return 0;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int read_folder(const char *name)
{
    char path[PATH_MAX];
    struct dirent **entries = NULL;
    int count, i, rc = 0;

    snprintf(path, sizeof(path), "tests/fuzz/corpus/%s", name);
    if ((count = scandir(path, &entries, is_visible, alphasort)) < 0) {
        perror(path);
        return -1;
    }
    for (i = 0; i < count; ++i) {
        snprintf(path, sizeof(path), "tests/fuzz/corpus/%s/%s", name, entries[i]->d_name);
        if (rc == 0)
            rc = read_seed(path);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

/* Exactly as much memory as the input has, so that reading beyond its end is seen. */
static void run(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);

    FUZZ_CHECK(copy != NULL);
    if (length > 0)
        memcpy(copy, bytes, length);
    current = copy;
    current_length = length;
    LLVMFuzzerTestOneInput(copy, length);
    current = NULL;
    free(copy);
}

/* One place is changed, lost, doubled, or comes out of another input. */
static size_t change(uint8_t *bytes, size_t length, size_t size, uint32_t *state)
{
    size_t at = random_number(state) % (length + 1);
    size_t count = random_number(state) % 16 + 1;
    const struct seed *other = &seeds[random_number(state) % num_seeds];

    switch (random_number(state) % 5) {
    case 0:
        if (at < length)
            bytes[at] = (uint8_t)random_number(state);
        return length;
    case 1:
        if (at < length)
            bytes[at] ^= (uint8_t)(1u << random_number(state) % 8);
        return length;
    case 2:
        count = count < length - at ? count : length - at;
        memmove(bytes + at, bytes + at + count, length - at - count);
        return length - count;
    case 3:
        count = count < length - at ? count : length - at;
        if (length + count > size)
            return length;
        memmove(bytes + at + count, bytes + at, length - at);
        return length + count;
    default:
        count = count < other->length ? count : other->length;
        if (count == 0 || length + count > size)
            return length;
        memmove(bytes + at + count, bytes + at, length - at);
        memcpy(bytes + at, other->bytes + random_number(state) % (other->length - count + 1),
               count);
        return length + count;
    }
}

static void mutate(uint8_t *scratch)
{
    uint32_t state = 2463534242u;
    unsigned i;

    for (i = 0; i < MUTATIONS; ++i) {
        const struct seed *seed = &seeds[i % num_seeds];
        size_t length = seed->length;
        unsigned changes = random_number(&state) % CHANGES_MAX + 1;
        memcpy(scratch, seed->bytes, length);
        while (changes-- > 0)
            length = change(scratch, length, INPUT_BYTES, &state);
        run(scratch, length);
    }
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash != NULL ? slash + 1 : argv[0];
    uint8_t *scratch = malloc(INPUT_BYTES);
    int i, rc = 0;
    size_t j;

    setvbuf(stdout, NULL, _IOLBF, 0);
    keep_what_fails(argv[0]);
    puts("1..2");
    for (i = 1; i < argc && rc == 0; ++i)
        rc = read_seed(argv[i]);
    if (argc == 1)
        rc = read_folder(name);
    if (rc != 0 || num_seeds == 0 || scratch == NULL) {
        printf("not ok 1 - %s has no corpus\n", name);
        return 1;
    }
    run((const uint8_t *)"", 0);
    for (j = 0; j < num_seeds; ++j)
        run(seeds[j].bytes, seeds[j].length);
    printf("ok 1 - %s: %zu inputs\n", name, num_seeds);
    if (argc == 1)
        mutate(scratch);
    printf("ok 2 - %s: %d mutations\n", name, argc == 1 ? MUTATIONS : 0);
    for (j = 0; j < num_seeds; ++j)
        free(seeds[j].bytes);
    free(scratch);
    return 0;
}
