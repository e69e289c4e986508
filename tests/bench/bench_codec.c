/*
 * What the codec costs: one JSON object per figure on standard output, for a small reply, a notification of about 2 KB and
 * a large list, each decoded (SOAP to JSON) and encoded (JSON to SOAP).
 *   bench_codec [contract directory]    (default: conf/contract)
 */
#include "cctgate/codec.h"
#include "cctgate/contract.h"
#include "cctgate/error.h"
#include "cctgate/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGENTS          1000
#define MEASURE_S       0.7
#define SAMPLE_SIZE_MAX 16384

/* What is measured: one message, as XML and as JSON. */
struct subject {
    const char *name;
    const struct contract *contract;
    const struct contract_operation *op;
    int is_request;
    json_t *value;
    struct codec_buffer xml;
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const struct subject *subject, const char *what, double value, const char *unit)
{
    printf("{\"bench\":\"codec\",\"figure\":\"%s, %zu bytes of XML: "
           "%s\",\"value\":%.1f,\"unit\":\"%s\"}\n",
           subject->name, subject->xml.length, what, value, unit);
    fflush(stdout);
}

static void check(int rc, const char *what, const struct codec_error *error)
{
    if (rc == CG_OK)
        return;
    fprintf(stderr, "bench_codec: %s: %s%s%s\n", what, cg_error_name(rc), error ? ": " : "",
            error ? error->text : "");
    exit(1);
}

static const struct contract_operation *find(const struct contract *contract, const char *service,
                                             const char *operation)
{
    const struct contract_operation *op = contract_find(contract, service, operation);
    check(op ? CG_OK : CG_E_NOTFOUND, operation, NULL);
    return op;
}

static int encode(const struct subject *subject, struct codec_buffer *out,
                  struct codec_error *error)
{
    if (subject->is_request)
        return codec_encode_request(subject->op, SOAP_1_1, subject->value, NULL, out, error);
    return codec_encode_response(subject->op, SOAP_1_1, subject->value, out, error);
}

static int decode(const struct subject *subject, json_t **value, struct codec_error *error)
{
    if (!subject->is_request) {
        struct codec_fault fault = {0};
        int rc = codec_decode_response(subject->op, subject->xml.bytes, subject->xml.length, value,
                                       &fault, error);
        codec_fault_release(&fault);
        return rc;
    }
    const struct contract_operation *op;
    char *token = NULL;
    int rc = codec_decode_request(subject->contract, subject->op->service->name, subject->xml.bytes,
                                  subject->xml.length, &op, value, &token, error);
    free(token);
    return rc;
}

static void once_encode(const struct subject *subject)
{
    struct codec_buffer out = {0};
    struct codec_error error;
    check(encode(subject, &out, &error), "encode", &error);
    codec_buffer_release(&out);
}

static void once_decode(const struct subject *subject)
{
    json_t *value = NULL;
    struct codec_error error;
    check(decode(subject, &value, &error), "decode", &error);
    json_decref(value);
}

static void measure(const struct subject *subject, const char *what,
                    void (*once)(const struct subject *))
{
    unsigned long rounds = 0;
    double begun = now_s(), spent;
    do {
        once(subject);
        rounds++;
        spent = now_s() - begun;
    } while (spent < MEASURE_S);
    report(subject, what, spent * 1e6 / (double)rounds, "us");
    report(subject, what, (double)rounds / spent, "ops/s");
}

/* The value must be what its own XML says, or the figures are of something else. */
static void run(struct subject *subject)
{
    struct codec_error error;
    check(encode(subject, &subject->xml, &error), subject->name, &error);
    json_t *again = NULL;
    check(decode(subject, &again, &error), subject->name, &error);
    check(json_equal(subject->value, again) ? CG_OK : CG_E_CORRUPT, subject->name, NULL);
    json_decref(again);
    measure(subject, "decode", once_decode);
    measure(subject, "encode", once_encode);
    codec_buffer_release(&subject->xml);
    json_decref(subject->value);
}

static json_t *sample(const struct contract *contract, const char *directory, const char *service,
                      const char *file)
{
    char path[4096], xml[SAMPLE_SIZE_MAX];
    snprintf(path, sizeof(path), "%s/cct/samples/%s", directory, file);
    FILE *stream = fopen(path, "r");
    check(stream ? CG_OK : CG_E_IO, path, NULL);
    size_t length = fread(xml, 1, sizeof(xml), stream);
    fclose(stream);

    const struct contract_operation *op;
    json_t *value = NULL;
    char *token = NULL;
    struct codec_error error;
    check(codec_decode_request(contract, service, xml, length, &op, &value, &token, &error), path,
          &error);
    free(token);
    return value;
}

static json_t *agents(void)
{
    json_t *list = json_array();
    for (int i = 0; i < AGENTS; i++) {
        char id[16], user[32];
        snprintf(id, sizeof(id), "%d", 2001 + i);
        snprintf(user, sizeof(user), "agent%d", 2001 + i);
        json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "agentLoginId", id, "userName", user,
                                              "agentType", "Agent"));
    }
    return json_pack("{s:o}", "agents", list);
}

int main(int argc, char **argv)
{
    const char *directory = argc > 1 ? argv[1] : "conf/contract";
    struct contract *contract = NULL;
    char error[CG_ERROR_TEXT_MAX];
    xml_init();
    double begun = now_s();
    if (contract_load(&contract, directory, error, sizeof(error)) != CG_OK) {
        fprintf(stderr, "bench_codec: %s\n", error);
        return 1;
    }
    printf("{\"bench\":\"codec\",\"figure\":\"loading the "
           "contract\",\"value\":%.1f,\"unit\":\"ms\"}\n",
           (now_s() - begun) * 1e3);

    const struct contract_operation *capabilities =
        find(contract, "AgentService", "GetCapabilities");
    run(&(struct subject){.name = "AgentService.GetCapabilities reply",
                          .contract = contract,
                          .op = capabilities,
                          .value = codec_example_output(capabilities, 1)});
    run(&(struct subject){
        .name = "NotificationConsumer.Notify",
        .contract = contract,
        .op = find(contract, "NotificationConsumer", "Notify"),
        .is_request = 1,
        .value = sample(contract, directory, "NotificationConsumer",
                        "NotificationConsumer.Notify.TerminalReadyStatus.request.xml")});
    run(&(struct subject){.name = "SessionService.GetAgents reply, 1000 agents",
                          .contract = contract,
                          .op = find(contract, "SessionService", "GetAgents"),
                          .value = agents()});
    contract_free(&contract);
    return 0;
}
