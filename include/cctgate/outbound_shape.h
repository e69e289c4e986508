/*
 * How clients see what the Outbound services say: the wire's names in lower camel case ("ContactID" is contactId), and a type that is
 * nothing but a list as an array. Both directions go by the contract's schema or by the value itself; no name is spelled here. Pure, any
 * thread.
 */
#ifndef CCTGATE_OUTBOUND_SHAPE_H
#define CCTGATE_OUTBOUND_SHAPE_H

#include <stddef.h>

#include <jansson.h>

#include "cctgate/codec.h"

#define OUTBOUND_NAME_BYTES 128

/* "ContactID": "contactId"; "ID": "id"; "NumbericValue": "numbericValue"; "sessionkey": "sessionkey". `out` has OUTBOUND_NAME_BYTES. */
void outbound_client_name(char *out, const char *wire, size_t length);

/* A value as clients see it: a new one, which shares nothing with the other, so that each may go to a thread of its own. */
json_t *outbound_to_client(const json_t *wire);

/*
 * What a client gave, in the wire's form, by the schema of a member of the operation's request ("contact" of
 * AppendContactsToCampaign). Numbers that the schema asks for and the client left out are 0, such booleans false, unless
 * `required` names them, as clients see them, with spaces between ("skillsetId"). CG_OK: *wire is a new reference. CG_E_INVALID:
 * `error` says where (a pointer into `client`), what was expected and what was found. CG_E_NOMEM.
 */
int outbound_to_wire(const struct contract_operation *op, const char *member, const json_t *client,
                     const char *required, json_t **wire, struct codec_error *error);

#endif
