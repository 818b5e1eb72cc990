#!/usr/bin/env bash
# Every bench, one after another: decoders into columns and arrays, then the
# import of a large capture into both tables, and the correlation of a simulated
# day, each beside a named peer that reads the same file.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/taptrail-target}
for bench in fixed protocols pipeline fix fast sbe; do
    cargo bench --locked --profile dev -p taptrail-decoders --bench "$bench"
done
cargo bench --locked --profile dev -p taptrail-store --bench arrays
benches/import.sh "${1:-24000000}"
benches/correlate.sh
