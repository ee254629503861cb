#!/bin/sh
# Write requirements.lock and requirements-test.lock: every package pinned, every file hashed, for
# all supported Python versions and platforms at once. They name no package index, so that any
# mirror can serve them.
#
# Usage: scripts/lock.sh [--upgrade]
# Keeps the pins that still fit, unless --upgrade is given. Needs the environment of setup.sh.
set -eu
cd "$(dirname "$0")/.."

.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.8

# Hashes must be those of the published files: no local folder of wheels may answer.
unset UV_FIND_LINKS UV_INDEX UV_EXTRA_INDEX_URL

# The build back end is locked too, since packages are built without isolation.
build_requires() {
    .venv/bin/python -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], sep="\n")'
}

compile() {
    target=$1
    shift
    build_requires | .venv/bin/uv --no-config pip compile --quiet --universal --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --no-annotate \
        --extra embedded --group build --output-file "$target" "$@" pyproject.toml -
}

compile requirements.lock "$@"
compile requirements-test.lock --group test --constraints requirements.lock "$@"
