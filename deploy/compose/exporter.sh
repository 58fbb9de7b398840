#!/bin/sh
# What the containers of the exporter's image run: `exporter.sh serve`, `history`, `password`.
#
# With a key in .env it is the real thing; without one it is the demo, with a price and a pool of
# its own so that no panel is empty. `history` and `password` are done once and remembered.
set -eu

keys=${DEVIN_SERVICE_USER_TOKEN:-}${DEVIN_SERVICE_USER_TOKEN_FILE:-}
if [ -n "$keys" ]; then
    kind=real
else
    kind=demo
    export DEVIN_ACU_PRICE="${DEVIN_ACU_PRICE:-2.25}" DEVIN_ACU_POOL="${DEVIN_ACU_POOL:-25000}"
fi

serve() {
    [ "$kind" = demo ] || exec devin-exporter
    exec devin-exporter demo
}

# The history goes to $KEPT/history.om, and what it is of to $KEPT/kind.
history() {
    if [ -e "$KEPT/kind" ]; then
        [ "$(cat "$KEPT/kind")" = "$kind" ] && exit 0
        echo "The volumes hold figures of the other kind ($(cat "$KEPT/kind"), not $kind), which must" \
            "not be mixed: \`docker compose down --volumes\` deletes them." >&2
        exit 1
    fi
    days=${HISTORY_DAYS:-}
    if [ "$kind" = demo ]; then
        days=${days:-90}
        export DEVIN_API_URL="http://127.0.0.1:$DEMO_API_PORT" DEVIN_SERVICE_USER_TOKEN=cog_demo
        export DEVIN_REQUESTS_PER_SECOND="${DEVIN_REQUESTS_PER_SECOND:-200}"
    fi
    [ "${days:-0}" -eq 0 ] ||
        devin-exporter backfill --days "$days" --until now --output "$KEPT/history.om"
    [ ! -e "$KEPT/history.om" ] || chmod 644 "$KEPT/history.om"
    echo "$kind" >"$KEPT/kind"
}

# Grafana's administrator: GRAFANA_ADMIN_PASSWORD, or one that nobody has guessed yet.
password() {
    if [ -n "${GRAFANA_ADMIN_PASSWORD:-}" ]; then
        printf '%s' "$GRAFANA_ADMIN_PASSWORD" >"$KEPT/admin"
    elif [ ! -e "$KEPT/admin" ]; then
        head -c 18 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$KEPT/admin"
    fi
    chmod 644 "$KEPT/admin"
}

"$1"
