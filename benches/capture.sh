#!/usr/bin/env bash
# Live capture beside tcpdump, dumpcap and netsniff-ng: CPU per packet and loss,
# each alone, between two network namespaces that this script makes and removes.
# Needs root; installs what is missing from Debian. Argument: packets to send.
set -euo pipefail
cd "$(dirname "$0")/.."
packets=${1:-1000000}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/taptrail-target}
command -v dumpcap >/dev/null && command -v netsniff-ng >/dev/null && command -v tcpdump >/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q tcpdump wireshark-common netsniff-ng >/dev/null
cargo build --locked --profile dev -p taptrail-capture --example live_cost
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

for _ in 1 2; do
    run taptrail-ring "$dir/ring.pcapng" "$cost" take ring veth1 "$dir/ring.pcapng"
    run taptrail-pcap "$dir/pcap.pcapng" "$cost" take pcap veth1 "$dir/pcap.pcapng"
    run tcpdump "$dir/tcpdump.pcap" tcpdump -i veth1 -B 65536 -s 0 -w "$dir/tcpdump.pcap"
    run dumpcap "$dir/dumpcap.pcapng" dumpcap -q -i veth1 -B 64 -w "$dir/dumpcap.pcapng"
    run netsniff-ng "$dir/netsniff.pcap" netsniff-ng --in veth1 --out "$dir/netsniff.pcap" --silent --ring-size 64MiB
done
