#include "contract.h"

#include <dirent.h>
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsdl.h"

struct file {
    char *name;
    char *text;
    size_t len;
};

static struct {
    struct service **services;
    size_t service_count;
    struct map by_name;
    struct map files; /* name → struct file */
    struct file **file_list;
    size_t file_count;
    xmlSchema *schemas[ENVELOPE_COUNT];
    xmlSchemaValidCtxt *validators[ENVELOPE_COUNT];
    struct buf *message; /* where the validator's sentences go while it runs */
} contract;

static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        return NULL;
    }
    struct buf b = {0};
    char chunk[16384];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&b, chunk, n);
    fclose(f);
    *len = b.len;
    return b.data;
}

static bool load_service(const char *path, const char *name, bool outbound)
{
    struct service *service = mem_new(1, sizeof(*service));
    service->name = mem_strdup(name);
    service->outbound = outbound;
    contract.services =
        mem_resize(contract.services, contract.service_count + 1, sizeof(*contract.services));
    contract.services[contract.service_count++] = service;
    map_put(&contract.by_name, service->name, service);
    service->wsdl = read_file(path, &service->wsdl_len);
    return service->wsdl != NULL && wsdl_read(service);
}

static bool ends_with(const char *s, const char *end)
{
    size_t len = strlen(s);
    return len > strlen(end) && strcmp(s + len - strlen(end), end) == 0;
}

static bool load_file(const char *dir, const char *name)
{
    char *path = mem_printf("%s/%s", dir, name);
    struct file *file = mem_new(1, sizeof(*file));
    file->name = mem_strdup(name);
    file->text = read_file(path, &file->len);
    contract.file_list =
        mem_resize(contract.file_list, contract.file_count + 1, sizeof(*contract.file_list));
    contract.file_list[contract.file_count++] = file;
    map_put(&contract.files, file->name, file);
    bool ok = file->text != NULL;
    /* The consumer's contract is the client's to serve. */
    if (ok && ends_with(name, ".wsdl") && strcmp(name, "NotificationConsumer.wsdl") != 0) {
        char *service = mem_strndup(name, strlen(name) - 5);
        ok = load_service(path, service, false);
        free(service);
    }
    free(path);
    return ok;
}

static bool load_cct(const char *dir)
{
    DIR *d = opendir(dir);
    if (d == NULL) {
        perror(dir);
        return false;
    }
    bool ok = true;
    struct dirent *entry;
    while (ok && (entry = readdir(d)) != NULL) {
        if (ends_with(entry->d_name, ".wsdl") || ends_with(entry->d_name, ".xsd"))
            ok = load_file(dir, entry->d_name);
    }
    closedir(d);
    return ok;
}

static bool load_outbound(const char *dir, bool priority)
{
    static const char *const names[] = {"OutboundUtilityWS", "OutboundCampaignWS",
                                        "OutboundContactWS"};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof(names) / sizeof(*names); i++) {
        const char *folder = priority && i == 1 ? "/variant-priority" : "";
        char *path = mem_printf("%s%s/%s.wsdl", dir, folder, names[i]);
        ok = load_service(path, names[i], true);
        free(path);
    }
    return ok;
}

static void on_schema_error(void *context, xmlErrorPtr error)
{
    (void)context;
    if (contract.message == NULL) {
        fprintf(stderr, "cctsim: %s:%d: %s", error->file ? error->file : "schema", error->line,
                error->message);
        return;
    }
    if (contract.message->len < 2000)
        buf_printf(contract.message, "%s%s", contract.message->len ? "; " : "", error->message);
    while (contract.message->len > 0 && contract.message->data[contract.message->len - 1] == '\n')
        contract.message->data[--contract.message->len] = '\0';
}

/* There is no checking schema for SOAP 1.2 with the priority field, so the import of the plain one is turned. */
static void turn_imports(xmlDoc *doc)
{
    for (xmlNode *n = xmlDocGetRootElement(doc)->children; n != NULL; n = n->next) {
        xmlChar *at = n->type == XML_ELEMENT_NODE ? xmlGetProp(n, BAD_CAST "schemaLocation") : NULL;
        if (at != NULL && strcmp((const char *)at, "messages.xsd") == 0)
            xmlSetProp(n, BAD_CAST "schemaLocation", BAD_CAST "messages-priority.xsd");
        xmlFree(at);
    }
}

static bool load_schema(enum envelope which, const char *dir, const char *name, bool priority)
{
    char *path = mem_printf("%s/%s", dir, name);
    xmlDoc *doc = xmlReadFile(path, NULL, XML_PARSE_NONET);
    free(path);
    if (doc == NULL)
        return false;
    if (priority)
        turn_imports(doc);
    xmlSchemaParserCtxt *parser = xmlSchemaNewDocParserCtxt(doc);
    xmlSchemaSetParserStructuredErrors(parser, on_schema_error, NULL);
    contract.schemas[which] = xmlSchemaParse(parser);
    xmlSchemaFreeParserCtxt(parser);
    xmlFreeDoc(doc);
    if (contract.schemas[which] == NULL)
        return false;
    contract.validators[which] = xmlSchemaNewValidCtxt(contract.schemas[which]);
    xmlSchemaSetValidStructuredErrors(contract.validators[which], on_schema_error, NULL);
    return true;
}

bool contract_load(const char *dir, bool priority)
{
    char *cct = mem_printf("%s/cct", dir);
    char *samples = mem_printf("%s/cct/samples", dir);
    char *outbound = mem_printf("%s/outbound", dir);
    char *xsd = mem_printf("%s/outbound/xsd", dir);
    bool ok = load_cct(cct) && load_outbound(outbound, priority) &&
              load_schema(ENVELOPE_CCT, samples, "soap11-envelope.xsd", false) &&
              load_schema(ENVELOPE_OUTBOUND_11, xsd, "check-soap11.xsd", priority) &&
              load_schema(ENVELOPE_OUTBOUND_12, xsd, "check-soap12.xsd", priority);
    free(cct);
    free(samples);
    free(outbound);
    free(xsd);
    return ok;
}

static void free_service(struct service *service)
{
    for (size_t i = 0; i < service->operation_count; i++)
        wsdl_free_operation(&service->operations[i]);
    free(service->operations);
    wsdl_free_index(service);
    free(service->wsdl);
    free(service->name);
    free(service);
}

void contract_free(void)
{
    for (size_t i = 0; i < contract.service_count; i++)
        free_service(contract.services[i]);
    for (size_t i = 0; i < contract.file_count; i++) {
        free(contract.file_list[i]->name);
        free(contract.file_list[i]->text);
        free(contract.file_list[i]);
    }
    for (size_t i = 0; i < ENVELOPE_COUNT; i++) {
        xmlSchemaFreeValidCtxt(contract.validators[i]);
        xmlSchemaFree(contract.schemas[i]);
    }
    free(contract.services);
    free(contract.file_list);
    map_free(&contract.by_name);
    map_free(&contract.files);
    memset(&contract, 0, sizeof(contract));
}

size_t contract_service_count(void)
{
    return contract.service_count;
}

struct service *contract_service_at(size_t index)
{
    return contract.services[index];
}

struct service *contract_service(const char *name)
{
    return map_get(&contract.by_name, name);
}

struct operation *contract_operation(const struct service *service, const char *ns,
                                     const char *element)
{
    char *key = mem_printf("{%s}%s", ns, element);
    struct operation *op = map_get(&service->by_element, key);
    free(key);
    return op;
}

struct operation *contract_operation_named(const struct service *service, const char *name)
{
    for (size_t i = 0; i < service->operation_count; i++) {
        if (strcmp(service->operations[i].name, name) == 0)
            return &service->operations[i];
    }
    return NULL;
}

bool contract_validate(enum envelope envelope, xmlDoc *doc, struct buf *message)
{
    contract.message = message;
    int rc = xmlSchemaValidateDoc(contract.validators[envelope], doc);
    contract.message = NULL;
    return rc == 0;
}

const char *contract_file(const char *name, size_t *len)
{
    struct file *file = map_get(&contract.files, name);
    if (file == NULL)
        return NULL;
    *len = file->len;
    return file->text;
}
