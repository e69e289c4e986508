#include "tests/unit/certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY_S (24L * 60 * 60)

static long next_serial = 1000;

static void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void set_subject(X509 *x509, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(x509);

    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
}

static void write_files(struct certificate *certificate, const char *directory, const char *name)
{
    FILE *file;

    snprintf(certificate->certificate_file, sizeof(certificate->certificate_file), "%s/%s.pem",
             directory, name);
    snprintf(certificate->key_file, sizeof(certificate->key_file), "%s/%s.key", directory, name);
    assert_non_null(file = fopen(certificate->certificate_file, "we"));
    assert_int_equal(PEM_write_X509(file, certificate->x509), 1);
    assert_int_equal(fclose(file), 0);
    assert_non_null(file = fopen(certificate->key_file, "we"));
    assert_int_equal(PEM_write_PrivateKey(file, certificate->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
}

void certificate_make(struct certificate *certificate, const struct certificate *issuer,
                      const char *directory, const char *name, const char *alternative_names,
                      long valid_s)
{
    X509 *x509 = X509_new(), *issuer_x509 = issuer != NULL ? issuer->x509 : x509;

    assert_non_null(certificate->key = EVP_EC_gen("P-256"));
    assert_non_null(certificate->x509 = x509);
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), next_serial++);
    X509_gmtime_adj(X509_getm_notBefore(x509), -DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(x509), valid_s);
    X509_set_pubkey(x509, certificate->key);
    set_subject(x509, name);
    X509_set_issuer_name(x509, X509_get_subject_name(issuer_x509));
    add_extension(x509, issuer_x509, NID_basic_constraints,
                  issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (alternative_names != NULL)
        add_extension(x509, issuer_x509, NID_subject_alt_name, alternative_names);
    assert_true(X509_sign(x509, issuer != NULL ? issuer->key : certificate->key, EVP_sha256()) > 0);
    write_files(certificate, directory, name);
}

void certificate_release(struct certificate *certificate)
{
    X509_free(certificate->x509);
    EVP_PKEY_free(certificate->key);
    unlink(certificate->certificate_file);
    unlink(certificate->key_file);
}
