/* ContactService. */
#include <string.h>

#include "calls.h"
#include "ops_shared.h"

static bool can(struct rq *rq, const struct contact *contact, enum contact_cap cap)
{
    return contact != NULL && rq_can(rq, caps_of_contact(rq->user, contact), &contact_caps, cap);
}

static int add_party(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    struct address *to = contact != NULL ? rq_dialled(rq, "newParty") : NULL;
    if (to == NULL || !can(rq, contact, CNT_ADD_PARTY))
        return -1;
    if (contact_connection_at(contact, to) != NULL)
        return rq_fail(rq, "'%s' is in the contact already", to->name);
    put_connection(rq, "r:connection", call_present(contact, to, "CONFERENCE_INIT"));
    return 0;
}

static int join(struct rq *rq, enum contact_cap cap, enum terminal_connection_state state,
                const char *reason)
{
    struct contact *contact = rq_contact(rq, "contact");
    struct terminal *terminal = contact != NULL ? rq_terminal(rq, "terminal") : NULL;
    struct address *address = terminal != NULL ? rq_address(rq, "address") : NULL;
    if (address == NULL || !can(rq, contact, cap))
        return -1;
    if (address->terminal != terminal || contact_termconn_at(contact, terminal) != NULL)
        return rq_fail(rq, "Terminal '%s' cannot join at '%s'", terminal->name, address->name);
    put_connection(rq, "r:connection", call_join(contact, address, terminal, state, reason));
    return 0;
}

static int barge_in(struct rq *rq)
{
    return join(rq, CNT_BARGE_IN, TS_ACTIVE, "BARGE_IN");
}

static int observe(struct rq *rq)
{
    return join(rq, CNT_OBSERVE, TS_BRIDGED, "OBSERVE");
}

/* canWhisper is never true: no provider implements it (DOMAIN 4.3). */
static int whisper(struct rq *rq)
{
    if (rq_contact(rq, "contact") == NULL)
        return -1;
    return rq_fail(rq, "Whisper is not supported by any provider");
}

static int drop(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (!can(rq, contact, CNT_DROP))
        return -1;
    contact_end(contact, "DEFAULT");
    return 0;
}

static int get_attached_data(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    put_attached_data(rq, "r:attachedData", &contact->data);
    return 0;
}

/* The first nine values, whatever their keys. */
static int get_attached_xml_data(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    buf_str(&rq->out, "<r:attachedXMLData>");
    for (size_t i = 0; i < 9; i++) {
        const char *value = i < contact->data.pair_count ? contact->data.pairs[i].value : "";
        if (i == 0 && contact->data.type == DATA_STRING)
            value = contact->data.text;
        buf_printf(&rq->out, "<c:value%zu>", i + 1);
        buf_xml(&rq->out, value);
        buf_printf(&rq->out, "</c:value%zu>", i + 1);
    }
    buf_str(&rq->out, "</r:attachedXMLData>");
    return 0;
}

static int get_called_address(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    put_address(rq, "r:address", contact->called);
    return 0;
}

static int get_calling_address(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    put_address(rq, "r:address", contact->calling);
    return 0;
}

static int get_calling_terminal(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (!can(rq, contact, CNT_GET_CALLING_TERMINAL))
        return -1;
    put_terminal(rq, "r:terminal", contact->calling_terminal);
    return 0;
}

static int get_capabilities(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    put_caps(rq, "r:contactCapabilities", &contact_caps, caps_of_contact(rq->user, contact));
    return 0;
}

static int get_connection(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    struct address *address = contact != NULL ? rq_dialled_address(rq, "address") : NULL;
    if (address == NULL)
        return -1;
    struct connection *c = contact_connection_at(contact, address);
    if (c == NULL)
        return rq_fail(rq, "Address '%s' is not in contact '%s'", address->name, contact->id);
    put_connection(rq, "r:connection", c);
    return 0;
}

static int get_connections(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    const struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        put_connection(rq, "r:connection", c);
    }
    return 0;
}

static int get_contact_types(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    put_text(rq, "r:contactTypes", contact->contact_type);
    return 0;
}

static int get_instant_messages(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    for (size_t i = 0; i < contact->message_count; i++) {
        const struct instant_message *m = &contact->messages[i];
        buf_str(&rq->out, "<r:instantMessage>");
        put_text(rq, "c:message", m->message);
        put_text(rq, "c:sender", m->sender);
        put_text(rq, "c:type", m->type);
        put_text(rq, "c:timeStamp", m->time_stamp);
        buf_str(&rq->out, "</r:instantMessage>");
    }
    return 0;
}

static int get_intrinsics(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    put_intrinsics(rq, contact);
    return 0;
}

static int get_last_redirected(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (!can(rq, contact, CNT_GET_LAST_REDIRECTED))
        return -1;
    put_address(rq, "r:address", contact->last_redirected);
    return 0;
}

static int get_original_destination(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    put_address(rq, "r:address", contact->original);
    return 0;
}

static int get_uui(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    put_text(rq, "r:uui", contact->uui);
    return 0;
}

static int give_treatment(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    struct address *address = contact != NULL ? rq_address(rq, "address") : NULL;
    if (address == NULL)
        return -1;
    struct connection *c = contact_connection_at(contact, address);
    if (c == NULL || (caps_of_route_point(rq->user, c) >> RPC_MUSIC & 1) == 0)
        return rq_fail(rq, "The contact is not waiting at '%s'", address->name);
    buf_str(&rq->out, "<r:connection>");
    put_text(rq, "c:treatmentConnectionId", c->id);
    buf_str(&rq->out, "</r:connection>");
    return 0;
}

static int set_attached_data(struct rq *rq)
{
    return do_set_data(rq, "attachedData");
}

static int set_instant_messages(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    xmlNode *m = node_child(rq->root, "instantMessage");
    contact_message_add(contact, rq_node_text(rq, node_child(m, "message")),
                        rq_node_text(rq, node_child(m, "sender")),
                        rq_node_text(rq, node_child(m, "type")),
                        rq_node_text(rq, node_child(m, "timeStamp")));
    return 0;
}

static int set_uui(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (!can(rq, contact, CNT_SET_UUI))
        return -1;
    set_text(&contact->uui, rq_text(rq, "uui"));
    contact_changed(contact, "UUI");
    return 0;
}

#define CNT "ContactService"

const struct op_row ops_contact[] = {
    {CNT, "AddParty", add_party},
    {CNT, "BargeIn", barge_in},
    {CNT, "Drop", drop},
    {CNT, "GetAttachedData", get_attached_data},
    {CNT, "GetAttachedXMLData", get_attached_xml_data},
    {CNT, "GetCalledAddress", get_called_address},
    {CNT, "GetCallingAddress", get_calling_address},
    {CNT, "GetCallingTerminal", get_calling_terminal},
    {CNT, "GetCapabilities", get_capabilities},
    {CNT, "GetConnection", get_connection},
    {CNT, "GetConnections", get_connections},
    {CNT, "GetContactTypes", get_contact_types},
    {CNT, "GetInstantMessages", get_instant_messages},
    {CNT, "GetIntrinsics", get_intrinsics},
    {CNT, "GetLastRedirectedAddress", get_last_redirected},
    {CNT, "GetOriginalDestinationAddress", get_original_destination},
    {CNT, "GetUUI", get_uui},
    {CNT, "GetVersion", do_version},
    {CNT, "GiveTreatment", give_treatment},
    {CNT, "Observe", observe},
    {CNT, "SetAttachedData", set_attached_data},
    {CNT, "SetInstantMessages", set_instant_messages},
    {CNT, "SetIntrinsics", do_set_intrinsics},
    {CNT, "SetUUI", set_uui},
    {CNT, "Whisper", whisper},
    {NULL, NULL, NULL}};
