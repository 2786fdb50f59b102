#!/bin/sh
# Run the checks in .venv: all of them, or one part.
#
#   sh tools/check.sh           everything, static checks first
#   sh tools/check.sh static    ruff, mypy, import-linter
#   sh tools/check.sh unit      the fast tests
#   sh tools/check.sh integration
#   sh tools/check.sh docs      the site, every warning an error, in docs/_build
#   sh tools/check.sh night     kills, power cuts and limits in full, over an hour; no part of everything
#
# Every step of the chosen part runs, so that one run shows all there is to mend; the exit status is 0 only
# if all of them passed.
set -u
cd "$(dirname "$0")/.." || exit 1
# The checks start hundreds of interpreters: without byte code each would compile all that it imports again.
unset PYTHONDONTWRITEBYTECODE
part="${1:-all}"
failed=""
venv="$PWD/.venv"

step() {
    title="$1"
    shift
    printf '\n== %s: %s\n' "$title" "$*"
    if ! PATH="$venv/bin:$PATH" "$@"; then failed="$failed, $title"; fi
}

wants() { [ "$part" = all ] || [ "$part" = "$1" ]; }

case "$part" in
all | static | unit | integration | docs | night) ;;
*)
    printf 'usage: sh tools/check.sh [static|unit|integration|docs|night]\n' >&2
    exit 2
    ;;
esac

if wants static; then
    step "lint" ruff check --output-format concise
    step "format" ruff format --check
    step "types" mypy
    step "architecture" lint-imports
fi
if wants docs; then step "site" python -m sphinx -b html -W --keep-going -q docs docs/_build/html; fi
# In the order of their folders: the files with few tests, which would come last, are those that take long.
if wants unit; then step "unit tests" python -m pytest tests/unit -n 2 --dist loadfile --no-loadscope-reorder; fi
if wants integration; then
    step "integration tests" python -m pytest tests/integration --ignore=tests/integration/physics
    # Computation on small grids, which keeps one core busy, with no deadline of less than a minute and nothing shared
    # outside of the folder of each test: two at a time. The others wait for each other's processes and measure time.
    step "physics at length" python -m pytest tests/integration/physics -n 2 --dist loadfile --no-loadscope-reorder
    step "simulation" python -m hsm.sim run --seeds 2000 --jobs 2
    step "planted bugs" python -m hsm.sim mutants --jobs 2
fi
if [ "$part" = night ]; then
    cd tests/integration || exit 1
    export HSM_NIGHT=1
    step "night" python -m pytest -o faulthandler_timeout=0 test_kill_points.py test_power_cuts.py \
        test_hard_limits.py test_bad_places.py test_faults.py
fi

if [ -n "$failed" ]; then
    printf '\nfailed: %s\n' "${failed#, }" >&2
    exit 1
fi
printf '\nall checks passed\n'
