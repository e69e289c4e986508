/*
 * The salted hash of the password that a session was logged in with. The password itself is kept in memory, too, for the next login;
 * what is compared is the hash, so that nothing can be told from how long that takes.
 */
#include <string.h>
#include <stdlib.h>
#include <sys/random.h>

#include <openssl/evp.h>

#include "cctgate/error.h"
#include "cctgate/secret.h"
#include "gateway/upstream/session_private.h"

#define ITERATIONS 1000 /* some tenths of a millisecond: this runs on the owner's loop */

static int hash(const struct session *session, const char *password, uint8_t out[PROOF_BYTES])
{
    return PKCS5_PBKDF2_HMAC(password, (int)strlen(password), session->salt, SALT_BYTES, ITERATIONS,
                             EVP_sha256(), PROOF_BYTES, out) == 1;
}

int session_set_password(struct session *session, const char *password)
{
    char *copy = strdup(password);

    if (copy == NULL)
        return CG_E_NOMEM;
    secret_wipe(&session->password);
    session->password = copy;
    session->has_proof = 0;
    return CG_OK;
}

void session_prove_password(struct session *session)
{
    if (session->has_proof || session->password == NULL)
        return;
    session->has_proof = getrandom(session->salt, SALT_BYTES, 0) == SALT_BYTES &&
                         hash(session, session->password, session->proof);
}

int session_is_password(const struct session *session, const char *password)
{
    uint8_t proof[PROOF_BYTES];
    int same;

    if (!session->has_proof)
        return 0;
    same = hash(session, password, proof) && secret_equal(proof, session->proof, PROOF_BYTES);
    explicit_bzero(proof, sizeof(proof));
    return same;
}
