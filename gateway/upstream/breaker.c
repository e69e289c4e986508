#include "gateway/upstream/breaker.h"

const char *const breaker_state_names[BREAKER_STATES] = {"closed", "open", "halfOpen"};

void breaker_answered(struct breaker *breaker, int64_t now_ms)
{
    breaker->silent = 0;
    if (breaker->answered_ms < now_ms)
        breaker->answered_ms = now_ms;
}

int breaker_unanswered(struct breaker *breaker, int64_t sent_ms)
{
    if (breaker->state != BREAKER_CLOSED || sent_ms <= breaker->answered_ms)
        return 0;
    if (breaker->silent < BREAKER_SILENT_MAX)
        ++breaker->silent;
    return breaker->silent == BREAKER_SILENT_MAX;
}

int breaker_open(struct breaker *breaker, int64_t unix_ms)
{
    if (breaker->state != BREAKER_CLOSED)
        return 0;
    breaker->state = BREAKER_OPEN;
    breaker->failed_probes = 0;
    breaker->open_since_ms = unix_ms;
    ++breaker->opened;
    return 1;
}

int breaker_try(struct breaker *breaker)
{
    if (breaker->state != BREAKER_OPEN)
        return 0;
    breaker->state = BREAKER_HALF_OPEN;
    return 1;
}

int breaker_tried(struct breaker *breaker, int answered, int64_t now_ms)
{
    if (breaker->state != BREAKER_HALF_OPEN)
        return 0;
    if (!answered) {
        breaker->state = BREAKER_OPEN;
        ++breaker->failed_probes;
        return 0;
    }
    breaker_reset(breaker);
    breaker_answered(breaker, now_ms);
    return 1;
}

void breaker_reset(struct breaker *breaker)
{
    breaker->state = BREAKER_CLOSED;
    breaker->silent = 0;
    breaker->failed_probes = 0;
    breaker->open_since_ms = 0;
}
