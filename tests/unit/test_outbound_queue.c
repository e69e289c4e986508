/* The queue alone, on a clock that the test sets: turns of jobs, back-off, cancelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/outbound/queue.h"

#define JOBS_MAX 4

static struct queue queue;
static struct job jobs[JOBS_MAX];

static void add(unsigned index, size_t num_rows)
{
    struct job *job = &jobs[index];
    size_t i;

    job->num_rows = num_rows;
    job->rows = calloc(num_rows, sizeof(*job->rows));
    assert_non_null(job->rows);
    for (i = 0; i < num_rows; ++i) {
        job->rows[i].text = strdup("{\"phone\":5}");
        job->rows[i].length = strlen(job->rows[i].text);
        job->rows[i].problem = PROBLEMS;
        job->waiting_bytes += job->rows[i].length;
    }
    job->counts[ROW_WAITING] = num_rows;
    queue_add(&queue, job);
}

static int setup(void **state)
{
    (void)state;
    memset(&queue, 0, sizeof(queue));
    memset(jobs, 0, sizeof(jobs));
    return 0;
}

static int teardown(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < JOBS_MAX; ++i)
        job_rows_free(&jobs[i]);
    return 0;
}

/* "A1 B1 A2": which rows go in which order until nothing is due. */
static const char *drain(int64_t now_ms)
{
    static char text[512];
    size_t length = 0, row;
    struct job *job;

    text[0] = '\0';
    while ((job = queue_next(&queue, now_ms, &row)) != NULL) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%c%zu",
                                   length > 0 ? " " : "", (char)('A' + (job - jobs)), row + 1);
        queue_begin(&queue, job, row);
        assert_null(queue_next(&queue, now_ms, &row)); /* one at a time */
        assert_true(queue_due_ms(&queue) == INT64_MAX);
        queue_settle(&queue, ROW_DONE, PROBLEMS, NULL);
    }
    return text;
}

static void nothing(void **state)
{
    size_t row;

    (void)state;
    assert_true(queue_due_ms(&queue) == INT64_MAX);
    assert_null(queue_next(&queue, 1000, &row));
}

static void jobs_take_turns(void **state)
{
    (void)state;
    add(0, 4);
    add(1, 1);
    add(2, 2);
    assert_int_equal(queue.rows_waiting, 7);
    assert_string_equal(drain(0), "A1 B1 C1 A2 C2 A3 A4");
    assert_int_equal(queue.rows_waiting, 0);
    assert_int_equal(queue.waiting_bytes, 0);
    assert_true(job_is_settled(&jobs[0]));
    assert_int_equal(jobs[0].counts[ROW_DONE], 4);
    assert_null(jobs[0].rows[0].text);
}

/* A large job that was there first does not keep a small one waiting. */
static void a_small_job_comes_later(void **state)
{
    struct job *job;
    size_t row;

    (void)state;
    add(0, 5);
    job = queue_next(&queue, 0, &row);
    queue_begin(&queue, job, row);
    queue_settle(&queue, ROW_DONE, PROBLEMS, NULL);
    add(1, 2);
    assert_string_equal(drain(0), "A2 B1 A3 B2 A4 A5");
}

static void back_off(void **state)
{
    static const int64_t holds[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000};
    int64_t now = 7;
    struct job *job;
    size_t row, i;

    (void)state;
    add(0, 2);
    for (i = 0; i < sizeof(holds) / sizeof(holds[0]); ++i) {
        assert_non_null(job = queue_next(&queue, now, &row));
        assert_int_equal(row, 0); /* the same again */
        queue_begin(&queue, job, row);
        queue_back(&queue, now, 0);
        assert_true(queue_due_ms(&queue) == now + holds[i]);
        assert_null(queue_next(&queue, now + holds[i] - 1, &row));
        now += holds[i];
    }
    assert_non_null(jobs[0].rows[0].text);
    job = queue_next(&queue, now, &row);
    queue_begin(&queue, job, row);
    queue_back(&queue, now, 1234);
    assert_true(queue_due_ms(&queue) == now + 1234);
    now += 1234;
    queue_begin(&queue, queue_next(&queue, now, &row), row);
    queue_settle(&queue, ROW_FAILED, PROBLEM_UPSTREAM_FAULT, "no");
    assert_string_equal(jobs[0].rows[0].detail, "no");
    job = queue_next(&queue, now, &row); /* it has come to an end: the next failure begins anew */
    queue_begin(&queue, job, row);
    queue_back(&queue, now, 0);
    assert_true(queue_due_ms(&queue) == now + 500);
}

/* What goes back is the job's next again, after the others' turn. */
static void back_in_turn(void **state)
{
    struct job *job;
    size_t row;

    (void)state;
    add(0, 2);
    add(1, 2);
    job = queue_next(&queue, 0, &row);
    queue_begin(&queue, job, row);
    queue_back(&queue, 0, 10);
    assert_string_equal(drain(9), "");
    assert_string_equal(drain(10), "B1 A1 B2 A2");
}

/* Also when it was the job's last one, and the job had left the ring. */
static void the_last_row_comes_back(void **state)
{
    struct job *job;
    size_t row;

    (void)state;
    add(0, 1);
    job = queue_next(&queue, 0, &row);
    queue_begin(&queue, job, row);
    assert_null(queue.turn);
    queue_back(&queue, 0, 10);
    assert_string_equal(drain(10), "A1");
}

static void without_being_sent(void **state)
{
    struct job *job;
    size_t row;

    (void)state;
    add(0, 2);
    add(1, 1);
    job = queue_next(&queue, 0, &row);
    queue_settle_row(&queue, job, row, ROW_SKIPPED, PROBLEMS, NULL);
    assert_int_equal(job->counts[ROW_SKIPPED], 1);
    assert_string_equal(drain(0), "B1 A2");
}

static void cancelled(void **state)
{
    struct job *job;
    size_t row;

    (void)state;
    add(0, 3);
    add(1, 1);
    job = queue_next(&queue, 0, &row);
    queue_begin(&queue, job, row);
    assert_int_equal(queue_cancel(&queue, &jobs[0]), 2);
    assert_int_equal(jobs[0].counts[ROW_CANCELLED], 2);
    assert_int_equal(jobs[0].counts[ROW_SENDING], 1);
    assert_false(job_is_settled(&jobs[0]));
    queue_settle(&queue, ROW_DONE, PROBLEMS, NULL);
    assert_true(job_is_settled(&jobs[0]));
    assert_non_null(jobs[0].rows[1].text);
    queue_drop_texts(&jobs[0]);
    assert_null(jobs[0].rows[1].text);
    assert_string_equal(drain(0), "B1");
    assert_int_equal(queue.waiting_bytes, 0);
}

static void not_cancelled_after_all(void **state)
{
    (void)state;
    add(0, 2);
    assert_int_equal(queue_cancel(&queue, &jobs[0]), 2);
    assert_int_equal(queue.rows_waiting, 0);
    queue_restore(&queue, &jobs[0]);
    assert_int_equal(queue.rows_waiting, 2);
    assert_string_equal(drain(0), "A1 A2");
    assert_int_equal(queue_cancel(&queue, &jobs[0]), 0);
    queue_restore(&queue, &jobs[0]); /* what is done stays so */
    assert_int_equal(jobs[0].counts[ROW_DONE], 2);
}

/* Random operations, and after each the books are right. */
static void books(void **state)
{
    uint32_t random = 12345;
    int64_t now = 0;
    unsigned step, i;

    (void)state;
    for (i = 0; i < JOBS_MAX; ++i)
        add(i, 50);
    for (step = 0; step < 2000; ++step) {
        size_t row, waiting = 0, bytes = 0, j;
        struct job *job;
        random = random * 1664525 + 1013904223;
        if (queue.job != NULL && random >> 30 == 0)
            queue_back(&queue, now, 5);
        else if (queue.job != NULL)
            queue_settle(&queue, ROW_DONE, PROBLEMS, NULL);
        else if ((random >> 20 & 63) == 0) {
            queue_cancel(&queue, &jobs[random >> 8 & 3]);
            if ((random >> 16 & 1) == 0)
                queue_restore(&queue, &jobs[random >> 8 & 3]);
        } else if ((job = queue_next(&queue, now, &row)) != NULL)
            queue_begin(&queue, job, row);
        else
            ++now;
        for (i = 0; i < JOBS_MAX; ++i) {
            size_t counts[ROW_STATES] = {0};
            for (j = 0; j < jobs[i].num_rows; ++j) {
                ++counts[jobs[i].rows[j].state];
                if (jobs[i].rows[j].state == ROW_WAITING)
                    bytes += jobs[i].rows[j].length;
            }
            assert_memory_equal(counts, jobs[i].counts, sizeof(counts));
            assert_int_equal(jobs[i].turn_after != NULL, counts[ROW_WAITING] > 0);
            waiting += counts[ROW_WAITING];
        }
        assert_int_equal(waiting, queue.rows_waiting);
        assert_int_equal(bytes, queue.waiting_bytes);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing),
        TEST(jobs_take_turns),
        TEST(a_small_job_comes_later),
        TEST(back_off),
        TEST(back_in_turn),
        TEST(the_last_row_comes_back),
        TEST(without_being_sent),
        TEST(cancelled),
        TEST(not_cancelled_after_all),
        TEST(books),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
