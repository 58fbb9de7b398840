#!/bin/sh
# packages.sh PYTHON PROJECT [NFPM...]: builds the deb and the rpm, unpacks the deb into a folder and
# runs what it installs. Nothing is installed on this machine.
set -eu
python=$1 project=$2
shift 2
[ $# -gt 0 ] || set -- go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
deploy/packages/build.sh "$python" "$project" "$scratch/dist" "$@"
ls "$scratch"/dist/*.rpm
dpkg-deb --extract "$scratch"/dist/*.deb "$scratch/root"
version=$(sed "s|/usr/lib|$scratch/root/usr/lib|; s|/usr/bin/python[0-9.]*|$python|" \
    "$scratch/root/usr/bin/devin-exporter" | sh -s -- --version)
[ "$version" = "devin-exporter $("$project" -c 'from exporter import __version__; print(__version__)')" ]
[ "$(stat -c %a "$scratch/root/etc/devin-exporter/settings")" = 640 ]
units=$scratch/root/usr/lib/systemd/system
grep -q '^ExecStart=/usr/bin/devin-exporter$' "$units/devin-exporter.service"
[ -e "$units/devin-exporter.socket" ]
if command -v dpkg >/dev/null; then dpkg-deb --field "$scratch"/dist/*.deb Depends; fi
