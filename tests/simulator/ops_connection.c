/* ConnectionService. */
#include <string.h>

#include "calls.h"
#include "ops_shared.h"

static bool can(struct rq *rq, const struct connection *connection, enum connection_cap cap)
{
    return connection != NULL &&
           rq_can(rq, caps_of_connection(rq->user, connection), &connection_caps, cap);
}

static void ring(struct connection *connection)
{
    connection_enter(connection, CS_ALERTING, "DEFAULT");
    if (connection->address->terminal != NULL && TAILQ_EMPTY(&connection->termconns))
        termconn_enter(termconn_new(connection, connection->address->terminal), TS_RINGING,
                       "DEFAULT");
}

static int accept_offered(struct rq *rq)
{
    struct connection *connection = rq_connection(rq, "connection");
    if (!can(rq, connection, CON_ACCEPT))
        return -1;
    ring(connection);
    return 0;
}

static int alert(struct rq *rq)
{
    struct connection *connection = rq_connection(rq, "connection");
    if (!can(rq, connection, CON_ALERT))
        return -1;
    ring(connection);
    return 0;
}

static int disconnect(struct rq *rq)
{
    struct connection *connection = rq_connection(rq, "connection");
    if (!can(rq, connection, CON_DISCONNECT))
        return -1;
    call_disconnect(connection, "DEFAULT");
    return 0;
}

static int reject(struct rq *rq)
{
    struct connection *connection = rq_connection(rq, "connection");
    if (!can(rq, connection, CON_REJECT))
        return -1;
    call_reject(connection);
    return 0;
}

static int redirect(struct rq *rq)
{
    struct connection *connection = rq_connection(rq, "connection");
    struct address *to = connection != NULL ? rq_dialled_address(rq, "destinationAddress") : NULL;
    if (to == NULL || !can(rq, connection, CON_REDIRECT))
        return -1;
    if (to == connection->address)
        return rq_fail(rq, "A call cannot be redirected to where it is");
    put_connection(rq, "r:connection", call_redirect(connection, to));
    return 0;
}

/* canPark is never true: no provider implements it (DOMAIN 4.3). */
static int park(struct rq *rq)
{
    if (rq_connection(rq, "connection") == NULL)
        return -1;
    return rq_fail(rq, "Park is not supported by any provider");
}

static int get_address(struct rq *rq)
{
    struct connection *connection = rq_connection(rq, "connection");
    if (connection == NULL)
        return -1;
    put_address(rq, "r:address", connection->address);
    return 0;
}

static int get_capabilities(struct rq *rq)
{
    struct connection *connection = rq_connection(rq, "connection");
    if (connection == NULL)
        return -1;
    put_caps(rq, "r:connectionCapabilities", &connection_caps,
             caps_of_connection(rq->user, connection));
    return 0;
}

static int get_contact(struct rq *rq)
{
    struct connection *connection = rq_connection(rq, "connection");
    if (connection == NULL)
        return -1;
    put_contact(rq, "r:contact", connection->contact);
    return 0;
}

static int get_recording_state(struct rq *rq)
{
    struct connection *connection = rq_connection(rq, "connection");
    if (connection == NULL)
        return -1;
    buf_str(&rq->out, recording_state_name(connection->recording));
    return 0;
}

static int get_recording_reason(struct rq *rq)
{
    struct connection *connection = rq_connection(rq, "connection");
    if (connection == NULL)
        return -1;
    buf_str(&rq->out, connection->recording_reason);
    return 0;
}

static void put_holder(struct rq *rq, const char *element, enum connection_state state,
                       int64_t entered_ms, const char *reason)
{
    buf_printf(&rq->out, "<%s>", element);
    put_text(rq, "c:state", connection_state_name(state));
    put_number(rq, "c:entranceTime", entered_ms);
    put_text(rq, "c:reasonCode", reason);
    buf_printf(&rq->out, "</%s>", element);
}

static int get_state(struct rq *rq)
{
    struct connection *c = rq_connection(rq, "connection");
    if (c == NULL)
        return -1;
    buf_str(&rq->out, "<r:connectionStateInfo>");
    put_holder(rq, "c:currentState", c->state, c->entered_ms, c->reason);
    put_holder(rq, "c:lastState", c->last_state, c->last_entered_ms, c->last_reason);
    put_text(rq, "c:type", "Connection");
    put_text(rq, "c:parentId", c->contact->id);
    buf_str(&rq->out, "</r:connectionStateInfo>");
    return 0;
}

static int get_terminal_connections(struct rq *rq)
{
    struct connection *connection = rq_connection(rq, "connection");
    if (connection == NULL)
        return -1;
    const struct termconn *t;
    TAILQ_FOREACH(t, &connection->termconns, of_connection)
    {
        put_termconn(rq, "r:terminalConnections", t);
    }
    return 0;
}

/* The contract's names of the recording reasons; anything else is taken as DEFAULT. */
static const char *recording_reason(const char *reason)
{
    static const char *const names[] = {"BULK_RECORD", "DEMAND_RECORD", "QUALITY_RECORD", "RECORD"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(names[i], reason) == 0)
            return names[i];
    }
    return "DEFAULT";
}

static int record(struct rq *rq, enum recording_state next)
{
    struct connection *connection = rq_connection(rq, "connection");
    if (connection == NULL)
        return -1;
    if (connection->state != CS_ESTABLISHED)
        return rq_fail(rq, "The connection is not established");
    if (connection->recording == next)
        return rq_fail(rq, "The connection is %s already", recording_state_name(next));
    connection->recording = next;
    connection->recording_reason = recording_reason(rq_text(rq, "reasonCode"));
    return 0;
}

static int start_recording(struct rq *rq)
{
    return record(rq, RS_RECORDING);
}

static int stop_recording(struct rq *rq)
{
    return record(rq, RS_NOT_RECORDING);
}

#define CON "ConnectionService"

const struct op_row ops_connection[] = {{CON, "Accept", accept_offered},
                                        {CON, "Alert", alert},
                                        {CON, "Disconnect", disconnect},
                                        {CON, "GetAddress", get_address},
                                        {CON, "GetConnectionCapabilities", get_capabilities},
                                        {CON, "GetContact", get_contact},
                                        {CON, "GetRecordingState", get_recording_state},
                                        {CON, "GetRecordingStateReason", get_recording_reason},
                                        {CON, "GetState", get_state},
                                        {CON, "GetTerminalConnections", get_terminal_connections},
                                        {CON, "GetVersion", do_version},
                                        {CON, "Park", park},
                                        {CON, "Redirect", redirect},
                                        {CON, "Reject", reject},
                                        {CON, "StartRecording", start_recording},
                                        {CON, "StopRecording", stop_recording},
                                        {NULL, NULL, NULL}};
