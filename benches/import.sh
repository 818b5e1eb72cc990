#!/usr/bin/env bash
# Imports a simulated ITCH capture (default 24,000,000 messages, about 1 GB)
# into both tables, then lets tshark and tcpdump, where installed, read the
# first 200,000 packets of the same file. Prints seconds, MB/s and peak memory.
#   benches/import.sh [MESSAGES]
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/taptrail-target}
messages=${1:-24000000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cargo build --locked --workspace --examples
bin=$CARGO_TARGET_DIR/debug
"$bin/examples/itch_flood" "$dir/flood.pcap" "$messages" 1
bytes=$(stat -c %s "$dir/flood.pcap")

timed() { # timed LABEL BYTES COMMAND...: wall and CPU seconds, MB/s, peak memory
    local label=$1 size=$2
    shift 2
    /usr/bin/time -f '%e %U %S %M' -o "$dir/time" "$@" >/dev/null 2>"$dir/err" || { cat "$dir/err"; exit 1; }
    awk -v label="$label" -v size="$size" '{
        printf "%-28s %8.2f s wall %8.2f s CPU %8.1f MB/s of CPU %8.0f MiB peak\n",
            label, $1, $2 + $3, size / 1e6 / ($2 + $3), $4 / 1024 }' "$dir/time"
}

echo "capture: $bytes bytes, $messages messages"
timed "taptrail import" "$bytes" "$bin/taptrail" import --no-correlate --store "$dir/trail" "P1=$dir/flood.pcap"
du -sm "$dir/trail" | awk '{print "store: " $1 " MiB"}'

head -c 100000000 "$dir/flood.pcap" > "$dir/part.pcap"
part=$(stat -c %s "$dir/part.pcap")
timed "taptrail import (100 MB)" "$part" "$bin/taptrail" import --no-correlate --store "$dir/part" "P1=$dir/part.pcap"
if command -v tshark >/dev/null; then
    timed "tshark, 3 fields (100 MB)" "$part" sh -c "tshark -r '$dir/part.pcap' -T fields -e frame.number -e udp.dstport -e moldudp64.sequence || true"
fi
if command -v tcpdump >/dev/null; then
    timed "tcpdump -nn (100 MB)" "$part" sh -c "tcpdump -nn -r '$dir/part.pcap' || true"
fi
