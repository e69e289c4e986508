#include "contract_support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cctgate/limits.h"
#include "cctgate/xml.h"

static int set_up(void **state)
{
    (void)state;
    support_init();
    return 0;
}

static int parse_bytes(const char *bytes, size_t length, char *error, size_t size)
{
    xmlDocPtr doc = NULL;
    int rc = xml_parse(bytes, length, CG_XML_BYTES_MAX, &doc, error, size);
    assert_int_equal(rc == CG_OK, doc != NULL);
    xmlFreeDoc(doc);
    return rc;
}

static int parse(const char *text)
{
    char error[CG_ERROR_TEXT_MAX];
    return parse_bytes(text, strlen(text), error, sizeof(error));
}

static void accepts_plain_xml(void **state)
{
    (void)state;
    static const char *const good[] = {
        "<a/>",
        "\xef\xbb\xbf<a/>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>",
        "<?xml version='1.0' encoding = 'utf-8' standalone='yes'?><a/>",
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe4</a>",
        "<!-- before --><?pi x?><a><!-- > < in --><?pi <a> ?>x<![CDATA[<b>]]></a><!-- after -->",
        "<a b='>' c=\"/>\" xmlns:p='u'><p:b p:c='1'/></a>",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(parse(good[i]), CG_OK);
}

static void refuses_what_is_no_xml(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "x",
        "<",
        "<a",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a b></a>",
        "<a>&b;</a>",
        "<a>&#0;</a>",
        "<a/>x",
        "</a>",
        "<a><!-- ",
        "<a><![CDATA[",
        "<?xml",
        "<a b='1' b='2'/>",
        "<p:a/>\n<",
        "{\"json\": 1}",
        "<a>\x01</a>",
        "<a>\xff</a>",
        "<html><br></html>",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse(bad[i]), CG_E_XML);
}

static void refuses_document_types_and_entities(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "<!DOCTYPE a><a/>",
        "<!-- x --><!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>",
        "<!DOCTYPE a [<!ENTITY b 'xx'><!ENTITY c '&b;&b;'>]><a>&c;&c;</a>",
        "<!doctype html><html></html>",
        "<a><!DOCTYPE a></a>",
        "<a xmlns:xi='http://www.w3.org/2001/XInclude'><!ENTITY x 'y'></a>",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse(bad[i]), CG_E_XML);
}

static void does_not_include(void **state)
{
    (void)state;
    char error[CG_ERROR_TEXT_MAX];
    xmlDocPtr doc;
    const char *text =
        "<a xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='file:///etc/passwd'/></a>";
    assert_int_equal(xml_parse(text, strlen(text), CG_XML_BYTES_MAX, &doc, error, sizeof(error)),
                     CG_OK);
    assert_true(xml_is(xml_first_element(xmlDocGetRootElement(doc)),
                       "http://www.w3.org/2001/XInclude", "include"));
    xmlFreeDoc(doc);
}

static void refuses_other_encodings(void **state)
{
    (void)state;
    char error[CG_ERROR_TEXT_MAX];
    static const char utf16le[] = "\xff\xfe<\0a\0/\0>", utf16be[] = "\xfe\xff\0<\0a\0/\0>",
                      bare[] = "<\0a\0/\0>";
    assert_int_equal(parse_bytes(utf16le, sizeof(utf16le) - 1, error, sizeof(error)), CG_E_XML);
    assert_int_equal(parse_bytes(utf16be, sizeof(utf16be) - 1, error, sizeof(error)), CG_E_XML);
    assert_int_equal(parse_bytes(bare, sizeof(bare) - 1, error, sizeof(error)), CG_E_XML);
    assert_int_equal(parse("<?xml version=\"1.0\" encoding=\"UTF-7\"?><a/>"), CG_E_XML);
    assert_int_equal(parse("<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>"), CG_E_XML);
    assert_int_equal(parse("<?xml version=\"1.0\" encoding=\"IBM037\"?><a/>"), CG_E_XML);
    assert_int_equal(parse("<?xml version=\"1.0\" encoding=\"\"?><a/>"), CG_E_XML);
    assert_int_equal(parse_bytes("<a>\0</a>", 8, error, sizeof(error)), CG_E_XML);
    assert_int_equal(parse_bytes("<a/>\0", 5, error, sizeof(error)), CG_E_XML);
}

static char *repeated(const char *before, const char *middle, size_t times, const char *after,
                      size_t *length)
{
    size_t piece = strlen(middle), start = strlen(before);
    char *text = malloc(start + piece * times + strlen(after) + 1);
    memcpy(text, before, start);
    for (size_t i = 0; i < times; i++)
        memcpy(text + start + i * piece, middle, piece);
    memcpy(text + start + piece * times, after, strlen(after) + 1);
    *length = strlen(text);
    return text;
}

static int parse_repeated(const char *before, const char *middle, size_t times, const char *after)
{
    char error[CG_ERROR_TEXT_MAX];
    size_t length;
    char *text = repeated(before, middle, times, after, &length);
    int rc = parse_bytes(text, length, error, sizeof(error));
    free(text);
    return rc;
}

static void bounds_depth(void **state)
{
    (void)state;
    char *ends, *text;
    size_t length;
    ends = repeated("", "</a>", CG_XML_DEPTH_MAX, "", &length);
    assert_int_equal(parse_repeated("", "<a>", CG_XML_DEPTH_MAX, ends), CG_OK);
    assert_int_equal(parse_repeated("", "<a>", CG_XML_DEPTH_MAX + 1, "</a>"), CG_E_LIMIT);
    assert_int_equal(parse_repeated("", "<a>", 10000, ""), CG_E_LIMIT);
    text = support_format("<b/>%s", ends); /* one deeper, but an empty tag at the end */
    assert_int_equal(parse_repeated("", "<a>", CG_XML_DEPTH_MAX, text), CG_E_LIMIT);
    free(text);
    free(ends);
}

static void bounds_elements_and_bytes(void **state)
{
    (void)state;
    char error[CG_ERROR_TEXT_MAX];
    size_t length;
    xmlDocPtr doc;
    assert_int_equal(parse_repeated("<a>", "<b/>", CG_XML_ELEMENTS_MAX - 1, "</a>"), CG_OK);
    assert_int_equal(parse_repeated("<a>", "<b/>", CG_XML_ELEMENTS_MAX, "</a>"), CG_E_LIMIT);
    assert_int_equal(parse_repeated("<a>", "<b/>", 1000000, "</a>"), CG_E_LIMIT);
    assert_int_equal(parse_repeated("<a>", "x", CG_XML_BYTES_MAX, "</a>"), CG_E_LIMIT);
    assert_int_equal(parse_repeated("<a>", "x", CG_XML_BYTES_MAX - 7, "</a>"), CG_OK);
    char *text = repeated("<a>", "x", 100, "</a>", &length);
    assert_int_equal(xml_parse(text, length, length, &doc, error, sizeof(error)), CG_OK);
    xmlFreeDoc(doc);
    assert_int_equal(xml_parse(text, length, length - 1, &doc, error, sizeof(error)), CG_E_LIMIT);
    assert_null(doc);
    free(text);
}

/* libxml2 compares attributes with each other: a million of them would take it hours. */
static void bounds_attributes_in_scope(void **state)
{
    (void)state;
    clock_t start = clock();
    assert_int_equal(parse_repeated("<a ", "b='' ", 1000000, "/>"), CG_E_LIMIT);
    assert_int_equal(parse_repeated("<a>", "<b c='' d=''/>", 100000, "</a>"), CG_OK);
    assert_int_equal(parse_repeated("<a>", "<b xmlns:c='d' e='' f='' g='' h=''>", 60, ""),
                     CG_E_LIMIT);
    assert_true((clock() - start) / CLOCKS_PER_SEC < 20);
}

static void many_pieces_of_text_stay_linear(void **state)
{
    (void)state;
    clock_t start = clock();
    assert_int_equal(parse_repeated("<a>", "&#65;", 500000, "</a>"), CG_OK);
    assert_int_equal(parse_repeated("<a>", "<!---->x", 300000, "</a>"), CG_OK);
    assert_int_equal(parse_repeated("<a>", "<!---->x", CG_XML_ELEMENTS_MAX, "</a>"), CG_E_LIMIT);
    assert_int_equal(parse_repeated("<a>", "<?b?>", CG_XML_ELEMENTS_MAX, "</a>"), CG_E_LIMIT);
    assert_true((clock() - start) / CLOCKS_PER_SEC < 20);
}

static void truncation_is_an_error_at_every_byte(void **state)
{
    (void)state;
    char error[CG_ERROR_TEXT_MAX];
    size_t length;
    char *text =
        support_read(CCT_DIRECTORY "/samples/AgentService.GetCapabilities.response.xml", &length);
    while (length > 0 && text[length - 1] == '\n')
        length--;
    assert_int_equal(parse_bytes(text, length, error, sizeof(error)), CG_OK);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(parse_bytes(text, i, error, sizeof(error)), CG_E_XML);
    free(text);
}

static void errors_name_the_line_and_never_the_content(void **state)
{
    (void)state;
    char error[CG_ERROR_TEXT_MAX];
    const char *text = "<a>\n\n<secret-7></other-7></a>";
    assert_int_equal(parse_bytes(text, strlen(text), error, sizeof(error)), CG_E_XML);
    assert_non_null(strstr(error, "line 3"));
    assert_null(strstr(error, "-7"));
    text = "<a>\n<!DOCTYPE secret-7>\n</a>";
    assert_int_equal(parse_bytes(text, strlen(text), error, sizeof(error)), CG_E_XML);
    assert_non_null(strstr(error, "line 2"));
    assert_null(strstr(error, "-7"));
}

static void walks_over_elements_only(void **state)
{
    (void)state;
    char error[CG_ERROR_TEXT_MAX];
    xmlDocPtr doc;
    const char *text = "<a>x<!-- c --><b xmlns='u'/>y<?pi?><c/></a>";
    assert_int_equal(xml_parse(text, strlen(text), 100, &doc, error, sizeof(error)), CG_OK);
    xmlNodePtr node = xml_first_element(xmlDocGetRootElement(doc));
    assert_true(xml_is(node, "u", "b"));
    assert_false(xml_is(node, "", "b"));
    node = xml_next_element(node);
    assert_true(xml_is(node, "", "c"));
    assert_null(xml_next_element(node));
    assert_null(xml_first_element(node));
    xmlFreeDoc(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_plain_xml),
        cmocka_unit_test(refuses_what_is_no_xml),
        cmocka_unit_test(refuses_document_types_and_entities),
        cmocka_unit_test(does_not_include),
        cmocka_unit_test(refuses_other_encodings),
        cmocka_unit_test(bounds_depth),
        cmocka_unit_test(bounds_elements_and_bytes),
        cmocka_unit_test(bounds_attributes_in_scope),
        cmocka_unit_test(many_pieces_of_text_stay_linear),
        cmocka_unit_test(truncation_is_an_error_at_every_byte),
        cmocka_unit_test(errors_name_the_line_and_never_the_content),
        cmocka_unit_test(walks_over_elements_only),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
