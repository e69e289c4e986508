/*
 * What clients say, DESIGN section 10 "WebSocket messages": a JSON object with `op`. And what the query of a stream of server-sent events says: the
 * same filter. A pure core.
 */
#ifndef CCTGATE_EVENTS_CLIENT_MESSAGE_H
#define CCTGATE_EVENTS_CLIENT_MESSAGE_H

#include <jansson.h>

#include "cctgate/event.h"
#include "gateway/rest/problem.h"

/* Why a message is refused. */
struct message_error {
    enum problem problem;
    char pointer[64]; /* "" for the whole message */
    char detail[192];
};

struct client_message {
    json_t *json; /* one reference */
    const char *op;
    const char *id; /* NULL: none, or not text */
};

/* CG_OK, or CG_E_INVALID, CG_E_NOMEM with `error`; client_message_release in all cases. */
int client_message_parse(struct client_message *message, const char *text, size_t length,
                         struct message_error *error);
void client_message_release(struct client_message *message);

/* A place in the log that a client names: "<epoch>-<seq>". */
struct log_place {
    uint64_t epoch, seq;
};
/* CG_OK, or CG_E_INVALID when it is not of that form. */
int log_place_parse(struct log_place *place, const char *text, size_t length);

struct subscribe {
    struct event_filter filter; /* the subscription takes it over */
    int wants_snapshot, has_since;
    struct log_place since;
};
/* CG_OK, or CG_E_INVALID, CG_E_NOMEM with `error`; subscribe_release in all cases. */
int subscribe_parse(struct subscribe *subscribe, const json_t *json, struct message_error *error);
/* The query without its question mark, "" for none. `ticket` is passed over. */
int subscribe_parse_query(struct subscribe *subscribe, const char *query, size_t length,
                          struct message_error *error);
void subscribe_release(struct subscribe *subscribe);

/* The value of a query's parameter as it stands; 0: it is not there. */
int query_find(const char *query, size_t length, const char *name, const char **value,
               size_t *value_length);

#endif
