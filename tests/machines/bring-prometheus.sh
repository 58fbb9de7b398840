#!/bin/sh
# bring-prometheus.sh FOLDER [WHAT...]: brings what the end-to-end tests run into a folder, by apt
# and without root; nothing is installed. WHAT are some of these, by default all of them:
#   prometheus               with promtool, of this machine's own suite of Debian
#   prometheus-alertmanager  with amtool, of the same
#   newer                    newer/prometheus, promtool, prometheus-alertmanager, amtool, victoria-metrics
#                            and vmalert-tool, of a newer suite
# What is on the PATH already is not brought, but for what is newer. Each program runs with the
# libraries and files that its suite has for it, and needs nothing else on the machine. What
# cannot be brought is named, and no error: the tests that need it then say that they did not run.
set -u
folder=$1
shift
wanted=" ${*:-prometheus prometheus-alertmanager newer} "
# The first one that has what runs here; forky moves less.
NEWER_SUITES="forky sid"
# What the programs open of the packages that theirs depend on.
OPENED='promtool|libc6|libzstd1|libjs-.*|fonts-.*'
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial" "$scratch/none"
missing() {
    echo "$1 is missing and could not be brought: $2" >&2
}
programs_of() {
    case $1 in
    prometheus) echo prometheus promtool ;;
    prometheus-alertmanager) echo prometheus-alertmanager amtool ;;
    victoria-metrics) echo victoria-metrics vmagent vmalert vmalert-tool ;;
    esac
}
is_on_path() {
    for program in $(programs_of "$1"); do
        PATH="$folder:$PATH" command -v "$program" >/dev/null || return 1
    done
}
is_newer_there() {
    for program in $(programs_of "$1"); do [ -L "$folder/newer/$program" ] || return 1; done
}

# asking COMMAND...: of apt, about the sources chosen before. The lists of a mirror that lags
# behind have expired; their signatures are checked all the same.
asking() {
    "$@" -qq -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch/cache" \
        -o Dir::Etc::SourceList="$list" -o Dir::Etc::SourceParts="$parts" \
        -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none \
        -o APT::Sandbox::User=root </dev/null 2>>"$scratch/errors"
}
choose_this_machine() {
    eval "$(apt-config shell list Dir::Etc::SourceList/f parts Dir::Etc::SourceParts/d)"
    : >"$scratch/errors"
    asking apt-get update
}
choose_suite() {
    list=$scratch/$1.list parts=$scratch/none
    echo "deb $([ ! -e $KEYRING ] || echo "[signed-by=$KEYRING]") $mirror $1 main" >"$list"
    : >"$scratch/errors"
    asking apt-get update
}

# bring PACKAGE INTO: into INTO/debian/PACKAGE, with links from INTO; says in `why` why not.
bring() {
    package=$1 tree=$2/debian/$1 programs=$(programs_of "$1")
    rm -rf "$scratch/archives" "$tree"
    mkdir -p "$scratch/archives" "$tree"
    why=$(unpack && make_launchers && try) || {
        rm -rf "$tree"
        return 1
    }
    for program in $programs; do ln -sf "debian/$package/$program" "$2/$program"; done
}
unpack() {
    asking apt-cache depends --recurse --important "$package" >"$scratch/depends"
    needed=$(grep -xE "$OPENED" "$scratch/depends" | sort -u)
    # shellcheck disable=SC2086 # they are words
    (cd "$scratch/archives" && asking apt-get download "$package" $needed) || {
        grep '^E:' "$scratch/errors" | head -n 1
        return 1
    }
    for archive in "$scratch/archives/"*.deb; do
        dpkg -x "$archive" "$tree" 2>&1 || return 1
    done
}
# The programs open files of /usr/share/prometheus, which no option changes. They find them through
# a descriptor of their launcher: a path that is as long.
make_launchers() {
    loader=$(cd "$tree" && find . -type f -name 'ld-*.so*')
    libraries=$(basename "$(dirname "$loader")")
    mkdir -p "$tree/bin" "$tree/usr/share/prometheus"
    for program in $programs; do
        cp "$tree/usr/bin/$program" "$tree/bin/" 2>&1 || return 1
        LC_ALL=C sed -i 's#/usr/share/prometheus#/proc/self/fd/9/././.#g' "$tree/bin/$program"
        cat >"$tree/$program" <<EOF
#!/bin/sh
tree=\$(dirname "\$(readlink -f "\$0")")
exec 9<"\$tree/usr/share/prometheus"
exec "\$tree/$loader" --library-path "\$tree/lib/$libraries:\$tree/usr/lib/$libraries" \\
    "\$tree/bin/$program" "\$@"
EOF
        chmod +x "$tree/$program" "$tree/bin/$program"
    done
    # What is large and never opened.
    (cd "$tree" && rm -rf usr/bin usr/share/doc "usr/lib/$libraries/gconv" \
        usr/share/javascript/moment-timezone/data)
}
try() {
    for program in $programs; do
        # vmalert-tool knows no --version.
        "$tree/$program" --version >"$scratch/said" 2>&1 ||
            "$tree/$program" --help >"$scratch/said" 2>&1 || {
            echo "$program does not run here: $(tail -n 1 "$scratch/said")"
            return 1
        }
    done
    [ "$package" != prometheus-alertmanager ] || reads_its_template
}
# It reads its files and ends by itself then, as there is no such port.
reads_its_template() {
    printf 'route: {receiver: none}\nreceivers: [{name: none}]\n' >"$scratch/alertmanager.yml"
    ! "$tree/prometheus-alertmanager" --config.file="$scratch/alertmanager.yml" \
        --storage.path="$scratch/data" --cluster.listen-address= \
        --web.listen-address=127.0.0.1:99999 2>&1 | grep template
}

# Binaries without their files, as an earlier version of this script left them.
if [ -d "$folder/newer" ]; then
    for program in $(programs_of prometheus) $(programs_of prometheus-alertmanager); do
        [ -L "$folder/$program" ] || rm -f "$folder/$program"
    done
fi

stable='' newer=''
for package in prometheus prometheus-alertmanager; do
    case $wanted in *" $package "*) is_on_path "$package" || stable="$stable $package" ;; esac
done
case $wanted in *" newer "*)
    for package in prometheus prometheus-alertmanager victoria-metrics; do
        is_newer_there "$package" || newer="$newer $package"
    done ;;
esac
[ -n "$stable$newer" ] || exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    for package in $stable; do missing "$package" "there is no apt here"; done
    for package in $newer; do missing "a newer $package" "there is no apt here"; done
    exit 0
fi
mkdir -p "$folder/newer"
choose_this_machine
for package in $stable; do
    echo "bringing $package by apt" >&2
    bring "$package" "$folder" || missing "$package" "$why"
done
# shellcheck disable=SC2016 # apt puts it in
mirror=$(asking apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
    'Label: Debian' | head -n 1)
why="this machine has no package source of Debian"
for suite in ${mirror:+$NEWER_SUITES}; do
    [ -n "$newer" ] || break
    choose_suite "$suite"
    failed=''
    for package in $newer; do
        echo "bringing a newer $package of $suite by apt" >&2
        bring "$package" "$folder/newer" || failed="$failed $package"
    done
    newer=$failed
done
for package in $newer; do missing "a newer $package" "$why"; done
exit 0
