#!/bin/sh
# Turns the history into Prometheus' blocks in $DATA, once, and records the past of the shipped
# rules. Runs in Prometheus' image, which has promtool, before Prometheus itself.
set -eu

[ ! -e "$DATA/history-taken-in" ] || exit 0
if [ ! -e "$KEPT/history.om" ]; then
    touch "$DATA/history-taken-in"
    exit 0
fi

rm -rf "$DATA/making"
mkdir -p "$DATA/making"
promtool tsdb create-blocks-from --max-block-duration=744h openmetrics "$KEPT/history.om" "$DATA/making"

echo "global: {}" >"$TMPDIR/empty.yml"
prometheus --config.file="$TMPDIR/empty.yml" --storage.tsdb.path="$DATA/making" \
    --storage.tsdb.retention.time=400d --web.listen-address="$LISTEN" --log.level=warn &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
until promtool query instant "http://$LISTEN" 'vector(1)' >/dev/null 2>&1; do
    kill -0 "$server"
    sleep 1
done
now=$(date +%s)
sed '/name: devin-alerts/,$d' "$RULES" >"$TMPDIR/days.yml"
promtool tsdb create-blocks-from rules --max-block-duration=744h \
    --url="http://$LISTEN" --start="$((now - ${HISTORY_DAYS:-90} * 86400 - 86400))" --end="$((now - 60))" \
    --output-dir="$DATA/making" "$TMPDIR/days.yml"
kill "$server"
wait "$server" || true
trap - EXIT

for block in "$DATA/making"/*/meta.json; do
    [ -e "$block" ] || continue # a history without a sample
    mv "${block%/meta.json}" "$DATA/"
done
rm -rf "$DATA/making"
rm -f "$KEPT/history.om"
touch "$DATA/history-taken-in"
