/*
 * A front without threads, for targets that talk HTTP to it: its loop is turned by the target, its store holds a few objects and
 * events, and whatever it asks of the owner or of the durable disk is answered here, at once, with as little as there can be.
 */
#ifndef CCTGATE_TESTS_FUZZ_FRONT_H
#define CCTGATE_TESTS_FUZZ_FRONT_H

#include <stddef.h>
#include <stdint.h>

/* The token of a viewer, controller and operator of the only user. */
#define FUZZ_TOKEN "fuzz-token"

struct fuzz_talk {
    int fd;       /* our end */
    int gone;     /* the front has closed its own */
    char *answer; /* what has come so far; NUL-terminated */
    size_t length, capacity;
};

void fuzz_talk_begin(struct fuzz_talk *talk);
/* Sends, and turns the loop until nothing comes any more. */
void fuzz_talk_say(struct fuzz_talk *talk, const void *bytes, size_t length);
/* Hangs up; the front has to notice. */
void fuzz_talk_end(struct fuzz_talk *talk);
/* An event is committed and published, as the owner does it. */
void fuzz_publish(void);

#endif
