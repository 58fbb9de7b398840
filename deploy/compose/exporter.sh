#!/bin/sh
# What the containers of the exporter's image run: `exporter.sh serve`, `history`, `password`.
#
# With a key of any source it is the real thing; without one it is the demo, with a price, a pool and
# teams of its own so that no panel is empty. Which of the two the volumes hold figures of is kept in $KEPT/kind,
# and the other is refused: invented figures and real ones must never be mixed.
set -eu

v3_key=${DEVIN_SERVICE_USER_TOKEN:-}${DEVIN_SERVICE_USER_TOKEN_FILE:-}
keys=$v3_key${DEVIN_V2_API_KEY:-}${DEVIN_V2_API_KEY_FILE:-}
keys=$keys${AIONE_API_URL:-}${AIONE_TOKEN:-}${AIONE_TOKEN_FILE:-}
if [ -n "$keys" ]; then
    kind=real
else
    kind=demo
    export DEVIN_ACU_PRICE="${DEVIN_ACU_PRICE:-2.25}" DEVIN_ACU_POOL="${DEVIN_ACU_POOL:-25000}"
    export DEVIN_TEAMS_FILE="${DEVIN_TEAMS_FILE:-${0%/*}/demo-teams.yml}"
fi

# keep NAME: put what is on standard input into $KEPT/NAME, whole or not at all.
keep() {
    cat >"$KEPT/$1.new"
    chmod 644 "$KEPT/$1.new"
    mv "$KEPT/$1.new" "$KEPT/$1"
}

refuse_the_other_kind() {
    if [ ! -s "$KEPT/kind" ]; then
        echo "$kind" | keep kind
    elif [ "$(cat "$KEPT/kind")" != "$kind" ]; then
        echo "The volumes hold figures that are $(cat "$KEPT/kind"), and these would be $kind: they must" \
            "not be mixed. Is the key where it was? \`docker compose down --volumes\` deletes the figures." >&2
        exit 1
    fi
}

serve() {
    refuse_the_other_kind
    echo "The figures are $kind." >&2
    [ "$kind" = demo ] || exec devin-exporter
    exec devin-exporter demo
}

# The history goes to $KEPT/history.om, once.
history() {
    refuse_the_other_kind
    [ ! -e "$KEPT/history-done" ] || exit 0
    rm -f "$KEPT"/*.unfinished
    days=${HISTORY_DAYS:-}
    if [ "$kind" = demo ]; then
        days=${days:-90}
        export DEVIN_API_URL="http://127.0.0.1:$DEMO_API_PORT" DEVIN_SERVICE_USER_TOKEN=cog_demo
        export DEVIN_REQUESTS_PER_SECOND="${DEVIN_REQUESTS_PER_SECOND:-200}"
    elif [ -z "$v3_key" ]; then
        echo "Without DEVIN_SERVICE_USER_TOKEN there is no history: no other API has a history." >&2
        days=
    fi
    if [ -n "$days" ] && [ "$days" != 0 ]; then
        devin-exporter backfill --days "$days" --until now --output "$KEPT/history.om"
        chmod 644 "$KEPT/history.om"
    else
        rm -f "$KEPT"/history.om*
    fi
    echo "$days" | keep history-done
}

# Grafana's administrator: GRAFANA_ADMIN_PASSWORD, or one that nobody can guess. Grafana takes it when
# it makes its database, so it stays.
password() {
    [ ! -s "$KEPT/admin" ] || exit 0
    if [ -n "${GRAFANA_ADMIN_PASSWORD:-}" ]; then
        printf '%s' "$GRAFANA_ADMIN_PASSWORD" | keep admin
    else
        head -c 18 /dev/urandom | od -An -v -tx1 | tr -d ' \n' | keep admin
    fi
    [ -s "$KEPT/admin" ]
}

"$1"
