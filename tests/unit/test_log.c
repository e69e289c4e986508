/*
 * The log: the shape of a line, what is escaped and cut, lines of several threads, and a reader
 * that has stopped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "cctgate/log.h"

#define THREADS          8
#define LINES_PER_THREAD 2000
#define CAPTURE_BYTES    65536

static int saved_stderr = -1;

/* Standard error becomes `fd` until restore. */
static void redirect(int fd, enum log_level level, enum log_format format)
{
    saved_stderr = dup(STDERR_FILENO);
    assert_true(saved_stderr >= 0);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    log_configure(level, format);
}

static void restore(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
}

/*
 * A real file: the position of a memfd is not locked, so lines of several threads would overwrite
 * each other.
 */
static int new_file(void)
{
    char name[] = "/tmp/cctgate-log-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(unlink(name), 0);
    return fd;
}

/* One line as it was written, without its line break; the caller frees. */
static char *emit_text(enum log_format format, const char *event, const char *text,
                       const struct log_member *members)
{
    static const struct log_member none = {LOG_END, 0, 0, 0, 0};
    char *line = calloc(1, CAPTURE_BYTES);
    int fd = new_file();
    assert_non_null(line);
    redirect(fd, LOG_LEVEL_DEBUG, format);
    log_emit(LOG_LEVEL_WARNING, event, text, members != NULL ? members : &none);
    restore();
    ssize_t length = pread(fd, line, CAPTURE_BYTES - 1, 0);
    close(fd);
    assert_true(length > 0 && length <= 8192);
    assert_int_equal(line[length - 1], '\n');
    line[length - 1] = '\0';
    assert_null(strchr(line, '\n'));
    return line;
}

static json_t *emit_json(const char *event, const char *text, const struct log_member *members)
{
    json_error_t error;
    char *line = emit_text(LOG_FORMAT_AUTO, event, text, members);
    json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        fail_msg("%s in %s", error.text, line);
    free(line);
    return json;
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    assert_non_null(text);
    return text;
}

static void assert_time(const char *text)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    assert_int_equal(strlen(text), strlen(shape));
    for (size_t i = 0; shape[i] != '\0'; i++) {
        if (shape[i] == 'd')
            assert_true(text[i] >= '0' && text[i] <= '9');
        else
            assert_int_equal(text[i], shape[i]);
    }
}

static void test_json_line(void **state)
{
    const struct log_member members[] = {
        LOG_S("address", "127.0.0.1"), LOG_I("port", 8080),  LOG_I("low", INT64_MIN),
        LOG_R("seconds", 0.25),        LOG_B("tls", 2),      LOG_S("user", NULL),
        LOG_R("infinite", INFINITY),   {LOG_END, 0, 0, 0, 0}};
    (void)state;
    char *line = emit_text(LOG_FORMAT_AUTO, "listening", "Listening on \"x\"", members);
    assert_memory_equal(line, "{\"time\":\"", 9);
    assert_string_equal(strchr(line, ','),
                        ",\"level\":\"warning\",\"event\":\"listening\",\"message\":\"Listening on "
                        "\\\"x\\\"\",\"address\":\"127.0.0.1\",\"port\":8080,\"low\":"
                        "-9223372036854775808,\"seconds\":0.25,\"tls\":true,\"user\":null,"
                        "\"infinite\":null}");
    json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_time(text_of(json, "time"));
    json_decref(json);
    free(line);
}

static void test_json_escapes(void **state)
{
    static const char nasty[] =
        "q\" b\\ n\n r\r t\t v\v e\033[31m d\x7f c\xc2\x9b l\xe2\x80\xa8 o\xe2\x80"
        "\xae i\xe2\x81\xa6 \xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80";
    const struct log_member members[] = {LOG_S("na\"me", nasty), {LOG_END, 0, 0, 0, 0}};
    (void)state;
    json_t *json = emit_json("e", nasty, members);
    assert_string_equal(text_of(json, "na\"me"), nasty);
    assert_string_equal(text_of(json, "message"), nasty);
    json_decref(json);
    char *line = emit_text(LOG_FORMAT_JSON, "e", nasty, members);
    assert_non_null(strstr(line,
                           "q\\\" b\\\\ n\\n r\\r t\\t v\\u000b e\\u001b[31m d\\u007f c\\u009b "
                           "l\\u2028 o\\u202e i\\u2066 \xc3\xa9"));
    free(line);
}

static void test_invalid_utf8(void **state)
{
    static const struct {
        const char *bytes, *shown;
    } cases[] = {
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xc3", "\xef\xbf\xbd"},
        {"\xc3(", "\xef\xbf\xbd("},
        {"\x80", "\xef\xbf\xbd"},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
        {"\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
        {"\xf4\x90\x80\x80",
         "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* above U+10FFFF */
        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct log_member members[] = {LOG_S("v", cases[i].bytes), {LOG_END, 0, 0, 0, 0}};
        json_t *json = emit_json("e", NULL, members);
        assert_string_equal(text_of(json, "v"), cases[i].shown);
        assert_true(json_is_null(json_object_get(json, "message")));
        json_decref(json);
    }
}

static void test_values_are_cut(void **state)
{
    char text[4096], expected[1100];
    const struct log_member members[] = {LOG_S("v", text), {LOG_END, 0, 0, 0, 0}};
    (void)state;
    memset(text, 'x', sizeof text);
    text[1024] = '\0';
    json_t *json = emit_json("e", "m", members);
    assert_string_equal(text_of(json, "v"), text); /* 1 KiB is whole */
    json_decref(json);
    memcpy(text + 1023, "\xc3\xa9", 3); /* a character across the edge */
    memset(expected, 'x', 1023);
    memcpy(expected + 1023, "\xe2\x80\xa6", 4);
    json = emit_json("e", "m", members);
    assert_string_equal(text_of(json, "v"), expected);
    assert_null(json_object_get(json, "cut"));
    json_decref(json);
}

static void test_lines_are_cut(void **state)
{
    char text[1025];
    struct log_member members[21];
    char names[20][16];
    (void)state;
    memset(text, 1, sizeof text - 1); /* six bytes each when escaped */
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "v%d", i);
        members[i] = LOG_S(names[i], text);
    }
    members[20] = (struct log_member){LOG_END, 0, 0, 0, 0};
    json_t *json = emit_json("e", "m", members); /* asserts well-formed and at most 8 KiB */
    assert_string_equal(text_of(json, "v0"), text);
    assert_null(json_object_get(json, "v1"));
    assert_true(json_is_true(json_object_get(json, "cut")));
    json_decref(json);
    json = emit_json(text, text, NULL); /* not even the message fits */
    assert_string_equal(text_of(json, "event"), text);
    assert_null(json_object_get(json, "message"));
    json_decref(json);
    char *line = emit_text(LOG_FORMAT_HUMAN, "e", "m", members);
    assert_non_null(strstr(line, " v0=\""));
    assert_string_equal(line + strlen(line) - 9, " cut=true");
    free(line);
}

/*
 * Every length up to and past the edge, with a member behind it that is left out: well-formed each
 * time.
 */
static void test_every_length(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    char text[1025];
    struct log_member members[10];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < 9; i++)
        members[i] = LOG_S(names[i], text);
    members[9] = (struct log_member){LOG_END, 0, 0, 0, 0};
    for (size_t last = 0; last < 1024; last++) {
        members[7].string = text + 1024 - last;
        json_t *json = emit_json("e", "m", members);
        assert_true(json_is_true(json_object_get(json, "cut")));
        json_decref(json);
    }
}

static void test_human_line(void **state)
{
    const struct log_member members[] = {
        LOG_S("plain", "a/b:c"), LOG_S("blank", "a b"), LOG_S("quote", "\""), LOG_S("empty", ""),
        LOG_S("equal", "a=b"),   LOG_S("bell", "\a"),   LOG_S("none", NULL),  LOG_I("n", -1),
        LOG_B("no", 0),          {LOG_END, 0, 0, 0, 0}};
    (void)state;
    char *line = emit_text(LOG_FORMAT_HUMAN, "listening", "On \"x\"\033[2J\n", members);
    char time[25];
    memcpy(time, line, 24);
    time[24] = '\0';
    assert_time(time);
    assert_string_equal(line + 24,
                        " WARN  listening: On \"x\"\\u001b[2J\\n plain=a/b:c blank=\"a b\" "
                        "quote=\"\\\"\" empty=\"\" equal=\"a=b\" bell=\"\\u0007\" none=null "
                        "n=-1 no=false");
    free(line);
    line = emit_text(LOG_FORMAT_HUMAN, "listening", NULL, NULL);
    assert_string_equal(line + 24, " WARN  listening");
    free(line);
}

static void test_levels(void **state)
{
    char text[4096];
    int fd = new_file();
    (void)state;
    redirect(fd, LOG_LEVEL_WARNING, LOG_FORMAT_JSON);
    assert_false(log_enabled(LOG_LEVEL_INFO));
    assert_true(log_enabled(LOG_LEVEL_WARNING));
    log_write(LOG_LEVEL_DEBUG, "one", "m");
    log_write(LOG_LEVEL_INFO, "two", "m", LOG_I("n", 1));
    log_write(LOG_LEVEL_WARNING, "three", "m");
    log_write(LOG_LEVEL_ERROR, "four", "m", LOG_I("n", 1), LOG_S("s", "t"));
    log_configure(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
    errno = ENOENT;
    log_write(LOG_LEVEL_DEBUG, "five", "m");
    assert_int_equal(errno, ENOENT);
    restore();
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    assert_true(length > 0);
    text[length] = '\0';
    assert_null(strstr(text, "\"one\""));
    assert_null(strstr(text, "\"two\""));
    assert_non_null(strstr(text, "\"level\":\"warning\",\"event\":\"three\",\"message\":\"m\"}\n"));
    assert_non_null(strstr(text, "\"event\":\"four\",\"message\":\"m\",\"n\":1,\"s\":\"t\"}\n"));
    assert_non_null(strstr(text, "\"level\":\"debug\",\"event\":\"five\""));
}

/* On a terminal: for people, in colour; JSON when asked for. */
static void test_terminal(void **state)
{
    char text[1024];
    int terminal, pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    (void)state;
    if (pty < 0) { /* a bare root has no terminals to be had; everywhere else this runs */
        print_message("no pseudo-terminal here\n");
        return;
    }
    assert_int_equal(grantpt(pty) | unlockpt(pty), 0);
    terminal = open(ptsname(pty), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0);
    struct termios raw;
    assert_int_equal(tcgetattr(terminal, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(terminal, TCSANOW, &raw), 0);
    redirect(terminal, LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
    log_write(LOG_LEVEL_ERROR, "event", "m\033[2J", LOG_I("n", 1));
    ssize_t length = read(pty, text, sizeof text - 1);
    assert_true(length > 24);
    text[length] = '\0';
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_write(LOG_LEVEL_ERROR, "event", "m");
    char first = 0;
    ssize_t more = read(pty, &first, 1);
    restore();
    close(terminal);
    close(pty);
    assert_string_equal(text + 24, " \033[31mERROR\033[0m event: m\\u001b[2J n=1\n");
    assert_int_equal(more, 1);
    assert_int_equal(first, '{');
}

/* ---- several threads ---- */

static void *write_lines(void *argument)
{
    int thread = *(int *)argument;
    char text[700];
    memset(text, 'a' + thread, sizeof text - 1);
    for (int i = 0; i < LINES_PER_THREAD; i++) {
        text[sizeof text - 1] = '\0';
        text[(size_t)(i * 37) % (sizeof text - 1)] = '\0';
        log_write(LOG_LEVEL_INFO, "line", text, LOG_I("thread", thread), LOG_I("number", i));
        memset(text, 'a' + thread, sizeof text - 1);
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[THREADS];
    static int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* Each line whole, of one thread only, and each thread's lines in order; returns how many. */
static size_t check_lines(FILE *file)
{
    char *line = NULL;
    size_t size = 0, count = 0;
    json_int_t last[THREADS];
    for (int i = 0; i < THREADS; i++)
        last[i] = -1;
    while (getline(&line, &size, file) > 0) {
        json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        if (json == NULL)
            fail_msg("not whole: %s", line);
        json_int_t thread = json_integer_value(json_object_get(json, "thread"));
        json_int_t number = json_integer_value(json_object_get(json, "number"));
        const char *text = text_of(json, "message");
        assert_in_range(thread, 0, THREADS - 1);
        assert_true(number > last[thread]);
        assert_int_equal(strlen(text), (number * 37) % 699);
        assert_int_equal(strspn(text, (const char[]){(char)('a' + thread), '\0'}), strlen(text));
        last[thread] = number;
        json_decref(json);
        count++;
    }
    free(line);
    return count;
}

static void test_threads_to_a_file(void **state)
{
    int fd = new_file();
    uint64_t before = log_dropped();
    (void)state;
    redirect(fd, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    run_threads();
    restore();
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    FILE *file = fdopen(fd, "r");
    assert_non_null(file);
    assert_int_equal(check_lines(file), THREADS * LINES_PER_THREAD);
    assert_int_equal(log_dropped(), before);
    fclose(file);
}

struct reader {
    FILE *file;
    size_t count;
};

static void *read_lines(void *argument)
{
    struct reader *reader = argument;
    reader->count = check_lines(reader->file);
    return NULL;
}

/* A reader that can't keep up loses whole lines, and the log knows how many. */
static void test_threads_to_a_pipe(void **state)
{
    int ends[2];
    pthread_t thread;
    uint64_t before = log_dropped();
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct reader reader = {fdopen(ends[0], "r"), 0};
    redirect(ends[1], LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    assert_int_equal(pthread_create(&thread, NULL, read_lines, &reader), 0);
    run_threads();
    restore();
    close(ends[1]);
    /*
     * the log's own descriptor of the pipe still is open; another pipe takes its place and gives
     * the reader its end
     */
    int other[2];
    assert_int_equal(pipe2(other, O_CLOEXEC), 0);
    redirect(other[1], LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    restore();
    pthread_join(thread, NULL);
    fclose(reader.file);
    close(other[0]);
    close(other[1]);
    assert_int_equal(reader.count + (log_dropped() - before), THREADS * LINES_PER_THREAD);
    assert_true(reader.count > 0);
}

/* ---- a log that can't be written ---- */

static void fill_pipe(int fd)
{
    char bytes[4096] = {0};
    int flags = fcntl(fd, F_GETFL);
    assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(fd, bytes, sizeof bytes) > 0)
        continue;
    while (write(fd, bytes, 1) > 0)
        continue;
    assert_int_equal(fcntl(fd, F_SETFL, flags), 0); /* as the parent process would have it */
}

static void test_full_pipe_is_not_waited_for(void **state)
{
    int ends[2];
    char bytes[65536];
    uint64_t before = log_dropped();
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fill_pipe(ends[1]);
    redirect(ends[1], LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    alarm(20); /* a write that waits would wait for ever */
    for (int i = 0; i < 3; i++)
        log_write(LOG_LEVEL_INFO, "lost", "m");
    assert_int_equal(log_dropped() - before, 3);
    assert_true(read(ends[0], bytes, sizeof bytes) > 0);
    log_write(LOG_LEVEL_INFO, "kept", "m");
    alarm(0);
    assert_int_equal(log_dropped() - before, 3);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0); /* ours alone is non-blocking */
    restore();
    close(ends[0]);
    close(ends[1]);
}

static size_t drain(int fd, char *bytes, size_t size)
{
    size_t length = 0;
    ssize_t got;
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (length + 1 < size && (got = read(fd, bytes + length, size - 1 - length)) > 0)
        length += (size_t)got;
    bytes[length] = '\0';
    return length;
}

/* A long line that only half fits is counted, and the next line starts on a line of its own. */
static void test_torn_line(void **state)
{
    static char bytes[1 << 20];
    char text[1025];
    int ends[2];
    uint64_t before = log_dropped();
    (void)state;
    memset(text, 1, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fill_pipe(ends[1]);
    assert_int_equal(read(ends[0], bytes, 4096), 4096); /* room for half of it */
    redirect(ends[1], LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_write(LOG_LEVEL_INFO, "torn", "m", LOG_S("v", text));
    assert_int_equal(log_dropped() - before, 1);
    log_write(LOG_LEVEL_INFO, "lost", "m");
    assert_int_equal(log_dropped() - before, 2);
    drain(ends[0], bytes, sizeof bytes);
    log_write(LOG_LEVEL_INFO, "whole", "m");
    log_write(LOG_LEVEL_INFO, "next", "m");
    restore();
    drain(ends[0], bytes, sizeof bytes);
    close(ends[0]);
    close(ends[1]);
    assert_memory_equal(bytes, "\n{\"time\":", 9);
    assert_non_null(strstr(bytes, "\"whole\",\"message\":\"m\"}\n{\"time\":"));
    assert_int_equal(log_dropped() - before, 2);
}

static void test_reader_gone(void **state)
{
    int ends[2];
    uint64_t before = log_dropped();
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    redirect(ends[1], LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    close(ends[0]);
    log_write(LOG_LEVEL_INFO, "lost", "m");
    restore();
    close(ends[1]);
    assert_int_equal(log_dropped() - before, 1);
}

static void test_socket(void **state)
{
    char bytes[65536];
    int ends[2];
    uint64_t before = log_dropped();
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    redirect(ends[1], LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
    log_write(LOG_LEVEL_INFO, "first", "m");
    ssize_t length = recv(ends[0], bytes, sizeof bytes, MSG_DONTWAIT);
    alarm(20);
    for (int i = 0; log_dropped() == before && i < 1000000; i++)
        log_write(LOG_LEVEL_INFO, "more", "m");
    close(ends[0]);
    uint64_t full = log_dropped();
    log_write(LOG_LEVEL_INFO, "lost", "m"); /* no SIGPIPE either */
    alarm(0);
    restore();
    close(ends[1]);
    assert_true(length > 0 && bytes[0] == '{' && bytes[length - 1] == '\n');
    assert_int_equal(full - before, 1);
    assert_int_equal(log_dropped() - full, 1);
}

static void test_closed_standard_error(void **state)
{
    uint64_t before = log_dropped();
    (void)state;
    saved_stderr = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
    log_write(LOG_LEVEL_INFO, "lost", "m");
    uint64_t after = log_dropped();
    restore();
    assert_int_equal(after - before, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_line),
        cmocka_unit_test(test_json_escapes),
        cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_values_are_cut),
        cmocka_unit_test(test_lines_are_cut),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_human_line),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_threads_to_a_file),
        cmocka_unit_test(test_threads_to_a_pipe),
        cmocka_unit_test(test_full_pipe_is_not_waited_for),
        cmocka_unit_test(test_torn_line),
        cmocka_unit_test(test_reader_gone),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_closed_standard_error),
    };
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
