#include "cctgate/base64.h"

#include <limits.h>
#include <stdlib.h>

#include <openssl/evp.h>

json_t *base64_to_json(const unsigned char *bytes, size_t length)
{
    unsigned char *text;
    json_t *json;
    int written;

    if (length == 0)
        return json_string("");
    if (length > INT_MAX / 2 || (text = malloc((length + 2) / 3 * 4 + 1)) == NULL)
        return NULL;
    written = EVP_EncodeBlock(text, bytes, (int)length);
    json = json_stringn((const char *)text, (size_t)written);
    free(text);
    return json;
}
