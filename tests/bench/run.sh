#!/bin/bash
# `make bench`: the store and the codec alone, then the gateway against nginx and Varnish. Takes about three minutes, listens
# and sends on 127.0.0.1 only, leaves OUT/bench.json behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
export OUT=${OUT:-build/release}

for name in store codec; do
    program=$OUT/tests/bench/bench_$name
    [[ -x $program ]] || continue
    echo "== $name"
    timeout 60 "$program" | tee "$OUT/bench_$name.jsonl" |
        sed -nE 's/.*"figure":"([^"]*)","value":([0-9.]+),"unit":"([^"]*)".*/\2|\3|\1/p' |
        while IFS='|' read -r value unit figure; do printf '  %14s %-9s  %s\n' "$value" "$unit" "$figure"; done
done
exec python3 tests/bench/compare.py "$@"
