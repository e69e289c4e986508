#include "admin_state.h"

#include <stdlib.h>

#include "caps.h"
#include "channel.h"
#include "events.h"
#include "sessions.h"

/* Text may be anything a client sent: what is not UTF-8 becomes null instead of a missing key. */
static void set(json_t *object, const char *key, const char *text)
{
    json_t *value = text != NULL ? json_string(text) : NULL;
    json_object_set_new(object, key, value != NULL ? value : json_null());
}

static void set_bool(json_t *object, const char *key, bool on)
{
    json_object_set_new(object, key, json_boolean(on));
}

/* What a capability read of that user would answer; nothing when nobody in particular looks. */
static void set_caps(json_t *object, const char *key, const struct user *viewer,
                     const struct cap_block *block, uint32_t caps)
{
    json_t *o = viewer != NULL ? json_object() : NULL;
    for (unsigned i = 0; o != NULL && i < block->count; i++)
        set_bool(o, block->names[i], caps >> i & 1);
    if (o != NULL)
        json_object_set_new(object, key, o);
}

static const char *name_of(const struct agent *agent)
{
    return agent != NULL ? agent->id : NULL;
}

static json_t *agent_json(const struct agent *agent, const struct user *viewer)
{
    json_t *o = json_object();
    set(o, "id", agent->id);
    set(o, "userName", agent->user_name);
    set(o, "type", agent_type_name(agent->type));
    set(o, "supervisor", name_of(agent->supervisor));
    set_bool(o, "loggedIn", agent->logged_in);
    set_bool(o, "ready", agent->ready);
    set(o, "reasonCode", agent->reason_code);
    set(o, "staticVoiceTerminal",
        agent->static_voice_terminal != NULL ? agent->static_voice_terminal->name : NULL);
    json_t *types = json_array();
    for (size_t i = 0; i < agent->contact_type_count; i++)
        json_array_append_new(types, json_string(agent->contact_types[i]));
    json_object_set_new(o, "contactTypes", types);
    json_t *terminals = json_array();
    for (size_t i = 0; i < agent->terminal_count; i++)
        json_array_append_new(terminals, json_string(agent->terminals[i]->name));
    json_object_set_new(o, "terminals", terminals);
    set(o, "seat", agent->seat != NULL ? agent->seat->name : NULL);
    set(o, "state", agent->unmapped ? "UNMAPPED" : "MAPPED");
    set_caps(o, "capabilities", viewer, &agent_caps, caps_of_agent(agent));
    return o;
}

static json_t *forwarding_json(const struct forwarding_list *list)
{
    json_t *a = json_array();
    for (size_t i = 0; i < list->count; i++) {
        json_t *o = json_object();
        set(o, "caller", list->items[i].caller);
        set(o, "destinationAddress", list->items[i].destination);
        json_object_set_new(o, "type", json_integer(list->items[i].type));
        json_object_set_new(o, "whichCalls", json_integer(list->items[i].which_calls));
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *terminal_json(const struct terminal *terminal, const struct user *viewer)
{
    json_t *o = json_object();
    set(o, "name", terminal->name);
    set(o, "type", terminal_type_name(terminal->type));
    set(o, "provider", terminal->provider);
    set(o, "owner", name_of(terminal->agent));
    set(o, "loggedIn", name_of(terminal->logged_in));
    set_bool(o, "ready", terminal->ready);
    set(o, "reasonCode", terminal->reason_code);
    set(o, "activityCode", terminal->activity_code);
    set_bool(o, "doNotDisturb", terminal->dnd);
    json_object_set_new(o, "forwarding", forwarding_json(&terminal->forwarding));
    set(o, "pickupGroup", terminal->pickup_group);
    json_t *addresses = json_array();
    for (size_t i = 0; i < terminal->address_count; i++)
        json_array_append_new(addresses, json_string(terminal->addresses[i]->name));
    json_object_set_new(o, "addresses", addresses);
    set(o, "state", terminal->state);
    set(o, "contactType", terminal->contact_type);
    set_caps(o, "capabilities", viewer, &terminal_caps, caps_of_terminal(terminal));
    if (terminal->type == TT_AGENT)
        set_caps(o, "agentTerminalCapabilities", viewer, &agent_terminal_caps,
                 caps_of_agent_terminal(terminal));
    return o;
}

static json_t *address_json(const struct address *address, const struct user *viewer)
{
    json_t *o = json_object();
    set(o, "name", address->name);
    set(o, "type", address_type_name(address->type));
    set(o, "provider", address->provider);
    set(o, "owner", name_of(address->agent));
    set(o, "terminal", address->terminal != NULL ? address->terminal->name : NULL);
    set_bool(o, "doNotDisturb", address->dnd);
    set_bool(o, "messageWaiting", address->message_waiting);
    set_bool(o, "controlled", address->controlled);
    json_object_set_new(o, "forwarding", forwarding_json(&address->forwarding));
    json_object_set_new(o, "messages", json_integer(address->message_count));
    set_bool(o, "acquired", !address->released);
    set(o, "state", address->state);
    char *uri = address_uri(address);
    set(o, "uri", uri);
    free(uri);
    set(o, "presence", address_presence(address).activity);
    set_caps(o, "capabilities", viewer, &address_caps, caps_of_address(address));
    return o;
}

static json_t *termconn_json(const struct termconn *t, const struct user *viewer)
{
    json_t *o = json_object();
    set(o, "id", t->id);
    set(o, "terminal", t->terminal->name);
    set(o, "state", terminal_connection_state_name(t->state));
    set(o, "lastState", terminal_connection_state_name(t->last_state));
    set(o, "reason", t->reason);
    set(o, "activityCode", t->activity_code);
    static const char *const kinds[] = {"consult", "transferConsult", "conferenceConsult"};
    for (size_t k = 0; k < CONSULT_KINDS; k++)
        set(o, kinds[k], t->consults[k] != NULL ? t->consults[k]->id : NULL);
    if (viewer != NULL) {
        json_object_set_new(o, "enteredMs", json_integer(t->entered_ms));
        set_caps(o, "capabilities", viewer, &termconn_caps, caps_of_termconn(viewer, t));
        set_caps(o, "agentTerminalConnectionCapabilities", viewer, &agent_termconn_caps,
                 caps_of_agent_termconn(viewer, t));
    }
    return o;
}

static json_t *connection_json(const struct connection *c, const struct user *viewer)
{
    json_t *o = json_object();
    set(o, "id", c->id);
    set(o, "address", c->address->name);
    set(o, "state", connection_state_name(c->state));
    set(o, "lastState", connection_state_name(c->last_state));
    set(o, "reason", c->reason);
    set(o, "recording", recording_state_name(c->recording));
    json_t *termconns = json_array();
    const struct termconn *t;
    TAILQ_FOREACH(t, &c->termconns, of_connection)
    {
        json_array_append_new(termconns, termconn_json(t, viewer));
    }
    json_object_set_new(o, "terminalConnections", termconns);
    if (viewer != NULL) {
        json_object_set_new(o, "enteredMs", json_integer(c->entered_ms));
        set_caps(o, "capabilities", viewer, &connection_caps, caps_of_connection(viewer, c));
        if (c->address->type == AT_ROUTE_POINT)
            set_caps(o, "routePointConnectionCapabilities", viewer, &route_point_caps,
                     caps_of_route_point(viewer, c));
    }
    return o;
}

static json_t *data_json(const struct attached_data *data)
{
    if (data->type == DATA_STRING)
        return json_string(data->text);
    json_t *value = data->type == DATA_BINARY ? json_array() : json_object();
    for (size_t i = 0; i < data->byte_count; i++)
        json_array_append_new(value, json_integer(data->bytes[i]));
    for (size_t i = 0; i < data->pair_count; i++)
        set(value, data->pairs[i].key, data->pairs[i].value);
    return value;
}

static void call_lineage(json_t *o, const struct contact *contact)
{
    set(o, "consultOf", contact->consult_of[0] != '\0' ? contact->consult_of : NULL);
    set(o, "transferredFrom",
        contact->transferred_from[0] != '\0' ? contact->transferred_from : NULL);
    set(o, "lastRedirected",
        contact->last_redirected != NULL ? contact->last_redirected->name : NULL);
    set(o, "callingTerminal",
        contact->calling_terminal != NULL ? contact->calling_terminal->name : NULL);
}

static json_t *call_json(const struct contact *contact, const struct user *viewer)
{
    json_t *o = json_object();
    set(o, "contactId", contact->id);
    set(o, "externalContactId", contact->external_id);
    set(o, "provider", contact->provider);
    set(o, "contactType", contact->contact_type);
    set(o, "calling", contact->calling->name);
    set(o, "called", contact->called->name);
    set(o, "original", contact->original->name);
    call_lineage(o, contact);
    json_object_set_new(o, "data", data_json(&contact->data));
    json_t *intrinsics = json_object();
    for (size_t i = 0; i < contact->intrinsic_count; i++)
        set(intrinsics, contact->intrinsics[i].key, contact->intrinsics[i].value);
    json_object_set_new(o, "intrinsics", intrinsics);
    set(o, "uui", contact->uui);
    json_t *connections = json_array();
    const struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        json_array_append_new(connections, connection_json(c, viewer));
    }
    json_object_set_new(o, "connections", connections);
    json_t *properties = json_object();
    for (size_t i = 0; i < contact->extra_count; i++)
        set(properties, contact->extras[i].key, contact->extras[i].value);
    json_object_set_new(o, "properties", properties);
    if (viewer != NULL)
        set_caps(o, "capabilities", viewer, &contact_caps, caps_of_contact(viewer, contact));
    return o;
}

json_t *admin_call(const struct contact *contact)
{
    return call_json(contact, NULL);
}

static json_t *sessions_json(void)
{
    json_t *a = json_array();
    const struct session *s;
    TAILQ_FOREACH(s, &sessions, link)
    {
        json_t *o = json_object();
        set(o, "id", s->id);
        set(o, "user", s->user->name);
        set(o, "token", s->token);
        json_array_append_new(a, o);
    }
    return a;
}

static void set_counts(json_t *o, const struct channel_counts *counts)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"posts", counts->posts},
                {"failedPosts", counts->failed_posts},
                {"delivered", counts->delivered},
                {"failed", counts->failed},
                {"overflowed", counts->overflowed},
                {"dropped", counts->dropped},
                {"duplicated", counts->duplicated},
                {"reordered", counts->reordered},
                {"muted", counts->muted}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        json_object_set_new(o, rows[i].name, json_integer((json_int_t)rows[i].value));
}

json_t *admin_notify_counts(void)
{
    json_t *o = json_object();
    set_counts(o, &channel_totals);
    json_object_set_new(o, "queued", json_integer((json_int_t)channels_queued()));
    json_object_set_new(o, "inFlight", json_integer((json_int_t)channels_in_flight()));
    return o;
}

json_t *admin_subscriptions(void)
{
    json_t *a = json_array();
    const struct subscription *s;
    TAILQ_FOREACH(s, &subscriptions, link)
    {
        json_t *o = json_object();
        set(o, "id", s->id);
        set(o, "way", s->reference != NULL ? "UserService" : "NotificationProducer");
        set(o, "reference", s->reference);
        set(o, "consumer", s->consumer);
        set(o, "user", s->session->user->name);
        set(o, "sessionId", s->session->id);
        json_object_set_new(o, "endsMs", json_integer(s->ends_ms));
        set_counts(o, channel_counts(s->channel));
        json_object_set_new(o, "queued", json_integer((json_int_t)channel_queued(s->channel)));
        json_object_set_new(o, "inFlight", json_integer((json_int_t)channel_in_flight(s->channel)));
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *events_json(void)
{
    json_t *o = json_object();
    for (int kind = 0; kind < EVENT_KINDS; kind++)
        json_object_set_new(o, sim_event_kind_name((enum event_kind)kind),
                            json_integer((json_int_t)sim_event_count((enum event_kind)kind)));
    return o;
}

/* The floor and its calls as far as `viewer` owns or sees them; NULL = all, without capabilities. */
static json_t *floor_json(const struct user *viewer)
{
    json_t *root = json_object();
    json_t *agents = json_array();
    for (size_t i = 0; i < world.agent_count; i++) {
        if (viewer == NULL || user_owns_agent(viewer, &world.agents[i]))
            json_array_append_new(agents, agent_json(&world.agents[i], viewer));
    }
    json_t *terminals = json_array();
    for (size_t i = 0; i < world.terminal_count; i++) {
        if (viewer == NULL || user_owns_terminal(viewer, world.terminals[i]))
            json_array_append_new(terminals, terminal_json(world.terminals[i], viewer));
    }
    json_t *addresses = json_array();
    for (size_t i = 0; i < world.address_count; i++) {
        if (viewer == NULL || user_owns_address(viewer, world.addresses[i]))
            json_array_append_new(addresses, address_json(world.addresses[i], viewer));
    }
    json_t *calls = json_array();
    const struct contact *contact;
    TAILQ_FOREACH(contact, &world.contacts, link)
    {
        if (viewer == NULL || user_sees_contact(viewer, contact))
            json_array_append_new(calls, call_json(contact, viewer));
    }
    json_object_set_new(root, "agents", agents);
    json_object_set_new(root, "terminals", terminals);
    json_object_set_new(root, "addresses", addresses);
    json_object_set_new(root, "calls", calls);
    return root;
}

json_t *admin_state(void)
{
    json_t *root = floor_json(NULL);
    json_object_set_new(root, "sessions", sessions_json());
    json_object_set_new(root, "subscriptions", admin_subscriptions());
    json_object_set_new(root, "events", events_json());
    return root;
}

json_t *admin_truth(const struct user *viewer)
{
    return floor_json(viewer);
}
