/* The owner's side of outbound jobs. */
#include "cctgate/error.h"
#include "cctgate/jobs.h"
#include "gateway/owner_private.h"

#include <stdio.h>

static void on_progress(void *data, const struct job_progress *progress)
{
    model_notice_job(((struct owner *)data)->model, progress->id, progress->owner, progress->data);
}

int owner_make_jobs(struct owner *owner, char *error, size_t error_size)
{
    struct jobs_settings settings = {.loop = &owner->loop,
                                     .contract = owner->contract,
                                     .durable = owner->durable,
                                     .sessions = owner->sessions,
                                     .outbound = owner->outbound,
                                     .on_progress = on_progress,
                                     .data = owner};
    int rc = jobs_new(&owner->jobs, &settings);

    if (rc != CG_OK)
        snprintf(error, error_size, "outbound jobs: %s", cg_error_name(rc));
    return rc;
}

static void on_ask(struct message *message)
{
    struct jobs_ask *ask = (struct jobs_ask *)message;
    jobs_run(ask->owner->jobs, ask);
}

void owner_jobs_send(struct owner *owner, struct jobs_ask *ask)
{
    ask->owner = owner;
    ask->message.on_deliver = on_ask;
    mailbox_send(&owner->loop.mailbox, &ask->message);
}

#define I(value) ((json_int_t)(value))
void owner_describe_jobs(struct owner *owner, json_t *metrics)
{
    struct jobs_stats s;
    json_t *own;

    jobs_get_stats(owner->jobs, &s);
    own = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I, s:I,s:I,s:I,s:I,s:I}", "outbound_jobs_total",
                    I(s.jobs_total), "outbound_rows_total", I(s.rows_total),
                    "outbound_rows_appended_total", I(s.appended), "outbound_rows_failed_total",
                    I(s.failed), "outbound_rows_skipped_total", I(s.skipped),
                    "outbound_rows_unknown_total", I(s.unknown), "outbound_rows_cancelled_total",
                    I(s.cancelled), "outbound_too_fast_total",
                    I(s.too_fast), //
                    "outbound_jobs_kept", I(s.jobs), "outbound_jobs_active", I(s.active),
                    "outbound_rows_waiting", I(s.rows_waiting), "outbound_rows_sending",
                    I(s.sending), "outbound_waiting_bytes", I(s.waiting_bytes));
    json_object_update(metrics, own);
    json_decref(own);
}
#undef I
