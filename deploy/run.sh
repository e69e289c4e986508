#!/bin/bash
# The demonstration behind `make run`: a simulated contact centre with 20 agents and the gateway in front of it, until Ctrl-C.
#
# Everything it writes is in run/, which git ignores: configuration, secrets, the cache (kept: the next start is warm), logs.
# The ports are 8080 (gateway), 9091 (its consumer of notifications) and 9084 (simulator), or free ones where these are taken.
# CCTGATE_RUN_ONCE=1 starts, asks three questions, watches a call arrive as events, stops, and exits with 0 when all was right.
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=${OUT:-build/release}
RUN=run
AGENTS=20
START_SECONDS=60
GATE_PID='' SIM_PID=''

die()
{
    echo "run: $*" >&2
    exit 1
}

# The wanted port, or 0 (any free one) when somebody listens on it.
port_or_any()
{
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then echo 0; else echo "$1"; fi
}

# wait_for WHAT PID LOG COMMAND...: until COMMAND succeeds.
wait_for()
{
    local what=$1 pid=$2 log=$3 end=$((SECONDS + START_SECONDS))
    shift 3
    until "$@"; do
        kill -0 "$pid" 2>/dev/null || { tail -n 20 "$log" >&2; die "$what ended; all of it is in $log"; }
        ((SECONDS < end)) || { tail -n 20 "$log" >&2; die "$what was not ready after $START_SECONDS s; see $log"; }
        sleep 0.05
    done
}

# json_number FILE EVENT NAME: a number out of the first JSON line of that event.
json_number()
{
    sed -n "/\"event\":\"$2\"/s/.*\"$3\":\([0-9]*\).*/\1/p" "$1" | head -n 1
}

has_event()
{
    grep -q "\"event\":\"$2\"" "$1" 2>/dev/null
}

# stop_one NAME PID: SIGTERM, and SIGKILL to one that does not heed it.
stop_one()
{
    [[ -n $2 ]] || return 0
    kill "$2" 2>/dev/null || true
    local end=$((SECONDS + 15))
    while kill -0 "$2" 2>/dev/null && ((SECONDS < end)); do sleep 0.05; done
    kill -KILL "$2" 2>/dev/null && echo "run: $1 had to be killed" >&2
    wait "$2" 2>/dev/null || true
}

# The gateway first: it logs its sessions off.
stop_all()
{
    trap - EXIT INT TERM
    stop_one cctgate "$GATE_PID"
    stop_one cctsim "$SIM_PID"
}

make_secrets()
{
    mkdir -p $RUN/secrets $RUN/data
    chmod 700 $RUN/secrets $RUN/data
    (
        umask 077
        printf 'secret\n' >$RUN/secrets/cct-password # every user's in the simulator
        openssl rand -hex 32 >$RUN/secrets/token
    )
    TOKEN=$(<$RUN/secrets/token)
}

# One session per agent, as the vendor supports it, and the supervisor's, which owns the whole floor.
sessions_json()
{
    local id
    printf '    {"user": "supervisor", "domain": "CC", "password": {"file": "secrets/cct-password"}, "shared": true}'
    for ((id = 2001; id <= 2000 + AGENTS; id++)); do
        printf ',\n    {"user": "agent%d", "domain": "CC", "password": {"file": "secrets/cct-password"}, "agent": "%d"}' "$id" "$id"
    done
}

make_config()
{
    local sha256
    sha256=$(printf %s "$TOKEN" | sha256sum | cut -d' ' -f1)
    cat >$RUN/cctgate.json <<CONFIG
{
  "//": "Made by deploy/run.sh at each start; conf/cctgate.json has all settings.",
  "listen": [{"address": "127.0.0.1", "port": $(port_or_any 8080)}],
  "contract": "../conf/contract",
  "data": {"directory": "data", "mapSizeMiB": 256},
  "upstream": {
    "endpoints": [{"name": "campus", "url": "http://127.0.0.1:$SIM_PORT/SOAOICCT/services"}],
    "heartbeatMs": 2000,
    "loginsPerSecond": 100
  },
  "consumer": {"address": "127.0.0.1", "port": $(port_or_any 9091), "allow": ["127.0.0.1/32"]},
  "sessions": [
$(sessions_json)
  ],
  "tokens": [{"application": "demo", "sha256": "$sha256", "users": ["supervisor"], "roles": ["viewer", "controller", "supervisor", "operator"]}],
  "log": {"level": "info", "format": "json", "access": true}
}
CONFIG
}

start_simulator()
{
    # Emptied first, so that a line of an earlier start is not taken for this one's.
    : >$RUN/cctsim.log
    "$OUT/cctsim" --port "$(port_or_any 9084)" --admin-port "$(port_or_any 9085)" --agents $AGENTS \
        --contract conf/contract >>$RUN/cctsim.log 2>&1 </dev/null &
    SIM_PID=$!
    wait_for "the simulator" $SIM_PID $RUN/cctsim.log has_event $RUN/cctsim.log listening
    SIM_PORT=$(json_number $RUN/cctsim.log listening port)
    SIM_ADMIN=$(json_number $RUN/cctsim.log listening adminPort)
}

is_ready()
{
    curl --silent --fail --max-time 5 --noproxy '*' --output /dev/null "$URL/readyz"
}

start_gateway()
{
    : >$RUN/cctgate.log
    "$OUT/cctgate" --config $RUN/cctgate.json >>$RUN/cctgate.log 2>&1 </dev/null &
    GATE_PID=$!
    wait_for "the gateway" $GATE_PID $RUN/cctgate.log has_event $RUN/cctgate.log listening
    URL=http://127.0.0.1:$(json_number $RUN/cctgate.log listening port)
    wait_for "the gateway" $GATE_PID $RUN/cctgate.log is_ready
}

say_what_to_try()
{
    cat <<TEXT

cctgate is ready at $URL, in front of a simulated contact centre with $AGENTS agents.
In another terminal:

  AUTH='Authorization: Bearer $TOKEN'

  curl -H "\$AUTH" '$URL/v1/agents?limit=3'            # the agents, as JSON
  curl -i -H "\$AUTH" $URL/v1/agents/2001             # one of them; see etag, cache-status and "sync":"live"
  curl -i -H "\$AUTH" -H 'If-None-Match: <the etag>' $URL/v1/agents/2001    # 304
  curl -H "\$AUTH" $URL/v1/calls                      # the calls in progress
  curl -H "\$AUTH" $URL/v1/terminals/Line%201.0.1     # a telephone
  curl -H "\$AUTH" -H 'Content-Type: application/json' -d '{}' $URL/v1/services/SessionService/GetAgents   # any operation of the contract

Watch what happens: first what there is, then every event as it comes, until Ctrl-C.

  curl -N -H "\$AUTH" -H 'Accept: text/event-stream' '$URL/v1/events?snapshot=true'
  curl -N -H "\$AUTH" -H 'Accept: text/event-stream' '$URL/v1/events?types=cct.terminalConnection.state&agents=2002,2003'

Act: take control of agent 2003 (the answer holds the lease), log it in, set it ready, make a call, see who did what.

  LEASE=\$(curl -s -X PUT -H "\$AUTH" -H 'Content-Type: application/json' -d '{"profile":"FullControl"}' $URL/v1/agents/2003/control | tee /dev/stderr | sed 's/.*"lease":"\([^"]*\).*/\1/')
  alias act='curl -i -H "\$AUTH" -H "Control-Lease: \$LEASE" -H "Content-Type: application/json"'
  act -d '{"password":"secret","initialState":"NOT_READY"}' $URL/v1/agents/2003/login
  act -X PUT -d '{"ready":true}' $URL/v1/agents/2003/readiness
  act -H 'Prefer: wait=5' -H 'Idempotency-Key: call-1' -d '{"from":{"agent":"2003"},"to":"52002"}' $URL/v1/calls
  act -d '{"agent":"2003"}' $URL/v1/calls/current/drop
  curl -H "\$AUTH" '$URL/v1/audit?limit=5'

Make something happen meanwhile: a call to an agent who answers; a working floor, two steps a second.

  curl -d '{"to":"2002","answer":true}' http://127.0.0.1:$SIM_ADMIN/calls
  curl -d '{"steps":200,"perSecond":2}' http://127.0.0.1:$SIM_ADMIN/traffic

The same in a browser: open $URL/ and paste this into its console (F12).

  ws = new WebSocket('${URL/http/ws}/v1/events', ['cctgate.v1', 'bearer.$TOKEN']);
  ws.onopen = () => ws.send(JSON.stringify({op: 'subscribe', id: 'all', snapshot: true}));
  ws.onmessage = m => console.log(JSON.parse(m.data));

Take the contact centre away; within two seconds reads say so ("sync":"stale", "staleSince") and go on. Then give it back:

  curl -X POST -d '{"kind":"refuse"}' http://127.0.0.1:$SIM_ADMIN/faults
  curl -H "\$AUTH" $URL/v1/agents/2001
  curl -X DELETE http://127.0.0.1:$SIM_ADMIN/faults

The simulator's own count of what it was asked:  curl http://127.0.0.1:$SIM_ADMIN/counters
Configuration, token and logs are in run/.  Ctrl-C stops both.

TEXT
}

# ask STATUS PATH [CURL OPTION]...: prints the exchange, fails unless the status is the expected one.
ask()
{
    local expected=$1 path=$2 answer status
    shift 2
    answer=$(curl --silent --max-time 20 --noproxy '*' --include -H "Authorization: Bearer $TOKEN" "$@" "$URL$path" | tr -d '\r')
    status=$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' <<<"$answer")
    printf 'GET %s -> %s\n%s\n\n' "$path" "$status" "$(cut -c 1-400 <<<"$answer" | sed 's/^/    /')"
    ANSWER=$answer
    [[ $status == "$expected" ]] || die "GET $path: $expected was expected"
}

ask_three()
{
    ask 200 '/v1/agents?limit=2'
    ask 200 /v1/agents/2001
    local etag
    etag=$(sed -n 's/^[Ee][Tt]ag: //p' <<<"$ANSWER")
    [[ -n $etag ]] || die "the agent came without an ETag"
    ask 304 /v1/agents/2001 -H "If-None-Match: $etag"
    echo "run: three of three answers are right"
}

has_line()
{
    grep -q "$2" "$1"
}

# A client of events is told of a call that comes after it.
watch_a_call()
{
    local log=$RUN/events.log watcher contact
    : >$log
    curl --silent --no-buffer --noproxy '*' -H "Authorization: Bearer $TOKEN" -H 'Accept: text/event-stream' \
        "$URL/v1/events" >$log &
    watcher=$!
    wait_for "the stream of events" $watcher $log has_line $log '^event: hello'
    wait_for "the gateway" $GATE_PID $RUN/cctgate.log is_live
    contact=$(curl --silent --noproxy '*' -d '{"to":"2002","answer":true}' "http://127.0.0.1:$SIM_ADMIN/calls" |
        sed -n 's/.*"contactId":"\([^"]*\)".*/\1/p')
    [[ -n $contact ]] || die "the simulator made no call"
    wait_for "the call's event" $watcher $log has_line $log "^data: .*cct.terminalConnection.state.*/v1/calls/$contact.*\"newState\":\"ACTIVE\""
    kill $watcher
    wait $watcher 2>/dev/null || true
    grep '^event: ' $log | sort | uniq -c
    echo "run: the call was told by events"
}

# The supervisor's session is subscribed, and all has been read since.
is_live()
{
    curl --silent --fail --max-time 5 --noproxy '*' -H "Authorization: Bearer $TOKEN" "$URL/v1/agents/2002" |
        grep -q '"sync":"live"'
}

main()
{
    set -m # groups of their own: Ctrl-C comes to this script alone, which stops the two in order
    trap stop_all EXIT
    trap 'echo; echo "stopping"; stop_all; exit 0' INT TERM
    make_secrets
    start_simulator
    make_config
    start_gateway
    say_what_to_try
    if [[ ${CCTGATE_RUN_ONCE:-0} == 1 ]]; then
        ask_three
        watch_a_call
        return
    fi
    wait -n "$SIM_PID" "$GATE_PID" || true
    die "one of the two programs ended; see run/cctgate.log and run/cctsim.log"
}

main
