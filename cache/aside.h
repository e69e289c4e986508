/*
 * Setting a damaged environment aside: renamed, never deleted at once, so that somebody can look at it; the newest two of a
 * name are kept.
 */
#ifndef CCTGATE_CACHE_ASIDE_H
#define CCTGATE_CACHE_ASIDE_H

#include <stdint.h>

#define ASIDE_KEPT_MAX 2

/*
 * Renames <directory>/<name> to <directory>/<name>.aside-<unix time> (a later second when that is taken) and deletes all but
 * the newest ASIDE_KEPT_MAX of them, as far as that succeeds. CG_OK, also when there is nothing of that name. CG_E_IO with errno.
 */
int aside_move(const char *directory, const char *name, int64_t now_s);

#endif
