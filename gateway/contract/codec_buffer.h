/* Writing into a codec_buffer. Bytes are added whole or not at all. */
#ifndef CCTGATE_CONTRACT_CODEC_BUFFER_H
#define CCTGATE_CONTRACT_CODEC_BUFFER_H

#include "cctgate/codec.h"

/* CG_OK, CG_E_NOMEM, or CG_E_LIMIT when the buffer would pass CG_SOAP_BYTES_MAX. */
int codec_buffer_append(struct codec_buffer *buffer, const char *bytes, size_t length);

/* Back to an earlier length. */
void codec_buffer_truncate(struct codec_buffer *buffer, size_t length);

enum codec_escape { ESCAPE_TEXT, ESCAPE_ATTRIBUTE };

/*
 * Appends text as XML character data or as part of an attribute between double quotes.
 * CG_E_INVALID: it is no UTF-8 or has a character that XML 1.0 cannot carry; part of it may have
 * been appended then.
 */
int codec_buffer_escape(struct codec_buffer *buffer, const char *text, size_t length,
                        enum codec_escape where);

#endif
