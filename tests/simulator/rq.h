/*
 * One SOAP request on its way through an operation's handler. A handler reads its parameters with the rq_* look-ups,
 * which raise the operation's declared fault themselves when the object is unknown or not the user's, writes the children
 * of the reply element into `out` and returns 0; or it returns rq_fail(...).
 *
 * Prefixes in `out`: r = the reply element's namespace, c = the common types (CCT) or the data types (Outbound).
 */
#ifndef CCTSIM_RQ_H
#define CCTSIM_RQ_H

#include <libxml/tree.h>

#include "buf.h"
#include "caps.h"
#include "contract.h"
#include "sessions.h"
#include "world.h"

struct rq {
    struct operation *op;
    xmlNode *root;           /* the body's element; schema-valid */
    struct session *session; /* NULL for operations without a token */
    const struct user *user; /* of the session */
    enum envelope envelope;
    const char *host; /* as the client named us */
    struct buf out;
    bool failed;
    const struct element_name *fault; /* NULL: a plain fault without detail */
    struct buf fault_text;
    struct buf fault_extra; /* elements after the common part of the detail */
    xmlChar **texts;
    size_t text_count;
};

/* Child element by local name, NULL when absent. */
xmlNode *node_child(const xmlNode *parent, const char *name);
/* Text of a node ("" for NULL) and of a child of the request; they live as long as the request. */
const char *rq_node_text(struct rq *rq, xmlNode *node);
const char *rq_text(struct rq *rq, const char *name);
bool rq_bool(struct rq *rq, const char *name);
long long rq_number(struct rq *rq, const char *name);

/* Raises the operation's own declared fault (not SessionNotCreatedException); always returns -1. */
int rq_fail(struct rq *rq, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Raises the declared fault of that name, or the operation's own when it does not declare it. */
int rq_fail_as(struct rq *rq, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void rq_free(struct rq *rq);

/* The object that the request's child `name` stands for, if the user may see it; else NULL with the fault raised. */
struct address *rq_address(struct rq *rq, const char *name);
struct terminal *rq_terminal(struct rq *rq, const char *name);
struct terminal *rq_agent_terminal(struct rq *rq, const char *name);
struct agent *rq_agent(struct rq *rq, const char *name);
struct contact *rq_contact(struct rq *rq, const char *name);
struct connection *rq_connection(struct rq *rq, const char *name);
struct termconn *rq_termconn(struct rq *rq, const char *name);
/* Whom a dialled string or the addressName of a cct:address child reaches, visible or not. */
struct address *rq_dialled(struct rq *rq, const char *name);
struct address *rq_dialled_address(struct rq *rq, const char *name);
/* The terminal connection of child `terminal` in child `contact`. */
struct termconn *rq_leg(struct rq *rq);
/* True when bit `cap` of `caps` is set; else the fault is raised. */
bool rq_can(struct rq *rq, uint32_t caps, const struct cap_block *block, unsigned cap);

/* Writers of the common types; `element` carries its prefix. */
void put_text(struct rq *rq, const char *element, const char *text);
void put_bool(struct rq *rq, const char *element, bool value);
void put_number(struct rq *rq, const char *element, long long value);
void put_address(struct rq *rq, const char *element, const struct address *address);
void put_terminal(struct rq *rq, const char *element, const struct terminal *terminal);
void put_agent(struct rq *rq, const char *element, const struct agent *agent);
void put_contact(struct rq *rq, const char *element, const struct contact *contact);
void put_connection(struct rq *rq, const char *element, const struct connection *connection);
void put_termconn(struct rq *rq, const char *element, const struct termconn *termconn);
void put_caps(struct rq *rq, const char *element, const struct cap_block *block, uint32_t caps);
void put_forwardings(struct rq *rq, const struct forwarding_list *list);

/* Rows that join contract and handlers; each ops_*.c has a table that ends with a row of NULLs. */
struct op_row {
    const char *service;
    const char *operation;
    op_handler handler;
};
extern const struct op_row ops_session[], ops_agent[], ops_agent_terminal[], ops_address[],
    ops_terminal[], ops_contact[], ops_connection[], ops_termconn[], ops_route_point[],
    ops_notification[], ops_outbound[];

#endif
