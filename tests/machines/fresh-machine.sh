#!/bin/bash
# Both commands on machines that have python3, make, git and pip, and nothing else:
#
#   tests/machines/fresh-machine.sh [bookworm|trixie|bookworm:user|trixie:user]...
#
# As root, with debootstrap. Each machine is a folder with a Debian of its own, in which a clone of this
# repository's HEAD runs `make demo` to the first scrape and `make test` to its end; with `:user` as an
# ordinary user. Mounts and processes are in namespaces of their own and end with it. WORK_DIR (default:
# a temporary folder) holds the machines and the logs; what is there is used again. TARGETS (default:
# "demo test") says which of the two.
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
WORK_DIR=${WORK_DIR:-$(mktemp -d -t devin-exporter-fresh-XXXXXX)}
TARGETS=${TARGETS:-demo test}
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)}
PACKAGES=python3,python3-pip,make,git,ca-certificates
# What this machine's network needs to reach the package indexes; nothing else is handed on.
HANDED_ON='^(https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|PIP_INDEX_URL|PIP_CERT|SSL_CERT_FILE)='

base() { # SUITE: the machine as it is when new
    local suite=$1 new="$WORK_DIR/$1.new"
    [ -d "$WORK_DIR/$suite.base" ] && return
    rm -rf "$new"
    debootstrap --variant=minbase --include="$PACKAGES" "$suite" "$new" "$MIRROR" \
        >"$WORK_DIR/$suite.debootstrap.log" 2>&1 ||
        { tail -n 3 "$WORK_DIR/$suite.debootstrap.log"; return 1; }
    mv "$new" "$WORK_DIR/$suite.base"
}

in_machine() { # MACHINE USER COMMAND: in namespaces of its own
    local machine=$1 user=$2 command=$3
    env -i "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" "HOME=$(home_of "$user")" LANG=C.UTF-8 \
        $(env | grep -E "$HANDED_ON" || true) \
        unshare --mount --pid --fork --kill-child /bin/sh -ec '
            mount --make-rprivate /
            mount -t proc proc "$1/proc"
            mkdir -p "$1/dev/shm"
            mount -t tmpfs tmpfs "$1/dev/shm"
            chmod 1777 "$1/dev/shm"
            exec chroot --userspec="$2" "$1" /bin/sh -ec "$3"' sh "$machine" "$user" "$command"
}

home_of() {
    [ "$1" = root ] && echo /root || echo "/home/$1"
}

prepare() { # SUITE USER: a new machine with a clone; prints its folder
    local suite=$1 user=$2 machine="$WORK_DIR/$1.$2"
    rm -rf "$machine"
    cp -a "$WORK_DIR/$suite.base" "$machine"
    cp -L /etc/resolv.conf /etc/hosts "$machine/etc/"
    cp -L /etc/ssl/certs/ca-certificates.crt "$machine/etc/ssl/certs/"
    [ "$user" = root ] || chroot "$machine" useradd --create-home "$user"
    git clone --quiet --no-hardlinks "$ROOT" "$machine$(home_of "$user")/devin-exporter"
    chroot "$machine" chown -R "$user:" "$(home_of "$user")/devin-exporter"
    echo "$machine"
}

FIRST_SCRAPE='cd ~/devin-exporter && python3 tests/machines/first_scrape.py'
TEST='cd ~/devin-exporter && make test'

run() { # MACHINE USER TARGET COMMAND
    local log="$1.$3.log" from=$SECONDS status=passed
    in_machine "$1" "$2" "$4" >"$log" 2>&1 </dev/null || { status=FAILED; failed=1; }
    echo "$(basename "$1"): make $3: $status after $((SECONDS - from)) s: $(grep -E '^=+ .* =+$|^Metrics:' "$log" | tail -n 1) ($log)"
}

[ "$(id -u)" = 0 ] || { echo "fresh-machine.sh: only root can make machines" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "fresh-machine.sh: debootstrap is missing" >&2; exit 2; }
mkdir -p "$WORK_DIR"
failed=0
for each in "${@:-bookworm trixie bookworm:user trixie:user}"; do
    for machine in $each; do
        suite=${machine%%:*} user=root
        [ "$machine" = "$suite" ] || user=fresh
        base "$suite"
        folder=$(prepare "$suite" "$user")
        for target in $TARGETS; do
            case $target in
            demo) run "$folder" "$user" demo "$FIRST_SCRAPE" ;;
            test) run "$folder" "$user" test "$TEST" ;;
            esac
        done
    done
done
exit "$failed"
