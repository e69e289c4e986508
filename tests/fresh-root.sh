#!/bin/bash
# Proves the promise that a fresh Debian 12 with git and make is enough: two new roots by debootstrap, in each a clone of
# the last commit; in one `make run` by an ordinary user with sudo, in the other `make test` by root. Not part of `make test`:
# it needs root, debootstrap, a Debian mirror (this machine's own, or MIRROR=URL), 3 GB below TMPDIR and some minutes.
#
#   tests/fresh-root.sh [run] [test]      (default: both)
#
# KEEP=1 leaves the roots; WORKTREE=1 takes the files as they are here instead of the last commit. The roots have /proc and
# the few devices that debootstrap makes, nothing else. Mounts are in a namespace that ends with the programs, so that none
# can be left behind.
set -euo pipefail
cd "$(dirname "$0")/.."
TOP=$PWD
SUITE=bookworm
WORK='' # set by main

die()
{
    echo "fresh-root: $*" >&2
    exit 1
}

# The mirror that this machine's apt has for the suite, or for any when there is none: deb822 files, then one-line files.
host_mirror()
{
    local files=()
    shopt -s nullglob
    files=(/etc/apt/sources.list.d/*.sources)
    if ((${#files[@]})); then
        awk -v suite=$SUITE '
            /^URIs:/   { uri = $2 }
            /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == suite) found = 1 }
            /^$/ || FNR == 1 && NR > 1 { if (found && uri) exit; uri = ""; found = 0 }
            END        { if (found && uri) print uri }' "${files[@]}"
    fi
    files=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list)
    for file in "${files[@]}"; do
        [[ -r $file ]] && sed -nE "s/^deb +(\[[^]]*\] +)?([^ ]+) +$SUITE +.*/\2/p" "$file"
    done
}

host_proxy_settings()
{
    apt-config dump 2>/dev/null | grep -iE '^Acquire::[a-z]+::Proxy' || true
}

make_bundle()
{
    local source=$TOP
    if [[ ${WORKTREE:-0} == 1 ]]; then
        source=$WORK/worktree
        git clone --quiet "$TOP" "$source"
        # A file that was deleted and not committed is still listed: tar goes on without it.
        git -C "$TOP" ls-files --cached --others --exclude-standard -z |
            tar -C "$TOP" --null --ignore-failed-read -c -T - 2>/dev/null | tar -C "$source" -x
        git -C "$source" add --all
        git -C "$source" -c user.name=fresh-root -c user.email=fresh-root@localhost commit --quiet --allow-empty -m worktree
    fi
    git -C "$source" bundle create --quiet "$WORK/cctgate.bundle" HEAD
}

make_base()
{
    local base=$WORK/base mirror proxy
    mirror=${MIRROR:-$(host_mirror | head -n 1)}
    [[ -n $mirror ]] || die "no mirror of $SUITE in /etc/apt; give one with MIRROR=URL"
    proxy=$(apt-config dump 2>/dev/null | sed -nE 's/^Acquire::http::Proxy "(.+)";/\1/p' | head -n 1)
    ${proxy:+env http_proxy="$proxy"} debootstrap --variant=minbase $SUITE "$base" "$mirror" >"$WORK/debootstrap.log" 2>&1 ||
        { tail -n 20 "$WORK/debootstrap.log" >&2; die "debootstrap failed"; }
    host_proxy_settings >"$base/etc/apt/apt.conf.d/99proxy"
    [[ -e $base/etc/hosts ]] || echo '127.0.0.1 localhost' >"$base/etc/hosts"
    cp --dereference /etc/resolv.conf "$base/etc/resolv.conf" 2>/dev/null || true
}

# in_root ROOT COMMAND: with /proc, an environment of its own, processes and mounts that end together.
in_root()
{
    # shellcheck disable=SC2016 # the inner shell expands it
    unshare --mount --pid --fork --kill-child --propagation private "$BASH" -c '
        mount -t proc proc "$1/proc" && exec chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            TERM=dumb DEBIAN_FRONTEND=noninteractive /bin/bash -c "$2"' fresh-root "$@"
}

# What the promise takes for granted: git and make; for the ordinary user also sudo.
prepare()
{
    local root=$1
    cp -a "$WORK/base" "$root" || die "no room for $root"
    cp "$WORK/cctgate.bundle" "$root/tmp/" || die "no room for $root"
    in_root "$root" "apt-get -q update && apt-get -q -y install --no-install-recommends git make sudo" >"$root.apt.log" 2>&1 ||
        { tail -n 20 "$root.apt.log" >&2; die "git and make could not be installed"; }
    in_root "$root" "useradd --create-home --shell /bin/bash somebody
        echo 'somebody ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/somebody"
}

clone_and_make()
{
    printf 'set -e; cd; git clone --quiet /tmp/cctgate.bundle cctgate; cd cctgate; %s' "$1"
}

check_run()
{
    prepare "$WORK/run"
    in_root "$WORK/run" "exec su - somebody -c '$(clone_and_make 'CCTGATE_RUN_ONCE=1 make run')'"
}

check_test()
{
    prepare "$WORK/test"
    in_root "$WORK/test" "$(clone_and_make 'make test')"
}

# timed NAME FUNCTION: its output, how long it took and how it ended.
timed()
{
    local begun=$SECONDS status=0
    echo "== $1"
    "$2" || status=$?
    echo "== $1: exit status $status, $((SECONDS - begun)) s"
    return $status
}

main()
{
    ((EUID == 0)) || die "needs root"
    command -v debootstrap >/dev/null || die "needs debootstrap"
    local wanted=("$@") name failed=0
    ((${#wanted[@]})) || wanted=(run test)
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/fresh-root.XXXXXX")
    if [[ ${KEEP:-0} == 1 ]]; then
        echo "fresh-root: the roots are in $WORK"
    else
        trap 'rm -rf --one-file-system "$WORK"' EXIT
    fi
    make_bundle

    timed debootstrap make_base
    for name in "${wanted[@]}"; do
        [[ $name == run || $name == test ]] || die "unknown check '$name'"
        timed "make $name" "check_$name" || failed=1
    done
    ((failed == 0)) && echo "fresh-root: everything worked"
    return $failed
}

main "$@"
