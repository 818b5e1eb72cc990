#!/usr/bin/env bash
# Installs what building (build) and the browser tests (test) need and this
# machine lacks, and says what it does. Debian and its relatives; elsewhere it
# names what to install and stops.
set -euo pipefail

missing=()
want() { # want PACKAGE TEST-COMMAND...: PACKAGE is missing where the command fails
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

command -v cargo >/dev/null || {
    echo "taptrail needs Rust 1.95 or newer: install it with rustup, then run this again" >&2
    exit 1
}

for part in "$@"; do
    case $part in
    build)
        want gcc sh -c 'command -v cc'
        want libpcap-dev sh -c 'echo "#include <pcap/pcap.h>" | cc -E -'
        ;;
    test)
        want chromium sh -c 'command -v chromium'
        want nodejs sh -c 'command -v node'
        want npm sh -c 'command -v npm'
        ;;
    *)
        echo "usage: $0 [build] [test]" >&2
        exit 2
        ;;
    esac
done

if [ ${#missing[@]} -gt 0 ]; then
    echo "missing: ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        echo "install these with your system's package manager, then run this again" >&2
        exit 1
    fi
    root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    echo "installing with apt-get: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    "${root[@]}" apt-get update -qq
    "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

for part in "$@"; do
    if [ "$part" = test ] && [ -f web/ui/package-lock.json ] && [ ! -d web/ui/node_modules ]; then
        echo "installing the front end's packages with npm ci in web/ui"
        (cd web/ui && npm ci --no-audit --no-fund --silent)
    fi
done
