/* The one table of problems (RFC 9457): type, title, status, and which errors become which. Pure. */
#ifndef CCTGATE_REST_PROBLEM_H
#define CCTGATE_REST_PROBLEM_H

#include <stddef.h>

#include <jansson.h>

enum problem {
    PROBLEM_BAD_REQUEST,
    PROBLEM_UNAUTHORIZED,
    PROBLEM_SIGN_ON_DENIED,
    PROBLEM_SIGN_ON_LOCKED,
    PROBLEM_NOT_SIGNED_ON,
    PROBLEM_FORBIDDEN,
    PROBLEM_NOT_FOUND,
    PROBLEM_METHOD_NOT_ALLOWED,
    PROBLEM_NOT_ACCEPTABLE,
    PROBLEM_REQUEST_TIMEOUT,
    PROBLEM_BODY_TOO_LARGE,
    PROBLEM_URI_TOO_LONG,
    PROBLEM_MEDIA_TYPE,
    PROBLEM_HEADERS_TOO_LARGE,
    PROBLEM_EXPECTATION_FAILED,
    PROBLEM_USER_REQUIRED,
    PROBLEM_CONTROL_REQUIRED,
    PROBLEM_CONTROL_HELD,
    PROBLEM_CONTROL_LOST,
    PROBLEM_CAPABILITY_ABSENT,
    PROBLEM_AMBIGUOUS,
    PROBLEM_CONFLICT,
    PROBLEM_KEY_REUSED,
    PROBLEM_HALF_DONE,
    PROBLEM_INTERNAL,
    PROBLEM_NOT_CACHED,
    PROBLEM_UPSTREAM_UNREACHABLE,
    PROBLEM_UPSTREAM_TIMEOUT,
    PROBLEM_UPSTREAM_BROKEN,
    PROBLEM_UPSTREAM_INVALID,
    PROBLEM_UPSTREAM_FAULT,
    PROBLEM_UPSTREAM_TLS,
    PROBLEM_SESSION_LOST,
    PROBLEM_SESSION_DENIED,
    PROBLEM_OVERLOADED,
    PROBLEM_CAPACITY_EXHAUSTED,
    PROBLEM_STORE,
    PROBLEM_SHUTTING_DOWN,
    PROBLEM_UPGRADE_REQUIRED,
    PROBLEM_TOO_MANY,
    PROBLEM_RATE_LIMITED,
    PROBLEM_NOT_IMPLEMENTED,
    PROBLEM_ALREADY_LOGGED_IN,
    PROBLEM_CAMPAIGN_NOT_ACTIVE,
    PROBLEM_UNKNOWN_DISPOSITION,
    PROBLEM_DUPLICATE,
    PROBLEMS
};

struct problem_row {
    const char *slug; /* the type is /problems/<slug> */
    const char *title;
    int status;
    const char *meaning; /* for whoever looks the type up */
};
extern const struct problem_row problem_rows[PROBLEMS];

enum problem problem_of_error(int rc);      /* enum cg_error */
enum problem problem_of_status(int status); /* for what the HTTP library refused by itself */

/* {"type","title","status","detail"}: a new reference; NULL without memory. */
json_t *problem_json(enum problem problem, const char *detail);

#endif
