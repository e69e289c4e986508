/*
 * What a fault says is the contact centre's words, and goes to clients: where they repeat what we have sent, it is taken out. What names
 * an object (its id, name or type) stays, so that the words still say what they are about; all other texts might be a password, digits, a
 * number that was dialled, what a call carries.
 */
#include <ctype.h>
#include <string.h>

#include "gateway/contract/codec_error.h"
#include "gateway/upstream/session_private.h"

#define MASK        "***"
#define SHORT_BYTES 4 /* shorter texts count only as whole words: "1" is in many numbers */
#define VALUES_MAX  4096
#define DEPTH_MAX   32

static int is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static int is_alone(const char *message, const char *at, size_t length)
{
    return (at == message || !is_word(at[-1])) && !is_word(at[length]);
}

/* What the mask leaves no room for behind it is cut off; so is the mask, if need be. */
static void take_out(char *message, size_t size, char *at, size_t length)
{
    size_t left = size - (size_t)(at - message), rest = strlen(at + length) + 1, room;

    if (left < sizeof(MASK)) {
        *at = '\0';
        return;
    }
    room = left - strlen(MASK);
    if (rest > room) {
        rest = room;
        at[length + rest - 1] = '\0';
    }
    memmove(at + strlen(MASK), at + length, rest);
    memcpy(at, MASK, strlen(MASK));
}

/* The message may have been cut within it. */
static void take_out_beginning(char *message, size_t size, const char *text, size_t length)
{
    size_t whole = strlen(message), part = length - 1;

    if (whole + 8 < size)
        return;
    for (; part >= SHORT_BYTES; --part)
        if (part <= whole && memcmp(message + whole - part, text, part) == 0) {
            take_out(message, size, message + whole - part, part);
            return;
        }
}

void session_mask(char *message, size_t size, const char *secret)
{
    char text[CG_ERROR_TEXT_MAX], *at = message;
    size_t length;

    codec_clean(text, sizeof(text), secret);
    if ((length = strlen(text)) == 0)
        return;
    while ((at = strstr(at, text)) != NULL) {
        if (length >= SHORT_BYTES || is_alone(message, at, length)) {
            take_out(message, size, at, length);
            at += strlen(at) < strlen(MASK) ? strlen(at) : strlen(MASK);
        } else {
            ++at;
        }
    }
    take_out_beginning(message, size, text, length);
}

/* "agentLoginId", "terminalName", "addressType", "provider" */
static int names_something(const char *member)
{
    static const char *const ends[] = {"Id", "Name", "Type", "provider", "status"};
    size_t i, length = strlen(member);

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); ++i) {
        size_t end = strlen(ends[i]);
        if (length >= end && strcmp(member + length - end, ends[i]) == 0)
            return 1;
    }
    return 0;
}

struct walk {
    char *message;
    size_t size, values;
};

/* As deep as our own bodies may be (CG_JSON_DEPTH_MAX). */
static void mask_value(struct walk *walk, const json_t *value, int depth)
{
    const char *member;
    json_t *inner;
    size_t i;

    if (depth > DEPTH_MAX || ++walk->values > VALUES_MAX)
        return;
    if (json_is_string(value))
        session_mask(walk->message, walk->size, json_string_value(value));
    json_array_foreach((json_t *)(uintptr_t)value, i, inner) mask_value(walk, inner, depth + 1);
    json_object_foreach((json_t *)(uintptr_t)value, member, inner)
    {
        if (!names_something(member))
            mask_value(walk, inner, depth + 1);
    }
}

void session_mask_fault(struct codec_fault *fault, const char *token, const json_t *arguments)
{
    struct walk walk = {fault->message, sizeof(fault->message), 0};

    if (fault->message[0] == '\0')
        return;
    if (token != NULL)
        session_mask(fault->message, sizeof(fault->message), token);
    mask_value(&walk, arguments, 0);
    if (walk.values > VALUES_MAX) /* too much to look through: then nothing is said */
        fault->message[0] = '\0';
}
