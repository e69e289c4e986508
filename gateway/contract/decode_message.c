#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/memory.h"
#include "cctgate/xml.h"
#include "gateway/contract/decode.h"
#include "gateway/contract/soap.h"

/* The detail elements that say that the upstream does not know the session (DOMAIN rule 10). */
static const struct {
    const char *namespace_uri, *name;
    int doubtful; /* said of a subscription as well */
} session_lost_details[] = {
    {"http://www.nortel.com/soa/oi/cct/faults", "SessionNotCreatedException", 0},
    {"http://www.nortel.com/soa/oi/cct/notification/faults", "ResourceUnknownFault", 1},
};

/* The member of a fault's detail that is meant for people (wsbf:ExceptionInfo). */
#define DETAIL_MESSAGE "message"

struct envelope {
    xmlDocPtr doc;
    const char *namespace_uri;
    xmlNodePtr first; /* the body's only child element, or NULL */
};

static int refuse(struct codec_error *error, const char *text)
{
    return codec_fail_text(error, CG_E_PROTOCOL, text);
}

static int has_text(xmlNodePtr node)
{
    for (xmlNodePtr child = node->children; child != NULL; child = child->next) {
        const char *piece = decode_piece(child);
        if (piece != NULL && !decode_is_blank(piece, strlen(piece)))
            return 1;
    }
    return 0;
}

/* Headers are passed over: nothing in this contract has one. */
static int find_body(struct envelope *envelope, xmlNodePtr root, xmlNodePtr *body,
                     struct codec_error *error)
{
    xmlNodePtr node = xml_first_element(root);
    while (node != NULL && !xml_is(node, envelope->namespace_uri, "Body"))
        node = xml_next_element(node);
    *body = node;
    if (node == NULL)
        return refuse(error, "a SOAP envelope without a body");
    for (node = xml_next_element(node); node != NULL; node = xml_next_element(node)) {
        if (xml_is(node, envelope->namespace_uri, "Body"))
            return refuse(error, "a SOAP envelope with two bodies");
    }
    return has_text(root) || has_text(*body) ? refuse(error, "text where SOAP has elements only")
                                             : CG_OK;
}

static int read_envelope(struct envelope *envelope, struct codec_error *error)
{
    xmlNodePtr body, root = xmlDocGetRootElement(envelope->doc);
    if (xml_is(root, SOAP11_NAMESPACE, "Envelope"))
        envelope->namespace_uri = SOAP11_NAMESPACE;
    else if (xml_is(root, SOAP12_NAMESPACE, "Envelope"))
        envelope->namespace_uri = SOAP12_NAMESPACE;
    else
        return refuse(error, "XML, but no SOAP envelope");
    int rc = find_body(envelope, root, &body, error);
    if (rc != CG_OK)
        return rc;
    envelope->first = xml_first_element(body);
    if (envelope->first != NULL && xml_next_element(envelope->first) != NULL)
        return refuse(error, "a SOAP body with more than one element");
    return CG_OK;
}

static int open_envelope(struct envelope *envelope, const char *xml, size_t length,
                         struct codec_error *error)
{
    char reason[CG_ERROR_TEXT_MAX];
    *envelope = (struct envelope){0};
    if (error != NULL)
        *error = (struct codec_error){0};
    int rc = xml_parse(xml, length, CG_XML_BYTES_MAX, &envelope->doc, reason, sizeof(reason));
    if (rc != CG_OK)
        return codec_fail_text(error, rc, reason);
    rc = read_envelope(envelope, error);
    if (rc != CG_OK) {
        xmlFreeDoc(envelope->doc);
        envelope->doc = NULL;
    }
    return rc;
}

/*
 * By local name alone: SOAP 1.1 has faultcode and its siblings in no namespace, and not every
 * server knows.
 */
static xmlNodePtr child_called(xmlNodePtr parent, const char *name)
{
    xmlNodePtr node = parent == NULL ? NULL : xml_first_element(parent);
    while (node != NULL && strcmp((const char *)node->name, name) != 0)
        node = xml_next_element(node);
    return node;
}

static void copy_text(xmlNodePtr node, char *to, size_t size)
{
    struct decode_text text;
    to[0] = '\0';
    if (node == NULL || decode_text_of(node, &text) != CG_OK)
        return;
    char *copy = strndup(text.text, text.length);
    if (copy != NULL)
        codec_clean(to, size, copy);
    free(copy);
    decode_text_release(&text);
}

/* "Server" of "soap:Server". */
static void read_code(xmlNodePtr node, struct codec_fault *fault)
{
    char code[sizeof(fault->code) * 2];
    copy_text(node, code, sizeof(code));
    const char *colon = strrchr(code, ':'), *start = colon == NULL ? code : colon + 1;
    start += strspn(start, " ");
    codec_clean(fault->code, sizeof(fault->code), start);
    fault->code[strcspn(fault->code, " ")] = '\0';
}

static int is_session_lost(xmlNodePtr node, int *doubtful)
{
    for (size_t i = 0; i < sizeof(session_lost_details) / sizeof(session_lost_details[0]); i++) {
        *doubtful = session_lost_details[i].doubtful;
        if (xml_is(node, session_lost_details[i].namespace_uri, session_lost_details[i].name))
            return 1;
    }
    *doubtful = 0;
    return 0;
}

static const struct contract_fault *declared_fault(const struct contract_operation *op,
                                                   xmlNodePtr node)
{
    for (size_t i = 0; i < op->num_faults; i++) {
        const struct schema_element *element = op->faults[i].element;
        if (xml_is(node, element->namespace_uri, element->name))
            return &op->faults[i];
    }
    return NULL;
}

/*
 * Of several detail elements: one that tells of a lost session, else a declared one, else the
 * first.
 */
static xmlNodePtr choose_detail(const struct contract_operation *op, xmlNodePtr detail)
{
    xmlNodePtr first = detail == NULL ? NULL : xml_first_element(detail), declared = NULL;
    int doubtful;
    for (xmlNodePtr node = first; node != NULL; node = xml_next_element(node)) {
        if (is_session_lost(node, &doubtful))
            return node;
        if (declared == NULL && declared_fault(op, node) != NULL)
            declared = node;
    }
    return declared != NULL ? declared : first;
}

static void read_message(xmlNodePtr reason, struct codec_fault *fault)
{
    const char *message = json_string_value(json_object_get(fault->detail, DETAIL_MESSAGE));
    if (message != NULL && !decode_is_blank(message, strlen(message)))
        codec_clean(fault->message, sizeof(fault->message), message);
    else
        copy_text(reason, fault->message, sizeof(fault->message));
}

static int read_detail(const struct contract_operation *op, xmlNodePtr node,
                       struct codec_fault *fault, struct codec_error *error)
{
    struct decoder decoder = {.error = error, .lenient = 1};
    const struct contract_fault *declared = declared_fault(op, node);
    fault->session_lost = is_session_lost(node, &fault->session_doubtful);
    if (declared != NULL) {
        fault->declared = 1;
        fault->name = declared->name;
        fault->detail = decode_root(&decoder, declared->element, node);
    } else {
        codec_clean(fault->storage, sizeof(fault->storage), (const char *)node->name);
        fault->name = fault->storage;
        fault->detail = decode_any_content(&decoder, node);
    }
    return decoder.rc;
}

static int decode_fault(const struct contract_operation *op, const struct envelope *envelope,
                        struct codec_fault *fault, struct codec_error *error)
{
    int is12 = strcmp(envelope->namespace_uri, SOAP12_NAMESPACE) == 0, rc = CG_OK;
    xmlNodePtr node = envelope->first;
    xmlNodePtr code =
        is12 ? child_called(child_called(node, "Code"), "Value") : child_called(node, "faultcode");
    xmlNodePtr reason = is12 ? child_called(child_called(node, "Reason"), "Text")
                             : child_called(node, "faultstring");
    xmlNodePtr detail = choose_detail(op, child_called(node, is12 ? "Detail" : "detail"));
    fault->name = "Fault";
    if (detail != NULL)
        rc = read_detail(op, detail, fault, error);
    if (rc != CG_OK) {
        codec_fault_release(fault);
        return rc;
    }
    read_code(code, fault);
    read_message(reason, fault);
    return CG_E_FAULT;
}

void codec_fault_release(struct codec_fault *fault)
{
    json_decref(fault->detail);
    fault->detail = NULL;
}

/* What was made of the message since memory_watch, if memory was enough for all of it. */
static int end_watch(json_t **made, int rc, struct codec_error *error)
{
    if (!memory_ran_out())
        return rc;
    json_decref(*made);
    *made = NULL;
    return codec_fail_text(error, CG_E_NOMEM, "no memory for a message");
}

static json_t *decode_result(struct decoder *decoder, const struct contract_operation *op,
                             xmlNodePtr node)
{
    if (op->output == NULL) {
        if (node == NULL)
            return json_object();
        decoder->rc = refuse(decoder->error, "a reply where the contract has an empty body");
        return NULL;
    }
    if (node == NULL || !xml_is(node, op->output->namespace_uri, op->output->name)) {
        decoder->rc =
            refuse(decoder->error, node == NULL ? "an empty body where the contract has a reply"
                                                : "another reply than the contract has");
        return NULL;
    }
    return decode_root(decoder, op->output, node);
}

int codec_decode_response(const struct contract_operation *op, const char *xml, size_t length,
                          json_t **result, struct codec_fault *fault, struct codec_error *error)
{
    struct decoder decoder = {.error = error};
    struct envelope envelope;
    *result = NULL;
    *fault = (struct codec_fault){0};
    memory_watch();
    if (length == 0 && op->one_way) {
        *result = json_object();
        return end_watch(result, CG_OK, error);
    }
    int rc = open_envelope(&envelope, xml, length, error);
    if (rc != CG_OK)
        return end_watch(result, rc, error);
    if (envelope.first != NULL && xml_is(envelope.first, envelope.namespace_uri, "Fault")) {
        rc = end_watch(&fault->detail, decode_fault(op, &envelope, fault, error), error);
    } else {
        *result = decode_result(&decoder, op, envelope.first);
        rc = end_watch(result, decoder.rc, error);
    }
    xmlFreeDoc(envelope.doc);
    return rc;
}

static int read_token(const struct contract_operation *op, xmlNodePtr node, char **token)
{
    const struct schema_element *element = op->input->token_text;
    struct decode_text text;
    for (node = xml_first_element(node); node != NULL; node = xml_next_element(node)) {
        if (!xml_is(node, element->namespace_uri, element->name))
            continue;
        if (decode_text_of(node, &text) != CG_OK)
            return CG_E_NOMEM;
        *token = strndup(text.text, text.length);
        decode_text_release(&text);
        return *token == NULL ? CG_E_NOMEM : CG_OK;
    }
    return CG_OK;
}

static int decode_arguments(const struct contract_operation *op, xmlNodePtr node,
                            json_t **arguments, char **token, struct codec_error *error)
{
    struct decoder decoder = {.error = error, .token_element = op->input->token};
    memory_watch();
    *arguments = decode_root(&decoder, op->input, node);
    int rc = end_watch(arguments, decoder.rc, error);
    if (rc != CG_OK)
        return rc;
    if (decoder.token == NULL || read_token(op, decoder.token, token) == CG_OK)
        return CG_OK;
    json_decref(*arguments);
    *arguments = NULL;
    return codec_fail_text(error, CG_E_NOMEM, "no memory for a message");
}

int codec_decode_request(const struct contract *contract, const char *service, const char *xml,
                         size_t length, const struct contract_operation **op, json_t **arguments,
                         char **token, struct codec_error *error)
{
    struct envelope envelope;
    *op = NULL;
    *arguments = NULL;
    *token = NULL;
    int rc = open_envelope(&envelope, xml, length, error);
    if (rc != CG_OK)
        return rc;
    xmlNodePtr node = envelope.first;
    const char *uri = node != NULL && node->ns != NULL && node->ns->href != NULL
                          ? (const char *)node->ns->href
                          : "";
    if (node == NULL) {
        rc = refuse(error, "a request with an empty body");
    } else if ((*op = contract_dispatch(contract, service, uri, (const char *)node->name)) ==
               NULL) {
        rc =
            codec_fail_text(error, CG_E_NOTFOUND, "the service has no operation with this request");
    } else {
        rc = decode_arguments(*op, node, arguments, token, error);
    }
    xmlFreeDoc(envelope.doc);
    return rc;
}

/* The first repeated member of the operation's input. */
static const struct schema_element *list_member(const struct contract_operation *op)
{
    const struct schema_type *type = op->input != NULL ? op->input->type : NULL;
    for (size_t i = 0; type != NULL && i < type->members.length; i++) {
        const struct schema_element *member = type->members.items[i];
        if (member->max > 1)
            return member;
    }
    return NULL;
}

static int decode_entries(const struct schema_element *member, xmlNodePtr node,
                          codec_on_entry on_entry, void *data)
{
    for (node = xml_first_element(node); node != NULL; node = xml_next_element(node)) {
        struct codec_error error = {0};
        struct decoder decoder = {.error = &error};
        json_t *entry = NULL;
        memory_watch();
        if (xml_is(node, member->namespace_uri, member->name))
            entry = decode_entry_of(&decoder, member, node);
        else
            refuse(&error, "an element that the list does not have");
        end_watch(&entry, decoder.rc, &error);
        on_entry(data, entry, &error);
        json_decref(entry);
    }
    return CG_OK;
}

int codec_decode_list(const struct contract_operation *op, const char *xml, size_t length,
                      codec_on_entry on_entry, void *data, struct codec_error *error)
{
    const struct schema_element *member = list_member(op);
    struct envelope envelope;
    if (member == NULL)
        return codec_fail_text(error, CG_E_INVALID, "the request is not a list");
    int rc = open_envelope(&envelope, xml, length, error);
    if (rc != CG_OK)
        return rc;
    if (envelope.first == NULL)
        rc = refuse(error, "a request with an empty body");
    else if (!xml_is(envelope.first, op->input->namespace_uri, op->input->name))
        rc = codec_fail_text(error, CG_E_NOTFOUND, "another request than the contract has");
    else
        rc = decode_entries(member, envelope.first, on_entry, data);
    xmlFreeDoc(envelope.doc);
    return rc;
}
