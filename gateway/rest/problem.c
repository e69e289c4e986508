#include "gateway/rest/problem.h"

#include <stdio.h>

#include "cctgate/error.h"

const struct problem_row problem_rows[PROBLEMS] = {
    [PROBLEM_BAD_REQUEST] = {"bad-request", "The request is not well-formed", 400,
                             "Path, query, header or body break a rule; `detail` says which. "
                             "Nothing was called upstream."},
    [PROBLEM_UNAUTHORIZED] =
        {"unauthorized", "A valid bearer token is needed", 401,
         "Send `Authorization: Bearer <token>` with a token that this gateway knows."},
    [PROBLEM_SIGN_ON_DENIED] = {"sign-on-denied", "Name or password are not right", 401,
                                "The contact centre does not take them. Whether there is such a "
                                "user is not told."},
    [PROBLEM_SIGN_ON_LOCKED] =
        {"sign-on-locked", "Too many sign-ons have failed", 429,
         "The user, or the address that the request came from, has to wait: "
         "`Retry-After` says for how long. The contact centre was not asked."},
    [PROBLEM_NOT_SIGNED_ON] = {"not-signed-on", "The token was not signed on", 409,
                               "Only a bearer token that POST /v1/sessions gave can be revoked "
                               "here: others end where they were issued."},
    [PROBLEM_FORBIDDEN] = {"forbidden", "The token may not do this", 403,
                           "The token's roles or users do not cover it."},
    [PROBLEM_NOT_FOUND] =
        {"not-found", "There is no such resource", 404,
         "It does not exist, or the token's users do not own it; the two are never told apart."},
    [PROBLEM_METHOD_NOT_ALLOWED] = {"method-not-allowed", "The resource does not have this method",
                                    405, "`Allow` lists the methods it has."},
    [PROBLEM_NOT_ACCEPTABLE] = {"not-acceptable", "Only JSON is available", 406,
                                "`Accept` excludes application/json."},
    [PROBLEM_REQUEST_TIMEOUT] = {"request-timeout", "The request did not come in time", 408,
                                 "See limits.headTimeoutMs and limits.requestTimeoutMs."},
    [PROBLEM_BODY_TOO_LARGE] = {"body-too-large", "The body is too large", 413,
                                "See limits.maxBodyKiB."},
    [PROBLEM_URI_TOO_LONG] = {"uri-too-long", "The request target is too long", 414, ""},
    [PROBLEM_MEDIA_TYPE] = {"unsupported-media-type",
                            "The body is not of a type that is understood", 415,
                            "Bodies are application/json."},
    [PROBLEM_HEADERS_TOO_LARGE] = {"headers-too-large", "The header fields are too large", 431, ""},
    [PROBLEM_EXPECTATION_FAILED] = {"expectation-failed", "The expectation cannot be met", 417, ""},
    [PROBLEM_USER_REQUIRED] = {"user-required", "The request must say for which CCT user", 400,
                               "The token has several users: name one in `CCT-User`."},
    [PROBLEM_CONTROL_REQUIRED] =
        {"control-required", "The agent's control is needed", 403,
         "Attach with PUT /v1/agents/{loginId}/control and profile FullControl, and send the lease "
         "in `Control-Lease`. `agent` names whose control is needed."},
    [PROBLEM_CONTROL_HELD] =
        {"control-held", "Another application controls the agent", 409,
         "One application instance at a time has FullControl of an agent; `holder` says which."},
    [PROBLEM_CONTROL_LOST] = {"control-lost", "The lease is not valid any more", 409,
                              "It expired, was given back, or an operator ended it; `detail` says "
                              "what became of it where that is known. Attach anew."},
    [PROBLEM_CAPABILITY_ABSENT] =
        {"capability-absent", "That is not possible now", 409,
         "A live capability of the contact centre says no; `capability` names it. Nothing was "
         "called upstream."},
    [PROBLEM_AMBIGUOUS] = {"ambiguous", "It is not plain what is meant", 409,
                           "Several fit: `candidates` lists them. Name one in the body."},
    [PROBLEM_CONFLICT] = {"conflict", "The state does not allow it", 409, "`detail` says why."},
    [PROBLEM_KEY_REUSED] = {"idempotency-key-reused", "The key belongs to another command", 422,
                            "An Idempotency-Key stands for one command with one body, for 24 "
                            "hours. Nothing was done."},
    [PROBLEM_HALF_DONE] = {"half-done", "Only a part of it was done", 502,
                           "`steps` says which part: the contact centre took the first step and "
                           "refused, or did not answer, the next."},
    [PROBLEM_INTERNAL] = {"internal", "The gateway failed", 500,
                          "This is our defect; the log says more."},
    [PROBLEM_NOT_CACHED] = {"not-cached", "There is no stored answer that may be used", 504,
                            "`only-if-cached` was asked, and nothing is stored."},
    [PROBLEM_UPSTREAM_UNREACHABLE] =
        {"upstream-unreachable", "The contact centre cannot be reached", 503,
         "No connection; the gateway keeps trying. What it has stored it still serves."},
    [PROBLEM_UPSTREAM_TIMEOUT] = {"upstream-timeout", "The contact centre did not answer in time",
                                  504, ""},
    [PROBLEM_UPSTREAM_BROKEN] = {"upstream-broken", "The contact centre's answer broke off", 502,
                                 ""},
    [PROBLEM_UPSTREAM_INVALID] = {"upstream-invalid",
                                  "The contact centre's answer is not what its contract says", 502,
                                  ""},
    [PROBLEM_UPSTREAM_FAULT] = {"upstream-fault", "The contact centre refused", 502,
                                "`fault` names why."},
    [PROBLEM_UPSTREAM_TLS] = {"upstream-tls", "The contact centre's certificate was not accepted",
                              502, ""},
    [PROBLEM_SESSION_LOST] = {"session-lost", "The session with the contact centre was lost", 503,
                              "The gateway logs in again by itself."},
    [PROBLEM_SESSION_DENIED] =
        {"session-denied", "The contact centre refused the session's credentials", 503,
         "The configured user, password or domain is wrong; the operator has to act."},
    [PROBLEM_OVERLOADED] = {"overloaded", "Too much is waiting", 503, "Try again later."},
    [PROBLEM_CAPACITY_EXHAUSTED] =
        {"capacity-exhausted", "The contact centre's limit is reached", 503,
         "As many agents are logged in, or as many contacts came within the hour, as the interface "
         "is made for: no agent may begin until there is room. See /v1/capacity."},
    [PROBLEM_STORE] = {"store-failed", "The answer could not be stored", 503,
                       "Disk or map is full."},
    [PROBLEM_SHUTTING_DOWN] = {"shutting-down", "The gateway is stopping", 503,
                               "Try again; another instance may answer."},
    [PROBLEM_UPGRADE_REQUIRED] = {"upgrade-required", "The resource speaks another protocol", 426,
                                  "Events come by WebSocket (version 13), or as "
                                  "text/event-stream to a client that accepts it."},
    [PROBLEM_TOO_MANY] = {"too-many", "There are as many as there may be", 429,
                          "`detail` says of what. End one, or try again later."},
    [PROBLEM_RATE_LIMITED] = {"rate-limited", "The token asks too often", 429,
                              "See limits.requestsPerSecond. `RateLimit-Policy` says how often it "
                              "may, `RateLimit` how much of that is left, `Retry-After` when to "
                              "come again. Nothing was done."},
    [PROBLEM_NOT_IMPLEMENTED] = {"not-implemented", "Nothing implements it", 501,
                                 "The site's contract has no operation for it, or no provider "
                                 "implements it; `detail` says which."},
    [PROBLEM_ALREADY_LOGGED_IN] =
        {"already-logged-in", "Somebody else is logged in as the gateway's user", 409,
         "The Outbound services allow one login per user, and the gateway's is in use elsewhere. "
         "It ends there, or outbound.takeOver lets the gateway end it."},
    [PROBLEM_CAMPAIGN_NOT_ACTIVE] =
        {"campaign-not-active", "There is no such active campaign", 404,
         "Campaigns that are closed, completed or cancelled are not told apart from those that "
         "never were: the contact centre shows only what runs, waits or is paused."},
    [PROBLEM_UNKNOWN_DISPOSITION] = {"unknown-disposition", "The campaign has no such disposition",
                                     422, "`dispositions` names those it has. Nothing was done."},
    [PROBLEM_DUPLICATE] = {"duplicate", "The contact is in the campaign already", 409,
                           "A contact with its phone number was found, and onDuplicate=error was "
                           "asked for. It was not appended."},
};

static const struct {
    int rc;
    enum problem problem;
} errors[] = {
    {CG_E_NOMEM, PROBLEM_OVERLOADED},
    {CG_E_NOTFOUND, PROBLEM_NOT_FOUND},
    {CG_E_REFUSED, PROBLEM_UPSTREAM_UNREACHABLE},
    {CG_E_TIMEOUT, PROBLEM_UPSTREAM_TIMEOUT},
    {CG_E_RESET, PROBLEM_UPSTREAM_BROKEN},
    {CG_E_TLS, PROBLEM_UPSTREAM_TLS},
    {CG_E_FAULT, PROBLEM_UPSTREAM_FAULT},
    {CG_E_SESSION, PROBLEM_SESSION_LOST},
    {CG_E_DENIED, PROBLEM_SESSION_DENIED},
    {CG_E_XML, PROBLEM_UPSTREAM_INVALID},
    {CG_E_PROTOCOL, PROBLEM_UPSTREAM_INVALID},
    {CG_E_LIMIT, PROBLEM_UPSTREAM_INVALID},
    {CG_E_BUSY, PROBLEM_OVERLOADED},
    {CG_E_FULL, PROBLEM_STORE},
    {CG_E_IO, PROBLEM_STORE},
    {CG_E_SHUTDOWN, PROBLEM_SHUTTING_DOWN},
};

enum problem problem_of_error(int rc)
{
    size_t i;
    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); ++i)
        if (errors[i].rc == rc)
            return errors[i].problem;
    return PROBLEM_INTERNAL;
}

enum problem problem_of_status(int status)
{
    static const enum problem by_status[] = {PROBLEM_MEDIA_TYPE,        PROBLEM_BAD_REQUEST,
                                             PROBLEM_NOT_FOUND,         PROBLEM_METHOD_NOT_ALLOWED,
                                             PROBLEM_BODY_TOO_LARGE,    PROBLEM_URI_TOO_LONG,
                                             PROBLEM_HEADERS_TOO_LARGE, PROBLEM_EXPECTATION_FAILED,
                                             PROBLEM_SHUTTING_DOWN,     PROBLEM_FORBIDDEN};
    size_t i;
    for (i = 0; i < sizeof(by_status) / sizeof(by_status[0]); ++i)
        if (problem_rows[by_status[i]].status == status)
            return by_status[i];
    return status < 500 ? PROBLEM_BAD_REQUEST : PROBLEM_INTERNAL;
}

json_t *problem_json(enum problem problem, const char *detail)
{
    const struct problem_row *row = &problem_rows[problem];
    char type[64];
    json_t *json;

    snprintf(type, sizeof(type), "/problems/%s", row->slug);
    json = json_pack("{s:s, s:s, s:i}", "type", type, "title", row->title, "status", row->status);
    if (detail != NULL && *detail != '\0')
        json_object_set_new(json, "detail", json_string(detail));
    return json;
}
