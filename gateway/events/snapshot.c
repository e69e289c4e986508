#include "gateway/events/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"

#define PAGE_IDS    64
#define RELATED_MAX 65536

static const struct {
    enum record_kind kind;
    const char *path;
    const char *member, *id; /* where an agent's record names them; `id`: in objects */
} kinds[] = {{RECORD_AGENT, "/v1/agents/", NULL, NULL},
             {RECORD_TERMINAL, "/v1/terminals/", "terminals", NULL},
             {RECORD_ADDRESS, "/v1/addresses/", "addresses", NULL},
             {RECORD_CALL, "/v1/calls/", "calls", "contactId"}};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* An object that belongs to an agent whom the filter names. */
struct related {
    size_t kind;
    char *id;
    size_t agent; /* which of the filter's */
};

struct snapshot {
    size_t kind;
    int has_begun;
    size_t after_length; /* 0: at the beginning of the kind */
    char after[CG_ID_BYTES_MAX + 1];
    struct related *related;
    size_t num_related, capacity;
};

struct snapshot *snapshot_new(void)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL)
        abort();
    return snapshot;
}

void snapshot_free(struct snapshot **in)
{
    struct snapshot *snapshot = *in;
    size_t i;

    *in = NULL;
    if (snapshot == NULL)
        return;
    for (i = 0; i < snapshot->num_related; ++i)
        free(snapshot->related[i].id);
    free(snapshot->related);
    free(snapshot);
}

/* ---- what belongs to the filter's agents ---- */

static int by_kind_and_id(const void *a, const void *b)
{
    const struct related *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return strcmp(x->id, y->id);
}

static void add_related(struct snapshot *snapshot, size_t kind, const char *id, size_t agent)
{
    if (id == NULL || snapshot->num_related >= RELATED_MAX)
        return;
    if (snapshot->num_related == snapshot->capacity) {
        size_t capacity = snapshot->capacity == 0 ? 64 : snapshot->capacity * 2;
        struct related *related = reallocarray(snapshot->related, capacity, sizeof(*related));
        if (related == NULL)
            abort();
        snapshot->related = related;
        snapshot->capacity = capacity;
    }
    snapshot->related[snapshot->num_related] = (struct related){kind, strdup(id), agent};
    if (snapshot->related[snapshot->num_related++].id == NULL)
        abort();
}

static void add_members(struct snapshot *snapshot, const json_t *json, size_t kind, size_t agent)
{
    const json_t *set = json_object_get(json, kinds[kind].member), *item;
    size_t i;

    json_array_foreach(set, i, item)
    {
        if (kinds[kind].id != NULL)
            item = json_object_get(item, kinds[kind].id);
        add_related(snapshot, kind, json_string_value(item), agent);
    }
}

static void relate_agent(struct snapshot *snapshot, const struct snapshot_view *view, size_t agent)
{
    const char *id = view->filter->agents[agent];
    struct record record;
    json_t *json;
    size_t kind;

    add_related(snapshot, 0, id, agent);
    if (!viewpoint_sees(&view->viewpoint, RECORD_AGENT, id, strlen(id), NULL, NULL) ||
        store_get(view->viewpoint.reader, RECORD_AGENT, id, strlen(id), &record) != CG_OK ||
        (json = json_loadb(record.body, record.body_length, 0, NULL)) == NULL)
        return;
    for (kind = 1; kind < KINDS; ++kind)
        add_members(snapshot, json, kind, agent);
    json_decref(json);
}

static void begin(struct snapshot *snapshot, const struct snapshot_view *view)
{
    size_t i;

    snapshot->has_begun = 1;
    for (i = 0; i < view->filter->num_agents; ++i)
        relate_agent(snapshot, view, i);
    if (snapshot->num_related > 0)
        qsort(snapshot->related, snapshot->num_related, sizeof(*snapshot->related), by_kind_and_id);
}

static int is_covered(const struct snapshot *snapshot, const struct snapshot_view *view,
                      const struct id *id, const char *subject)
{
    char text[CG_ID_BYTES_MAX + 1];
    struct related key = {snapshot->kind, text, 0};
    const struct related *found;

    if (view->filter->num_agents == 0)
        return event_filter_covers(view->filter, subject, NULL);
    if (snapshot->num_related == 0)
        return 0;
    memcpy(text, id->bytes, id->length);
    text[id->length] = '\0';
    found = bsearch(&key, snapshot->related, snapshot->num_related, sizeof(key), by_kind_and_id);
    return found != NULL &&
           event_filter_covers(view->filter, subject, view->filter->agents[found->agent]);
}

/* ---- items ---- */

static void add_item(const struct snapshot *snapshot, const struct snapshot_view *view,
                     const struct id *id, struct text *items)
{
    enum record_kind kind = kinds[snapshot->kind].kind;
    struct freshness_source source = {0};
    struct freshness_directives directives;
    char subject[32 + CG_ID_BYTES_MAX * 3];
    struct record record;
    struct freshness f;
    char *at;

    *put_segment(put_text(subject, kinds[snapshot->kind].path), id->bytes, id->length) = '\0';
    if (!is_covered(snapshot, view, id, subject) ||
        store_get(view->viewpoint.reader, kind, id->bytes, id->length, &record) != CG_OK ||
        (record.flags & RECORD_ENDED) != 0 ||
        !viewpoint_sees(&view->viewpoint, kind, id->bytes, id->length, &record, &source))
        return;
    freshness_directives_init(&directives);
    f = record_judge(view->config, &directives, &record, &source, view->now_ms);
    at = text_reserve(items, strlen(subject) + record.body_length + CG_SYNC_BYTES_MAX + 64);
    at = put_text(at, items->length > 0 ? ",{\"subject\":\"" : "{\"subject\":\"");
    at = put_text(put_text(at, subject), "\",\"data\":");
    at = put_text(put_resource(at, kind, &record, &f), "}");
    items->length = (size_t)(at - items->bytes);
}

static void go_on_after(struct snapshot *snapshot, const struct id *id)
{
    memcpy(snapshot->after, id->bytes, id->length);
    snapshot->after_length = id->length;
}

/* One page of the kind; 1: there may be more of it. */
static int add_page(struct snapshot *snapshot, const struct snapshot_view *view, struct text *items,
                    size_t bytes_max, unsigned *records)
{
    struct page page = {NULL, 0, 0, view->viewpoint, kinds[snapshot->kind].kind, PAGE_IDS};
    size_t i, count;

    page_collect(&page, snapshot->after_length > 0 ? snapshot->after : NULL,
                 snapshot->after_length);
    count = page.count;
    for (i = 0; i < count && items->length<bytes_max && * records> 0; ++i, --*records) {
        add_item(snapshot, view, &page.ids[i], items);
        go_on_after(snapshot, &page.ids[i]);
    }
    page_release(&page);
    return count == PAGE_IDS || i < count;
}

int snapshot_next(struct snapshot *snapshot, const struct snapshot_view *view, struct text *items,
                  size_t bytes_max, unsigned *records)
{
    if (!snapshot->has_begun)
        begin(snapshot, view);
    while (snapshot->kind < KINDS) {
        if (items->length >= bytes_max || *records == 0)
            return 0;
        if (add_page(snapshot, view, items, bytes_max, records))
            continue;
        ++snapshot->kind;
        snapshot->after_length = 0;
    }
    return 1;
}
