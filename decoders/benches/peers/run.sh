#!/usr/bin/env bash
# FAST, FIX and SBE decoders of other authors beside ours, one table, one core.
# Rust crates always; QuickFIX where its headers are (libquickfix-dev), simplefix
# where pip can bring it. Nothing of it is built or needed by the project.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=${PEERS_TARGET_DIR:-$work/target}
cargo build --release --locked
peers=$CARGO_TARGET_DIR/release/taptrail-peers
core=()
if command -v taskset >/dev/null; then core=(taskset -c 0); fi
"${core[@]}" "$peers" | tee "$work/table"
"$peers" write "$work"
ours() { grep "^| $1 | taptrail " "$work/table" | cut -d'|' -f5 | tr -d ' '; }
if [ -e /usr/include/quickfix/Message.h ] && command -v g++ >/dev/null; then
    version=$(pkg-config --modversion quickfix 2>/dev/null || dpkg-query -W -f '${Version}' libquickfix-dev)
    g++ -O3 -march=native -std=c++14 -Wno-deprecated -Wno-deprecated-declarations -DQUICKFIX_VERSION="\"${version%%+*}\"" \
        quickfix.cpp -o "$work/quickfix" -lquickfix
    "${core[@]}" "$work/quickfix" "$work/orders.fix" "FIX orders" "$(ours 'FIX orders')"
    "${core[@]}" "$work/quickfix" "$work/mixed.fix" "FIX, 24 shapes" "$(ours 'FIX, 24 shapes')"
fi
if python3 -m venv "$work/venv" 2>/dev/null && "$work/venv/bin/pip" -q install simplefix 2>/dev/null; then
    "${core[@]}" "$work/venv/bin/python" simplefix_peer.py "$work/orders.fix" "FIX orders" "$(ours 'FIX orders')"
    "${core[@]}" "$work/venv/bin/python" simplefix_peer.py "$work/mixed.fix" "FIX, 24 shapes" "$(ours 'FIX, 24 shapes')"
fi
