#include "gateway/contract/loader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/xml.h"

int loader_fail(struct loader *loader, int rc, const struct contract_file *file, xmlNodePtr node,
                const char *format, ...)
{
    char reason[CG_ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    if (file == NULL)
        snprintf(loader->error, loader->error_size, "%s", reason);
    else if (node == NULL)
        snprintf(loader->error, loader->error_size, "%s: %s", file->label, reason);
    else
        snprintf(loader->error, loader->error_size, "%s:%ld: %s", file->label, xmlGetLineNo(node),
                 reason);
    return rc;
}

int loader_nomem(struct loader *loader)
{
    return loader_fail(loader, CG_E_NOMEM, NULL, NULL, "no memory for the contract");
}

static const char *label_of(const struct loader *loader, const char *path)
{
    size_t length = strlen(loader->root);
    if (strncmp(path, loader->root, length) != 0)
        return path;
    path += length;
    return *path == '/' ? path + 1 : path;
}

/* The whole file, malloc'ed. Reads one byte more than is allowed to see that there is more. */
static int read_file(struct loader *loader, const struct contract_file *file, char **bytes,
                     size_t *length)
{
    const size_t size = CG_CONTRACT_FILE_BYTES_MAX + 1;
    int rc = CG_OK, fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    *length = 0;
    *bytes = NULL;
    if (fd < 0)
        return loader_fail(loader, CG_E_IO, file, NULL, "cannot open: %s", strerror(errno));
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        rc = loader_fail(loader, CG_E_IO, file, NULL, "not a regular file");
    else if (status.st_size > (off_t)CG_CONTRACT_FILE_BYTES_MAX)
        rc = loader_fail(loader, CG_E_LIMIT, file, NULL, "larger than a contract file may be");
    else if ((*bytes = malloc(size)) == NULL)
        rc = loader_nomem(loader);
    while (rc == CG_OK && *length < size) {
        ssize_t got = read(fd, *bytes + *length, size - *length);
        if (got == 0)
            break;
        if (got > 0)
            *length += (size_t)got;
        else if (errno != EINTR)
            rc = loader_fail(loader, CG_E_IO, file, NULL, "cannot read: %s", strerror(errno));
    }
    close(fd);
    return rc;
}

static int parse_file(struct loader *loader, struct contract_file *file)
{
    char reason[CG_ERROR_TEXT_MAX], *bytes;
    size_t length;
    int rc = read_file(loader, file, &bytes, &length);
    if (rc == CG_OK) {
        rc = xml_parse(bytes, length, CG_CONTRACT_FILE_BYTES_MAX, &file->doc, reason,
                       sizeof(reason));
        if (rc != CG_OK)
            loader_fail(loader, rc, file, NULL, "%s", reason);
    }
    free(bytes);
    return rc;
}

int loader_open(struct loader *loader, const char *path, struct contract_file **file)
{
    for (size_t i = 0; i < loader->files.length; i++) {
        *file = loader->files.items[i];
        if (strcmp((*file)->path, path) == 0)
            return CG_OK;
    }
    if (loader->files.length >= CG_CONTRACT_FILES_MAX)
        return loader_fail(loader, CG_E_LIMIT, NULL, NULL, "more than %d contract files",
                           CG_CONTRACT_FILES_MAX);
    *file = arena_alloc(loader->arena, sizeof(**file));
    char *copy = arena_strdup(loader->arena, path);
    if (*file == NULL || copy == NULL)
        return loader_nomem(loader);
    (*file)->path = copy;
    (*file)->label = label_of(loader, copy);
    int rc = parse_file(loader, *file);
    if (rc == CG_OK && list_push(loader->arena, &loader->files, *file) != CG_OK) {
        xmlFreeDoc((*file)->doc);
        rc = loader_nomem(loader);
    }
    return rc;
}

static int has_scheme(const char *location)
{
    size_t length =
        strspn(location, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    return length > 0 && location[length] == ':';
}

static int is_below(const char *root, const char *path)
{
    size_t length = strlen(root);
    return strncmp(path, root, length) == 0 && (path[length] == '/' || root[length - 1] == '/');
}

int loader_follow(struct loader *loader, const struct contract_file *from, xmlNodePtr node,
                  const char *location, struct contract_file **file)
{
    char joined[PATH_MAX], real[PATH_MAX];
    if (has_scheme(location) || location[0] == '/' || strchr(location, '\\') != NULL)
        return loader_fail(loader, CG_E_INVALID, from, node,
                           "location \"%.100s\" is not a relative path", location);
    const char *slash = strrchr(from->path, '/');
    int length = snprintf(joined, sizeof(joined), "%.*s/%s", (int)(slash - from->path), from->path,
                          location);
    if (length < 0 || (size_t)length >= sizeof(joined))
        return loader_fail(loader, CG_E_INVALID, from, node, "a location that is too long");
    if (realpath(joined, real) == NULL)
        return loader_fail(loader, CG_E_IO, from, node, "location \"%.100s\": %s", location,
                           strerror(errno));
    if (!is_below(loader->root, real))
        return loader_fail(loader, CG_E_INVALID, from, node,
                           "location \"%.100s\" leaves the contract's directory", location);
    return loader_open(loader, real, file);
}

static int ends_with(const char *name, const char *end)
{
    size_t a = strlen(name), b = strlen(end);
    return a > b && strcmp(name + a - b, end) == 0;
}

static int is_skipped_folder(const char *name)
{
    return strcmp(name, "samples") == 0 || strncmp(name, "variant-", strlen("variant-")) == 0;
}

static int find_below(struct loader *loader, const char *folder, int depth, struct list *paths);

static int find_entry(struct loader *loader, const char *folder, const char *name, int depth,
                      struct list *paths)
{
    struct stat status;
    char *joined = arena_join(loader->arena, folder, "/", name), real[PATH_MAX];
    if (joined == NULL)
        return loader_nomem(loader);
    if (stat(joined, &status) != 0 && !ends_with(name, ".wsdl"))
        return CG_OK; /* a broken link that is none of ours */
    if (stat(joined, &status) != 0)
        return loader_fail(loader, CG_E_IO, NULL, NULL, "%s: %s", label_of(loader, joined),
                           strerror(errno));
    if (S_ISDIR(status.st_mode))
        return is_skipped_folder(name) ? CG_OK : find_below(loader, joined, depth + 1, paths);
    if (!S_ISREG(status.st_mode) || !ends_with(name, ".wsdl"))
        return CG_OK;
    if (realpath(joined, real) == NULL || !is_below(loader->root, real))
        return loader_fail(loader, CG_E_INVALID, NULL, NULL,
                           "%s is outside the contract's directory", label_of(loader, joined));
    for (size_t i = 0; i < paths->length; i++) {
        if (strcmp(paths->items[i], real) == 0)
            return CG_OK;
    }
    if (paths->length >= CG_CONTRACT_FILES_MAX)
        return loader_fail(loader, CG_E_LIMIT, NULL, NULL, "more than %d WSDL files",
                           CG_CONTRACT_FILES_MAX);
    char *copy = arena_strdup(loader->arena, real);
    if (copy == NULL || list_push(loader->arena, paths, copy) != CG_OK)
        return loader_nomem(loader);
    return CG_OK;
}

static int find_below(struct loader *loader, const char *folder, int depth, struct list *paths)
{
    struct dirent *entry;
    int rc = CG_OK;
    if (depth > CG_CONTRACT_FOLDER_DEPTH_MAX)
        return loader_fail(loader, CG_E_LIMIT, NULL, NULL, "%s: folders are nested too deep",
                           label_of(loader, folder));
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return loader_fail(loader, CG_E_IO, NULL, NULL, "%s: %s", folder, strerror(errno));
    while (rc == CG_OK && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.')
            rc = find_entry(loader, folder, entry->d_name, depth, paths);
    }
    closedir(directory);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int loader_find_wsdl(struct loader *loader, struct list *paths)
{
    int rc = find_below(loader, loader->root, 0, paths);
    if (rc == CG_OK && paths->length > 1)
        qsort(paths->items, paths->length, sizeof(paths->items[0]), by_name);
    return rc;
}

void loader_close(struct loader *loader)
{
    for (size_t i = 0; i < loader->files.length; i++) {
        struct contract_file *file = loader->files.items[i];
        xmlFreeDoc(file->doc);
        file->doc = NULL;
    }
}

int loader_attribute(struct loader *loader, xmlNodePtr node, const char *name, char **value)
{
    *value = NULL;
    if (xmlHasNsProp(node, (const xmlChar *)name, NULL) == NULL)
        return CG_OK;
    xmlChar *text = xmlGetNoNsProp(node, (const xmlChar *)name);
    if (text == NULL)
        return loader_nomem(loader);
    *value = arena_strdup(loader->arena, (const char *)text);
    xmlFree(text);
    return *value == NULL ? loader_nomem(loader) : CG_OK;
}
