/* The access log: one line per request when log.access is on. Paths hold ids, never secrets; queries are left out. */
#include <string.h>

#include "cctgate/log.h"
#include "gateway/rest/rest.h"

static int64_t elapsed_us(const h2o_req_t *req)
{
    const struct timeval *from = &req->timestamps.request_begin_at,
                         *to = &req->timestamps.response_end_at;
    if (from->tv_sec == 0 || to->tv_sec == 0)
        return -1;
    return (int64_t)(to->tv_sec - from->tv_sec) * 1000000 + (to->tv_usec - from->tv_usec);
}

static const char *text_of(h2o_req_t *req, h2o_iovec_t value, size_t max)
{
    return h2o_strdup(&req->pool, value.base, value.len < max ? value.len : max).base;
}

static void log_access(h2o_logger_t *self, h2o_req_t *req)
{
    ssize_t id = h2o_find_header_by_str(&req->res.headers, H2O_STRLIT("x-request-id"), -1);
    h2o_iovec_t path = req->input.path;

    (void)self;
    if (req->input.query_at < path.len)
        path.len = req->input.query_at;
    log_write(
        LOG_LEVEL_INFO, "request", "", LOG_S("method", text_of(req, req->input.method, 32)),
        LOG_S("path", text_of(req, path, 512)), LOG_I("status", req->res.status),
        LOG_I("bytes", req->bytes_sent), LOG_I("elapsedUs", elapsed_us(req)),
        LOG_S("requestId", id != -1 ? text_of(req, req->res.headers.entries[id].value, 64) : NULL));
}

void access_log_register(h2o_pathconf_t *pathconf)
{
    h2o_logger_t *logger = h2o_create_logger(pathconf, sizeof(*logger));
    logger->log_access = log_access;
}
