#include "contract_support.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxml/parser.h>

#include "cctgate/xml.h"

static xmlExternalEntityLoader loader_of_libxml2;

void support_init(void)
{
    loader_of_libxml2 = xmlGetExternalEntityLoader();
    xml_init();
}

struct contract *support_load(const char *directory)
{
    char error[CG_ERROR_TEXT_MAX] = "";
    struct contract *contract;
    if (contract_load(&contract, directory, error, sizeof(error)) != CG_OK)
        fail_msg("%s: %s", directory, error);
    return contract;
}

char *support_format(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    assert_true(vasprintf(&text, format, arguments) >= 0);
    va_end(arguments);
    return text;
}

char *support_read(const char *path, size_t *length)
{
    const size_t size = 1 << 20;
    char *bytes = malloc(size);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s cannot be opened; run the tests in the top folder", path);
    size_t got = fread(bytes, 1, size - 1, file);
    assert_int_equal(ferror(file), 0);
    fclose(file);
    bytes[got] = '\0';
    if (length != NULL)
        *length = got;
    return bytes;
}

void support_write(const char *directory, const char *name, const char *text)
{
    char *path = support_format("%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    free(path);
}

char *support_folder(void)
{
    const char *base = getenv("TMPDIR");
    char *folder = support_format("%s/cctgate-test-XXXXXX", base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(folder));
    return folder;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
    (void)status;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void support_remove(char **folder)
{
    assert_int_equal(nftw(*folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(*folder);
    *folder = NULL;
}

static int ends_with(const char *name, const char *ending)
{
    size_t a = strlen(name), b = strlen(ending);
    return a > b && strcmp(name + a - b, ending) == 0;
}

void support_copy(const char *from, const char *to, const char *ending, const char *other_ending)
{
    struct dirent *entry;
    DIR *directory = opendir(from);
    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        if (!ends_with(entry->d_name, ending) && !ends_with(entry->d_name, other_ending))
            continue;
        char *path = support_format("%s/%s", from, entry->d_name);
        char *text = support_read(path, NULL);
        support_write(to, entry->d_name, text);
        free(text);
        free(path);
    }
    closedir(directory);
}

char *support_replace(const char *text, const char *mark, const char *instead)
{
    const char *found = strstr(text, mark);
    if (found == NULL)
        fail_msg("\"%s\" is not in the text", mark);
    return support_format("%.*s%s%s", (int)(found - text), text, instead, found + strlen(mark));
}

void support_schema_load(struct support_schema *schema, const char *path)
{
    xmlExternalEntityLoader ours = xmlGetExternalEntityLoader();
    xmlSetExternalEntityLoader(loader_of_libxml2); /* the validator opens imports through it */
    schema->parser = xmlSchemaNewParserCtxt(path);
    assert_non_null(schema->parser);
    schema->schema = xmlSchemaParse(schema->parser);
    xmlSetExternalEntityLoader(ours);
    if (schema->schema == NULL)
        fail_msg("%s is no schema that libxml2 takes", path);
}

void support_schema_release(struct support_schema *schema)
{
    xmlSchemaFree(schema->schema);
    xmlSchemaFreeParserCtxt(schema->parser);
}

struct complaint {
    char text[512];
};

static void keep_complaint(void *data, xmlErrorPtr error)
{
    struct complaint *complaint = data;
    if (complaint->text[0] == '\0')
        snprintf(complaint->text, sizeof(complaint->text), "%s", error->message);
}

void support_assert_valid(const struct support_schema *schema, const struct codec_buffer *document,
                          const char *label)
{
    struct complaint complaint = {""};
    xmlDocPtr doc =
        xmlReadMemory(document->bytes, (int)document->length, NULL, NULL, XML_PARSE_NONET);
    assert_non_null(doc);
    xmlSchemaValidCtxtPtr context = xmlSchemaNewValidCtxt(schema->schema);
    assert_non_null(context);
    xmlSchemaSetValidStructuredErrors(context, keep_complaint, &complaint);
    int rc = xmlSchemaValidateDoc(context, doc);
    xmlSchemaFreeValidCtxt(context);
    xmlFreeDoc(doc);
    if (rc != 0)
        fail_msg("%s: %s\n%s", label, complaint.text, document->bytes);
}

static int is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* Text, or what a QName means: the prefix is looked up. */
static void print_value(FILE *out, xmlNodePtr node, const char *text)
{
    const char *colon = strchr(text, ':');
    xmlNsPtr ns = NULL;
    if (colon != NULL) {
        char *prefix = support_format("%.*s", (int)(colon - text), text);
        ns = xmlSearchNs(node->doc, node, (const xmlChar *)prefix);
        free(prefix);
    }
    if (ns != NULL)
        fprintf(out, "{%s}%s", ns->href, colon + 1);
    else
        fputs(text, out);
}

static char *attribute_line(xmlNodePtr node, xmlAttrPtr attribute)
{
    char *line;
    size_t length;
    xmlChar *value = xmlNodeGetContent((xmlNodePtr)attribute);
    FILE *out = open_memstream(&line, &length);
    fprintf(out, " {%s}%s=", attribute->ns == NULL ? "" : (const char *)attribute->ns->href,
            attribute->name);
    print_value(out, node, (const char *)value);
    fclose(out);
    xmlFree(value);
    return line;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_attributes(FILE *out, xmlNodePtr node)
{
    char *lines[64];
    size_t count = 0;
    for (xmlAttrPtr attribute = node->properties; attribute != NULL && count < 64;
         attribute = attribute->next)
        lines[count++] = attribute_line(node, attribute);
    qsort(lines, count, sizeof(lines[0]), by_text);
    for (size_t i = 0; i < count; i++) {
        fputs(lines[i], out);
        free(lines[i]);
    }
}

static void print_canonical(FILE *out, xmlNodePtr node)
{
    fprintf(out, "<{%s}%s", node->ns == NULL ? "" : (const char *)node->ns->href, node->name);
    print_attributes(out, node);
    fputs(">", out);
    for (xmlNodePtr child = node->children; child != NULL; child = child->next) {
        if (child->type == XML_ELEMENT_NODE)
            print_canonical(out, child);
        else if (child->type == XML_TEXT_NODE &&
                 (!is_blank((const char *)child->content) || node->children->next == NULL))
            print_value(out, node, (const char *)child->content);
    }
    fprintf(out, "</>\n");
}

char *support_canonical(const char *xml, size_t length)
{
    char *text;
    size_t text_length;
    xmlDocPtr doc = xmlReadMemory(xml, (int)length, NULL, NULL, XML_PARSE_NONET);
    assert_non_null(doc);
    FILE *out = open_memstream(&text, &text_length);
    print_canonical(out, xmlDocGetRootElement(doc));
    fclose(out);
    xmlFreeDoc(doc);
    return text;
}

static int is_empty_array(const json_t *value)
{
    return json_is_array(value) && json_array_size(value) == 0;
}

json_t *support_without_empty_arrays(const json_t *value)
{
    const char *name;
    json_t *member, *copy;
    size_t i;
    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach((json_t *)(uintptr_t)value, name, member)
        {
            if (!is_empty_array(member))
                json_object_set_new(copy, name, support_without_empty_arrays(member));
        }
        return copy;
    }
    if (!json_is_array(value))
        return json_deep_copy(value);
    copy = json_array();
    json_array_foreach(value, i, member)
        json_array_append_new(copy, support_without_empty_arrays(member));
    return copy;
}

json_t *support_json(const char *text)
{
    json_error_t error;
    char *copy = strdup(text);
    for (char *p = copy; *p != '\0'; p++) {
        if (*p == '\'')
            *p = '"';
    }
    json_t *value = json_loads(copy, JSON_DECODE_ANY, &error);
    if (value == NULL)
        fail_msg("%s: %s", copy, error.text);
    free(copy);
    return value;
}
