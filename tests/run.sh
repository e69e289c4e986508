#!/bin/bash
# Runs test programs and counts their test cases. The last line is `N passed, N failed`; the exit code is 0 when at least one
# passed and none failed.
#
#   tests/run.sh VARIANT:PROGRAM[:SELECTION]...
#
# PROGRAM is a cmocka program's path below build/VARIANT (tests/unit/test_x) or a Python unittest file (tests/…/test_x.py) that gets
# the variant's programs in CCTGATE and CCTSIM; SELECTION is then Class or Class.test. At most JOBS programs (3: they wait more than they compute) run at once, each for
# TEST_SECONDS (900) at most. What each of them printed stays in build/tests/.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

BUILD=$(realpath -m "${BUILD:-build}")
JOBS=${JOBS:-3}
TEST_SECONDS=${TEST_SECONDS:-900}
LOGS=$BUILD/tests
LOG_LINES_MAX=400
export BUILD LOGS TEST_SECONDS LOG_LINES_MAX

# ThreadSanitizer's memory layout does not suit every kernel's address space randomisation; without it, it suits all.
fixed_addresses()
{
    local without=(setarch "$(uname -m)" --addr-no-randomize)
    if [[ $1 == tsan ]] && "${without[@]}" true 2>/dev/null; then
        printf '%s\n' "${without[@]}"
    fi
}

# The file name of an item's log: asan:tests/unit/test_x -> asan-unit-test_x
log_name()
{
    local name=${1/:tests\//-}
    name=${name//[\/:]/-}
    printf '%s' "${name%.py}"
}

# "passed failed skipped" of a cmocka program's TAP output. A test that was announced and gave no result has failed (the program died in
# it or before it), and so has a program that ends badly after all its tests passed (a leak, a race).
count_cmocka()
{
    awk -v status="$2" '
        /^1\.\.[0-9]+/       { planned += substr($1, 4) }
        /^(not )?ok [0-9]+ # SKIP/ { skipped++; next }
        /^ok [0-9]+/         { passed++ }
        /^not ok [0-9]+/     { failed++ }
        END {
            seen = passed + failed + skipped
            if (planned > seen) failed += planned - seen
            if ((status != 0 || seen == 0) && failed == 0) failed = 1
            print passed + 0, failed + 0, skipped + 0
        }' "$1"
}

# The same for unittest, from its summary: single lines may be torn by what the programs under test print.
count_unittest()
{
    awk -v status="$2" '
        function number(word,   at) {
            if (!match($0, "[( ]" word "=[0-9]+")) return 0
            at = substr($0, RSTART + length(word) + 2, RLENGTH - length(word) - 2)
            return at + 0
        }
        /^Ran [0-9]+ tests? in / { ran += $2; summary = 1 }
        /^(OK|FAILED)( \(.*\))?$/ {
            failed += number("failures") + number("errors") + number("unexpected successes")
            skipped += number("skipped")
        }
        END {
            passed = ran - failed - skipped
            if (passed < 0) passed = 0
            if ((status != 0 || !summary || ran == 0) && failed == 0) failed = 1
            print passed + 0, failed + 0, skipped + 0
        }' "$1"
}

run_one()
{
    local item=$1 variant=${1%%:*} program=${1#*:} selection='' log status start counts group
    [[ $program == *:* ]] && selection=${program#*:} && program=${program%%:*}
    log=$LOGS/$(log_name "$item")
    start=$(date +%s)

    local command=()
    mapfile -t command < <(fixed_addresses "$variant")
    if [[ $program == *.py ]]; then
        command+=(python3 "$program" -v)
        [[ -n $selection ]] && command+=("$selection")
    else
        command+=("$BUILD/$variant/$program")
    fi

    CCTGATE=$BUILD/$variant/cctgate CCTSIM=$BUILD/$variant/cctsim \
        CMOCKA_MESSAGE_OUTPUT=TAP PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
        ASAN_OPTIONS=abort_on_error=0:halt_on_error=1:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:allow_user_segv_handler=0 \
        LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/tests/tsan.supp \
        timeout --kill-after=10 "$TEST_SECONDS" "${command[@]}" >"$log.log" 2>&1 </dev/null &
    # timeout leads a process group of its own: what a test leaves running is ended with it, and so is all of it at Ctrl-C.
    group=$!
    trap 'kill -- -$group 2>/dev/null; exit 130' INT TERM
    wait "$group"
    status=$?
    kill -- -$group 2>/dev/null && echo "the runner ended processes that were left running" >>"$log.log"
    ((status == 124 || status == 137)) && echo "ended by the runner after $TEST_SECONDS s" >>"$log.log"

    if [[ $program == *.py ]]; then
        counts=$(count_unittest "$log.log" "$status")
    else
        counts=$(count_cmocka "$log.log" "$status")
    fi
    echo "$counts $status" >"$log.counts"
    report_one "$item" "$status" $(($(date +%s) - start)) "$counts"
}

report_one()
{
    local passed failed skipped
    read -r passed failed skipped <<<"$4"
    local line
    line=$(printf '  %-4s %-58s %4d passed' "$( ((failed)) && echo FAIL || echo ok)" "$1" "$passed")
    ((failed)) && line+=", $failed failed"
    ((skipped)) && line+=", $skipped skipped"
    echo "$line, $3 s"
}

# What the failed programs printed; of a very long log the beginning and the end.
print_failures()
{
    local item log failed status
    for item in "$@"; do
        log=$LOGS/$(log_name "$item")
        [[ -r $log.counts ]] || continue
        read -r _ failed _ status <"$log.counts"
        ((failed == 0)) && continue
        printf '\n==== %s: %d failed, exit status %d, %s\n' "$item" "$failed" "$status" "$log.log"
        if (($(wc -l <"$log.log") > LOG_LINES_MAX)); then
            head -n $((LOG_LINES_MAX / 4)) "$log.log"
            echo "    [...]"
            tail -n $((LOG_LINES_MAX * 3 / 4)) "$log.log"
        else
            cat "$log.log"
        fi
    done
}

main()
{
    local item log passed=0 failed=0 skipped=0 p f s
    rm -rf "$LOGS" && mkdir -p "$LOGS" || exit 1
    # shellcheck disable=SC2016 # the inner shell expands it
    (($#)) && printf '%s\0' "$@" | xargs -0 -n 1 -P "$JOBS" "$BASH" -c 'run_one "$1"' run
    print_failures "$@"
    for item in "$@"; do
        log=$LOGS/$(log_name "$item")
        p=0 f=1 s=0
        [[ -r $log.counts ]] && read -r p f s _ <"$log.counts"
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    done
    echo
    ((skipped)) && echo "$skipped skipped"
    echo "$passed passed, $failed failed"
    ((failed == 0 && passed > 0))
}

export -f run_one report_one log_name fixed_addresses count_cmocka count_unittest
main "$@"
