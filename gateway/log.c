/*
 * A line is built in a buffer on the stack and leaves in one write, so there is no lock and nothing
 * to wait for:
 *
 * - Standard error may be a pipe or a terminal whose reader has stopped. Its descriptor is shared
 *   with other processes, so it can't be made non-blocking; log_configure therefore opens the same
 *   pipe or terminal a second time, non-blocking, for us alone. A socket (the journal) is written
 *   with MSG_DONTWAIT instead, and a regular file does not block.
 * - A pipe takes up to PIPE_BUF bytes whole or not at all; a longer line may be torn. It counts as
 *   dropped, and the next line begins with a line break, so that at most one line is ever
 *   unreadable.
 * - A line that would be too long loses whole members, never its closing brace, and says
 *   `"cut":true`.
 */
#include "cctgate/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX  8192
#define VALUE_BYTES_MAX 1024
#define TAIL_BYTES      16 /* room kept for the mark that members are missing and the end */

enum target { TARGET_FILE, TARGET_SOCKET };

static atomic_int current_level = LOG_LEVEL_INFO;
static atomic_int current_format = LOG_FORMAT_AUTO;
static atomic_int on_terminal = -1; /* -1: not looked at yet */
static atomic_int own_fd =
    -1; /* our non-blocking second descriptor; once open, its number never changes */
static atomic_int write_fd = STDERR_FILENO;
static atomic_int write_target = TARGET_FILE;
static atomic_int torn;
static atomic_uint_fast64_t dropped;

struct line {
    size_t length;
    int full; /* the last member did not fit */
    char bytes[LINE_BYTES_MAX];
};

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static const char *const level_labels[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
static const char *const level_colours[] = {"\033[2m", "\033[32m", "\033[33m", "\033[31m"};

static void put_bytes(struct line *line, const char *bytes, size_t length)
{
    if (line->full || length > LINE_BYTES_MAX - TAIL_BYTES - line->length) {
        line->full = 1;
        return;
    }
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
}

static void put(struct line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

/*
 * The length of the UTF-8 sequence at `s` (RFC 3629: no overlong form, no surrogate, nothing above
 * U+10FFFF) and its code point; 0 when there is none. The terminating NUL ends every sequence that
 * is cut off.
 */
static size_t utf8_sequence(const unsigned char *s, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80       ? 1
                    : s[0] >> 5 == 6  ? 2
                    : s[0] >> 4 == 14 ? 3
                    : s[0] >> 3 == 30 ? 4
                                      : 0;
    if (length == 0)
        return 0;
    uint32_t value = length == 1 ? s[0] : s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (s[i] & 0x3fu);
    }
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return length;
}

/*
 * What moves a cursor, ends a line or turns the direction of writing must not reach a reader's
 * screen.
 */
static int is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void put_code(struct line *line, uint32_t code)
{
    static const char short_forms[] = "btn\1fr"; /* U+0008 to U+000D; U+000B has none */
    char text[8];
    if (code >= 8 && code <= 13 && code != 11)
        snprintf(text, sizeof text, "\\%c", short_forms[code - 8]);
    else
        snprintf(text, sizeof text, "\\u%04x", (unsigned)code & 0xffffu);
    put(line, text);
}

/*
 * Up to VALUE_BYTES_MAX bytes of `text`, escaped as in a JSON string; `quoted` also escapes '"' and
 * '\'.
 */
static void put_escaped(struct line *line, const char *text, int quoted)
{
    const unsigned char *start = (const unsigned char *)text, *s = start;
    while (*s != '\0') {
        uint32_t code = 0;
        size_t length = utf8_sequence(s, &code);
        if ((size_t)(s - start) + (length > 0 ? length : 1) > VALUE_BYTES_MAX) {
            put(line, "\xe2\x80\xa6"); /* an ellipsis */
            return;
        }
        if (length == 0)
            put(line, "\xef\xbf\xbd"); /* U+FFFD for a byte that is no UTF-8 */
        else if (is_control(code))
            put_code(line, code);
        else if (quoted && (code == '"' || code == '\\'))
            put_bytes(line, (const char[]){'\\', (char)code}, 2);
        else
            put_bytes(line, (const char *)s, length);
        s += length > 0 ? length : 1;
    }
}

static void put_string(struct line *line, const char *text)
{
    put(line, "\"");
    put_escaped(line, text, 1);
    put(line, "\"");
}

static void put_scalar(struct line *line, const struct log_member *member)
{
    char text[40];
    if (member->kind == LOG_INTEGER)
        snprintf(text, sizeof text, "%lld", (long long)member->integer);
    else if (member->kind == LOG_BOOLEAN)
        snprintf(text, sizeof text, "%s", member->integer ? "true" : "false");
    else if (member->kind == LOG_REAL && isfinite(member->real))
        snprintf(text, sizeof text, "%.15g", member->real);
    else
        snprintf(text, sizeof text, "null");
    put(line, text);
}

static void put_time(struct line *line)
{
    struct timespec now = {0, 0};
    struct tm parts;
    char text[40], whole[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(whole, sizeof whole, "%s.%03dZ", text, (int)(now.tv_nsec / 1000000));
    put(line, whole);
}

/* Whatever `mark` began and did not fit is taken back, so that the line stays well-formed. */
static int settle(struct line *line, size_t mark)
{
    if (!line->full)
        return 1;
    line->length = mark;
    return 0;
}

static int put_json_member(struct line *line, const struct log_member *member)
{
    size_t mark = line->length;
    put(line, ",");
    put_string(line, member->name);
    put(line, ":");
    if (member->kind == LOG_STRING && member->string != NULL)
        put_string(line, member->string);
    else
        put_scalar(line, member);
    return settle(line, mark);
}

static void build_json(struct line *line, enum log_level level, const char *event, const char *text,
                       const struct log_member *members)
{
    const struct log_member head[] = {LOG_S("level", level_names[level]),
                                      LOG_S("event", event),
                                      LOG_S("message", text),
                                      {LOG_END, 0, 0, 0, 0}};
    int whole = 1;
    put(line, "{\"time\":\"");
    put_time(line);
    put(line, "\"");
    for (const struct log_member *m = head; whole && m->kind != LOG_END; m++)
        whole = put_json_member(line, m);
    for (const struct log_member *m = members; whole && m->kind != LOG_END; m++)
        whole = put_json_member(line, m);
    const char *tail = whole ? "}\n" : ",\"cut\":true}\n";
    memcpy(line->bytes + line->length, tail, strlen(tail));
    line->length += strlen(tail);
}

/* A value that stands for itself in `name=value`. */
static int is_plain(const char *text)
{
    if (text[0] == '\0' || strlen(text) > VALUE_BYTES_MAX)
        return 0;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f || strchr("\"\\=", *text) != NULL)
            return 0;
    return 1;
}

static int put_human_member(struct line *line, const struct log_member *member)
{
    size_t mark = line->length;
    put(line, " ");
    put_escaped(line, member->name, 1);
    put(line, "=");
    if (member->kind != LOG_STRING || member->string == NULL)
        put_scalar(line, member);
    else if (is_plain(member->string))
        put(line, member->string);
    else
        put_string(line, member->string);
    return settle(line, mark);
}

static void build_human(struct line *line, enum log_level level, const char *event,
                        const char *text, const struct log_member *members, int colours)
{
    int whole = 1;
    put_time(line);
    put(line, colours ? " " : "");
    put(line, colours ? level_colours[level] : " ");
    put(line, level_labels[level]);
    put(line, colours ? "\033[0m " : " ");
    size_t mark = line->length;
    put_escaped(line, event, 0);
    if (text != NULL) {
        put(line, ": ");
        put_escaped(line, text, 0);
    }
    whole = settle(line, mark);
    for (const struct log_member *m = members; whole && m->kind != LOG_END; m++)
        whole = put_human_member(line, m);
    const char *tail = whole ? "\n" : " cut=true\n";
    memcpy(line->bytes + line->length, tail, strlen(tail));
    line->length += strlen(tail);
}

static ssize_t write_once(const char *bytes, size_t length)
{
    int fd = atomic_load_explicit(&write_fd, memory_order_relaxed);
    ssize_t wrote;
    do {
        wrote = atomic_load_explicit(&write_target, memory_order_relaxed) == TARGET_SOCKET
                    ? send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL)
                    : write(fd, bytes, length);
    } while (wrote < 0 && errno == EINTR);
    return wrote;
}

static void send_line(const struct line *line)
{
    size_t skip =
        atomic_exchange(&torn, 0) ? 0 : 1; /* the first byte is the line break after a torn line */
    size_t length = line->length - skip;
    ssize_t wrote = write_once(line->bytes + skip, length);
    if (wrote == (ssize_t)length)
        return;
    atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    if (wrote > 0 || skip == 0)
        atomic_store(&torn, 1);
}

static int is_terminal(void)
{
    int known = atomic_load_explicit(&on_terminal, memory_order_relaxed);
    if (known < 0) {
        known = isatty(STDERR_FILENO);
        atomic_store_explicit(&on_terminal, known, memory_order_relaxed);
    }
    return known;
}

void log_emit(enum log_level level, const char *event, const char *text,
              const struct log_member *members)
{
    int saved = errno;
    int format = atomic_load_explicit(&current_format, memory_order_relaxed);
    struct line line;
    line.length = 0;
    line.full = 0;
    put(&line, "\n");
    if (format == LOG_FORMAT_JSON || (format == LOG_FORMAT_AUTO && !is_terminal()))
        build_json(&line, level, event, text, members);
    else
        build_human(&line, level, event, text, members, is_terminal());
    send_line(&line);
    errno = saved;
}

int log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&current_level, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

/*
 * Opens what standard error is a second time, non-blocking; -1 where that is not possible or not
 * needed.
 */
static int open_second(const struct stat *about)
{
    if (!S_ISFIFO(about->st_mode) && !(S_ISCHR(about->st_mode) && isatty(STDERR_FILENO)))
        return -1;
    return open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/*
 * The number of our descriptor stays the same, so that a thread that is writing never meets a
 * closed or foreign one.
 */
static int keep_second(int fd)
{
    int none = -1, own = atomic_load(&own_fd);
    if (fd < 0)
        return STDERR_FILENO;
    if (own < 0 && atomic_compare_exchange_strong(&own_fd, &none, fd))
        return fd;
    own = atomic_load(&own_fd);
    int rc = dup3(fd, own, O_CLOEXEC);
    close(fd);
    return rc < 0 ? STDERR_FILENO : own;
}

void log_configure(enum log_level level, enum log_format format)
{
    struct stat about;
    int known = fstat(STDERR_FILENO, &about) == 0;
    atomic_store(&on_terminal, isatty(STDERR_FILENO));
    atomic_store(&write_target, known && S_ISSOCK(about.st_mode) ? TARGET_SOCKET : TARGET_FILE);
    atomic_store(&write_fd, keep_second(known ? open_second(&about) : -1));
    atomic_store(&current_level, (int)level);
    atomic_store(&current_format, (int)format);
}
