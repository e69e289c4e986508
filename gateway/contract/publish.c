/* A service's files, rewritten so that whoever reads them finds us and the rest of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/contract.h"
#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/xml.h"
#include "gateway/contract/loader.h"
#include "gateway/contract/schema.h"
#include "gateway/contract/wsdl_operation.h"

/* Elements that name another file, and the attribute that does. */
static const struct reference {
    const char *namespace_uri, *element, *attribute, *query;
} references[] = {
    {WSDL_NAMESPACE, "import", "location", "wsdl"},
    {XSD_NAMESPACE, "import", "schemaLocation", "xsd"},
    {XSD_NAMESPACE, "include", "schemaLocation", "xsd"},
    {XSD_NAMESPACE, "redefine", "schemaLocation", "xsd"},
};

struct publisher {
    struct loader loader;
    const char *address;
};

static size_t index_of(const struct loader *loader, const struct contract_file *file)
{
    size_t i = 0;
    while (i < loader->files.length && loader->files.items[i] != file)
        ++i;
    return i;
}

/* Opening a file that was not known yet appends it to the list that is being walked. */
static int rewrite_reference(struct publisher *publisher, const struct contract_file *from,
                             xmlNodePtr node, const struct reference *reference)
{
    char text[2300], *location;
    struct contract_file *file;
    int rc = loader_attribute(&publisher->loader, node, reference->attribute, &location);

    if (rc != CG_OK || location == NULL)
        return rc;
    if ((rc = loader_follow(&publisher->loader, from, node, location, &file)) != CG_OK)
        return rc;
    snprintf(text, sizeof(text), "%s?%s=%zu", publisher->address, reference->query,
             index_of(&publisher->loader, file));
    if (xmlSetProp(node, (const xmlChar *)reference->attribute, (const xmlChar *)text) == NULL)
        return loader_nomem(&publisher->loader);
    return CG_OK;
}

static int rewrite_address(struct publisher *publisher, xmlNodePtr node)
{
    if (xmlSetProp(node, (const xmlChar *)"location", (const xmlChar *)publisher->address) == NULL)
        return loader_nomem(&publisher->loader);
    return CG_OK;
}

static int rewrite_node(struct publisher *publisher, const struct contract_file *file,
                        xmlNodePtr node)
{
    size_t i;

    if (xml_is(node, WSDL_SOAP11_NAMESPACE, "address") ||
        xml_is(node, WSDL_SOAP12_NAMESPACE, "address"))
        return rewrite_address(publisher, node);
    for (i = 0; i < sizeof(references) / sizeof(references[0]); ++i)
        if (xml_is(node, references[i].namespace_uri, references[i].element))
            return rewrite_reference(publisher, file, node, &references[i]);
    return CG_OK;
}

/* The next element in document order, without recursion; NULL at the end. */
static xmlNodePtr after(xmlNodePtr node)
{
    xmlNodePtr next = xml_first_element(node);
    while (next == NULL && node != NULL && node->type == XML_ELEMENT_NODE) {
        next = xml_next_element(node);
        node = node->parent;
    }
    return next;
}

static int rewrite_file(struct publisher *publisher, const struct contract_file *file)
{
    xmlNodePtr node;
    int rc = CG_OK;
    for (node = xmlDocGetRootElement(file->doc); node != NULL && rc == CG_OK; node = after(node))
        rc = rewrite_node(publisher, file, node);
    return rc;
}

static int write_file(struct publisher *publisher, const struct contract_file *file,
                      struct contract_document *document)
{
    xmlChar *bytes = NULL;
    int length = 0;

    xmlDocDumpMemoryEnc(file->doc, &bytes, &length, "UTF-8");
    if (bytes != NULL && (document->bytes = malloc((size_t)length + 1)) != NULL) {
        memcpy(document->bytes, bytes, (size_t)length);
        document->bytes[length] = '\0';
        document->length = (size_t)length;
    }
    xmlFree(bytes);
    return document->bytes != NULL && !xml_is_starved() ? CG_OK : loader_nomem(&publisher->loader);
}

static int publish(struct publisher *publisher, const char *path, struct contract_documents *out)
{
    struct list *files = &publisher->loader.files;
    struct contract_file *file;
    size_t i;
    int rc = loader_open(&publisher->loader, path, &file);

    for (i = 0; rc == CG_OK && i < files->length; ++i)
        rc = rewrite_file(publisher, files->items[i]);
    if (rc != CG_OK)
        return rc;
    if ((out->documents = calloc(files->length, sizeof(*out->documents))) == NULL)
        return loader_nomem(&publisher->loader);
    out->num_documents = files->length;
    for (i = 0; rc == CG_OK && i < files->length; ++i)
        rc = write_file(publisher, files->items[i], &out->documents[i]);
    return rc;
}

int contract_publish(struct contract_documents *documents, const char *directory,
                     const struct contract_service *service, const char *address, char *error,
                     size_t error_size)
{
    struct arena arena = {0};
    char *root = realpath(directory, NULL);
    struct publisher publisher = {
        .loader = {.arena = &arena, .root = root, .error = error, .error_size = error_size},
        .address = address};
    int rc;

    *documents = (struct contract_documents){0};
    if (root == NULL && errno == ENOMEM)
        return loader_nomem(&publisher.loader);
    if (root == NULL)
        return loader_fail(&publisher.loader, CG_E_IO, NULL, NULL, "%s cannot be read", directory);
    rc = publish(&publisher, service->file, documents);
    if (rc != CG_OK)
        contract_documents_release(documents);
    loader_close(&publisher.loader);
    arena_release(&arena);
    free(root);
    return rc;
}

void contract_documents_release(struct contract_documents *documents)
{
    size_t i;
    for (i = 0; i < documents->num_documents; ++i)
        free(documents->documents[i].bytes);
    free(documents->documents);
    *documents = (struct contract_documents){0};
}
