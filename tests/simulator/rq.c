#include "rq.h"

#include <stdlib.h>
#include <string.h>

#include "calls.h"

xmlNode *node_child(const xmlNode *parent, const char *name)
{
    for (xmlNode *n = parent != NULL ? parent->children : NULL; n != NULL; n = n->next) {
        if (n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0)
            return n;
    }
    return NULL;
}

const char *rq_node_text(struct rq *rq, xmlNode *node)
{
    xmlChar *text = node != NULL ? xmlNodeGetContent(node) : NULL;
    if (text == NULL)
        return "";
    rq->texts = mem_resize(rq->texts, rq->text_count + 1, sizeof(*rq->texts));
    rq->texts[rq->text_count++] = text;
    return (const char *)text;
}

const char *rq_text(struct rq *rq, const char *name)
{
    return rq_node_text(rq, node_child(rq->root, name));
}

static const char *skip_space(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

bool rq_bool(struct rq *rq, const char *name)
{
    const char *s = skip_space(rq_text(rq, name));
    return *s == 't' || *s == '1';
}

long long rq_number(struct rq *rq, const char *name)
{
    return strtoll(skip_space(rq_text(rq, name)), NULL, 10);
}

static int raise(struct rq *rq, const struct element_name *fault, const char *format, va_list args)
{
    rq->failed = true;
    rq->fault = fault;
    buf_free(&rq->fault_text);
    buf_vprintf(&rq->fault_text, format, args);
    return -1;
}

static const struct element_name *own_fault(const struct operation *op)
{
    for (size_t i = 0; i < op->fault_count; i++) {
        if (strcmp(op->faults[i].name, "SessionNotCreatedException") != 0)
            return &op->faults[i];
    }
    return NULL;
}

int rq_fail(struct rq *rq, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    raise(rq, own_fault(rq->op), format, args);
    va_end(args);
    return -1;
}

int rq_fail_as(struct rq *rq, const char *name, const char *format, ...)
{
    const struct element_name *fault = own_fault(rq->op);
    for (size_t i = 0; i < rq->op->fault_count; i++) {
        if (strcmp(rq->op->faults[i].name, name) == 0)
            fault = &rq->op->faults[i];
    }
    va_list args;
    va_start(args, format);
    raise(rq, fault, format, args);
    va_end(args);
    return -1;
}

void rq_free(struct rq *rq)
{
    for (size_t i = 0; i < rq->text_count; i++)
        xmlFree(rq->texts[i]);
    free(rq->texts);
    buf_free(&rq->out);
    buf_free(&rq->fault_text);
    buf_free(&rq->fault_extra);
}

static const char *key_of(struct rq *rq, const char *name, const char *field)
{
    return rq_node_text(rq, node_child(node_child(rq->root, name), field));
}

/* An object of somebody else reads exactly like one that does not exist. */
static void *unknown(struct rq *rq, const char *what, const char *key)
{
    rq_fail(rq, "%s '%s' is not known to this user", what, key);
    return NULL;
}

struct address *rq_address(struct rq *rq, const char *name)
{
    const char *key = key_of(rq, name, "addressName");
    struct address *address = world_address(key);
    if (address == NULL || !user_owns_address(rq->user, address))
        return unknown(rq, "Address", key);
    return address;
}

struct terminal *rq_terminal(struct rq *rq, const char *name)
{
    const char *key = key_of(rq, name, "terminalName");
    struct terminal *terminal = world_terminal(key);
    if (terminal == NULL || !user_owns_terminal(rq->user, terminal))
        return unknown(rq, "Terminal", key);
    return terminal;
}

struct terminal *rq_agent_terminal(struct rq *rq, const char *name)
{
    struct terminal *terminal = rq_terminal(rq, name);
    if (terminal != NULL && terminal->type != TT_AGENT) {
        rq_fail(rq, "Terminal '%s' is not an agent terminal", terminal->name);
        return NULL;
    }
    return terminal;
}

struct agent *rq_agent(struct rq *rq, const char *name)
{
    const char *key = key_of(rq, name, "agentLoginId");
    struct agent *agent = world_agent(key);
    if (agent == NULL || !user_owns_agent(rq->user, agent))
        return unknown(rq, "Agent", key);
    return agent;
}

struct contact *rq_contact(struct rq *rq, const char *name)
{
    const char *key = key_of(rq, name, "contactId");
    struct contact *contact = world_contact(key);
    if (contact == NULL || !user_sees_contact(rq->user, contact))
        return unknown(rq, "Contact", key);
    return contact;
}

struct connection *rq_connection(struct rq *rq, const char *name)
{
    const char *key = key_of(rq, name, "connectionId");
    struct connection *connection = world_connection(key);
    if (connection == NULL || !user_sees_contact(rq->user, connection->contact))
        return unknown(rq, "Connection", key);
    return connection;
}

struct termconn *rq_termconn(struct rq *rq, const char *name)
{
    const char *key = key_of(rq, name, "terminalConnectionId");
    struct termconn *termconn = world_termconn(key);
    if (termconn == NULL || !user_sees_contact(rq->user, termconn->connection->contact))
        return unknown(rq, "Terminal connection", key);
    return termconn;
}

static struct address *dial(struct rq *rq, const char *number)
{
    struct address *address = world_dial(number);
    if (address == NULL)
        rq_fail(rq, "No destination given");
    return address;
}

struct address *rq_dialled(struct rq *rq, const char *name)
{
    return dial(rq, rq_text(rq, name));
}

struct address *rq_dialled_address(struct rq *rq, const char *name)
{
    return dial(rq, key_of(rq, name, "addressName"));
}

struct termconn *rq_leg(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    struct contact *contact = terminal != NULL ? rq_contact(rq, "contact") : NULL;
    if (contact == NULL)
        return NULL;
    struct termconn *termconn = contact_termconn_at(contact, terminal);
    if (termconn == NULL)
        rq_fail(rq, "Terminal '%s' is not in contact '%s'", terminal->name, contact->id);
    return termconn;
}

bool rq_can(struct rq *rq, uint32_t caps, const struct cap_block *block, unsigned cap)
{
    if (caps >> cap & 1)
        return true;
    rq_fail(rq, "%s is false in the present state", block->names[cap]);
    return false;
}
