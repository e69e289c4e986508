/*
 * The log: one line per event on standard error, JSON when it is not a terminal, else for people.
 *
 * A line has a time (RFC 3339, UTC, ms), a level, an event name ("listening", "upstreamCallFailed") and members. Values are
 * escaped; control characters never reach the terminal. Passwords, tokens, DTMF digits, attached data, UUI and intrinsics are
 * never handed to this module. Each line is one write(2), so lines of several threads do not mix; a log that cannot be
 * written is dropped and counted, never waited for.
 */
#ifndef CCTGATE_LOG_H
#define CCTGATE_LOG_H

#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_JSON, LOG_FORMAT_HUMAN };

void log_configure(enum log_level level, enum log_format format); /* any thread, any time */
int log_enabled(enum log_level level);                            /* cheap: one relaxed load */

enum log_kind { LOG_END, LOG_STRING, LOG_INTEGER, LOG_REAL, LOG_BOOLEAN };
struct log_member {
    enum log_kind kind;
    const char *name;
    const char *string; /* NULL is written as null */
    int64_t integer;    /* also the boolean */
    double real;
};
#define LOG_S(name, value) ((struct log_member){LOG_STRING, (name), (value), 0, 0})
#define LOG_I(name, value) ((struct log_member){LOG_INTEGER, (name), 0, (int64_t)(value), 0})
#define LOG_R(name, value) ((struct log_member){LOG_REAL, (name), 0, 0, (value)})
#define LOG_B(name, value) ((struct log_member){LOG_BOOLEAN, (name), 0, (value) ? 1 : 0, 0})

/* log_write(LOG_LEVEL_INFO, "listening", "Listening on http://127.0.0.1:8080", LOG_I("port", 8080)) */
#define log_write(level, event, text, ...)                                                         \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_emit(                                                                              \
                (level), (event), (text),                                                          \
                (const struct log_member[]){__VA_ARGS__ __VA_OPT__(, ){LOG_END, 0, 0, 0, 0}});     \
    } while (0)
void log_emit(enum log_level level, const char *event, const char *text,
              const struct log_member *members);

uint64_t log_dropped(void);

#endif
