#!/bin/sh
# Make the virtual environment .venv from a lock file; quick and silent when nothing changed.
#
# Usage: scripts/setup.sh run|test
#   run    what `make demo` and `make serve` need  (requirements.lock)
#   test   that, and the tools of the tests        (requirements-test.lock)
#
# PYTHON names the interpreter: default python3, at least 3.11. Exits 1 with what to do next
# when the environment cannot be made; the next call then starts over.
set -eu
cd "$(dirname "$0")/.."

level=${1:-}
case $level in
    run) lock=requirements.lock ;;
    test) lock=requirements-test.lock ;;
    *) echo "usage: scripts/setup.sh run|test" >&2; exit 1 ;;
esac

python=${PYTHON:-python3}
# Written last and removed first: an environment without it was never finished.
made=.venv/.made
apt_packages="ca-certificates python3-venv"
apt_command="apt-get update && apt-get install -y --no-install-recommends $apt_packages"

say() {
    printf 'jetrun: %s\n' "$*" >&2
}

fail() {
    say "$@"
    exit 1
}

# The commands inside an environment hold its absolute path, so the path is part of the stamp.
stamp() {
    { cat requirements.lock requirements-test.lock pyproject.toml scripts/setup.sh; pwd -P; } | cksum
}

is_usable() {
    [ -e "$made" ] && grep -qxF "path $(pwd -P)" "$made" && .venv/bin/python -c '' 2>/dev/null
}

is_current() {
    # The test lock holds everything the other one does.
    is_usable && { grep -qxF "$level $(stamp)" "$made" || grep -qxF "test $(stamp)" "$made"; }
}

can_make_environments() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null
}

require_python() {
    command -v "$python" >/dev/null ||
        fail "$python not found: install Python 3.11 or newer, or name one with PYTHON=..."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or newer is needed, $python is older ($("$python" -V 2>&1));" \
            "name another one, as in: make test PYTHON=python3.12"
}

# Debian's python3 comes without the modules that make virtual environments.
require_venv() {
    can_make_environments && return
    command -v apt-get >/dev/null ||
        fail "$python lacks the modules venv and ensurepip: install them, then repeat"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && apt_command="sudo sh -c '$apt_command'"
        say "$python cannot make virtual environments. Run this as root, then repeat:"
        printf '\n    %s\n\n' "$apt_command" >&2
        exit 1
    fi
    say "installing the Debian packages $apt_packages"
    DEBIAN_FRONTEND=noninteractive sh -c "$apt_command" </dev/null >/dev/null ||
        fail "the Debian packages were not installed: check the network, then repeat"
    can_make_environments ||
        fail "$python still cannot make virtual environments: try PYTHON=/usr/bin/python3"
}

pip_install() {
    .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check "$@" ||
        fail "the packages above were not installed: check the network (proxy, package index)," \
            "then run the same command again"
}

is_current && exit 0
# Two commands at once, on a fresh clone: the second waits here and finds the work done.
exec 9<scripts/setup.sh
if command -v flock >/dev/null; then flock 9; fi
is_current && exit 0

require_python
require_venv
if ! is_usable; then
    say "making .venv with $("$python" -V)"
    rm -f "$made"
    "$python" -m venv --clear .venv || fail "the virtual environment was not made, see above"
fi
rm -f "$made"
say "installing the packages of $lock"
pip_install --require-hashes -r "$lock"
pip_install --no-deps --no-build-isolation -e .
printf 'path %s\n%s %s\n' "$(pwd -P)" "$level" "$(stamp)" >"$made"
