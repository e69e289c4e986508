/*
 * Certificates for tests, made on the spot: EC keys, written as PEM files into the test's own
 * directory.
 */
#ifndef CCTGATE_TESTS_CERTIFICATES_H
#define CCTGATE_TESTS_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/x509.h>

struct certificate {
    X509 *x509;
    EVP_PKEY *key;
    char certificate_file[256], key_file[256];
};

/*
 * `issuer` NULL makes a CA that signs itself. `alternative_names` as in openssl.cnf
 * ("DNS:localhost,IP:127.0.0.1"), NULL for none. Valid from a day before now until `valid_s`
 * seconds from now (negative: it has expired). Fails the test on any error.
 */
void certificate_make(struct certificate *certificate, const struct certificate *issuer,
                      const char *directory, const char *name, const char *alternative_names,
                      long valid_s);
/* Removes the files too. */
void certificate_release(struct certificate *certificate);

#endif
