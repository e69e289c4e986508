/*
 * The one error convention: 0 is success, a negative value of this enum is the reason of a failure.
 * gateway/rest/problem.c holds the table from these values to HTTP statuses and problem types.
 */
#ifndef CCTGATE_ERROR_H
#define CCTGATE_ERROR_H

enum cg_error {
    CG_OK = 0,
    CG_E_NOMEM = -1, /* memory for this request or record could not be had */
    CG_E_INVALID =
        -2, /* an argument, a JSON value or a configuration value does not fit its contract */
    CG_E_NOTFOUND = -3, /* no such object, operation, key or file */
    CG_E_LIMIT = -4,    /* a maximum of limits.h or of the configuration was passed */
    CG_E_XML = -5, /* not well-formed, or a construct that we refuse (DOCTYPE, depth, entities) */
    CG_E_PROTOCOL =
        -6, /* the peer answered, but not with the SOAP message that the contract names */
    CG_E_REFUSED = -7,   /* no connection: refused, unreachable, name not found */
    CG_E_TIMEOUT = -8,   /* a deadline passed; what the peer did is unknown */
    CG_E_RESET = -9,     /* the connection ended in the middle of an exchange */
    CG_E_TLS = -10,      /* handshake or certificate verification failed */
    CG_E_FAULT = -11,    /* the upstream answered with a SOAP fault */
    CG_E_SESSION = -12,  /* the upstream session is gone and could not be had back */
    CG_E_IO = -13,       /* the operating system refused a file or directory */
    CG_E_FULL = -14,     /* the LMDB map is full */
    CG_E_CORRUPT = -15,  /* a stored record or environment does not read back */
    CG_E_SHUTDOWN = -16, /* the process is stopping */
    CG_E_BUSY = -17,     /* a bounded queue is full; worth trying later */
    CG_E_DENIED = -18    /* the peer refused our credentials */
};

/* The name of a value, such as "timeout"; a constant, never NULL. Any thread. */
const char *cg_error_name(int rc);

#endif
