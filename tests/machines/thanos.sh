#!/bin/sh
# thanos.sh PYTHON: builds Thanos, which is a Go module, and asks it every query of every dashboard and
# every rule. What apt brings has to be there already, as `make tools` has it.
set -eu
python=$1
cd "$(dirname "$0")/../.."
thanos=github.com/thanos-io/thanos@v0.40.1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A module with `replace` lines cannot be installed by name, but it can be built where it lies.
source=$(cd "$scratch" && go mod download -json "$thanos" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
go build -C "$source" -tags netgo,slicelabels -o "$scratch/thanos" ./cmd/thanos
PATH=$scratch:$PATH "$python" -m pytest -p no:cacheprovider tests/machines/ask_thanos.py
