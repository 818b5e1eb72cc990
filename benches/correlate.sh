#!/usr/bin/env bash
# Correlates a simulated day, then lets DuckDB ask the same Parquet for the
# percentiles of the feed's hops alone, on one core each, in one run. Prints
# messages a second of CPU, peak memory, and the ratio.
#   benches/correlate.sh [ORDERS] [FEED_MESSAGES_A_SECOND] [SECONDS]
# DuckDB comes from PyPI, into a folder that is removed again.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/taptrail-target}
orders=${1:-5000} rate=${2:-100000} seconds=${3:-20}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cargo build --locked
taptrail=$CARGO_TARGET_DIR/debug/taptrail
python3 -m venv "$dir/python"
"$dir/python/bin/pip" install --quiet --disable-pip-version-check duckdb

"$taptrail" sim --out "$dir/net" --seed 1 --faults light \
    --orders "$orders" --rate "$rate" --seconds "$seconds" >/dev/null
captures=()
for file in "$dir"/net/P*.pcap*; do
    point=$(basename "$file")
    captures+=("${point%%.*}=$file")
done
config=$dir/net/taptrail.toml
"$taptrail" import --no-correlate --store "$dir/trail" --config "$config" "${captures[@]}" >/dev/null

cat > "$dir/hops.py" <<'PYTHON'
import duckdb, sys

store = sys.argv[1]
db = duckdb.connect()
db.execute("SET threads = 1")
hops = []
for start, end in [("P1", "P2"), ("P2", "P3")]:
    side = """SELECT session, seq, line, min(ts) AS ts
        FROM read_parquet('{}/messages/point={}/**/*.parquet')
        WHERE seq IS NOT NULL AND protocol = 'nasdaq.totalview-itch.5.0' AND entry = 0
        GROUP BY ALL"""
    hops.append(f"""SELECT '{start} > {end}' AS hop, count(*) AS messages,
        quantile_disc(epoch_ns(b.ts) - epoch_ns(a.ts), [0.5, 0.9, 0.99, 0.999]) AS ns
        FROM ({side.format(store, start)}) a JOIN ({side.format(store, end)}) b
        USING (session, seq, line)""")
for row in db.execute(" UNION ALL ".join(hops)).fetchall():
    print(*row)
count = db.execute(f"SELECT count(*) FROM read_parquet('{store}/messages/**/*.parquet')")
print("messages", count.fetchone()[0])
PYTHON

timed() { # timed COMMAND...: wall and CPU seconds, peak KiB; the command's output aside
    taskset -c 0 /usr/bin/time -f '%e %U %S %M' -o "$dir/time" "$@" >"$dir/out"
    cat "$dir/time"
}

read -r _ user system peak < <(timed "$taptrail" correlate --store "$dir/trail" --config "$config")
read -r _ duck_user duck_system duck_peak < <(timed "$dir/python/bin/python" "$dir/hops.py" "$dir/trail")
cat "$dir/out"
messages=$(awk '$1 == "messages" { print $2 }' "$dir/out")
awk -v n="$messages" -v a="$user" -v b="$system" -v peak="$peak" \
    -v c="$duck_user" -v d="$duck_system" -v duck_peak="$duck_peak" 'BEGIN {
    printf "taptrail correlate, everything   %8.2f s CPU %8.2f M messages/s %6.0f MiB peak\n",
        a + b, n / (a + b) / 1e6, peak / 1024
    printf "DuckDB, two hops percentiles     %8.2f s CPU %8.2f M messages/s %6.0f MiB peak\n",
        c + d, n / (c + d) / 1e6, duck_peak / 1024
    printf "ratio of CPU, taptrail : DuckDB  %8.2f\n", (a + b) / (c + d) }'
