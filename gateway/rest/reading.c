#include "gateway/rest/reading.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/loop.h"
#include "cctgate/timestamp.h"

/* ---- text ---- */

char *put_decimal(char *at, int64_t value)
{
    char digits[20];
    size_t n = 0;
    uint64_t rest = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;

    if (value < 0)
        *at++ = '-';
    do
        digits[n++] = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

char *put_hex(char *at, uint64_t value)
{
    int shift = 60;
    while (shift > 0 && (value >> shift) == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[(value >> shift) & 15];
    return at;
}

int64_t floor_seconds(int64_t ms)
{
    return ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000);
}

char *put_segment(char *at, const char *id, size_t length)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t i;

    for (i = 0; i < length; ++i) {
        unsigned char c = (unsigned char)id[i];
        if (memchr(plain, c, sizeof(plain) - 1) != NULL) {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = "0123456789ABCDEF"[c >> 4];
            *at++ = "0123456789ABCDEF"[c & 15];
        }
    }
    return at;
}

char *put_sync(char *at, const struct freshness *f, int empty)
{
    at = put_text(at, empty ? "\"sync\":\"" : ",\"sync\":\"");
    at = put_text(at, sync_label_name(f->label));
    if (f->label != SYNC_STALE)
        return put_text(at, "\",\"staleSince\":null}");
    at = put_text(at, "\",\"staleSince\":\"");
    at += timestamp_print(at, clock_told_ms(f->stale_since_ms));
    return put_text(at, "\"}");
}

/* ---- asking the owner ---- */

static void ticket_free(struct ticket *ticket)
{
    fetch_outcome_unref(&ticket->failure);
    fetch_outcome_unref(&ticket->unkept);
    free(ticket);
}

/* What a read that sleeps must undo when its request goes; a hit never comes here. */
struct guard {
    struct reading *reading;
    struct policy *policy; /* keeps `access` valid across a reload */
};

static void on_dispose(void *data)
{
    struct guard *guard = data;
    struct reading *reading = guard->reading;
    if (h2o_timeout_is_linked(&reading->timeout))
        h2o_timeout_unlink(&reading->timeout);
    if (reading->ticket != NULL)
        reading->ticket->reading = NULL;
    fetch_outcome_unref(&reading->failure);
    fetch_outcome_unref(&reading->unkept);
    policy_unref(&guard->policy);
}

struct reading *reading_new(struct request *request, void (*step)(struct reading *))
{
    struct reading *reading = h2o_mem_alloc_pool(&request->h2o->pool, sizeof(*reading));
    memset(reading, 0, sizeof(*reading));
    reading->request = request;
    reading->step = step;
    return reading;
}

static void guard_reading(struct reading *reading)
{
    struct guard *guard;
    if (reading->guarded)
        return;
    guard = h2o_mem_alloc_shared(&reading->request->h2o->pool, sizeof(*guard), on_dispose);
    guard->reading = reading;
    guard->policy = policy_ref(reading->request->policy);
    reading->guarded = 1;
}

/* All answers of the round are here. */
static void round_over(struct ticket *ticket)
{
    struct reading *reading = ticket->reading;

    --ticket->front->in_progress;
    if (reading != NULL && ticket->front->stopped) {
        reading->ticket = NULL;
        h2o_timeout_unlink(&reading->timeout);
    } else if (reading != NULL) {
        reading->ticket = NULL;
        reading->collapsed = ticket->collapsed && !ticket->forwarded;
        fetch_outcome_unref(&reading->failure);
        reading->failure = ticket->failure;
        ticket->failure = NULL;
        fetch_outcome_unref(&reading->unkept);
        reading->unkept = ticket->unkept;
        ticket->unkept = NULL;
        h2o_timeout_unlink(&reading->timeout);
        reading->step(reading);
    }
    ticket_free(ticket);
}

static void on_fetched(struct message *message)
{
    struct owner_fetch *fetch = (struct owner_fetch *)message;
    struct ticket *ticket = fetch->data;

    if (fetch->waiter.collapsed)
        ticket->collapsed = 1;
    else
        ticket->forwarded = 1;
    if (fetch->outcome->rc != CG_OK &&
        (ticket->failure == NULL || ticket->failure->rc == CG_E_NOTFOUND)) {
        fetch_outcome_unref(&ticket->failure);
        ticket->failure = fetch_outcome_ref(fetch->outcome);
    }
    if (fetch->outcome->rc == CG_OK && fetch->outcome->unkept != NULL && ticket->unkept == NULL)
        ticket->unkept = fetch_outcome_ref(fetch->outcome);
    owner_fetch_free(&fetch);
    if (--ticket->outstanding == 0)
        round_over(ticket);
}

static void on_timeout(h2o_timeout_entry_t *entry)
{
    struct reading *reading = (struct reading *)((char *)entry - offsetof(struct reading, timeout));
    reading->ticket->reading = NULL;
    reading->ticket = NULL;
    respond_problem(
        reading->request, PROBLEM_UPSTREAM_TIMEOUT, NULL,
        "the answer takes longer than limits.requestTimeoutMs; it is still being fetched");
}

static struct ticket *ticket_of(struct reading *reading)
{
    struct front *front = reading->request->front;
    struct ticket *ticket;

    if (reading->ticket != NULL)
        return reading->ticket;
    guard_reading(reading);
    if ((ticket = calloc(1, sizeof(*ticket))) == NULL)
        abort();
    ticket->front = front;
    ticket->reading = reading;
    reading->ticket = ticket;
    reading->timeout = (h2o_timeout_entry_t){0};
    reading->timeout.cb = on_timeout;
    h2o_timeout_link(front->loop, &front->request_timeout, &reading->timeout);
    ++front->in_progress;
    return ticket;
}

void reading_ask(struct reading *reading, enum record_kind kind, const char *id, size_t id_length)
{
    struct owner_fetch *fetch = owner_fetch_new(kind, id, id_length);
    struct ticket *ticket = ticket_of(reading);

    if (fetch == NULL)
        abort();
    memcpy(fetch->traceparent, reading->request->traceparent, sizeof(fetch->traceparent));
    fetch->anew = reading->request->directives.no_cache;
    fetch->data = ticket;
    fetch->on_reply = on_fetched;
    fetch->reply_to = &ticket->front->mailbox;
    ++ticket->outstanding;
    owner_fetch_send(ticket->front->owner, fetch);
}

static uint64_t hash_key(enum record_kind kind, const char *id, size_t length)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ (uint64_t)kind;
    size_t i;
    for (i = 0; i < length; ++i)
        hash = (hash ^ (unsigned char)id[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 29;
}

void reading_refresh(struct reading *reading, enum record_kind kind, const char *id,
                     size_t id_length)
{
    struct front *front = reading->request->front;
    uint64_t hash = hash_key(kind, id, id_length);
    struct refresh *slot = &front->refreshes[hash % FRONT_REFRESHES];
    int64_t now = clock_monotonic_ms();
    struct owner_fetch *fetch;

    if (slot->hash == hash && now - slot->asked_at_ms < 1000)
        return;
    if ((fetch = owner_fetch_new(kind, id, id_length)) == NULL)
        return;
    slot->hash = hash;
    slot->asked_at_ms = now;
    memcpy(fetch->traceparent, reading->request->traceparent, sizeof(fetch->traceparent));
    owner_fetch_send(front->owner, fetch);
}

/* ---- who may see what ---- */

enum record_kind reading_owned_kind(enum record_kind kind)
{
    static const enum record_kind owned[RECORD_KINDS] = {
        [RECORD_AGENT] = RECORD_AGENT,
        [RECORD_TERMINAL] = RECORD_TERMINAL,
        [RECORD_ADDRESS] = RECORD_ADDRESS,
        [RECORD_CALL] = RECORD_CALL,
        [RECORD_USER] = RECORD_USER,
        [RECORD_AGENT_CAPABILITIES] = RECORD_AGENT,
        [RECORD_TERMINAL_CAPABILITIES] = RECORD_TERMINAL,
        [RECORD_ADDRESS_CAPABILITIES] = RECORD_ADDRESS,
        [RECORD_CALL_CAPABILITIES] = RECORD_CALL,
        [RECORD_CALL_DATA] = RECORD_CALL,
        [RECORD_CALL_INTRINSICS] = RECORD_CALL,
        [RECORD_CALL_UUI] = RECORD_CALL,
        [RECORD_CALL_MESSAGES] = RECORD_CALL,
        [RECORD_USER_CALLS] = RECORD_USER,
    };
    return owned[kind];
}

struct viewpoint viewpoint_of(const struct request *request)
{
    return (struct viewpoint){request->front->reader, request->access,
                              request->user_chosen ? request->user : NULL};
}

static int may_see(const struct viewpoint *viewpoint, uint32_t owner)
{
    if (!atomic_load_explicit(&session_views[owner].configured, memory_order_relaxed))
        return 0;
    if (viewpoint->only != NULL)
        return viewpoint->only->number == owner;
    return access_has_user(viewpoint->access, owner);
}

/*
 * Which of its owners vouches for a record: the one it was read through, or, when that session is lost, another that is
 * healthy now; what was read before through the first is then merely old, and the second can refresh it.
 */
static struct freshness_source best_source(const struct record *record, const uint32_t *owners,
                                           size_t num_owners)
{
    struct freshness_source source = session_view_source(record->user);
    size_t i;

    for (i = 0; source.healthy_since_ms == 0 && i < num_owners; ++i)
        if (session_view_source(owners[i]).healthy_since_ms != 0)
            source.healthy_since_ms = INT64_MAX;
    return source;
}

int viewpoint_sees(const struct viewpoint *viewpoint, enum record_kind kind, const char *id,
                   size_t id_length, const struct record *record, struct freshness_source *source)
{
    const uint32_t *owners;
    size_t num_owners, i;
    int visible = 0;

    if (!access_reads(viewpoint->access))
        return 0;
    if (store_owners(viewpoint->reader, reading_owned_kind(kind), id, id_length, &owners,
                     &num_owners) != CG_OK)
        return 0;
    for (i = 0; i < num_owners && !visible; ++i)
        visible = owners[i] < SESSION_VIEWS_MAX && may_see(viewpoint, owners[i]);
    if (visible && record != NULL && source != NULL)
        *source = best_source(record, owners, num_owners);
    return visible;
}

struct freshness record_judge(const struct config *config,
                              const struct freshness_directives *directives,
                              const struct record *record, const struct freshness_source *source,
                              int64_t now_ms)
{
    struct freshness_policy policy = {config->cache.stale_while_revalidate_ms,
                                      config->cache.stale_if_error_ms};
    struct freshness_record times = {0};

    if (record != NULL)
        times = (struct freshness_record){record->fetched_at_ms, record->expires_at_ms,
                                          record->covered, (record->flags & RECORD_DIRTY) != 0};
    return freshness_decide(record != NULL ? &times : NULL, source, &policy, directives, now_ms);
}

struct freshness reading_judge(const struct reading *reading, const struct record *record,
                               const struct freshness_source *source, int64_t now_ms)
{
    return record_judge(policy_config(reading->request->policy), &reading->request->directives,
                        record, source, now_ms);
}

/*
 * Is the list of what a user owns good enough? To say that something is *not* there it must be fresh: that is the negative
 * cache. To show what is there, one from before the session was lost will do, labelled, while it is read again.
 */
static int list_will_do(struct reading *reading, enum record_kind list,
                        const struct access_user *user, int strict, int *known)
{
    struct freshness_source source = session_view_source(user->number);
    struct record record;
    struct freshness f;

    *known = store_get(reading->request->front->reader, list, user->name, strlen(user->name),
                       &record) == CG_OK;
    if (!*known) {
        reading->live_lists = 0;
        return 0;
    }
    f = reading_judge(reading, &record, &source, clock_steady_ms());
    reading->live_lists &= f.label == SYNC_LIVE;
    if (f.label == SYNC_STALE &&
        (reading->stale_since_ms == 0 || f.stale_since_ms < reading->stale_since_ms))
        reading->stale_since_ms = f.stale_since_ms;
    if (f.action == FRESHNESS_SERVE && f.label != SYNC_STALE)
        return 1;
    if (strict || f.action == FRESHNESS_FETCH || f.action == FRESHNESS_NOTHING ||
        (source.healthy_since_ms != 0 && record.fetched_at_ms >= source.healthy_since_ms))
        return 0;
    if (f.action == FRESHNESS_SERVE_AND_REFRESH)
        reading_refresh(reading, list, user->name, strlen(user->name));
    return 1;
}

int reading_members(struct reading *reading, enum record_kind list, int strict, int *unknown)
{
    struct request *request = reading->request;
    const struct access_user *users = request->user_chosen ? request->user : request->access->users;
    size_t num_users = request->user_chosen ? 1 : request->access->num_users, i;
    int asked = 0, known;

    *unknown = 0;
    reading->live_lists = 1;
    reading->stale_since_ms = 0;
    if (store_read_begin(request->front->reader) != CG_OK) {
        respond_problem(request, PROBLEM_STORE, NULL, NULL);
        return 1;
    }
    for (i = 0; i < num_users; ++i) {
        if (list_will_do(reading, list, &users[i], strict, &known))
            continue;
        if (atomic_load(&session_views[users[i].number].state) == SESSION_DENIED && num_users > 1)
            continue; /* it owns nothing that anybody could be shown */
        if (!reading->members_asked && !request->directives.only_if_cached) {
            reading_ask(reading, list, users[i].name, strlen(users[i].name));
            asked = 1;
        } else if (!known || reading->failure != NULL || request->directives.only_if_cached) {
            *unknown = 1;
            reading->incomplete |= !known;
        }
    }
    store_read_end(request->front->reader);
    reading->members_asked = 1;
    return asked;
}
