/* GET of one resource. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/loop.h"
#include "cctgate/timestamp.h"
#include "gateway/rest/reading.h"

static void step(struct reading *reading);

/* Key-value bodies are written back as they are read: they have no place for `sync`, a header carries it. */
static int is_bare(enum record_kind kind)
{
    return kind == RECORD_CALL_DATA || kind == RECORD_CALL_INTRINSICS;
}

static char *put_session(char *at, uint32_t user)
{
    const struct session_view *view = &session_views[user];
    int64_t since = atomic_load(&view->healthy_since_ms);

    at = put_text(at, ",\"session\":{\"state\":\"");
    at = put_text(at, session_state_name((enum session_state)atomic_load(&view->state)));
    at = put_text(at, since != 0 ? "\",\"since\":\"" : "\",\"since\":null");
    if (since != 0) {
        at += timestamp_print(at, clock_told_ms(since));
        at = put_text(at, "\"");
    }
    return put_text(at, "}");
}

char *put_resource(char *at, enum record_kind kind, const struct record *record,
                   const struct freshness *f)
{
    size_t length = record->body_length;

    memcpy(at, record->body, length);
    at += length;
    if (is_bare(kind) || length < 2)
        return at;
    --at; /* the closing brace */
    if (kind == RECORD_USER)
        at = put_session(at, record->user);
    return put_sync(at, f, length == 2);
}

static h2o_iovec_t body_of(const struct request *request, const struct record *record,
                           const struct freshness *f)
{
    char *body = h2o_mem_alloc_pool(&request->h2o->pool, record->body_length + CG_SYNC_BYTES_MAX);
    char *end = put_resource(body, request->route->kind, record, f);

    return h2o_iovec_init(body, (size_t)(end - body));
}

static void put_etag(struct representation *r, const struct request *request,
                     const struct record *record, const struct freshness *f)
{
    char *at = put_hex(put_text(r->etag, "\""), record->version);

    at = put_text(at, f->label == SYNC_STALE ? "-s" : f->label == SYNC_LIVE ? "-l" : "-c");
    if (f->label == SYNC_STALE)
        at = put_hex(at, (uint64_t)clock_told_ms(f->stale_since_ms));
    if (request->route->kind == RECORD_USER) { /* the body shows the session */
        at = put_decimal(put_text(at, "-"), atomic_load(&session_views[record->user].state));
        at = put_hex(at, (uint64_t)clock_told_ms(
                             atomic_load(&session_views[record->user].healthy_since_ms)));
    }
    *put_text(at, "\"") = '\0';
}

static void put_cache_status(struct representation *r, const struct reading *reading,
                             const struct freshness *f, int failed)
{
    char *at = put_text(r->cache_status, "cctgate; ");

    if (reading->reason == FORWARD_NONE) {
        at = put_text(at, "hit");
    } else {
        at = put_text(put_text(at, "fwd="), freshness_reason_name(reading->reason));
        at = put_text(at, failed ? "; detail=served-stale" : "; stored");
        if (reading->collapsed)
            at = put_text(at, "; collapsed");
    }
    *put_decimal(put_text(at, "; ttl="), floor_seconds(f->ttl_ms)) = '\0';
}

static void put_sync_header(struct representation *r, const struct freshness *f)
{
    char *at = put_text(r->sync, sync_label_name(f->label));
    if (f->label == SYNC_STALE) {
        at = put_text(at, "; since=");
        at += timestamp_print(at, clock_told_ms(f->stale_since_ms));
    }
    *at = '\0';
}

static void count(struct front *front, const struct reading *reading, const struct freshness *f)
{
    if (reading->reason == FORWARD_NONE)
        COUNT(front, hits);
    else
        COUNT(front, misses);
    if (f->label == SYNC_STALE)
        COUNT(front, stale);
}

static void serve(struct reading *reading, const struct record *record, const struct freshness *f,
                  int failed)
{
    struct request *request = reading->request;
    struct representation r;
    int64_t age = f->label == SYNC_LIVE ? 0 : reading->now_ms - record->fetched_at_ms;
    int is_known;

    r.etag[0] = r.cache_status[0] = r.sync[0] = '\0';
    r.content_type = NULL;
    r.link = (h2o_iovec_t){NULL, 0};
    r.body = (h2o_iovec_t){NULL, 0};
    r.age_ms = age > 0 ? age : 0;
    if (reading->unkept == NULL) {
        put_etag(&r, request, record, f);
        put_cache_status(&r, reading, f, failed);
    } else {
        *put_text(r.cache_status,
                  reading->unkept->was_asked ? "cctgate; fwd=bypass" : "cctgate; hit") = '\0';
    }
    if (is_bare(request->route->kind))
        put_sync_header(&r, f);
    is_known = request_has(request, r.etag);
    if (!is_known)
        r.body = body_of(request, record, f);
    store_read_end(request->front->reader);
    count(request->front, reading, f);
    if (f->action == FRESHNESS_SERVE_AND_REFRESH && reading->reason == FORWARD_NONE)
        reading_refresh(reading, request->route->kind, request->id, request->id_length);
    respond_compared(request, is_known ? 304 : 200, &r);
}

void reading_absent(struct reading *reading, enum record_kind list)
{
    struct request *request = reading->request;
    int unknown;

    if (reading_members(reading, list, 1, &unknown))
        return;
    if (unknown && request->directives.only_if_cached)
        respond_problem(request, PROBLEM_NOT_CACHED, NULL, NULL);
    else if (unknown && reading->failure != NULL)
        respond_outcome(request, reading->failure);
    else
        respond_problem(request, PROBLEM_NOT_FOUND, NULL, NULL);
}

/* As it came, for nobody else. */
static void serve_unkept(struct reading *reading)
{
    struct record record = {.body = reading->unkept->unkept,
                            .body_length = strlen(reading->unkept->unkept),
                            .fetched_at_ms = reading->now_ms};
    struct freshness f = {.label = SYNC_CACHED};

    serve(reading, &record, &f, 0);
}

/* The record was asked for: it is served whatever its time-to-live, or the failure is told, or an older one covers for it. */
static void after_fetch(struct reading *reading, const struct record *record, struct freshness *f,
                        int found)
{
    struct request *request = reading->request;

    if (reading->failure == NULL && reading->unkept != NULL) {
        serve_unkept(reading);
        return;
    }
    if (reading->failure == NULL && found) {
        f->label = f->label == SYNC_STALE && f->ttl_ms > -1000 &&
                           record->expires_at_ms <= record->fetched_at_ms
                       ? SYNC_CACHED /* a time-to-live of 0: it was true when it was asked for */
                       : f->label;
        serve(reading, record, f, 0);
        return;
    }
    if (found && f->serve_on_error && reading->failure != NULL &&
        reading->failure->rc != CG_E_NOTFOUND) {
        if (f->label != SYNC_STALE) { /* inside its time, but known to be doubtful */
            f->label = SYNC_STALE;
            f->stale_since_ms = record->fetched_at_ms;
        }
        serve(reading, record, f, 1);
        return;
    }
    store_read_end(request->front->reader);
    if (reading->failure != NULL)
        respond_outcome(request, reading->failure);
    else
        respond_problem(request, PROBLEM_STORE, NULL, "the record could not be read back");
}

static int is_visible(const struct request *request, const struct record *record,
                      struct freshness_source *source)
{
    const struct access_user *user;

    if (request->route->kind != RECORD_USER) {
        struct viewpoint viewpoint = viewpoint_of(request);
        return viewpoint_sees(&viewpoint, request->route->kind, request->id, request->id_length,
                              record, source);
    }
    if ((user = access_find_user(request->access, request->id, request->id_length)) == NULL)
        return 0;
    *source = session_view_source(user->number);
    return !request->user_chosen || user->number == request->user->number;
}

static void step(struct reading *reading)
{
    struct request *request = reading->request;
    struct freshness_source source = {0};
    struct record record;
    struct freshness f;
    int found;

    if (store_read_begin(request->front->reader) != CG_OK) {
        respond_problem(request, PROBLEM_STORE, NULL, NULL);
        return;
    }
    found = store_get(request->front->reader, request->route->kind, request->id, request->id_length,
                      &record) == CG_OK;
    if (!is_visible(request, found ? &record : NULL, &source)) {
        store_read_end(request->front->reader);
        if (request->route->kind == RECORD_USER)
            respond_problem(request, PROBLEM_NOT_FOUND, NULL, NULL);
        else
            reading_absent(reading, reading_owned_kind(request->route->kind) == RECORD_CALL
                                        ? RECORD_USER_CALLS
                                        : RECORD_USER);
        return;
    }
    reading->now_ms = clock_steady_ms();
    f = reading_judge(reading, found ? &record : NULL, &source, reading->now_ms);
    if (reading->records_asked) {
        after_fetch(reading, &record, &f, found);
        return;
    }
    if (f.action == FRESHNESS_SERVE || f.action == FRESHNESS_SERVE_AND_REFRESH) {
        serve(reading, &record, &f, 0);
        return;
    }
    store_read_end(request->front->reader);
    if (f.action == FRESHNESS_NOTHING) {
        respond_problem(request, PROBLEM_NOT_CACHED, NULL, NULL);
        return;
    }
    reading->reason = f.reason;
    reading->records_asked = 1;
    reading_ask(reading, request->route->kind, request->id, request->id_length);
}

/* "me" is the token's only user, or the one that CCT-User chose. */
static int resolve_me(struct request *request)
{
    if (request->route->kind != RECORD_USER || strcmp(request->id, "me") != 0)
        return CG_OK;
    if (request->user == NULL) {
        respond_problem(request, PROBLEM_USER_REQUIRED, NULL, NULL);
        return CG_E_INVALID;
    }
    request->id_length = strlen(request->user->name);
    memcpy(request->id, request->user->name, request->id_length + 1);
    return CG_OK;
}

void read_one(struct request *request)
{
    if (resolve_me(request) == CG_OK)
        step(reading_new(request, step));
}
