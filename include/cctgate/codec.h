/*
 * JSON to SOAP and back, by the contract's tables. A pure core: bytes in, bytes out, no I/O, no clock, no globals; any
 * thread.
 *
 * The JSON form follows the wire (DESIGN section 10, "Catalogue JSON"): names and nesting of the XSD; the operation's own
 * element and the session token left out; an element that may repeat is always an array, with 0 or 1 entries too; nil is
 * null; an absent element is an absent member; xs:int, xs:long, xs:short, xs:byte are integers, xs:boolean is a boolean,
 * everything else is a string. An operation whose input or output is a simple value reads and writes {"value": ...};
 * one without result gives {}. Attributes are members named "@name". Mixed content keeps its text in "#text". Elements
 * under xs:any, and elements in a reply that the contract does not know, are kept under their local name in an array
 * "#any" of {"name", "namespace", "content"} objects (content: a string, or an object of the same form), so that nothing
 * is lost (DOMAIN rule 2). Unknown enumeration values from the upstream are passed on as they are.
 */
#ifndef CCTGATE_CODEC_H
#define CCTGATE_CODEC_H

#include <stddef.h>

#include <jansson.h>

#include "cctgate/contract.h"
#include "cctgate/limits.h"

struct codec_error {
    char pointer[256];  /* JSON pointer (RFC 6901) or XPath-like place of the offence */
    char expected[128]; /* what the contract wants there */
    char found
        [128]; /* what came; never the value itself, only its kind ("string", "absent", "7 entries") */
    char text[CG_ERROR_TEXT_MAX]; /* a sentence for a person */
    int is_inside; /* ... who runs the gateway: it names hosts, ports or files, and is not for clients */
};

/* The sentence, if it is for clients; NULL: nothing, or nothing for them. */
const char *codec_error_told(const struct codec_error *error);

/* A growing byte buffer; codec_buffer_release frees it. `bytes` is NUL-terminated, `length` does not count the NUL. */
struct codec_buffer {
    char *bytes;
    size_t length, capacity;
};
void codec_buffer_release(struct codec_buffer *buffer);

/*
 * Appends a whole SOAP envelope for `op` with `arguments` (an object; NULL counts as {}) to `out`. `token` is put where the
 * contract has the session token (an element of type {.../cct/types}ssoToken); NULL when op->takes_token is 0. A token
 * among the arguments is refused: it is the gateway's own business. Characters that XML 1.0 cannot carry, text that is
 * not UTF-8, members that the contract does not have, wrong kinds, numbers out of range, missing required elements, too
 * many entries and enumeration values that the contract does not list are CG_E_INVALID with `error` filled in; on failure
 * `out` is as it was. Also CG_E_LIMIT (depth), CG_E_NOMEM.
 */
int codec_encode_request(const struct contract_operation *op, enum soap_version version,
                         const json_t *arguments, const char *token, struct codec_buffer *out,
                         struct codec_error *error);

/*
 * The same for arguments that hold what the upstream itself has told, such as the handles that its operations take by value: an
 * enumeration value that our contract does not list goes back as it came (DOMAIN rule 2), and elements that it does not know
 * ("#any") are left out, so that the message stays what the schema says.
 */
int codec_encode_forward(const struct contract_operation *op, enum soap_version version,
                         const json_t *arguments, const char *token, struct codec_buffer *out,
                         struct codec_error *error);

/* The same for a reply (used by tests and by whatever plays the server); the token, if the output has one, is an ordinary member. */
int codec_encode_response(const struct contract_operation *op, enum soap_version version,
                          const json_t *result, struct codec_buffer *out,
                          struct codec_error *error);

/*
 * A fault, for the same users. `name` is one that the operation declares, `detail` its detail element as JSON; NULL for both gives an
 * empty detail. `code` is the local part: Client or Server in SOAP 1.1, Sender or Receiver in 1.2.
 */
int codec_encode_fault(const struct contract_operation *op, enum soap_version version,
                       const char *name, const json_t *detail, const char *code, const char *text,
                       struct codec_buffer *out, struct codec_error *error);

struct codec_fault {
    const char *
        name; /* the declared fault's name, else the local name of the first detail element, else "Fault"; points into `storage` or the contract */
    int declared; /* the operation declares it */
    int session_lost; /* the upstream says that the session does not exist (DOMAIN rule 10), told by qualified name */
    int session_doubtful; /* with session_lost: it may be what the session owned that is unknown, a subscription; a call tells */
    json_t *detail;       /* decoded detail element or NULL; owned */
    char code
        [64]; /* local part of faultcode / Code: Client, Server, Sender, Receiver; without memory for it, as for `message`, "" */
    char message
        [CG_ERROR_TEXT_MAX]; /* the detail's message, else the fault string; cleaned of control characters, cut to size */
    char storage[128];
};
void codec_fault_release(struct codec_fault *fault);

/*
 * Decodes a SOAP 1.1 or 1.2 reply to `op`. CG_OK: *result is a new reference. CG_E_FAULT: `fault` is filled in.
 * CG_E_XML, CG_E_LIMIT: not XML we accept. CG_E_PROTOCOL: XML, but not the reply that the contract names, or a value that
 * is not of its type (xs:int that is no number, xs:boolean that is no boolean, a required element that is absent).
 * `error` says where. Elements out of order are accepted; unknown elements and enumeration values are kept.
 */
int codec_decode_response(const struct contract_operation *op, const char *xml, size_t length,
                          json_t **result, struct codec_fault *fault, struct codec_error *error);

/*
 * Decodes a request, found by dispatch in `service`; *op tells which operation it is. The session token, where the request has one,
 * is returned apart in *token (malloc'ed, may be NULL) and is not in *arguments. Errors as of a response, and CG_E_NOTFOUND: the service
 * has no operation with this request. *op is set as soon as it is known, also when the arguments are bad then.
 */
int codec_decode_request(const struct contract *contract, const char *service, const char *xml,
                         size_t length, const struct contract_operation **op, json_t **arguments,
                         char **token, struct codec_error *error);

/*
 * Decodes a request that is a list, such as Notify: the entries of its repeated member are decoded one by one, and one that is not of
 * its type costs none of the others. `on_entry` is told each in turn: `entry` is borrowed, or NULL with `error` set. What the list
 * holds besides is told as an entry that is bad. CG_OK, whatever the entries are; CG_E_INVALID: the operation's input is no list;
 * CG_E_XML, CG_E_LIMIT, CG_E_PROTOCOL, CG_E_NOTFOUND (another request), CG_E_NOMEM: nothing was told.
 */
typedef void (*codec_on_entry)(void *data, json_t *entry, const struct codec_error *error);
int codec_decode_list(const struct contract_operation *op, const char *xml, size_t length,
                      codec_on_entry on_entry, void *data, struct codec_error *error);

/* JSON Schema (2020-12) of an operation's arguments or result; a new reference, NULL only without memory. */
json_t *codec_input_schema(const struct contract_operation *op);
json_t *codec_output_schema(const struct contract_operation *op);
/* The same of a request that others make to us, such as Notify: like a result, it may have more than the contract names. */
json_t *codec_told_schema(const struct contract_operation *op);

/*
 * The same of many operations, which share the definitions of their types. A reference is `where` (at most 60 characters, borrowed) with
 * the definition's name, made of letters, digits, '.', '_' and '-'. codec_schemas_add gives the operation's arguments, or with `is_reply`
 * its result; codec_schemas_definitions what all that were added refer to, by name. New references, NULL only without memory.
 */
struct codec_schemas;
struct codec_schemas *codec_schemas_new(const char *where, int is_reply);
json_t *codec_schemas_add(struct codec_schemas *schemas, const struct contract_operation *op);
json_t *codec_schemas_definitions(struct codec_schemas *schemas);
void codec_schemas_free(struct codec_schemas **schemas);

/*
 * A made-up valid value for an operation's arguments: `maximal` 0 gives only what is required, 1 gives every optional element
 * and two of what repeats. For tests, examples and documentation. New reference, NULL only without memory.
 */
json_t *codec_example_input(const struct contract_operation *op, int maximal);
json_t *codec_example_output(const struct contract_operation *op, int maximal);

#endif
