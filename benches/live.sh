#!/usr/bin/env bash
# How long from a packet on the wire to its number on the dashboard, while a node
# captures: bursts of new messages past two points in network namespaces, each timed
# until the dashboard's API shows all of them. Prints the distribution, with segments
# of a minute and of a second. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/taptrail-target}
cargo test --locked -p taptrail --test product -- live::measured --ignored --nocapture |
    grep -E 'dashboard|skipped'
