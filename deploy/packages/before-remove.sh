#!/bin/sh
set -e
[ -d /run/systemd/system ] || exit 0
# deb: remove; rpm: 0. In an update the service goes on and is restarted afterwards.
case ${1:-} in
remove | 0) systemctl disable --now devin-exporter.socket devin-exporter.service || true ;;
esac
