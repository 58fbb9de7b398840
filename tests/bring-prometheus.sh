#!/bin/sh
# Unpacks what the end-to-end tests run into a folder, without root and without installing
# anything: Debian's prometheus with promtool and alertmanager with amtool (unless they are on the
# PATH already), and from sid a newer prometheus and victoria-metrics with vmalert-tool. What apt cannot bring is named, and no error: the
# tests that need it then say that they did not run.
set -u
folder=$1

missing() {
    echo "$1 is missing and could not be brought: $2" >&2
}
have_prometheus() {
    PATH="$folder:$PATH" command -v prometheus >/dev/null &&
        PATH="$folder:$PATH" command -v promtool >/dev/null
}
have_alertmanager() {
    PATH="$folder:$PATH" command -v prometheus-alertmanager >/dev/null &&
        PATH="$folder:$PATH" command -v amtool >/dev/null
}
have_newer() {
    [ -x "$folder/newer/prometheus" ] && [ -x "$folder/newer/victoria-metrics" ] &&
        [ -x "$folder/newer/vmalert-tool" ]
}
have_prometheus && have_alertmanager && have_newer && exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    have_prometheus || missing "prometheus" "there is no apt here"
    have_alertmanager || missing "prometheus-alertmanager" "there is no apt here"
    missing "a newer prometheus and victoria-metrics" "there is no apt here"
    exit 0
fi

mkdir -p "$folder/newer"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial" "$scratch/parts"
apt() {
    apt-get -qq -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch/cache" \
        -o APT::Sandbox::User=root "$@" </dev/null >"$scratch/log" 2>&1
}
of_sid() {
    apt -o Dir::Etc::SourceList="$scratch/sid.list" -o Dir::Etc::SourceParts="$scratch/parts" "$@"
}
# bring HOW PACKAGE INTO BINARY...: with `apt` or `of_sid`, from the lists fetched before.
# Later suites have promtool in a package of its own.
bring() {
    how=$1 package=$2 into=$3
    shift 3
    rm -rf "$scratch/tree" "$scratch/deb"
    mkdir "$scratch/deb"
    (cd "$scratch/deb" && "$how" download "$package") ||
        { missing "$package" "$(tail -n 1 "$scratch/log")"; return; }
    [ "$package" != prometheus ] || (cd "$scratch/deb" && "$how" download promtool)
    for archive in "$scratch/deb/"*.deb; do
        dpkg -x "$archive" "$scratch/tree" ||
            { missing "$package" "it could not be unpacked"; return; }
    done
    for binary in "$@"; do
        "$scratch/tree/usr/bin/$binary" --version >/dev/null 2>&1 ||
            "$scratch/tree/usr/bin/$binary" --help >/dev/null 2>&1 ||
            { missing "$package" "it does not run here"; return; }
    done
    for binary in "$@"; do
        mv "$scratch/tree/usr/bin/$binary" "$into/"
    done
}

if ! have_prometheus || ! have_alertmanager; then
    echo "bringing prometheus, promtool, alertmanager and amtool by apt" >&2
    if apt update; then
        have_prometheus || bring apt prometheus "$folder" prometheus promtool
        have_alertmanager ||
            bring apt prometheus-alertmanager "$folder" prometheus-alertmanager amtool
    else
        missing "prometheus or alertmanager" "apt-get update failed: $(tail -n 1 "$scratch/log")"
    fi
fi
if ! have_newer; then
    echo "bringing a newer prometheus and victoria-metrics by apt" >&2
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        head -n 1)
    echo "deb $mirror sid main" >"$scratch/sid.list"
    if [ -n "$mirror" ] && of_sid update; then
        bring of_sid prometheus "$folder/newer" prometheus promtool
        bring of_sid victoria-metrics "$folder/newer" victoria-metrics vmalert-tool
    else
        missing "a newer prometheus and victoria-metrics" "this machine's mirror has no sid"
    fi
fi
exit 0
