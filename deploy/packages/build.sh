#!/bin/sh
# build.sh PYTHON PROJECT FOLDER NFPM...: puts a deb and an rpm into a folder. PYTHON is that of the
# machines that the packages are for, with pip; PROJECT is one that can import the project.
set -eu
python=$1 project=$2 folder=$3
shift 3
cd "$(dirname "$0")/../.."
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
pip() {
    "$python" -m pip --quiet --disable-pip-version-check "$@" --root-user-action=ignore --no-compile
}
pip install --no-deps --only-binary :all: --require-hashes -r requirements-build.lock --target "$tree/build"
pip install --no-deps --only-binary :all: --require-hashes -r requirements.lock --target "$tree/lib"
PYTHONPATH=$tree/build pip install --no-deps --no-index --no-build-isolation . --target "$tree/own"
cp -R "$tree/own/." "$tree/lib/"
rm -rf "$tree/lib/bin"
"$python" -m compileall -q --invalidation-mode unchecked-hash -s "$tree/lib" \
    -p /usr/lib/devin-exporter "$tree/lib"
"$project" -m deploy.packages --launcher >"$tree/devin-exporter"
for unit in service socket; do
    sed 's|/opt/devin-exporter/venv/bin/|/usr/bin/|; s|/etc/systemd/system/|/usr/lib/systemd/system/|' \
        "deploy/systemd/devin-exporter.$unit" >"$tree/devin-exporter.$unit"
done
echo '# NAME=value for each line; docs/reference/settings.md has the names.' >"$tree/settings"
echo 'WEB_LISTEN_ADDRESS=127.0.0.1:9877' >>"$tree/settings"
"$project" -m deploy.packages "$tree" >"$tree/nfpm.json"
mkdir -p "$folder"
for kind in deb rpm; do
    "$@" package --config "$tree/nfpm.json" --packager "$kind" --target "$folder"
done
