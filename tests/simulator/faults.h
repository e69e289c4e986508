/* Misbehaviour on request: which faults are set, and what each does to a reply. */
#ifndef CCTSIM_FAULTS_H
#define CCTSIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "contract.h"
#include "http.h"

enum fault_kind {
    FAULT_REFUSE,
    FAULT_HANG,
    FAULT_RESET,
    FAULT_TRUNCATE,
    FAULT_GARBAGE,
    FAULT_HTML,
    FAULT_HUGE,
    FAULT_DRIP,
    FAULT_WRONG_TYPE,
    FAULT_DOCTYPE,
    FAULT_DECLARED,
    FAULT_HTTP500,
    FAULT_EMPTY,
    FAULT_WRONG_ELEMENT,
    FAULT_SESSION,
    FAULT_KINDS
};

struct injected {
    enum fault_kind kind;
    char *service;   /* "*" for all */
    char *operation; /* "*" for all */
    long long left;  /* how often still; 0 = until cleared */
    bool endless;
    bool execute; /* the operation is carried out before its reply is spoilt */
    char *fault;  /* FAULT_DECLARED: its name; NULL = the operation's own */
    char *message;
};

/* `kind` is the admin API's word; -1 when there is none such. */
int faults_kind(const char *kind);
const char *faults_kind_name(enum fault_kind kind);
/* Copies the strings. `execute` -1 takes the kind's default: carried out where the reply is built on the true one. */
void faults_add(enum fault_kind kind, const char *service, const char *operation, long long count,
                int execute, const char *fault, const char *message);
void faults_clear(void);
size_t faults_count(void);
const struct injected *faults_at(size_t index);
/* The first fault that applies to `op`, taken off its count; copied into `*out` with strings that live until the next
 * call. */
bool faults_take(const struct operation *op, struct injected *out);
/* Whether the listening socket must be closed. */
bool faults_refuse(void);
/* Answers `conn` in the manner of `fault`; `reply` is the true one and its body is taken. */
void faults_reply(struct http_conn *conn, const struct operation *op, const struct injected *fault,
                  struct http_reply *reply);

#endif
