/* Bodies of contacts: CSV, NDJSON, JSON, good ones and hostile ones, with both forms of the operation. */
#include "contract_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/outbound/contacts.h"
#include "gateway/outbound/csv.h"

static struct contract *plain, *variant;

/* ---- CSV ---- */

#define FIELDS_MAX 8

/* "a|b;c|d;", or what is wrong. */
static char *records(const char *text, size_t length)
{
    struct csv_field fields[FIELDS_MAX];
    static char out[4096];
    struct csv csv;
    size_t at = 0;
    int count, i;

    assert_int_equal(csv_init(&csv, text, length), CG_OK);
    while ((count = csv_next(&csv, fields, FIELDS_MAX)) > 0)
        for (i = 0; i < count; ++i)
            at += (size_t)snprintf(out + at, sizeof(out) - at, "%.*s%s", (int)fields[i].length,
                                   fields[i].text, i + 1 < count ? "|" : ";");
    if (count < 0)
        snprintf(out + at, sizeof(out) - at, "!%zu", csv.line);
    else
        out[at] = '\0';
    csv_release(&csv);
    return out;
}

#define CSV(text) records(text, sizeof(text) - 1)

static void csv(void **state)
{
    (void)state;
    assert_string_equal(CSV(""), "");
    assert_string_equal(CSV("\xef\xbb\xbf"), "");
    assert_string_equal(CSV("a"), "a;");
    assert_string_equal(CSV("a,b\r\nc,d\r\n"), "a|b;c|d;");
    assert_string_equal(CSV("\xef\xbb\xbf"
                            "a,b\nc,d"),
                        "a|b;c|d;");
    assert_string_equal(CSV("\n\r\n\na,b\n\n\nc,d\n\n"), "a|b;c|d;");
    assert_string_equal(CSV("a,\n,b\n,\n"), "a|;|b;|;");
    assert_string_equal(CSV("a,"), "a|;");
    assert_string_equal(CSV(",,"), "||;");
    assert_string_equal(CSV("\"a\",\"b,c\"\n\"d\"\"e\",\"f\r\ng\"\n"), "a|b,c;d\"e|f\r\ng;");
    assert_string_equal(CSV("\"\"\n"), ";");
    assert_string_equal(CSV("\"\"\"\"\n\"\",\"\""), "\";|;");
    assert_string_equal(CSV(" a , \t\n"), " a | \t;");
    assert_string_equal(CSV("1,2,3,4,5,6,7,8"), "1|2|3|4|5|6|7|8;");
}

static void bad_csv(void **state)
{
    (void)state;
    assert_string_equal(CSV("\"a"), "!1");
    assert_string_equal(CSV("\""), "!1");
    assert_string_equal(CSV("a\n\"b\n\n"), "a;!2");
    assert_string_equal(CSV("a\"b"), "!1");
    assert_string_equal(CSV("\"a\"b"), "!1");
    assert_string_equal(CSV("\"a\" ,b"), "!1");
    assert_string_equal(CSV("\"a\"\rb"), "!1");
    assert_string_equal(CSV("a\rb"), "!1");
    assert_string_equal(CSV("a\0b"), "!1");
    assert_string_equal(CSV("\"a\0b\""), "!1");
    assert_string_equal(CSV("a\n\"x\ny\"\nb\rc"), "a;x\ny;!4");
    assert_string_equal(CSV("1,2,3,4,5,6,7,8,9"), "!1");
    assert_string_equal(CSV("1,2,3,4,5,6,7,8,"), "!1");
}

/* ---- contacts ---- */

static struct job_rows rows;
static struct contacts_error error;

static int parse_with(const struct contract *contract, int needs_phone, int64_t priority,
                      enum contacts_type type, const char *text, size_t length)
{
    struct contacts_wanted wanted = {contacts_operation(contract), 101, priority, needs_phone};
    char *copy = malloc(length > 0 ? length : 1); /* no longer: what is read beyond is seen */

    assert_non_null(wanted.op);
    assert_non_null(copy);
    memcpy(copy, text, length);
    int rc = contacts_parse(&wanted, type, copy, length, &rows, &error);
    free(copy);
    return rc;
}

#define PARSE(type, text) parse_with(plain, 0, -1, type, text, sizeof(text) - 1)

/* The row's arguments are these. */
static void assert_row(size_t index, const char *expected)
{
    json_t *wanted = support_json(expected), *row;

    assert_in_range(index, 0, rows.num_rows - 1);
    row = json_loads(rows.rows[index].text, 0, NULL);
    if (!json_equal(row, wanted))
        fail_msg("row %zu: %s", index + 1, rows.rows[index].text);
    json_decref(row);
    json_decref(wanted);
}

#define NUMBERS "'ContactID':0,'PreferredAgentID':0,'PreferredAgentSpecified':false"

static void one_object(void **state)
{
    (void)state;
    assert_int_equal(PARSE(CONTACTS_JSON, "{\"skillsetId\":10001}"), CG_OK);
    assert_int_equal(rows.num_rows, 1);
    assert_row(0, "{'CampaignID':101,'contact':{" NUMBERS ",'SkillsetID':10001}}");
    job_rows_release(&rows);
}

static void all_members(void **state)
{
    (void)state;
    assert_int_equal(
        PARSE(CONTACTS_JSON,
              "[{\"skillsetId\":1,\"firstName\":\"G\xc3\xbcl\",\"lastName\":\"O'Neill & Co\","
              "\"title\":null,\"emailAddress\":\"a@b.example\",\"preferredAgentId\":7,"
              "\"phoneNumber\":{\"intCode\":\"353\",\"areaCode\":\"91\",\"phoneNo\":\"555\"},"
              "\"address\":{\"addressLine1\":\"1 Main\",\"postCode\":\"D01\"},"
              "\"customFieldList\":[{\"name\":\"Tier\",\"text\":\"gold\"},"
              "{\"name\":\"A\",\"text\":\"\",\"isTextVisible\":false}]},{\"skillsetId\":2}]"),
        CG_OK);
    assert_int_equal(rows.num_rows, 2);
    assert_row(0,
               "{'CampaignID':101,'contact':{'ContactID':0,'SkillsetID':1,'FirstName':'G\xc3\xbcl',"
               "'LastName':'O\\u0027Neill & Co','EmailAddress':'a@b.example',"
               "'PreferredAgentID':7,'PreferredAgentSpecified':true,"
               "'PhoneNumber':{'IntCode':'353','AreaCode':'91','PhoneNo':'555'},"
               "'Address':{'AddressLine1':'1 Main','PostCode':'D01'},"
               "'CustomFieldList':{'OWCustomField':["
               "{'Name':'Tier','Text':'gold','IsTextVisible':true},"
               "{'Name':'A','Text':'','IsTextVisible':false}]}}}");
    assert_row(1, "{'CampaignID':101,'contact':{" NUMBERS ",'SkillsetID':2}}");
    job_rows_release(&rows);
}

static void lines(void **state)
{
    (void)state;
    assert_int_equal(PARSE(CONTACTS_NDJSON, "{\"skillsetId\":1}\r\n\n  \t\r\n{\"skillsetId\":2}\n"
                                            "{\"skillsetId\":3}"),
                     CG_OK);
    assert_int_equal(rows.num_rows, 3);
    assert_row(2, "{'CampaignID':101,'contact':{" NUMBERS ",'SkillsetID':3}}");
    job_rows_release(&rows);
}

static void columns(void **state)
{
    (void)state;
    assert_int_equal(PARSE(CONTACTS_CSV,
                           "\xef\xbb\xbf"
                           "skillsetId,firstName,phoneNumber.phoneNo,custom.Tier,custom.a.b,"
                           "preferredAgentId,preferredAgentSpecified,address.country\r\n"
                           "10001,\"Ann, \"\"A\"\"\",0555,gold,x,7,FALSE,\r\n"
                           "-2,,,,,,,Ireland\r\n"
                           "3,,,\"two\nlines\",,,1,\r\n"),
                     CG_OK);
    assert_int_equal(rows.num_rows, 3);
    assert_row(0, "{'CampaignID':101,'contact':{'ContactID':0,'SkillsetID':10001,"
                  "'FirstName':'Ann, \\u0022A\\u0022','PhoneNumber':{'PhoneNo':'0555'},"
                  "'PreferredAgentID':7,'PreferredAgentSpecified':false,"
                  "'CustomFieldList':{'OWCustomField':["
                  "{'Name':'Tier','Text':'gold','IsTextVisible':true},"
                  "{'Name':'a.b','Text':'x','IsTextVisible':true}]}}}");
    assert_row(1, "{'CampaignID':101,'contact':{" NUMBERS
                  ",'SkillsetID':-2,'Address':{'Country':'Ireland'}}}");
    assert_row(2,
               "{'CampaignID':101,'contact':{'ContactID':0,'PreferredAgentID':0,"
               "'PreferredAgentSpecified':true,'SkillsetID':3,'CustomFieldList':{'OWCustomField':["
               "{'Name':'Tier','Text':'two\\nlines','IsTextVisible':true}]}}}");
    job_rows_release(&rows);
}

/* The first bad row: "row pointer", "2 /skillsetId"; "" when it is the body. */
static const char *refused(int rc)
{
    static char text[320];

    assert_int_equal(rc, CG_E_INVALID);
    assert_int_equal(rows.num_rows, 0);
    assert_null(rows.rows);
    assert_true(error.rows[0].detail[0] != '\0');
    if (error.num_bad == 0)
        return "";
    snprintf(text, sizeof(text), "%zu %s", error.rows[0].row, error.rows[0].pointer);
    return text;
}

#define REFUSED(type, text) refused(PARSE(type, text))

static void bad_bodies(void **state)
{
    (void)state;
    assert_string_equal(REFUSED(CONTACTS_JSON, ""), "");
    assert_string_equal(REFUSED(CONTACTS_JSON, "[]"), "");
    assert_string_equal(REFUSED(CONTACTS_JSON, "7"), "");
    assert_string_equal(REFUSED(CONTACTS_JSON, "{"), "");
    assert_string_equal(REFUSED(CONTACTS_JSON, "\xff"), "");
    assert_string_equal(REFUSED(CONTACTS_NDJSON, ""), "");
    assert_string_equal(REFUSED(CONTACTS_NDJSON, "\n\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, ""), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,skillsetId\n1,1\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "SkillsetID\n1\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,\n1,2\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,phoneNumber\n1,2\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,customFieldList\n1,2\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,phoneNumber.\n1,2\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,phoneNumber.phoneNo.x\n1,2\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,.\n1,2\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,custom.\n1,2\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,sessionKey\n1,2\n"), "");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId\n1\n\"2\n"), "");
}

static void bad_rows(void **state)
{
    (void)state;
    assert_string_equal(REFUSED(CONTACTS_JSON, "{}"), "1 /skillsetId");
    assert_string_equal(REFUSED(CONTACTS_JSON, "[{\"skillsetId\":1},{\"skillsetId\":\"1\"}]"),
                        "2 /skillsetId");
    assert_string_equal(REFUSED(CONTACTS_JSON, "{\"skillsetId\":null}"), "1 /skillsetId");
    assert_string_equal(REFUSED(CONTACTS_JSON, "{\"skillsetId\":1.5}"), "1 /skillsetId");
    assert_string_equal(REFUSED(CONTACTS_JSON, "[[]]"), "1 ");
    assert_string_equal(REFUSED(CONTACTS_JSON, "{\"skillsetId\":1,\"SkillsetID\":1}"),
                        "1 /SkillsetID");
    assert_string_equal(REFUSED(CONTACTS_JSON, "{\"skillsetId\":1,\"sessionKey\":\"x\"}"),
                        "1 /sessionKey");
    assert_string_equal(REFUSED(CONTACTS_JSON, "{\"skillsetId\":1,\"phoneNumber\":\"5\"}"),
                        "1 /phoneNumber");
    assert_string_equal(
        REFUSED(CONTACTS_JSON, "{\"skillsetId\":1,\"phoneNumber\":{\"phoneNo\":5}}"),
        "1 /phoneNumber/phoneNo");
    assert_string_equal(
        REFUSED(CONTACTS_JSON, "{\"skillsetId\":1,\"phoneNumber\":{\"phoneNo\":\"\\u0001\"}}"),
        "1 /phoneNumber/phoneNo");
    assert_string_equal(
        REFUSED(CONTACTS_JSON,
                "{\"skillsetId\":1,\"customFieldList\":[{\"name\":\"a\"},{\"text\":\"\\u0002\"}]}"),
        "1 /customFieldList/1/text");
    assert_string_equal(REFUSED(CONTACTS_JSON, "{\"skillsetId\":1,\"customFieldList\":{}}"),
                        "1 /customFieldList");
    assert_string_equal(REFUSED(CONTACTS_JSON, "{\"skillsetId\":1,\"priority\":\"1\"}"),
                        "1 /priority");
    assert_string_equal(REFUSED(CONTACTS_NDJSON, "{\"skillsetId\":1}\n{\"skillsetId\":1\n"), "2 ");
    assert_string_equal(REFUSED(CONTACTS_NDJSON, "{\"skillsetId\":1} {\"skillsetId\":1}\n"), "1 ");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,title\n1,a\n,b\n"), "2 /skillsetId");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId\n0x1\n"), "1 /skillsetId");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId\n-\n"), "1 /skillsetId");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId\n+1\n"), "1 /skillsetId");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId\n9223372036854775808\n"),
                        "1 /skillsetId");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId\n11111111111111111111111111\n"),
                        "1 /skillsetId");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,preferredAgentSpecified\n1,yes\n"),
                        "1 /preferredAgentSpecified");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,phoneNumber.phoneNo\n1,\xff\n"),
                        "1 /phoneNumber/phoneNo");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,custom.a.b\n1,\xff\n"), "1 /custom.a.b");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,title\n1\n"), "1 ");
    assert_string_equal(REFUSED(CONTACTS_CSV, "skillsetId,title\n1,a,b\n"), "1 ");
}

/* Nothing that a row holds is told. */
static void details_hold_no_value(void **state)
{
    static const char *const bodies[] = {
        "{\"skillsetId\":\"secret\"}", "{\"skillsetId\":1,\"phoneNumber\":\"secret\"}",
        "{\"skillsetId\":1,\"firstName\":[\"secret\"]}",
        "{\"skillsetId\":1,\"firstName\":\"secret\\u0001\"}", "{\"secret\""};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); ++i) {
        refused(parse_with(plain, 0, -1, CONTACTS_JSON, bodies[i], strlen(bodies[i])));
        assert_null(strstr(error.rows[0].detail, "secret"));
    }
    refused(PARSE(CONTACTS_CSV, "skillsetId\nsecret\n"));
    assert_null(strstr(error.rows[0].detail, "secret"));
}

static void all_bad_rows_are_counted(void **state)
{
    char text[50 * 3 + 16] = "skillsetId\n";
    int i;

    (void)state;
    for (i = 0; i < 50; ++i)
        snprintf(text + strlen(text), 4, "%c\n", i % 2 ? 'x' : '1');
    assert_int_equal(parse_with(plain, 0, -1, CONTACTS_CSV, text, strlen(text)), CG_E_INVALID);
    assert_int_equal(error.num_rows, 50);
    assert_int_equal(error.num_bad, 25);
    assert_int_equal(error.rows[0].row, 2);
    assert_int_equal(error.rows[CONTACTS_TOLD_MAX - 1].row, 2 * CONTACTS_TOLD_MAX);
}

static void limits(void **state)
{
    static const char head[] = "skillsetId\n";
    size_t length = sizeof(head) - 1 + 2 * (CG_JOB_ROWS_MAX + 1), i;
    char *text = malloc(length + 1), *wide;

    (void)state;
    assert_non_null(text);
    memcpy(text, head, sizeof(head));
    for (i = sizeof(head) - 1; i < length; i += 2)
        memcpy(text + i, "1\n", 2);
    assert_int_equal(parse_with(plain, 0, -1, CONTACTS_CSV, text, length - 2), CG_OK);
    assert_int_equal(rows.num_rows, CG_JOB_ROWS_MAX);
    job_rows_release(&rows);
    assert_int_equal(parse_with(plain, 0, -1, CONTACTS_CSV, text, length), CG_E_LIMIT);
    assert_null(rows.rows);
    free(text);

    length = (size_t)CG_JOB_ROW_BYTES_MAX + 64;
    wide = malloc(length + 1);
    assert_non_null(wide);
    memset(wide, 'x', length);
    memcpy(wide, "{\"skillsetId\":1,\"title\":\"", 25);
    memcpy(wide + length - 2, "\"}", 2);
    assert_string_equal(refused(parse_with(plain, 0, -1, CONTACTS_JSON, wide, length)), "1 ");
    memset(wide, '[', length);
    assert_string_equal(refused(parse_with(plain, 0, -1, CONTACTS_JSON, wide, length)), "");
    memset(wide, ',', length);
    assert_string_equal(refused(parse_with(plain, 0, -1, CONTACTS_CSV, wide, length)), "");
    free(wide);
}

static void priority(void **state)
{
    static const char body[] = "[{\"skillsetId\":1},{\"skillsetId\":1,\"priority\":4}]";

    (void)state;
    assert_int_equal(parse_with(plain, 0, 3, CONTACTS_JSON, body, sizeof(body) - 1), CG_OK);
    assert_row(1, "{'CampaignID':101,'contact':{" NUMBERS ",'SkillsetID':1}}");
    job_rows_release(&rows);
    assert_int_equal(parse_with(variant, 0, 3, CONTACTS_JSON, body, sizeof(body) - 1), CG_OK);
    assert_row(0, "{'CampaignID':101,'contact':{" NUMBERS ",'SkillsetID':1},'priority':3}");
    assert_row(1, "{'CampaignID':101,'contact':{" NUMBERS ",'SkillsetID':1},'priority':4}");
    job_rows_release(&rows);
    assert_int_equal(parse_with(variant, 0, -1, CONTACTS_JSON, body, sizeof(body) - 1), CG_OK);
    assert_row(0, "{'CampaignID':101,'contact':{" NUMBERS ",'SkillsetID':1},'priority':1}");
    job_rows_release(&rows);
    assert_int_equal(parse_with(variant, 0, -1, CONTACTS_CSV, "skillsetId,priority\n1,2\n", 24),
                     CG_OK);
    assert_row(0, "{'CampaignID':101,'contact':{" NUMBERS ",'SkillsetID':1},'priority':2}");
    job_rows_release(&rows);
    assert_string_equal(
        refused(parse_with(variant, 0, INT32_MAX + 1LL, CONTACTS_JSON, "{\"skillsetId\":1}", 16)),
        "1 /priority");
}

/* ---- what is searched for, and what comes back ---- */

static void searches(void **state)
{
    static const char good[] =
        "{\"skillsetId\":1,\"phoneNumber\":{\"areaCode\":\"91\",\"phoneNo\":\"5\"}}";
    const struct contract_operation *op;
    json_t *arguments, *search, *wanted;

    (void)state;
    assert_string_equal(refused(parse_with(plain, 1, -1, CONTACTS_JSON, "{\"skillsetId\":1}", 16)),
                        "1 /phoneNumber/phoneNo");
    assert_string_equal(
        refused(parse_with(plain, 1, -1, CONTACTS_CSV, "skillsetId,phoneNumber.phoneNo\n1,\n", 34)),
        "1 /phoneNumber/phoneNo");
    assert_int_equal(parse_with(plain, 1, -1, CONTACTS_JSON, good, sizeof(good) - 1), CG_OK);
    arguments = json_loads(rows.rows[0].text, 0, NULL);
    search = contacts_search(plain, arguments, &op);
    assert_string_equal(op->name, "GetContactIDByPhoneNumber");
    wanted = support_json("{'phoneNumber':{'AreaCode':'91','PhoneNo':'5'},'CampaignID':101}");
    assert_true(json_equal(search, wanted));
    assert_null(contacts_search(variant, arguments, &op));
    assert_null(op);
    json_decref(wanted);
    json_decref(search);
    json_decref(arguments);
    job_rows_release(&rows);
}

static void results(void **state)
{
    static const char *const bad[] = {"{}", "{'a':'1'}", "{'a':1,'b':1}", "{'a':null}"};
    json_t *reply = support_json("{'value':-1}");
    int64_t value = 0;
    size_t i;

    (void)state;
    assert_int_equal(contacts_result(reply, &value), CG_OK);
    assert_int_equal(value, -1);
    json_decref(reply);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        reply = support_json(bad[i]);
        assert_int_equal(contacts_result(reply, &value), CG_E_PROTOCOL);
        json_decref(reply);
    }
    assert_int_equal(contacts_result(NULL, &value), CG_E_PROTOCOL);
}

static void sentences_are_blotted(void **state)
{
    json_t *arguments = support_json("{'CampaignID':1,'contact':{'FirstName':'Ann','Title':'M',"
                                     "'CustomFieldList':{'OWCustomField':[{'Text':'555 12'}]}}}");
    char sentence[] = "Contact ANN Annan (555 12) of M is not taken";

    (void)state;
    contacts_blot(sentence, arguments);
    assert_string_equal(sentence, "Contact *** ***an (******) of M is not taken");
    json_decref(arguments);
}

static int setup(void **state)
{
    (void)state;
    support_init();
    plain = support_load(CONTRACT_DIRECTORY);
    variant = support_load(OUTBOUND_DIRECTORY "/variant-priority");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    contract_free(&plain);
    contract_free(&variant);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv),
        cmocka_unit_test(bad_csv),
        cmocka_unit_test(one_object),
        cmocka_unit_test(all_members),
        cmocka_unit_test(lines),
        cmocka_unit_test(columns),
        cmocka_unit_test(bad_bodies),
        cmocka_unit_test(bad_rows),
        cmocka_unit_test(details_hold_no_value),
        cmocka_unit_test(all_bad_rows_are_counted),
        cmocka_unit_test(limits),
        cmocka_unit_test(priority),
        cmocka_unit_test(searches),
        cmocka_unit_test(results),
        cmocka_unit_test(sentences_are_blotted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
