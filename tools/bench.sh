#!/bin/sh
# Run the benchmark scripts one after another (or the ones named), each printing its own table.
#
#   sh tools/bench.sh [benchmarks/overhead.py ...]
set -eu
cd "$(dirname "$0")/.."
if [ "$#" -eq 0 ]; then set -- benchmarks/[a-z]*.py; fi
for script in "$@"; do
    printf '\n== %s\n' "$script"
    PATH="$PWD/.venv/bin:$PATH" python "$script"
done
