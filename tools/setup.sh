#!/bin/sh
# Make .venv and install hsm into it, editable.
#
#   sh tools/setup.sh        what running hsm needs
#   sh tools/setup.sh dev    also what its tests and checks need
#   sh tools/setup.sh bench  also what its benchmarks compare with
#
# Uses uv when it is on PATH and plain pip otherwise. PYTHON names the interpreter; without it the first of
# python3, python3.13, python3.12, python3.11 that is recent enough is taken. Does nothing in a few
# milliseconds when .venv was already made from the present pyproject.toml.
set -eu
cd "$(dirname "$0")/.."
kind="${1:-run}"

note() { printf '%s\n' "setup: $*" >&2; }

fail() {
    printf '%s\n' "error: $1" "" "hint: $2" >&2
    exit 1
}

# A stamp is the pyproject.toml that was installed; each kind contains those before it.
is_current() {
    case "$kind" in
    run) kinds="run dev bench" ;;
    dev) kinds="dev bench" ;;
    *) kinds="$kind" ;;
    esac
    for installed in $kinds; do
        stamp=".venv/.installed-$installed"
        if cmp -s pyproject.toml "$stamp" && .venv/bin/python -c '' 2>/dev/null; then return 0; fi
    done
    return 1
}

find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer found" "install one, or name it: PYTHON=/path/to/python3.11 make test"
}

make_venv() {
    if .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return; fi
    python="$(find_python)"
    note "making .venv with $("$python" --version)"
    rm -rf .venv
    if command -v uv >/dev/null; then
        uv venv --quiet --seed --python "$("$python" -c 'import sys; print(sys.executable)')" .venv
    else
        "$python" -m venv .venv ||
            fail "$python cannot make a virtual environment" "on Debian and Ubuntu: apt install python3-venv"
    fi
}

install_hsm() {
    case "$kind" in
    run) set -- ;;
    dev) set -- --group dev ;;
    *) set -- --group dev --group "$kind" ;;
    esac
    if command -v uv >/dev/null; then
        uv pip install --quiet --compile-bytecode --python .venv/bin/python --editable . "$@"
    else
        # --group came with pip 25.1.
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable . "$@"
    fi
    cp pyproject.toml ".venv/.installed-$kind"
}

# Pages are tested in a real browser, completion in real shells, the watch in tmux and over ssh, hosts over ssh
# (with a csh as login shell, too, and behind a cable that can be pulled), power cuts on ext4 and XFS. Without them
# those tests skip and say so.
install_packages() {
    missing=""
    for package in chromium zsh fish tmux rsync tcsh; do
        [ -x "/usr/bin/$package" ] || missing="$missing $package"
    done
    command -v ip >/dev/null || [ -x /usr/sbin/ip ] || missing="$missing iproute2"
    [ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
    [ -x /usr/sbin/mkfs.xfs ] || missing="$missing xfsprogs"
    [ -x /usr/bin/ssh ] || missing="$missing openssh-client"
    if [ -z "$missing" ]; then return; fi
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        note "not there:$missing; the tests that use them will be skipped (apt install$missing to have them)"
        return
    fi
    note "installing$missing for the tests"
    log="$(mktemp)"
    # shellcheck disable=SC2086 # the packages are words
    if { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } \
        </dev/null >"$log" 2>&1; then
        rm -f "$log"
    else
        tail -n 5 "$log" >&2
        note "$missing could not be installed (log: $log): the tests that use them will be skipped"
    fi
}

if ! is_current; then
    make_venv
    note "installing hsm ($kind) into .venv"
    install_hsm
fi
if [ "$kind" != run ]; then install_packages; fi
