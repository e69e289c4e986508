#include "journal.h"

#include <string.h>

#include "buf.h"
#include "options.h"

static json_t *entries;

void journal_note(const struct rq *rq)
{
    struct buf key = {0};

    if (!options.journal || rq->op->kind != OP_COMMAND)
        return;
    buf_str(&key, rq->op->label);
    for (const xmlNode *n = rq->root->children; n != NULL; n = n->next) {
        if (n->type != XML_ELEMENT_NODE || strcmp((const char *)n->name, "ssoToken") == 0)
            continue;
        xmlChar *words = xmlNodeGetContent(n);
        buf_str(&key, " ");
        buf_str(&key, words != NULL ? (const char *)words : "");
        xmlFree(words);
    }
    if (entries == NULL)
        entries = json_object();
    json_int_t before = json_integer_value(json_object_get(entries, key.data));
    json_object_set_new(entries, key.data, json_integer(before + 1));
    buf_free(&key);
}

json_t *journal_json(void)
{
    return entries != NULL ? json_incref(entries) : json_object();
}

void journal_clear(void)
{
    json_decref(entries);
    entries = NULL;
}
