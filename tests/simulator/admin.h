/* The admin port: JSON over HTTP for tests to look behind the scenes and to make things happen. `--help` lists it. */
#ifndef CCTSIM_ADMIN_H
#define CCTSIM_ADMIN_H

#include <jansson.h>

#include "http.h"

/* The SOAP port's server, for its connection counts and for refusing connects. */
void admin_init(struct http_server *soap);
void admin_on_request(struct http_conn *conn, const struct http_request *request);

/* For the handlers in admin.c, admin_live.c and admin_outbound.c. */
struct admin_route {
    const char *method;
    const char *path; /* '*' stands for one segment, which is the handler's argument */
    void (*handler)(struct http_conn *conn, json_t *body, const char *argument);
};
extern const struct admin_route admin_live_routes[]; /* ends with a row of NULLs, as does: */
extern const struct admin_route admin_outbound_routes[];

/* Takes `value`. */
void admin_reply(struct http_conn *conn, int status, json_t *value);
void admin_reply_ok(struct http_conn *conn);
void admin_reply_error(struct http_conn *conn, int status, const char *message);
/* A string of the body, or `otherwise`. */
const char *admin_text(json_t *body, const char *key, const char *otherwise);

#endif
