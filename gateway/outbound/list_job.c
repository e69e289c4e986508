/*
 * A list of contacts as a job: read page by page like any other, into memory, with progress as it goes on. The result stays for a while
 * after its end and then goes, before the job itself does.
 */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/jobs.h"
#include "gateway/outbound/client_private.h"
#include "gateway/outbound/list_job.h"

struct list_job {
    struct outbound *outbound;
    struct job *job; /* NULL: it was cancelled, or is forgotten */
    int64_t campaign;
    uint64_t limit, count;
    struct listing listing;
    struct spool *spool; /* NULL: gone */
    struct timer forget;
    int is_asking;
};

static void drop_spool(struct list_job *list)
{
    if (list->spool != NULL)
        list->outbound->spooled_bytes -= list->spool->bytes;
    spool_unref(&list->spool);
    timer_disarm(list->outbound->loop, &list->forget);
}

static void on_forget(struct timer *timer)
{
    drop_spool((struct list_job *)((char *)timer - offsetof(struct list_job, forget)));
}

static void on_release(void *data)
{
    struct list_job *list = data;

    list->job = NULL;
    drop_spool(list);
    if (!list->is_asking)
        free(list);
}

static void end(struct list_job *list, json_t *problem)
{
    if (problem != NULL)
        drop_spool(list);
    else
        timer_arm(list->outbound->loop, &list->forget, CG_OUTBOUND_SPOOL_MS);
    job_end(list->job, problem);
}

static void end_too_large(struct list_job *list)
{
    json_t *problem = problem_json(
        PROBLEM_TOO_MANY, "the lists that jobs hold have grown too large: read this one as "
                          "application/x-ndjson");
    end(list, problem);
    json_decref(problem);
}

static void ask_page(struct list_job *list);

static void take_page(struct list_job *list, const struct outbound_ask *ask)
{
    size_t before = list->spool->bytes;

    list->listing = ask->listing;
    list->count += spool_add(list->spool, ask->answer, list->limit - list->count);
    list->outbound->spooled_bytes += list->spool->bytes - before;
    job_advance(list->job, list->count,
                list->listing.total > 0 ? (uint64_t)list->listing.total : 0);
    if (list->outbound->spooled_bytes > CG_OUTBOUND_SPOOL_BYTES_MAX)
        end_too_large(list);
    else if (list->listing.ended || list->count >= list->limit)
        end(list, NULL);
    else
        ask_page(list);
}

static void on_page(struct message *message)
{
    struct outbound_ask *ask = (struct outbound_ask *)message;
    struct list_job *list = ask->data;

    list->is_asking = 0;
    if (list->job == NULL)
        free(list);
    else if (ask->problem != PROBLEMS)
        end(list, ask->answer);
    else
        take_page(list, ask);
    outbound_ask_free(&ask);
}

static void ask_page(struct list_job *list)
{
    struct outbound_ask *ask = outbound_ask_new(OUTBOUND_CONTACTS);

    list->is_asking = 1;
    ask->campaign = list->campaign;
    ask->listing = list->listing;
    ask->data = list;
    ask->reply_to = &list->outbound->loop->mailbox;
    ask->on_reply = on_page;
    outbound_run(list->outbound, ask);
}

int list_job_begin(struct outbound *outbound, struct outbound_ask *ask, const char **id)
{
    struct list_job *list = calloc(1, sizeof(*list));
    struct job_work work = {.kind = LIST_JOB_KIND,
                            .campaign = ask->campaign,
                            .access = ask->access,
                            .release = on_release,
                            .data = list};
    int rc;

    if (list == NULL)
        abort();
    if (ask->jobs == NULL || (rc = job_begin(ask->jobs, &work, &list->job)) != CG_OK) {
        free(list);
        return CG_E_LIMIT;
    }
    list->outbound = outbound;
    list->campaign = ask->campaign;
    list->limit = ask->limit;
    list->listing = ask->listing;
    list->spool = spool_new();
    list->forget.on_due = on_forget;
    *id = job_id(list->job);
    ask_page(list);
    return CG_OK;
}

int list_job_result(const struct outbound_ask *ask, struct spool **spool, enum job_state *state)
{
    struct list_job *list =
        ask->jobs != NULL ? job_find_work(ask->jobs, ask->job, LIST_JOB_KIND, ask->access, state)
                          : NULL;

    if (list == NULL)
        return CG_E_NOTFOUND;
    *spool = list->spool != NULL && *state == JOB_DONE ? spool_ref(list->spool) : NULL;
    return CG_OK;
}
