#include "ops_shared.h"

#include <stdlib.h>
#include <string.h>

#include "agents.h"
#include "calls.h"
#include "options.h"

int do_version(struct rq *rq)
{
    put_text(rq, "c:version", "7.1.0 (cctsim)");
    return 0;
}

int do_terminal_login(struct rq *rq, struct terminal *terminal, const char *agent_id,
                      const char *password, bool ready)
{
    struct agent *agent = world_agent(agent_id);
    if (agent == NULL || !user_owns_agent(rq->user, agent))
        return rq_fail(rq, "Agent '%s' is not known to this user", agent_id);
    if (strcmp(password, options.agent_password) != 0)
        return rq_fail(rq, "The agent's password is wrong");
    if (terminal->logged_in != NULL)
        return rq_fail(rq, "Agent '%s' is logged in at this terminal", terminal->logged_in->id);
    agent_login(agent, terminal, ready);
    return 0;
}

int do_terminal_logout(struct rq *rq, struct terminal *terminal)
{
    if (!rq_can(rq, caps_of_agent_terminal(terminal), &agent_terminal_caps, AGTT_LOGOUT))
        return -1;
    terminal_logout(terminal);
    return 0;
}

int do_terminal_ready(struct rq *rq, struct terminal *terminal, bool ready)
{
    if (!rq_can(rq, caps_of_agent_terminal(terminal), &agent_terminal_caps, AGTT_SET_READY))
        return -1;
    terminal_set_ready(terminal, ready);
    return 0;
}

int do_terminal_reason(struct rq *rq, struct terminal *terminal, const char *code)
{
    if (!rq_can(rq, caps_of_agent_terminal(terminal), &agent_terminal_caps, AGTT_SET_REASON))
        return -1;
    terminal_set_reason(terminal, code);
    return 0;
}

int do_terminal_activity(struct rq *rq, struct terminal *terminal, const char *code)
{
    if (!rq_can(rq, caps_of_agent_terminal(terminal), &agent_terminal_caps, AGTT_SET_ACTIVITY))
        return -1;
    terminal_set_activity(terminal, code);
    return 0;
}

int do_call_supervisor(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    struct address *address = terminal != NULL ? rq_address(rq, "address") : NULL;
    if (address == NULL ||
        !rq_can(rq, caps_of_agent_terminal(terminal), &agent_terminal_caps, AGTT_CALL_SUPERVISOR))
        return -1;
    if (address->terminal != terminal)
        return rq_fail(rq, "Address '%s' is not at terminal '%s'", address->name, terminal->name);
    call_originate(terminal, address, terminal->logged_in->supervisor->position, "CALL_SUPERVISOR");
    return 0;
}

int do_emergency(struct rq *rq)
{
    struct termconn *termconn = rq_leg(rq);
    if (termconn == NULL || !rq_can(rq, caps_of_agent_termconn(rq->user, termconn),
                                    &agent_termconn_caps, ATC_EMERGENCY))
        return -1;
    call_present(termconn->connection->contact, termconn->terminal->logged_in->supervisor->position,
                 "EMERGENCY");
    return 0;
}

int do_set_forwarding(struct rq *rq, struct forwarding_list *list)
{
    struct forwarding_list next = {.count = 0};
    for (xmlNode *n = rq->root->children; n != NULL; n = n->next) {
        if (n->type != XML_ELEMENT_NODE || strcmp((const char *)n->name, "forwarding") != 0 ||
            n->children == NULL)
            continue;
        if (next.count == FORWARDINGS_MAX) {
            forwarding_clear(&next);
            return rq_fail(rq, "At most %d forwarding entries", (int)FORWARDINGS_MAX);
        }
        struct forwarding *item = &next.items[next.count++];
        item->caller = mem_strdup(rq_node_text(rq, node_child(n, "caller")));
        item->destination = mem_strdup(rq_node_text(rq, node_child(n, "destinationAddress")));
        item->type = (int)strtol(rq_node_text(rq, node_child(n, "type")), NULL, 10);
        item->which_calls = (int)strtol(rq_node_text(rq, node_child(n, "whichCalls")), NULL, 10);
    }
    forwarding_clear(list);
    *list = next;
    return 0;
}

static bool can(struct rq *rq, const struct termconn *termconn, enum termconn_cap cap)
{
    return rq_can(rq, caps_of_termconn(rq->user, termconn), &termconn_caps, cap);
}

int do_answer(struct rq *rq, struct termconn *termconn)
{
    if (!can(rq, termconn, TC_ANSWER))
        return -1;
    call_answer(termconn, "DEFAULT");
    return 0;
}

int do_hold(struct rq *rq, struct termconn *termconn)
{
    if (!can(rq, termconn, TC_HOLD))
        return -1;
    call_hold(termconn, TS_HELD);
    return 0;
}

int do_unhold(struct rq *rq, struct termconn *termconn)
{
    if (!can(rq, termconn, TC_UNHOLD))
        return -1;
    call_unhold(termconn);
    return 0;
}

int do_dtmf(struct rq *rq, struct termconn *termconn)
{
    const char *digits = rq_text(rq, "digits");
    if (!can(rq, termconn, TC_DTMF))
        return -1;
    if (*digits == '\0' || strspn(digits, "0123456789*#ABCDabcd") != strlen(digits))
        return rq_fail(rq, "The digits cannot be dialled");
    return 0;
}

int do_blind_transfer(struct rq *rq, struct termconn *termconn, struct address *to)
{
    if (!can(rq, termconn, TC_BLIND_TRANSFER))
        return -1;
    call_blind_transfer(termconn, to);
    return 0;
}

int do_consult(struct rq *rq, struct termconn *termconn, struct address *to, enum consult_kind kind)
{
    static const enum termconn_cap caps[] = {TC_CONSULT, TC_INITIATE_TRANSFER,
                                             TC_INITIATE_CONFERENCE};
    if (!can(rq, termconn, caps[kind]))
        return -1;
    if (termconn->consults[kind] != NULL)
        return rq_fail(rq, "There is a consult of this kind already");
    put_contact(rq, "r:contact", call_consult(termconn, to, kind));
    return 0;
}

int do_complete(struct rq *rq, struct termconn *termconn, enum consult_kind kind)
{
    struct contact *consult = rq_contact(rq, "consultedContact");
    bool transfer = kind == CONSULT_TRANSFER;
    if (consult == NULL ||
        !can(rq, termconn, transfer ? TC_COMPLETE_TRANSFER : TC_COMPLETE_CONFERENCE))
        return -1;
    if (termconn->consults[kind] != consult)
        return rq_fail(rq, "Contact '%s' is not this leg's consult", consult->id);
    if (transfer)
        call_complete_transfer(termconn, consult);
    else
        call_complete_conference(termconn, consult);
    return 0;
}

int do_originate(struct rq *rq, struct terminal *terminal, struct address *from, struct address *to)
{
    if (from->terminal != terminal)
        return rq_fail(rq, "Address '%s' is not at terminal '%s'", from->name, terminal->name);
    if (to == from)
        return rq_fail(rq, "An address cannot call itself");
    if (!rq_can(rq, caps_of_terminal(terminal), &terminal_caps, TER_ORIGINATE))
        return -1;
    put_contact(rq, "r:contact", call_originate(terminal, from, to, "DEFAULT"));
    return 0;
}
