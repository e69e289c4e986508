/*
 * The access log: one line per request when log.access is on. A path is told as it came where it led to something; else it may hold
 * whatever somebody put there, a password perhaps, and its row of the route table stands for it. Queries are left out, and so are keys of
 * what a call carries.
 */
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

/* NULL: there is no such resource. */
static const char *path_of(h2o_req_t *req)
{
    static const char key[] = "{key}";
    h2o_iovec_t path = req->input.path, ids[2];
    const struct route *route;
    char *text;

    if (req->input.query_at < path.len)
        path.len = req->input.query_at;
    if ((route = route_find(path.base, path.len, ids)) == NULL)
        return NULL;
    if (req->res.status >= 400 || h2o_memis(req->input.method.base, req->input.method.len,
                                            H2O_STRLIT("OPTIONS"))) /* anybody's, of any path */
        return route->path;
    if (strstr(route->path, key) == NULL)
        return text_of(req, path, 512);
    path.len -= ids[1].len;
    text = h2o_mem_alloc_pool(&req->pool, path.len + sizeof(key));
    memcpy(text, path.base, path.len);
    memcpy(text + path.len, key, sizeof(key));
    return text;
}

static void log_access(h2o_logger_t *self, h2o_req_t *req)
{
    ssize_t id = h2o_find_header_by_str(&req->res.headers, H2O_STRLIT("x-request-id"), -1);

    (void)self;
    log_write(
        LOG_LEVEL_INFO, "request", "", LOG_S("method", text_of(req, req->input.method, 32)),
        LOG_S("path", path_of(req)), LOG_I("status", req->res.status),
        LOG_I("bytes", req->bytes_sent), LOG_I("elapsedUs", elapsed_us(req)),
        LOG_S("requestId", id != -1 ? text_of(req, req->res.headers.entries[id].value, 64) : NULL));
}

void access_log_register(h2o_pathconf_t *pathconf)
{
    h2o_logger_t *logger = h2o_create_logger(pathconf, sizeof(*logger));
    logger->log_access = log_access;
}
