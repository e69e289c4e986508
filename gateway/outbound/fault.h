/*
 * What the Outbound services mean by a fault: their faults have no detail, only words, and those are known for one of them alone
 * (conf/contract/outbound/NOTES.md, "Text of errors"). A server may put more around them, so parts are looked for. Pure.
 */
#ifndef CCTGATE_OUTBOUND_FAULT_H
#define CCTGATE_OUTBOUND_FAULT_H

enum outbound_fault {
    OUTBOUND_FAULT_OTHER,
    OUTBOUND_FAULT_IN_USE,  /* the user is logged in already */
    OUTBOUND_FAULT_EXPIRED, /* a key or a password has run out */
    OUTBOUND_FAULT_KEY,     /* the session key is no good */
    OUTBOUND_FAULT_TOO_FAST /* append and close may be called once per second */
};

/* `message` NULL: none. */
enum outbound_fault outbound_fault_of_login(const char *message);
enum outbound_fault outbound_fault_of_call(const char *message);
/* The message goes to clients: what it quotes of a secret (NULL: none) is blotted out, in place. */
void outbound_fault_blot(char *message, const char *secret);

#endif
