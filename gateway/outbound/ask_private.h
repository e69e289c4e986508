/* What the files of questions share. The owner's thread. */
#ifndef CCTGATE_OUTBOUND_ASK_PRIVATE_H
#define CCTGATE_OUTBOUND_ASK_PRIVATE_H

#include "gateway/outbound/ask.h"
#include "gateway/outbound/client_private.h"

/* facade.c */
void facade_operation(enum outbound_question question, const char **service,
                      const char **operation);
/* CG_OK: *arguments is a new reference. CG_E_INVALID: the contract at hand does not take what is asked. */
int facade_arguments(const struct outbound_ask *ask, json_t **arguments, struct codec_error *error);
json_t *outbound_ask_word(const struct outbound_ask *ask,
                          const char *name); /* of its words: borrowed */

/* ask_end.c: the question is over, and must not be touched any more */
void outbound_ask_deliver(struct outbound_ask *ask);
void outbound_ask_answer(struct outbound_ask *ask, json_t *json); /* takes the reference */
/* `members` (NULL: none) join the document, and their reference is taken. */
void outbound_ask_refuse_with(struct outbound_ask *ask, enum problem problem, json_t *members,
                              const char *detail);
void outbound_ask_refuse(struct outbound_ask *ask, enum problem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void outbound_ask_refuse_campaign(struct outbound_ask *ask);
void outbound_ask_fail(struct outbound_ask *ask, const struct outbound_outcome *outcome);

/* ask_campaigns.c */
void outbound_ask_run_campaigns(struct outbound_ask *ask);

#endif
