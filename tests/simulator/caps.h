/*
 * Capabilities (DOMAIN section 4): one bit per flag of a block, computed from the object's present state for a user. An
 * operation is allowed exactly when its flag is set, so that what is promised and what is done cannot differ.
 */
#ifndef CCTSIM_CAPS_H
#define CCTSIM_CAPS_H

#include <stdint.h>

#include "world.h"

/* Bits in the order of the contract's flags. */
enum address_cap {
    ADR_CONFERENCE,
    ADR_CONSULT,
    ADR_DND,
    ADR_FORWARD,
    ADR_GET_MESSAGE_WAITING,
    ADR_SET_MESSAGE_WAITING,
    ADR_ORIGINATE,
    ADR_TRANSFER
};
enum terminal_cap {
    TER_CONFERENCE,
    TER_CONSULT,
    TER_DND,
    TER_FORWARD,
    TER_ORIGINATE,
    TER_PICKUP,
    TER_PICKUP_GROUP,
    TER_TRANSFER
};
enum agent_terminal_cap {
    AGTT_CALL_SUPERVISOR,
    AGTT_FORCED_ANSWER,
    AGTT_GET_ACTIVITY,
    AGTT_GET_REASON,
    AGTT_GET_READY,
    AGTT_LOGIN,
    AGTT_LOGOUT,
    AGTT_SET_ACTIVITY,
    AGTT_SET_REASON,
    AGTT_SET_READY,
    AGTT_TERMINAL_FLAGS /* the 8 above follow */
};
enum agent_cap {
    AGT_GET_REASON,
    AGT_GET_READY,
    AGT_GET_SUPERVISOR,
    AGT_LOGIN,
    AGT_LOGOUT,
    AGT_RETRIEVE,
    AGT_SET_REASON,
    AGT_SET_READY,
    AGT_SET_VOICE_TERMINAL
};
enum connection_cap { CON_ACCEPT, CON_ALERT, CON_DISCONNECT, CON_PARK, CON_REDIRECT, CON_REJECT };
enum termconn_cap {
    TC_ANSWER,
    TC_BLIND_TRANSFER,
    TC_COMPLETE_CONFERENCE,
    TC_COMPLETE_TRANSFER,
    TC_CONSULT,
    TC_DTMF,
    TC_HOLD,
    TC_AUTO_HOLD,
    TC_INITIATE_CONFERENCE,
    TC_INITIATE_TRANSFER,
    TC_UNHOLD
};
enum agent_termconn_cap {
    ATC_ANSWER,
    ATC_BLIND_TRANSFER,
    ATC_COMPLETE_CONFERENCE,
    ATC_COMPLETE_TRANSFER,
    ATC_EMERGENCY,
    ATC_DTMF,
    ATC_HOLD,
    ATC_INITIATE_CONFERENCE,
    ATC_INITIATE_TRANSFER,
    ATC_UNHOLD,
    ATC_CONSULT
};
enum contact_cap {
    CNT_ADD_PARTY,
    CNT_BARGE_IN,
    CNT_DROP,
    CNT_GET_DATA,
    CNT_GET_CALLING_TERMINAL,
    CNT_GET_INTRINSICS,
    CNT_GET_MESSAGES,
    CNT_GET_LAST_REDIRECTED,
    CNT_GET_ORIGINAL,
    CNT_GET_UUI,
    CNT_OBSERVE,
    CNT_SET_DATA,
    CNT_SET_INTRINSICS,
    CNT_SET_UUI,
    CNT_WHISPER
};
enum route_point_cap {
    RPC_MUSIC,
    RPC_RING_BACK,
    RPC_SILENCE,
    RPC_ROUTE,
    RPC_RETRIEVE,
    RPC_GET_RETRIEVER,
    RPC_SET_RETRIEVE,
    RPC_IVR,
    RPC_RAN,
    RPC_OVERFLOW,
    RPC_BUSY
};

struct cap_block {
    const char *const *names; /* "canLogin", ... */
    unsigned count;
};
extern const struct cap_block address_caps, terminal_caps, agent_terminal_caps, agent_caps,
    connection_caps, termconn_caps, agent_termconn_caps, contact_caps, route_point_caps;

uint32_t caps_of_address(const struct address *address);
uint32_t caps_of_terminal(const struct terminal *terminal);
uint32_t caps_of_agent_terminal(const struct terminal *terminal);
uint32_t caps_of_agent(const struct agent *agent);
/* The legs of others may be looked at, not touched. */
uint32_t caps_of_connection(const struct user *user, const struct connection *connection);
uint32_t caps_of_termconn(const struct user *user, const struct termconn *termconn);
uint32_t caps_of_agent_termconn(const struct user *user, const struct termconn *termconn);
uint32_t caps_of_contact(const struct user *user, const struct contact *contact);
uint32_t caps_of_route_point(const struct user *user, const struct connection *connection);

#endif
