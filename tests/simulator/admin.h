/* The admin port: JSON over HTTP for tests to look behind the scenes and to make things happen. `--help` lists it. */
#ifndef CCTSIM_ADMIN_H
#define CCTSIM_ADMIN_H

#include "http.h"

/* The SOAP port's server, for its connection counts and for refusing connects. */
void admin_init(struct http_server *soap);
void admin_on_request(struct http_conn *conn, const struct http_request *request);

#endif
