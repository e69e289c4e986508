/* Whatever decodes as an event is written again as the same bytes, and can be looked at in every way. */
#include "cctgate/error.h"
#include "cctgate/event.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static size_t look_at(const struct event *event)
{
    const struct access_user user = {.number = 7};
    const struct access access = {.users = &user, .num_users = 1};
    char *subjects[] = {"/v1/calls"}, *agents[] = {"4711"};
    const struct event_filter filter = {
        .subjects = subjects, .agents = agents, .num_subjects = 1, .num_agents = 1};
    return (size_t)event_is_visible(event, &access) + (size_t)event_filter_matches(&filter, event) +
           (event->property != NULL ? strlen(event->property) : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct event *event;
    if (event_decode(&event, 1, bytes, length) != CG_OK)
        return 0;
    size_t again_length;
    void *again = event_encode(event, &again_length);
    if (again == NULL || again_length != length || memcmp(again, bytes, length) != 0 ||
        look_at(event) > length + 2)
        abort();
    free(again);
    event_unref(&event);
    return 0;
}
