/*
 * What several services offer under different names: each function checks the capability, raises the operation's fault
 * when it is false, and acts. The result is a handler's result.
 */
#ifndef CCTSIM_OPS_SHARED_H
#define CCTSIM_OPS_SHARED_H

#include "rq.h"

int do_version(struct rq *rq);

int do_terminal_login(struct rq *rq, struct terminal *terminal, const char *agent_id,
                      const char *password, bool ready);
int do_terminal_logout(struct rq *rq, struct terminal *terminal);
int do_terminal_ready(struct rq *rq, struct terminal *terminal, bool ready);
int do_terminal_reason(struct rq *rq, struct terminal *terminal, const char *code);
int do_terminal_activity(struct rq *rq, struct terminal *terminal, const char *code);
int do_call_supervisor(struct rq *rq);
int do_emergency(struct rq *rq);
int do_set_forwarding(struct rq *rq, struct forwarding_list *list);

int do_answer(struct rq *rq, struct termconn *termconn);
int do_hold(struct rq *rq, struct termconn *termconn);
int do_unhold(struct rq *rq, struct termconn *termconn);
int do_dtmf(struct rq *rq, struct termconn *termconn);
int do_blind_transfer(struct rq *rq, struct termconn *termconn, struct address *to);
/* Writes the consult contact as r:contact. */
int do_consult(struct rq *rq, struct termconn *termconn, struct address *to,
               enum consult_kind kind);
/* The consult contact is child `consultedContact`. */
int do_complete(struct rq *rq, struct termconn *termconn, enum consult_kind kind);
/* From `terminal` at `from`; writes the new contact as r:contact. */
int do_originate(struct rq *rq, struct terminal *terminal, struct address *from,
                 struct address *to);

void put_attached_data(struct rq *rq, const char *element, const struct attached_data *data);
void put_intrinsics(struct rq *rq, const struct contact *contact);
int do_set_data(struct rq *rq, const char *element);
int do_set_intrinsics(struct rq *rq);

#endif
