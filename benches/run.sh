#!/usr/bin/env bash
# Every bench, one after another: decoders into columns, then the import of a
# large capture into both tables beside a named peer that reads the same file.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/taptrail-target}
for bench in fixed protocols pipeline fix fast sbe; do
    cargo bench --locked --profile dev -p taptrail-decoders --bench "$bench"
done
benches/import.sh "${1:-24000000}"
