#!/usr/bin/env bash
# Live capture beside tcpdump, dumpcap and netsniff-ng: each alone on one wire, between two
# network namespaces that this script makes and removes, with the same frames as fast as
# they can be sent. Every capture is compared byte by byte with what was sent; CPU is that
# of all threads from the first frame to a second after the last.
#   benches/capture.sh [PACKETS] [ROUNDS] [DIRECTORY OF THE CAPTURES]
# The node's rows: appending to the open segment, the same with sealing into Parquet
# (segments of a second; the store's packets are compared), with decoding and the live
# view (loss is what counts there); then bursts, cut packets and two wires at once.
# Ends with 1 where the node changed a packet, or lost one where no other tool did. Needs root; installs what is
# missing from Debian.
set -euo pipefail
cd "$(dirname "$0")/.."
most=${1:-1000000} rounds=${2:-2}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/taptrail-target}
command -v dumpcap >/dev/null && command -v netsniff-ng >/dev/null && command -v tcpdump >/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q tcpdump wireshark-common netsniff-ng >/dev/null
cargo build --locked -p taptrail-capture --examples
cargo build --locked
taptrail=$CARGO_TARGET_DIR/debug/taptrail
load=$CARGO_TARGET_DIR/debug/examples/wire_load
cost=$CARGO_TARGET_DIR/debug/examples/live_cost
from=taptrail-from-$$ to=taptrail-to-$$ dir=$(mktemp -d -p "${3:-/dev/shm}")
cleanup() {
    ip netns del "$from" 2>/dev/null || true
    ip netns del "$to" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT
ip netns add "$from"
ip netns add "$to"
for pair in 0 1; do
    ip link add "tx$pair" netns "$from" type veth peer name "rx$pair" netns "$to"
    for end in "$from tx$pair" "$to rx$pair"; do
        read -r ns interface <<<"$end"
        ip -n "$ns" link set "$interface" addrgenmode none
        ip -n "$ns" link set "$interface" mtu 9200 arp off multicast off up
    done
done

# Whether a packet was lost by another tool, and by the node, since this was last asked.
failed=0 peers_lost=0 node_lost=0

# judge FOUND: notes what is wrong with a capture of the node.
judge() {
    case $1 in
        "$packets same, 0 missing, 0 altered, 0 doubled, 0 out of order"*) ;;
        *", 0 altered, 0 doubled, 0 out of order"*) node_lost=1 ;;
        *) failed=1 ;;
    esac
}

# settle: the node may lose where the others do.
settle() {
    if [ "$node_lost" = 1 ] && [ "$peers_lost" = 0 ]; then failed=1; fi
    peers_lost=0 node_lost=0
}

# cpu PID: CPU nanoseconds of a process: as the scheduler counts its threads (ticks are too
# coarse), and those that have ended, as they do where segments are sealed.
cpu() {
    local threads all
    threads=$(cat /proc/"$1"/task/*/schedstat | awk '{ ns += $1 } END { printf "%.0f", ns }')
    all=$(awk -v hz="$(getconf CLK_TCK)" '{ printf "%.0f", ($14 + $15) / hz * 1e9 }' /proc/"$1"/stat)
    # A tick more is rounding.
    if [ $((all - threads)) -gt 50000000 ]; then echo "$all"; else echo "$threads"; fi
}

# row NAME LENGTHS BEFORE AFTER WIRES FOUND: CPU is that of a packet that was taken.
row() {
    awk -v name="$1" -v lens="$2" -v cpu="$(($4 - $3))" -v wires="$5" -v found="$6" \
        -v rate="$(sed 's/.*, //' "$dir/sent" | paste -sd+ | sed 's/ a second//g')" 'BEGIN {
        n = (found + 0) * wires
        printf "%-22s %15s B %8s/s %6.3f us CPU a packet  %s\n",
            name, lens, rate, cpu / 1e3 / (n ? n : 1), found }'
}

# send INTERFACE LENGTHS [BURST PAUSE_US]
send() {
    ip netns exec "$from" "$load" send "$1" "$packets" "${@:2}" 2>>"$dir/sent"
}

# check FILE LENGTHS [SNAPLEN]: what a capture has of what was sent.
check() {
    "$load" compare "$1" "$packets" "${@:2}" 2>/dev/null || true
}

# peer NAME LENGTHS FILE COMMAND…: another tool, until SIGINT or the end of its input.
peer() {
    local name=$1 lens=$2 file=$3 holder pid before after
    shift 3
    : >"$dir/sent"
    mkfifo "$dir/stop"
    sleep 1000 >"$dir/stop" &
    holder=$!
    ip netns exec "$to" "$@" <"$dir/stop" >/dev/null 2>"$dir/said" &
    pid=$!
    sleep 2
    before=$(cpu "$pid")
    send tx0 "$lens"
    sleep 1
    after=$(cpu "$pid")
    kill "$holder"
    case $name in without*) ;; *) kill -INT "$pid" ;; esac
    wait "$pid" 2>/dev/null || true
    local found
    found=$(check "$file" "$lens")
    case $found in *" 0 missing,"*) ;; *) peers_lost=1 ;; esac
    row "$name" "$lens" "$before" "$after" 1 "$found"
    rm -f "$file" "$dir/stop"
}

# node NAME LENGTHS SEGMENT_S KEYS SNAPLEN WIRES [BURST PAUSE_US]: `taptrail capture` itself.
node() {
    local name=$1 lens=$2 segment_s=$3 keys=$4 snaplen=$5 wires=$6 pid before after wire found file
    shift 6
    : >"$dir/sent"
    cat >"$dir/node.toml" <<END
[capture]
segment_s = $segment_s
segment_mib = 16384
snaplen = $snaplen
drop_privileges = false
keep_free_mib = 0
$keys
END
    for wire in $wires; do
        printf '[[point]]\nname = "rx%s"\ninterface = "rx%s"\n' "$wire" "$wire" >>"$dir/node.toml"
    done
    ip netns exec "$to" "$taptrail" capture --config "$dir/node.toml" --store "$dir/store" \
        >/dev/null 2>"$dir/said" &
    pid=$!
    sleep 2
    before=$(cpu "$pid")
    local senders=()
    for wire in $wires; do
        send "tx$wire" "$lens" "$@" &
        senders+=($!)
    done
    wait "${senders[@]}"
    sleep 1
    if [ "$segment_s" -lt 60 ]; then
        while ls "$dir/store/open/" | grep -qv open.pcapng; do sleep 0.2; done
    fi
    after=$(cpu "$pid")
    # What is in the open file is all there by its last sync.
    [ "$segment_s" -lt 60 ] || cp "$dir"/store/open/*-open.pcapng "$dir"
    kill "$pid"
    wait "$pid" || failed=1
    for wire in $wires; do
        file=$(ls "$dir/rx$wire"-*-open.pcapng 2>/dev/null || true)
        if [ -z "$file" ]; then
            file=$dir/export.pcapng
            "$taptrail" export --store "$dir/store" --where "point = 'rx$wire'" -o "$file" >/dev/null
        fi
        found=$(check "$file" "$lens" "$snaplen")
        judge "$found"
        row "$name" "$lens" "$before" "$after" "$(wc -w <<<"$wires")" "$found"
        rm -f "$file"
    done
    rm -rf "$dir/store"
}

alone='decode = false'
packets=$most
for lens in 60 120 60,120,240,1400 1400 9000; do
    # At most a GiB of frames, since they lie in memory.
    packets=$(awk -v most="$most" -v lens="$lens" 'BEGIN {
        n = split(lens, len, ","); for (i in len) sum += len[i]
        fit = int(2 ^ 30 * n / sum); print most < fit ? most : fit }')
    for _ in $(seq "$rounds"); do
        peer tcpdump "$lens" "$dir/tcpdump.pcap" tcpdump -i rx0 -B 65536 -s 0 -w "$dir/tcpdump.pcap"
        node "taptrail" "$lens" 600 "$alone" 262144 0
        peer netsniff-ng "$lens" "$dir/netsniff.pcap" \
            netsniff-ng --in rx0 --out "$dir/netsniff.pcap" --silent --ring-size 64MiB
        node "taptrail, sealed" "$lens" 1 "$alone" 262144 0
        peer dumpcap "$lens" "$dir/dumpcap.pcapng" dumpcap -q -i rx0 -B 64 -w "$dir/dumpcap.pcapng"
        node "taptrail, decoding" "$lens" 600 "" 262144 0
        settle
    done
done
packets=$((most < 700000 ? most : 700000))
node "bursts of 10,000" 120 600 "$alone" 262144 0 10000 10000
node "bursts, sealed" 120 1 "$alone" 262144 0 10000 10000
node "snaplen 96" 1400 600 "$alone" 96 0
node "two wires" 120 600 "$alone" 262144 "0 1"
peer "without queue, libpcap" 120 "$dir/pcap.pcapng" "$cost" pcap rx0 "$dir/pcap.pcapng"
peer "without queue, ring" 120 "$dir/ring.pcapng" "$cost" ring rx0 "$dir/ring.pcapng"
settle
exit "$failed"
