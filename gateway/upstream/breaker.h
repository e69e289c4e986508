/*
 * The circuit breaker of one endpoint: closed, calls go through; open, nothing does; half-open, one
 * probe does, and its end closes or opens it. Pure: no clock, no I/O.
 *
 * A refused connection opens it at once (the caller's decision). Silence does not: a call that was
 * not answered may have hit one slow operation. It counts when nothing at all was answered since
 * it was sent, and BREAKER_SILENT_MAX such calls in a row are a suspicion, which a probe of its own
 * confirms or ends.
 */
#ifndef CCTGATE_UPSTREAM_BREAKER_H
#define CCTGATE_UPSTREAM_BREAKER_H

#include <stdint.h>

#define BREAKER_SILENT_MAX 3

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_STATES };
/* "closed", "open", "halfOpen" */
extern const char *const breaker_state_names[BREAKER_STATES];

struct breaker {
    enum breaker_state state;
    unsigned silent;       /* calls in a row that had no answer */
    int64_t answered_ms;   /* when one was answered last; monotonic */
    int failed_probes;     /* since it opened */
    int64_t open_since_ms; /* Unix; while it is not closed */
    uint64_t opened;       /* how often it has */
};

void breaker_answered(struct breaker *breaker, int64_t now_ms);
/* A call that was sent at `sent_ms` was not answered. 1: there is reason to probe. */
int breaker_unanswered(struct breaker *breaker, int64_t sent_ms);
/* 1: it was closed. */
int breaker_open(struct breaker *breaker, int64_t unix_ms);
/* Of an open one: the probe may go. 0: one is under way, or none is needed. */
int breaker_try(struct breaker *breaker);
/* The probe has ended. 1: that has closed it. */
int breaker_tried(struct breaker *breaker, int answered, int64_t now_ms);
/* Nobody needs the endpoint, or it is begun with anew. */
void breaker_reset(struct breaker *breaker);

#endif
