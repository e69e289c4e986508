#include "contract_files.h"

#include <string.h>

/* Copies `text`, putting `host` into every location="http://<authority>/..." of a soap:address or soap12:address. */
static void rewrite(struct buf *out, const char *text, const char *host)
{
    static const char mark[] = ":address location=\"http://";
    const char *at;
    while ((at = strstr(text, mark)) != NULL) {
        const char *authority = at + strlen(mark);
        buf_add(out, text, (size_t)(authority - text));
        buf_xml(out, host);
        text = authority + strcspn(authority, "/\"");
    }
    buf_str(out, text);
}

bool contract_files_wsdl(struct buf *out, const struct service *service, const char *host)
{
    rewrite(out, service->wsdl, host);
    return true;
}

bool contract_files_named(struct buf *out, const char *name, const char *host)
{
    size_t len = 0;
    const char *text = contract_file(name, &len);
    if (text == NULL)
        return false;
    rewrite(out, text, host);
    return true;
}
