/*
 * Secrets: passwords and keys that come from outside the configuration and leave no trace in
 * memory.
 *
 * A secret is a NUL-terminated string of its own allocation. The one final line break (LF or CRLF)
 * that editors put at the end of a file is not part of it. An empty secret, one with a NUL byte and
 * one above CG_SECRET_BYTES_MAX are errors. `why` receives a sentence part for people ("a
 * directory", "No such file or directory"); it never holds any of the secret. Any thread, except
 * that secret_read_env and secret_read_credential read the environment.
 */
#ifndef CCTGATE_SECRET_H
#define CCTGATE_SECRET_H

#include <stddef.h>
#include <stdint.h>

/*
 * All three: CG_OK and *secret belongs to the caller, who gives it to secret_wipe; else *secret is
 * NULL and the reason is in `why`: CG_E_IO (not there, unreadable, no regular file), CG_E_INVALID
 * (empty, NUL byte), CG_E_LIMIT, CG_E_NOMEM. A file that everybody may read is accepted and logged
 * as a warning.
 */
int secret_read_file(char **secret, const char *path, char *why, size_t why_size);
int secret_read_env(char **secret, const char *name, char *why, size_t why_size);
/*
 * $CREDENTIALS_DIRECTORY/<name>, as systemd's LoadCredential= lays it out; a name with a '/', "."
 * and ".." are CG_E_INVALID.
 */
int secret_read_credential(char **secret, const char *name, char *why, size_t why_size);

/* Overwrites, frees and nulls. NULL inside is fine. */
void secret_wipe(char **secret);

/* 1 when the bytes are equal, in a time that depends on `size` alone. */
int secret_equal(const void *left, const void *right, size_t size);

/* 64 hexadecimal digits of either case to 32 bytes: CG_OK or CG_E_INVALID. */
int secret_sha256_from_hex(uint8_t digest[32], const char *hex);

/*
 * Reads to the end of the file or until `size` bytes are there; CG_E_IO leaves the reason in errno.
 * For callers that must know every copy of what they read (the configuration file may hold a secret
 * by mistake).
 */
int secret_read_bytes(int fd, char *buffer, size_t size, size_t *length);

#endif
