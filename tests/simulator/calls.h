/*
 * Contacts and their legs. A contact begins with its first connection, ends when the last one is DISCONNECTED, and is
 * freed at the end of the loop's turn in which that happened. When one party is left alone with nobody alerting or
 * queued, it is disconnected too. Every transition passes sim_emit.
 */
#ifndef CCTSIM_CALLS_H
#define CCTSIM_CALLS_H

#include "world.h"

/* --- building blocks (calls.c) --- */

struct contact *contact_new(struct address *calling, struct address *called);
struct connection *connection_new(struct contact *contact, struct address *address);
struct termconn *termconn_new(struct connection *connection, struct terminal *terminal);
void connection_enter(struct connection *connection, enum connection_state state,
                      const char *reason);
void termconn_enter(struct termconn *termconn, enum terminal_connection_state state,
                    const char *reason);
/* Drops the leg's terminal connections and disconnects it, without looking at the others. */
void connection_end(struct connection *connection, const char *reason);
/* Ends every leg. */
void contact_end(struct contact *contact, const char *reason);
/* Ends a contact whose parties have gone, as the essay above says. */
void contact_settle(struct contact *contact, const char *reason);
/* Tells that a property ("ATTACHED_DATA", "INTRINSICS", ...) has a new value. */
void contact_changed(struct contact *contact, const char *property);
/* The same with a value that the simulator itself has no use for; NULL = the one told before. */
void contact_announce(struct contact *contact, const char *property, const char *value);
struct connection *contact_connection_at(const struct contact *contact,
                                         const struct address *address);
struct termconn *contact_termconn_at(const struct contact *contact,
                                     const struct terminal *terminal);
size_t contact_party_count(const struct contact *contact);
/* Frees what ended; a hook of the loop. */
void calls_reap(void);
void calls_free_all(void);

/* --- data (call_data.c) --- */

void contact_data_clear(struct attached_data *data);
void contact_data_add_pair(struct attached_data *data, const char *key, const char *value);
void contact_data_copy(struct attached_data *to, const struct attached_data *from);
void contact_intrinsic_put(struct contact *contact, const char *key, const char *value,
                           bool immutable);
struct intrinsic *contact_intrinsic(const struct contact *contact, const char *key);
void contact_message_add(struct contact *contact, const char *message, const char *sender,
                         const char *type, const char *time_stamp);
/* Data, intrinsics and UUI of one call into another: what follows a transfer. */
void contact_copy_all_data(struct contact *to, const struct contact *from);
void contact_free_data(struct contact *contact);

/* --- what parties do (call_flow.c); the caller has checked that it is allowed --- */

/* While on, calls to stations stay OFFERED until they are accepted, alerted, rejected or redirected. */
void call_screening(bool on);
/* A new leg towards `to`, with forwarding, do-not-disturb, route points and outside lines treated as they are. */
struct connection *call_present(struct contact *contact, struct address *to, const char *reason);
struct contact *call_originate(struct terminal *terminal, struct address *from, struct address *to,
                               const char *reason);
/* A call from an outside number. */
struct contact *call_incoming(struct address *from, struct address *to);
void call_answer(struct termconn *termconn, const char *reason);
/* The far end picks up: a leg that alerts at an outside line or at an address without terminal. */
void call_answer_outside(struct connection *connection);
void call_hold(struct termconn *termconn, enum terminal_connection_state kind);
void call_unhold(struct termconn *termconn);
void call_disconnect(struct connection *connection, const char *reason);
/* A consult of `kind` from an active or held leg; the leg is held automatically. */
struct contact *call_consult(struct termconn *termconn, struct address *to, enum consult_kind kind);
/* The other parties of both calls meet in the consult, which lives on; the transferring legs go. */
void call_complete_transfer(struct termconn *termconn, struct contact *consult);
/* Everybody of the consult joins the first call; the consult goes. */
void call_complete_conference(struct termconn *termconn, struct contact *consult);
void call_blind_transfer(struct termconn *termconn, struct address *to);
struct connection *call_redirect(struct connection *connection, struct address *to);
void call_reject(struct connection *connection);
/* Joins a terminal to a call, active at once ("BARGE_IN", "OBSERVE"). */
struct connection *call_join(struct contact *contact, struct address *address,
                             struct terminal *terminal, enum terminal_connection_state state,
                             const char *reason);
/* Takes a ringing leg over to another terminal. */
struct termconn *call_pickup(struct termconn *ringing, struct terminal *terminal,
                             struct address *address);
/* From a route point to `to`; returns the new leg. */
struct connection *call_route(struct connection *queued, struct address *to);

#endif
