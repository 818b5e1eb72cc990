#!/usr/bin/env bash
# Live capture beside tcpdump, dumpcap and netsniff-ng: CPU per packet and loss,
# each alone, among them the node itself with `decode = false`, with and without sealing
# into Parquet; between two network namespaces that this script makes and removes.
# Needs root; installs what is missing from Debian. Argument: packets to send.
set -euo pipefail
cd "$(dirname "$0")/.."
packets=${1:-1000000}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/taptrail-target}
command -v dumpcap >/dev/null && command -v netsniff-ng >/dev/null && command -v tcpdump >/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q tcpdump wireshark-common netsniff-ng >/dev/null
cargo build --locked --profile dev -p taptrail-capture --example live_cost
cargo build --locked
taptrail=$CARGO_TARGET_DIR/debug/taptrail
cost=$CARGO_TARGET_DIR/debug/examples/live_cost
from=taptrail-from-$$ to=taptrail-to-$$ dir=$(mktemp -d -p /dev/shm)
cleanup() {
    ip netns del "$from" 2>/dev/null || true
    ip netns del "$to" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT
ip netns add "$from"
ip netns add "$to"
ip link add veth0 netns "$from" type veth peer name veth1 netns "$to"
ip -n "$from" addr add 192.0.2.1/24 dev veth0
ip -n "$to" addr add 192.0.2.2/24 dev veth1
ip -n "$from" link set veth0 up
ip -n "$to" link set veth1 up
# Nobody answers the datagrams: the port is closed, its refusals are dropped.
ip netns exec "$to" sysctl -q -w net.ipv4.icmp_ratelimit=1000000 net.ipv4.icmp_ratemask=8
mac=$(ip -n "$to" -j link show veth1 | sed 's/.*"address":"\([^"]*\)".*/\1/')
ip -n "$from" neigh replace 192.0.2.2 lladdr "$mac" dev veth0

# CPU seconds of all threads of a process, as the scheduler counts them (ticks
# are too coarse).
cpu() {
    cat /proc/"$1"/task/*/schedstat | awk '{ ns += $1 } END { print ns / 1e9 }'
}

# The same with threads that have ended, as they do where segments are sealed.
cpu_all() {
    awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' /proc/"$1"/stat
}

# run NAME FILE COMMAND…: a capture while the packets are sent.
run() {
    local name=$1 file=$2 used taken
    shift 2
    mkfifo "$dir/stop"
    sleep 1000 >"$dir/stop" &
    local holder=$!
    ip netns exec "$to" "$@" <"$dir/stop" >/dev/null 2>"$dir/said" &
    local runner=$!
    sleep 2
    local pid
    pid=$(pgrep -P "$runner" || true)
    pid=${pid:-$runner}
    ip netns exec "$from" "$cost" send 192.0.2.2:9 "$packets" 2>"$dir/sent"
    sleep 2
    used=$(cpu "$pid")
    kill "$holder"
    case $name in taptrail*) ;; *) kill -INT "$pid" ;; esac
    wait "$runner" 2>/dev/null || true
    taken=$(tcpdump -nn -r "$file" "udp port 9" 2>/dev/null | wc -l)
    awk -v name="$name" -v cpu="$used" -v taken="$taken" -v sent="$packets" 'BEGIN {
        printf "%-14s %8d of %d taken, %6.2f us CPU a packet\n", name, taken, sent, cpu * 1e6 / (taken ? taken : 1) }'
    cat "$dir/sent"
    rm -f "$file" "$dir/stop"
}

# node NAME SEGMENT_S: `taptrail capture` itself, packets only, to its Parquet segments
# where they are short.
node() {
    local name=$1 used taken pid
    cat >"$dir/node.toml" <<END
[capture]
decode = false
segment_s = $2
segment_mib = 4096
drop_privileges = false
keep_free_mib = 0
[[point]]
name = "veth1"
interface = "veth1"
filter = "udp port 9"
END
    ip netns exec "$to" "$taptrail" capture --config "$dir/node.toml" --store "$dir/store" >/dev/null 2>"$dir/said" &
    pid=$!
    sleep 2
    ip netns exec "$from" "$cost" send 192.0.2.2:9 "$packets" 2>"$dir/sent"
    sleep 2
    if [ "$2" -lt 60 ]; then
        while ls "$dir/store/open/" | grep -qv open.pcapng; do sleep 0.5; done
    fi
    used=$(cpu_all "$pid")
    kill "$pid"
    wait "$pid" || true
    taken=$(sed -n 's/.*: written \([0-9]*\) .*/\1/p' "$dir/said")
    awk -v name="$name" -v cpu="$used" -v taken="$taken" -v sent="$packets" 'BEGIN {
        printf "%-14s %8d of %d taken, %6.2f us CPU a packet\n", name, taken, sent, cpu * 1e6 / (taken ? taken : 1) }'
    cat "$dir/sent"
    rm -rf "$dir/store"
}

for _ in 1 2; do
    node taptrail 600
    node "  and sealed" 1
    run taptrail-ring "$dir/ring.pcapng" "$cost" take ring veth1 "$dir/ring.pcapng"
    run taptrail-pcap "$dir/pcap.pcapng" "$cost" take pcap veth1 "$dir/pcap.pcapng"
    run tcpdump "$dir/tcpdump.pcap" tcpdump -i veth1 -B 65536 -s 0 -w "$dir/tcpdump.pcap"
    run dumpcap "$dir/dumpcap.pcapng" dumpcap -q -i veth1 -B 64 -w "$dir/dumpcap.pcapng"
    run netsniff-ng "$dir/netsniff.pcap" netsniff-ng --in veth1 --out "$dir/netsniff.pcap" --silent --ring-size 64MiB
done
