#!/bin/bash
# Runs libFuzzer targets one after the other, each for FUZZ_SECONDS (30): `make fuzz` calls it with their names.
#
# The corpus of fuzz_x is tests/fuzz/corpus/fuzz_x, which is only read; what the fuzzer adds stays below OUT. An input that
# crashes is kept there too and named at the end; it belongs into the corpus together with the repair.
set -u
cd "$(dirname "$0")/.." || exit 1

OUT=${OUT:-build/fuzz}
FUZZ_SECONDS=${FUZZ_SECONDS:-30}
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

failed=0
for name in "$@"; do
    work=$OUT/corpus/$name
    mkdir -p "$work" "$OUT/crashes"
    seeds=()
    [[ -d tests/fuzz/corpus/$name ]] && seeds=("tests/fuzz/corpus/$name")
    dictionary=()
    [[ -r tests/fuzz/$name.dict ]] && dictionary=("-dict=tests/fuzz/$name.dict")
    echo "  FUZZ  $name, $FUZZ_SECONDS s"
    if "$OUT/tests/fuzz/$name" -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        "-artifact_prefix=$OUT/crashes/$name-" "${dictionary[@]}" "$work" "${seeds[@]}" >"$OUT/$name.log" 2>&1; then
        sed -n 's/^stat::number_of_executed_units: */        runs: /p' "$OUT/$name.log"
    else
        failed=$((failed + 1))
        tail -n 40 "$OUT/$name.log"
        echo "        FAILED; all of it: $OUT/$name.log"
    fi
done
echo
echo "$(($# - failed)) passed, $failed failed"
((failed == 0))
