/*
 * GET of a list: a page of ids from the index, each with the record that its own resource would show. A list has no record of its own,
 * so nothing about it can be older than its parts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/loop.h"
#include "gateway/rest/reading.h"

struct sum {
    h2o_buffer_t *body;
    uint64_t etag;
    int64_t ttl_ms, age_ms;
    size_t items, missing;
    int64_t stale_since_ms; /* the earliest; 0: nothing is stale */
    int live;               /* every item is */
};

static void step(struct reading *reading);

static void append(struct sum *sum, const char *text, size_t length)
{
    h2o_iovec_t room = h2o_buffer_reserve(&sum->body, length);
    if (room.base == NULL)
        abort();
    memcpy(room.base, text, length);
    sum->body->size += length;
}

static void mix(struct sum *sum, uint64_t value)
{
    sum->etag = (sum->etag ^ value) * UINT64_C(1099511628211);
    sum->etag ^= sum->etag >> 32;
}

static void add_stale(struct sum *sum, int64_t since_ms)
{
    if (sum->stale_since_ms == 0 || since_ms < sum->stale_since_ms)
        sum->stale_since_ms = since_ms;
}

static void add_record(struct sum *sum, const struct record *record, const struct freshness *f,
                       int64_t now)
{
    char tail[128];
    size_t length = record->body_length;

    if (sum->items++ > 0)
        append(sum, ",", 1);
    append(sum, record->body, length - 1);
    append(sum, tail, (size_t)(put_sync(tail, f, length == 2) - tail));
    mix(sum, record->version);
    mix(sum, (uint64_t)f->label ^ (uint64_t)f->stale_since_ms);
    if (f->label == SYNC_STALE)
        add_stale(sum, f->stale_since_ms);
    if (f->ttl_ms < sum->ttl_ms)
        sum->ttl_ms = f->ttl_ms;
    if (f->label != SYNC_LIVE)
        sum->live = 0;
    if (f->label == SYNC_LIVE && sum->age_ms < 0)
        sum->age_ms = 0;
    if (f->label != SYNC_LIVE && now - record->fetched_at_ms > sum->age_ms)
        sum->age_ms = now - record->fetched_at_ms;
}

/* Known to exist, but nothing more could be had of it: its identity, labelled. */
static void add_identity(struct sum *sum, enum record_kind kind, const struct id *id, int64_t now)
{
    static const char *const keys[RECORD_KINDS] = {[RECORD_AGENT] = "loginId",
                                                   [RECORD_TERMINAL] = "name",
                                                   [RECORD_ADDRESS] = "name",
                                                   [RECORD_CALL] = "contactId",
                                                   [RECORD_USER] = "user"};
    struct freshness f = {0};
    json_t *object = json_object();
    char tail[128], *text;

    json_object_set_new(object, keys[kind], json_stringn(id->bytes, id->length));
    text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (text == NULL)
        return;
    f.label = SYNC_STALE;
    f.stale_since_ms = now;
    if (sum->items++ > 0)
        append(sum, ",", 1);
    append(sum, text, strlen(text) - 1);
    append(sum, tail, (size_t)(put_sync(tail, &f, 0) - tail));
    free(text);
    mix(sum, (uint64_t)now);
    add_stale(sum, now);
    ++sum->missing;
}

static int source_of(const struct request *request, enum record_kind kind, const struct id *id,
                     const struct record *record, struct freshness_source *source)
{
    if (kind != RECORD_USER) {
        struct viewpoint viewpoint = viewpoint_of(request);
        return viewpoint_sees(&viewpoint, kind, id->bytes, id->length, record, source);
    }
    *source = session_view_source(record->user);
    return 1;
}

/* 1: its record is to be fetched first */
static int add_item(struct reading *reading, struct sum *sum, enum record_kind kind,
                    const struct id *id, int64_t now)
{
    struct request *request = reading->request;
    struct freshness_source source = {0};
    struct record record;
    struct freshness f;
    int found = store_get(request->front->reader, kind, id->bytes, id->length, &record) == CG_OK;

    if (found &&
        ((record.flags & RECORD_ENDED) != 0 || !source_of(request, kind, id, &record, &source)))
        return 0;
    f = reading_judge(reading, found ? &record : NULL, &source, now);
    if (f.action == FRESHNESS_FETCH && !reading->records_asked) {
        if (reading->reason == FORWARD_NONE)
            reading->reason = f.reason;
        return 1;
    }
    if (!found || (f.action == FRESHNESS_FETCH && !f.serve_on_error && reading->failure != NULL)) {
        if (reading->failure == NULL || reading->failure->rc != CG_E_NOTFOUND)
            add_identity(sum, kind, id, now);
        return 0;
    }
    if (f.action == FRESHNESS_SERVE_AND_REFRESH && !reading->records_asked)
        reading_refresh(reading, kind, id->bytes, id->length);
    add_record(sum, &record, &f, now);
    return 0;
}

static h2o_iovec_t next_link(struct request *request, const struct page *page)
{
    const struct id *last = &page->ids[request->limit - 1];
    char *text = h2o_mem_alloc_pool(&request->h2o->pool, 128 + CG_ID_BYTES_MAX * 3), *at = text;

    at = put_text(put_text(put_text(at, "<"), request->route->path), "?limit=");
    at = put_text(put_decimal(at, request->limit), "&after=");
    at = put_segment(at, last->bytes, last->length);
    at = put_text(at, ">; rel=\"next\"");
    return h2o_iovec_init(text, (size_t)(at - text));
}

static void answer(struct reading *reading, struct sum *sum, const struct page *page)
{
    struct request *request = reading->request;
    struct representation r;
    struct freshness f = {0};
    char *at, tail[128];

    r.etag[0] = r.sync[0] = '\0';
    r.content_type = NULL;
    r.link = (h2o_iovec_t){NULL, 0};
    r.age_ms = sum->age_ms;
    if (reading->stale_since_ms != 0)
        add_stale(sum, reading->stale_since_ms);
    if (reading->incomplete)
        add_stale(sum, clock_steady_ms());
    mix(sum, (uint64_t)clock_told_ms(sum->stale_since_ms));
    mix(sum, (uint64_t)(sum->live && reading->live_lists));
    f.label = sum->stale_since_ms != 0           ? SYNC_STALE
              : sum->live && reading->live_lists ? SYNC_LIVE
                                                 : SYNC_CACHED;
    f.stale_since_ms = sum->stale_since_ms;
    append(sum, "]", 1);
    if (reading->incomplete)
        append(sum, ",\"incomplete\":true", 18);
    append(sum, tail, (size_t)(put_sync(tail, &f, 0) - tail));
    r.body = h2o_strdup(&request->h2o->pool, sum->body->bytes, sum->body->size);
    *put_text(put_hex(put_text(r.etag, "\"l"), sum->etag), "\"") = '\0';
    at = put_text(r.cache_status, "cctgate; ");
    if (reading->reason == FORWARD_NONE) {
        at = put_text(at, "hit");
        COUNT(request->front, hits);
    } else {
        at = put_text(put_text(put_text(at, "fwd="), freshness_reason_name(reading->reason)),
                      reading->failure != NULL ? "; detail=served-stale" : "; stored");
        if (reading->collapsed)
            at = put_text(at, "; collapsed");
        COUNT(request->front, misses);
    }
    if (sum->ttl_ms != INT64_MAX)
        at = put_decimal(put_text(at, "; ttl="), floor_seconds(sum->ttl_ms));
    *at = '\0';
    if (sum->stale_since_ms != 0)
        COUNT(request->front, stale);
    if (page->count > request->limit)
        r.link = next_link(request, page);
    respond(request, 200, &r);
}

/* 1: something was asked for, or a problem was sent */
static int fill(struct reading *reading, struct sum *sum, struct page *page)
{
    struct request *request = reading->request;
    size_t shown, i, asked = 0;
    int64_t now = clock_steady_ms();

    page_collect(page, request->after_length > 0 ? request->after : NULL, request->after_length);
    shown = page->count < request->limit ? page->count : request->limit;
    for (i = 0; i < shown; ++i) {
        if (add_item(reading, sum, page->kind, &page->ids[i], now)) {
            reading_ask(reading, page->kind, page->ids[i].bytes, page->ids[i].length);
            ++asked;
        }
    }
    reading->records_asked = 1;
    if (asked > 0)
        return 1;
    if (reading->failure != NULL && reading->failure->rc != CG_E_NOTFOUND &&
        (request->directives.no_cache || (sum->items > 0 && sum->missing == sum->items))) {
        respond_outcome(request, reading->failure);
        return 1;
    }
    return 0;
}

static void step(struct reading *reading)
{
    struct request *request = reading->request;
    struct page page = {
        NULL, 0, 0, viewpoint_of(request), request->route->kind, request->limit + 1};
    struct sum sum = {NULL, UINT64_C(14695981039346656037), INT64_MAX, -1, 0, 0, 0, 1};
    enum record_kind list = page.kind == RECORD_CALL ? RECORD_USER_CALLS : RECORD_USER;
    int unknown = 0;

    if (page.kind != RECORD_USER && !reading->records_asked &&
        reading_members(reading, list, 0, &unknown)) {
        reading->reason = request->directives.no_cache ? FORWARD_REQUEST : FORWARD_MISS;
        return;
    }
    if (unknown && request->directives.only_if_cached) {
        respond_problem(request, PROBLEM_NOT_CACHED, NULL, NULL);
        return;
    }
    if (store_read_begin(request->front->reader) != CG_OK) {
        respond_problem(request, PROBLEM_STORE, NULL, NULL);
        return;
    }
    h2o_buffer_init(&sum.body, &h2o_socket_buffer_prototype);
    append(&sum, "{\"items\":[", 10);
    if (!fill(reading, &sum, &page)) {
        if (unknown && sum.items == 0 && reading->failure != NULL)
            respond_outcome(request, reading->failure);
        else
            answer(reading, &sum, &page);
    }
    store_read_end(request->front->reader);
    h2o_buffer_dispose(&sum.body);
    page_release(&page);
}

void read_list(struct request *request)
{
    step(reading_new(request, step));
}
