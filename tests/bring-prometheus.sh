#!/bin/sh
# Unpacks Debian's prometheus and promtool into a folder, without root and without installing
# anything, unless both are on the PATH already. Where apt cannot bring them it says so and
# succeeds: the tests that need them then say that they did not run.
set -u
folder=$1

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    exit 0
fi
missing() {
    echo "prometheus and promtool are missing and could not be brought: $1" >&2
    exit 0
}
command -v apt-get >/dev/null && command -v dpkg >/dev/null || missing "there is no apt here"

mkdir -p "$folder"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
apt() {
    apt-get -qq -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch/cache" \
        -o APT::Sandbox::User=root "$@" </dev/null >"$scratch/log" 2>&1
}
echo "bringing prometheus and promtool by apt" >&2
apt update || missing "apt-get update failed: $(tail -n 1 "$scratch/log")"
(cd "$scratch" && apt download prometheus) ||
    missing "apt-get download failed: $(tail -n 1 "$scratch/log")"
dpkg -x "$scratch"/prometheus_*.deb "$scratch/tree" || missing "the package could not be unpacked"
mv "$scratch/tree/usr/bin/prometheus" "$scratch/tree/usr/bin/promtool" "$folder/"
"$folder/promtool" --version >/dev/null 2>&1 ||
    { rm -f "$folder/prometheus" "$folder/promtool"; missing "they do not run here"; }
