/* Attached data and intrinsics, reached through ContactService and SessionService alike (DOMAIN section 9). */
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "ops_shared.h"

static void put_pairs(struct rq *rq, const struct attached_data *data)
{
    buf_str(&rq->out, "<c:keyValueData>");
    for (size_t i = 0; i < data->pair_count; i++) {
        buf_str(&rq->out, "<c:item>");
        put_text(rq, "c:key", data->pairs[i].key);
        put_text(rq, "c:value", data->pairs[i].value);
        buf_str(&rq->out, "</c:item>");
    }
    buf_str(&rq->out, "</c:keyValueData>");
}

static void put_bytes(struct rq *rq, const struct attached_data *data)
{
    buf_str(&rq->out, "<c:binaryData>");
    for (size_t i = 0; i < data->byte_count; i++)
        put_number(rq, "c:item", data->bytes[i]);
    buf_str(&rq->out, "</c:binaryData>");
}

/* A contact without data reads as an empty list of pairs: the schema leaves no way to say "none". */
void put_attached_data(struct rq *rq, const char *element, const struct attached_data *data)
{
    static const char *const types[] = {"KEY_VALUE_PAIRS", "KEY_VALUE_PAIRS", "STRING", "BINARY"};
    buf_printf(&rq->out, "<%s>", element);
    put_text(rq, "c:type", types[data->type]);
    if (data->type == DATA_STRING)
        put_text(rq, "c:stringData", data->text);
    else if (data->type == DATA_BINARY)
        put_bytes(rq, data);
    else
        put_pairs(rq, data);
    buf_printf(&rq->out, "</%s>", element);
}

static void read_pairs(struct rq *rq, xmlNode *list, struct attached_data *data)
{
    data->type = DATA_KEY_VALUE;
    for (xmlNode *n = list != NULL ? list->children : NULL; n != NULL; n = n->next) {
        if (n->type == XML_ELEMENT_NODE)
            contact_data_add_pair(data, rq_node_text(rq, node_child(n, "key")),
                                  rq_node_text(rq, node_child(n, "value")));
    }
}

static void read_bytes(struct rq *rq, xmlNode *list, struct attached_data *data)
{
    data->type = DATA_BINARY;
    for (xmlNode *n = list != NULL ? list->children : NULL; n != NULL; n = n->next) {
        if (n->type != XML_ELEMENT_NODE)
            continue;
        data->bytes = mem_resize(data->bytes, data->byte_count + 1, 1);
        data->bytes[data->byte_count++] = (signed char)strtol(rq_node_text(rq, n), NULL, 10);
    }
}

int do_set_data(struct rq *rq, const char *element)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL ||
        !rq_can(rq, caps_of_contact(rq->user, contact), &contact_caps, CNT_SET_DATA))
        return -1;
    xmlNode *node = node_child(rq->root, element);
    const char *type = rq_node_text(rq, node_child(node, "type"));
    struct attached_data data = {0};
    if (strcmp(type, "STRING") == 0) {
        data.type = DATA_STRING;
        data.text = mem_strdup(rq_node_text(rq, node_child(node, "stringData")));
    } else if (strcmp(type, "BINARY") == 0) {
        read_bytes(rq, node_child(node, "binaryData"), &data);
    } else {
        read_pairs(rq, node_child(node, "keyValueData"), &data);
    }
    contact_data_clear(&contact->data);
    contact->data = data;
    contact_changed(contact, "ATTACHED_DATA");
    return 0;
}

void put_intrinsics(struct rq *rq, const struct contact *contact)
{
    for (size_t i = 0; i < contact->intrinsic_count; i++) {
        buf_str(&rq->out, "<r:intrinsic>");
        put_text(rq, "c:key", contact->intrinsics[i].key);
        put_text(rq, "c:value", contact->intrinsics[i].value);
        put_bool(rq, "c:immutable", contact->intrinsics[i].immutable);
        buf_str(&rq->out, "</r:intrinsic>");
    }
}

static bool is_intrinsic(const xmlNode *n)
{
    return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, "intrinsics") == 0 &&
           n->children != NULL;
}

/* Merges; nothing is set when one of the keys is immutable. */
int do_set_intrinsics(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL ||
        !rq_can(rq, caps_of_contact(rq->user, contact), &contact_caps, CNT_SET_INTRINSICS))
        return -1;
    for (xmlNode *n = rq->root->children; n != NULL; n = n->next) {
        if (!is_intrinsic(n))
            continue;
        const struct intrinsic *old =
            contact_intrinsic(contact, rq_node_text(rq, node_child(n, "key")));
        if (old != NULL && old->immutable)
            return rq_fail(rq, "Intrinsic '%s' is immutable", old->key);
    }
    for (xmlNode *n = rq->root->children; n != NULL; n = n->next) {
        if (!is_intrinsic(n))
            continue;
        const char *immutable = rq_node_text(rq, node_child(n, "immutable"));
        contact_intrinsic_put(contact, rq_node_text(rq, node_child(n, "key")),
                              rq_node_text(rq, node_child(n, "value")),
                              strchr(immutable, 't') != NULL || strchr(immutable, '1') != NULL);
    }
    contact_changed(contact, "INTRINSICS");
    return 0;
}
