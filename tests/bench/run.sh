#!/bin/bash
# `make bench`: the store and the codec alone, the gateway against nginx and Varnish, then its events. Takes about eight minutes, listens
# and sends on 127.0.0.1 only, leaves OUT/bench.json and OUT/bench_events.json behind.
#
#   tests/bench/run.sh [--events] [option of the part]...      --events: only those (bench_events.py), --hostile: hostile clients
#   (hostile.py), else all of it but those (compare.py)
set -euo pipefail
cd "$(dirname "$0")/../.."
export OUT=${OUT:-build/release}

if [[ ${1:-} == --events ]]; then
    exec python3 tests/bench/bench_events.py "${@:2}"
fi
if [[ ${1:-} == --hostile ]]; then
    exec python3 tests/bench/hostile.py "${@:2}"
fi
for name in store codec; do
    program=$OUT/tests/bench/bench_$name
    [[ -x $program ]] || continue
    echo "== $name"
    timeout 60 "$program" | tee "$OUT/bench_$name.jsonl" |
        sed -nE 's/.*"figure":"([^"]*)","value":([0-9.]+),"unit":"([^"]*)".*/\2|\3|\1/p' |
        while IFS='|' read -r value unit figure; do printf '  %14s %-9s  %s\n' "$value" "$unit" "$figure"; done
done
python3 tests/bench/compare.py "$@"
exec python3 tests/bench/bench_events.py
