#!/bin/bash
# Installs what is missing of the Debian packages that a purpose needs, and nothing when all of them are there.
#
#   deploy/install-deps.sh [run|test|bench|lint|fuzz]...      (default: run)
#
# As root or with sudo, on Debian 12 or a relative of it that has the same packages. CCTGATE_SKIP_DEPS=1 skips it all, for a
# system on which the libraries were put by other means.
set -euo pipefail

BUILD_PACKAGES=(gcc libc6-dev make pkg-config libh2o-evloop-dev liblmdb-dev libjansson-dev libxml2-dev
    libcurl4-openssl-dev libwslay-dev libssl-dev uthash-dev librhonabwy-dev libsystemd-dev)
RUN_PACKAGES=(ca-certificates curl openssl)
# The browser is 140 MB to fetch; it is there because nothing else shows what a page may do.
TEST_PACKAGES=(libcmocka-dev python3 python3-jsonschema mypy libxml2-utils chromium-headless-shell)
BENCH_PACKAGES=(nginx-light varnish wrk nghttp2-client python3)
LINT_PACKAGES=(clang clang-tidy clang-format cppcheck shellcheck libcmocka-dev)
FUZZ_PACKAGES=(clang libclang-rt-14-dev llvm)

die()
{
    echo "install-deps: $*" >&2
    exit 1
}

packages_for()
{
    printf '%s\n' "${BUILD_PACKAGES[@]}"
    local purpose
    for purpose in "$@"; do
        case $purpose in
            run) printf '%s\n' "${RUN_PACKAGES[@]}" ;;
            test) printf '%s\n' "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}" ;;
            bench) printf '%s\n' "${RUN_PACKAGES[@]}" "${BENCH_PACKAGES[@]}" ;;
            lint) printf '%s\n' "${LINT_PACKAGES[@]}" ;;
            fuzz) printf '%s\n' "${FUZZ_PACKAGES[@]}" ;;
            *) die "unknown purpose '$purpose'; there are run, test, bench, lint and fuzz" ;;
        esac
    done
}

# No process substitution here: a bare chroot has no /proc and so no /dev/fd.
missing_of()
{
    local package there
    there=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null) || true
    for package in "$@"; do
        [[ $'\n'$there$'\n' == *$'\n'"installed $package"$'\n'* ]] || printf '%s\n' "$package"
    done
}

check_system()
{
    local ID='' ID_LIKE='' VERSION_ID='' PRETTY_NAME='this system'
    # shellcheck source=/dev/null
    [[ -r /etc/os-release ]] && . /etc/os-release
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        die "$PRETTY_NAME has no apt. The set-up is made for Debian 12; elsewhere install the counterparts of
    ${BUILD_PACKAGES[*]}
and set CCTGATE_SKIP_DEPS=1."
    fi
    if [[ $ID != debian || $VERSION_ID != 12 ]]; then
        [[ " $ID $ID_LIKE " == *" debian "* ]] || die "$PRETTY_NAME is not Debian 12 or a relative of it"
        echo "install-deps: $PRETTY_NAME is not Debian 12; trying with its packages" >&2
    fi
}

# As root; apt waits for another apt to finish. A package that brings a service must not start it here: the benchmarks start
# their own nginx and Varnish.
install()
{
    local policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        # shellcheck disable=SC2064 # the path of now
        trap "rm -f '$policy'" EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    local apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    "${apt[@]}" update || echo "install-deps: apt-get update failed, trying with the lists that are there" >&2
    "${apt[@]}" install --no-install-recommends "$@"
}

main()
{
    [[ ${CCTGATE_SKIP_DEPS:-0} == 1 ]] && return 0
    (($#)) || set -- run
    if [[ $1 == --install-now ]]; then
        shift
        install "$@"
        return
    fi

    local list wanted missing
    list=$(packages_for "$@" | sort -u)
    mapfile -t wanted <<<"$list"
    check_system
    list=$(missing_of "${wanted[@]}")
    [[ -z $list ]] && return 0
    mapfile -t missing <<<"$list"

    echo "installing ${missing[*]}"
    if ((EUID == 0)); then
        install "${missing[@]}"
    elif command -v sudo >/dev/null; then
        sudo "$BASH" "${BASH_SOURCE[0]}" --install-now "${missing[@]}"
    else
        die "packages are missing, and this is neither root nor is there sudo; as root:
    apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    fi
}

main "$@"
