#include "gateway/events/frame.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/events/label.h"
#include "gateway/events/text.h"

#define HEAD_BYTES_MAX 10
#define FINAL          0x80
#define KEY_PONG       1

struct frame *frame_ref(struct frame *frame)
{
    ++frame->references;
    return frame;
}

void frame_unref(struct frame **in)
{
    struct frame *frame = *in;

    *in = NULL;
    if (frame == NULL || --frame->references > 0)
        return;
    event_unref(&frame->event);
    label_unref(&frame->label);
    free(frame);
}

static struct frame *frame_new(size_t capacity)
{
    struct frame *frame = malloc(sizeof(*frame) + capacity);

    if (frame == NULL)
        abort();
    frame->references = 1;
    frame->length = 0;
    frame->key = 0;
    frame->event = NULL;
    frame->label = NULL;
    return frame;
}

static size_t put_head(unsigned char *head, unsigned opcode, size_t length)
{
    size_t bytes = length < 126 ? 0 : length < 65536 ? 2 : 8, i;

    head[0] = (unsigned char)(FINAL | opcode);
    head[1] = (unsigned char)(bytes == 0 ? length : bytes == 2 ? 126 : 127);
    for (i = 0; i < bytes; ++i)
        head[2 + i] = (unsigned char)((uint64_t)length >> (8 * (bytes - 1 - i)));
    return 2 + bytes;
}

struct frame *frame_bytes(const char *bytes, size_t length)
{
    struct frame *frame = frame_new(length);
    if (length > 0)
        memcpy(frame->bytes, bytes, length);
    frame->length = length;
    return frame;
}

struct frame *frame_websocket(unsigned opcode, const char *payload, size_t length)
{
    struct frame *frame = frame_new(HEAD_BYTES_MAX + length);
    size_t head = put_head((unsigned char *)frame->bytes, opcode, length);

    if (length > 0)
        memcpy(frame->bytes + head, payload, length);
    frame->length = head + length;
    return frame;
}

struct frame *frame_pong(const char *payload, size_t length)
{
    struct frame *frame = frame_websocket(FRAME_PONG, payload, length);
    frame->key = KEY_PONG;
    return frame;
}

int frame_is_pong(const struct frame *frame)
{
    return frame->key == KEY_PONG;
}

/* A line break inside JSON text is white space; server-sent events would take it for the end of the line. */
static void add_line(struct text *text, const char *json, size_t length)
{
    char *at = text_reserve(text, length + 1);
    size_t i;

    memcpy(at, json, length);
    text->length += length;
    if (memchr(at, '\n', length) == NULL && memchr(at, '\r', length) == NULL)
        return;
    for (i = 0; i < length; ++i)
        if (at[i] == '\n' || at[i] == '\r')
            at[i] = ' ';
}

struct frame *frame_message(enum label_kind kind, const char *name, const char *id,
                            const char *json, size_t length)
{
    struct text text = {NULL, 0, 0};
    struct frame *frame;

    if (kind == LABEL_WEBSOCKET) {
        text_add_string(&text, "{\"op\":\"");
        text_add_string(&text, name);
        text_add_string(&text, length > 2 ? "\"," : "\"");
        text_add(&text, json + 1, length - 1);
        frame = frame_websocket(FRAME_TEXT, text.bytes, text.length);
    } else {
        if (id != NULL) {
            text_add_string(&text, "id: ");
            text_add_string(&text, id);
            text_add(&text, "\n", 1);
        }
        text_add_string(&text, "event: ");
        text_add_string(&text, name);
        text_add_string(&text, "\ndata: ");
        add_line(&text, json, length);
        text_add_string(&text, "\n\n");
        frame = frame_bytes(text.bytes, text.length);
    }
    text_release(&text);
    return frame;
}

/* ---- events ---- */

static void add_event_json(struct text *text, const struct event *event, unsigned coalesced)
{
    size_t length = event->json_length;

    if (coalesced == 0 || length < 2) {
        add_line(text, event->json, length);
        return;
    }
    add_line(text, event->json, length - 1); /* without its closing brace */
    text_add_string(text, length == 2 ? "\"coalesced\":" : ",\"coalesced\":");
    text_add_number(text, coalesced);
    text_add(text, "}", 1);
}

static void add_websocket(struct text *text, const struct label *label, const struct event *event,
                          unsigned coalesced)
{
    text_add_string(text, "{\"op\":\"event\",\"id\":");
    text_add(text, label->id, label->id_length);
    if (coalesced > 0) {
        text_add_string(text, ",\"coalesced\":");
        text_add_number(text, coalesced);
    }
    text_add_string(text, ",\"event\":");
    add_event_json(text, event, coalesced);
    text_add(text, "}", 1);
}

static void add_sse(struct text *text, const struct label *label, const struct event *event,
                    unsigned coalesced, uint64_t epoch)
{
    if (label->kind == LABEL_SSE) {
        text_add_string(text, "id: ");
        text_add_number(text, epoch);
        text_add(text, "-", 1);
        text_add_number(text, event->seq);
        text_add(text, "\n", 1);
    }
    text_add_string(text, "event: ");
    text_add_string(text, event_types[event->type].name);
    text_add_string(text, "\ndata: ");
    add_event_json(text, event, coalesced);
    text_add_string(text, "\n\n");
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; ++text)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return (hash ^ 0xff) * UINT64_C(1099511628211);
}

static void set_key(struct frame *frame, struct label *label, struct event *event)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ label->hash ^ (uint64_t)event->type;

    if (!event_types[event->type].is_property || event->property == NULL)
        return;
    hash = hash_text(hash_text(hash, event->subject), event->property);
    frame->key = hash > KEY_PONG ? hash : KEY_PONG + 1;
    frame->event = event_ref(event);
    frame->label = label_ref(label);
}

struct frame *frame_event(struct label *label, struct event *event, unsigned coalesced,
                          uint64_t epoch)
{
    struct text text = {NULL, 0, 0};
    struct frame *frame;

    text_reserve(&text, event->json_length + label->id_length + 160);
    if (label->kind == LABEL_WEBSOCKET) {
        add_websocket(&text, label, event, coalesced);
        frame = frame_websocket(FRAME_TEXT, text.bytes, text.length);
    } else {
        add_sse(&text, label, event, coalesced, epoch);
        frame = frame_bytes(text.bytes, text.length);
    }
    text_release(&text);
    set_key(frame, label, event);
    return frame;
}

int frame_supersedes(const struct frame *newer, const struct frame *older)
{
    const struct event *a = newer->event, *b = older->event;

    if (newer->key == 0 || newer->key != older->key)
        return 0;
    if (a == NULL || b == NULL)
        return a == b; /* pongs */
    return newer->label == older->label && a->type == b->type &&
           strcmp(a->subject, b->subject) == 0 && strcmp(a->property, b->property) == 0;
}
