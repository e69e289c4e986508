/*
 * Every bound of the program that is not a setting. Passing one is an error path (CG_E_LIMIT), never a crash.
 */
#ifndef CCTGATE_LIMITS_H
#define CCTGATE_LIMITS_H

/* XML from anybody: the upstream's replies, notifications, the contract files */
#define CG_XML_BYTES_MAX    (8u * 1024 * 1024)
#define CG_XML_DEPTH_MAX    64
#define CG_XML_ELEMENTS_MAX 400000 /* comments and processing instructions count too */
/* attributes and namespace declarations of all open elements together: libxml2 looks each name up among them in turn */
#define CG_XML_ATTRIBUTES_MAX        256
#define CG_CONTRACT_FILES_MAX        512
#define CG_CONTRACT_FILE_BYTES_MAX   (4u * 1024 * 1024)
#define CG_CONTRACT_TYPE_DEPTH_MAX   32
#define CG_CONTRACT_FOLDER_DEPTH_MAX 8

/* an envelope that we write */
#define CG_SOAP_BYTES_MAX (64u * 1024 * 1024)

/* JSON from clients */
#define CG_JSON_DEPTH_MAX         32
#define CG_REQUEST_BODY_BYTES_MAX (1024 * 1024)
#define CG_PATH_BYTES_MAX         1024
#define CG_HEAD_BYTES_MAX         32768 /* request line and header fields */
#define CG_TRAILER_BYTES_MAX      4096  /* header fields behind a body in chunks */
#define CG_PIPELINE_BYTES_MAX     8192  /* of requests behind one that is not answered yet */
#define CG_LINGERING_MAX          64    /* connections of a front that are over and still read */
#define CG_LINGER_MS              2000
#define CG_LINGER_BYTES_MAX       (4u * 1024 * 1024)
#define CG_TOKEN_BYTES_MAX        8208 /* of the header field: the largest JWT and "Bearer " */
#define CG_ID_BYTES_MAX           256

/* JSON in our own files */
#define CG_CONFIG_BYTES_MAX (4u * 1024 * 1024)
#define CG_SECRET_BYTES_MAX 65536
#define CG_SESSIONS_MAX     10000
#define CG_TOKENS_MAX       10000
#define CG_SIGN_ONS_MAX     10000 /* that have not been answered */
#define CG_LOCKOUTS_MAX     65536 /* users, and addresses, that are remembered for wrong passwords */

#define CG_COMMAND_TEXT_BYTES_MAX 65536 /* a text in the body of a command */
#define CG_COMMAND_WAIT_S_MAX     30    /* Prefer: wait */

#define CG_OUTCOMES_MAX 1000000 /* idempotency keys that are remembered */

/* what waits */
#define CG_UPSTREAM_QUEUE_MAX 200000
#define CG_FETCH_CALLS_MAX    20000
#define CG_FETCH_LINKS_MAX    200000 /* objects named by the answers that make one resource */
#define CG_CONNECTIONS_MAX    20000

/* store */
#define CG_RECORD_BYTES_MAX      (4u * 1024 * 1024)
#define CG_KEY_BYTES_MAX         500
#define CG_AUDIT_ENTRY_BYTES_MAX 65536 /* the JSON of one */

/* events */
#define CG_EVENT_BYTES_MAX        (1024u * 1024) /* the JSON of one */
#define CG_EVENT_USERS_MAX        65536
#define CG_EVENT_ENTRY_BYTES_MAX  (2u * 1024 * 1024) /* in the log, with all its parts */
#define CG_NOTIFY_BYTES_MAX       (4u * 1024 * 1024)
#define CG_NOTIFY_QUEUE_BYTES_MAX (256u * 1024 * 1024) /* taken and not yet applied */
#define CG_NOTIFY_HELD_BYTES_MAX                                                                   \
    (8u * 1024 * 1024)                    /* of one subscription whose id is not known yet */
#define CG_NOTIFY_OVERLAP_MAX       65536 /* messages remembered while a successor is made */
#define CG_RETIRED_MAX              4096  /* subscriptions that are over and still told apart */
#define CG_CONSUMER_CONNECTIONS_MAX 512
#define CG_CONSUMER_FOREIGN_MAX                                                                    \
    32 /* connections from networks that are not allowed, to be told so */
#define CG_CONSUMER_FOREIGN_BYTES    4096
#define CG_CONSUMER_TIMEOUT_MS       60000
#define CG_CLIENT_MESSAGE_BYTES_MAX  65536
#define CG_CLIENT_SUBSCRIPTIONS_MAX  32
#define CG_FILTER_MEMBERS_MAX        1000
#define CG_SUBSCRIPTION_ID_BYTES_MAX 128
#define CG_CLIENT_COMMANDS_MAX       64    /* that have not been answered */
#define CG_CLIENT_LEASES_MAX         64    /* that a connection remembers */
#define CG_CLIENT_FRAGMENTS_MAX      1024  /* of one message */
#define CG_CLIENT_CONTROLS_MAX       64    /* pings and the like in a tenth of a second */
#define CG_CLIENT_MESSAGES_MAX       500   /* others in a tenth of a second */
#define CG_CLIENT_GRACE_MS           3000  /* that a client whose queue is full may take nothing */
#define CG_CLIENT_OVERRUN_MS         10000 /* that it may take to catch up */
#define CG_CLIENT_CLOSE_MS           5000  /* from saying goodbye to cutting the connection */
#define CG_TICKETS_MAX               10000
#define CG_TICKET_LIFE_MS            30000

/* when clients of events that are told to go are to come back: not before, and spread over so much */
#define CG_RETRY_MIN_MS    500
#define CG_RETRY_SPREAD_MS 4500

#define CG_SILENT_MS  30000 /* a loop that has not turned for so long is dead: /healthz fails */
#define CG_UNREADY_MS 3000 /* the owner has not turned: /readyz says so itself, without asking it */

/* why a WebSocket is closed, RFC 6455 section 7.4 */
#define CG_CLOSE_UNSUPPORTED  1003
#define CG_CLOSE_POLICY       1008
#define CG_CLOSE_INTERNAL     1011
#define CG_CLOSE_RESTART      1012 /* IANA's registry: the service restarts */
#define CG_CLOSE_UNAUTHORIZED 4401
#define CG_CLOSE_SLOW         4408

/* control */
#define CG_LEASES_MAX            100000 /* those whose end is being written count too */
#define CG_AGENT_INSTANCES_MAX   64     /* application instances attached to one agent */
#define CG_RESERVATIONS_MAX      10000  /* by operators, transfers that wait included */
#define CG_LEASES_REMEMBERED_MAX 4096   /* what became of the leases that ended last */
#define CG_CONTROL_REASON_BYTES  200    /* an operator's words */
#define CG_CONTROL_RETRY_MS      1000   /* until an end that the disk refused is written again */
#define CG_AUDIT_TEXT_BYTES_MAX  512    /* a member of an audit entry */

/* outbound campaigns */
#define CG_OUTBOUND_CONCURRENT_MAX  8    /* calls at a time */
#define CG_OUTBOUND_ASKS_MAX        1024 /* questions of clients that have not been answered */
#define CG_OUTBOUND_TURNS_MAX       256  /* closes that wait for their turn */
#define CG_OUTBOUND_STATUSES_MAX    64   /* of contacts, that are remembered by name */
#define CG_OUTBOUND_SPOOL_BYTES_MAX (64u * 1024 * 1024) /* of lists that jobs hold */
#define CG_OUTBOUND_SPOOL_MS        600000              /* that one is held after its job's end */
#define CG_OUTBOUND_LIMIT_MAX       1000000
#define CG_OUTBOUND_PAGE_BYTES_MAX                                                                 \
    (16u * 1024 * 1024) /* of a page of contacts: it ends early then */

/* lists */
#define CG_PAGE_DEFAULT      100
#define CG_PAGE_MAX          1000
#define CG_AUDIT_LOOK_AT_MAX 5000 /* entries that one question to the audit log may look at */

/* outbound jobs */
#define CG_JOB_ROWS_MAX 10000 /* of one request: at one a second, nearly three hours */
#define CG_JOB_ROWS_TURN                                                                           \
    128 /* that a loop reads from a body, or makes ready to be written, in one turn */
#define CG_JOB_COLUMNS_MAX    256   /* of a CSV */
#define CG_JOB_ROW_BYTES_MAX  65536 /* the JSON of one row's call */
#define CG_JOBS_MAX           1000 /* that are shown: beyond it the oldest that have ended are forgotten */
#define CG_JOBS_ROWS_MAX      200000
#define CG_JOBS_WAITING_BYTES (64u * 1024 * 1024) /* the rows that have not been sent */
#define CG_JOB_TRIES_MAX      20                  /* of a row that came too soon, each time */
#define CG_JOB_DETAIL_BYTES   256                 /* what is kept of why a row failed */

#define CG_ERROR_TEXT_MAX 512

#endif
