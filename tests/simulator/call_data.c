#include "calls.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"

void contact_data_clear(struct attached_data *data)
{
    for (size_t i = 0; i < data->pair_count; i++) {
        free(data->pairs[i].key);
        free(data->pairs[i].value);
    }
    free(data->pairs);
    free(data->text);
    free(data->bytes);
    *data = (struct attached_data){0};
}

void contact_data_add_pair(struct attached_data *data, const char *key, const char *value)
{
    data->type = DATA_KEY_VALUE;
    data->pairs = mem_resize(data->pairs, data->pair_count + 1, sizeof(*data->pairs));
    data->pairs[data->pair_count++] =
        (struct key_value){.key = mem_strdup(key), .value = mem_strdup(value)};
}

void contact_data_copy(struct attached_data *to, const struct attached_data *from)
{
    contact_data_clear(to);
    to->type = from->type;
    for (size_t i = 0; i < from->pair_count; i++)
        contact_data_add_pair(to, from->pairs[i].key, from->pairs[i].value);
    if (from->text != NULL)
        to->text = mem_strdup(from->text);
    if (from->byte_count > 0) {
        to->bytes = mem_new(from->byte_count, 1);
        memcpy(to->bytes, from->bytes, from->byte_count);
        to->byte_count = from->byte_count;
    }
}

struct intrinsic *contact_intrinsic(const struct contact *contact, const char *key)
{
    for (size_t i = 0; i < contact->intrinsic_count; i++) {
        if (strcmp(contact->intrinsics[i].key, key) == 0)
            return &contact->intrinsics[i];
    }
    return NULL;
}

void contact_intrinsic_put(struct contact *contact, const char *key, const char *value,
                           bool immutable)
{
    struct intrinsic *slot = contact_intrinsic(contact, key);
    if (slot == NULL) {
        contact->intrinsics = mem_resize(contact->intrinsics, contact->intrinsic_count + 1,
                                         sizeof(*contact->intrinsics));
        slot = &contact->intrinsics[contact->intrinsic_count++];
        *slot = (struct intrinsic){.key = mem_strdup(key)};
    }
    set_text(&slot->value, value);
    slot->immutable = immutable;
}

void contact_message_add(struct contact *contact, const char *message, const char *sender,
                         const char *type, const char *time_stamp)
{
    contact->messages =
        mem_resize(contact->messages, contact->message_count + 1, sizeof(*contact->messages));
    contact->messages[contact->message_count++] =
        (struct instant_message){.message = mem_strdup(message),
                                 .sender = mem_strdup(sender),
                                 .type = mem_strdup(type),
                                 .time_stamp = mem_strdup(time_stamp)};
}

void contact_copy_all_data(struct contact *to, const struct contact *from)
{
    contact_data_copy(&to->data, &from->data);
    for (size_t i = 0; i < from->intrinsic_count; i++) {
        const struct intrinsic *in = &from->intrinsics[i];
        contact_intrinsic_put(to, in->key, in->value, in->immutable);
    }
    set_text(&to->uui, from->uui);
}

void contact_free_data(struct contact *contact)
{
    contact_data_clear(&contact->data);
    for (size_t i = 0; i < contact->intrinsic_count; i++) {
        free(contact->intrinsics[i].key);
        free(contact->intrinsics[i].value);
    }
    free(contact->intrinsics);
    for (size_t i = 0; i < contact->message_count; i++) {
        free(contact->messages[i].message);
        free(contact->messages[i].sender);
        free(contact->messages[i].type);
        free(contact->messages[i].time_stamp);
    }
    free(contact->messages);
    for (size_t i = 0; i < contact->extra_count; i++) {
        free(contact->extras[i].key);
        free(contact->extras[i].value);
    }
    free(contact->extras);
}
