# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What the scripts share: where the tree is, how to talk, how MPI programs are run, how to build.
# Sourced, never run. Sets `root` (the tree) and leaves the current directory alone.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
bold='' red='' green='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

say() { printf '%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '   %s\n' "$*"; }
die() {
    printf '%s%s: %s%s\n' "$red" "${0##*/}" "$*" "$plain" >&2
    exit 1
}
wrong_usage() {
    printf '%s: %s (see %s --help)\n' "${0##*/}" "$*" "$0" >&2
    exit 2
}

# Prints the comment block at the top of the calling script: its one source of help.
print_help() {
    awk 'NR <= 2 { next } /^#/ { sub(/^# ?/, ""); print; next } { exit }' "$0"
}

minutes_since() {
    local seconds=$((SECONDS - $1))
    printf '%d:%02d min' $((seconds / 60)) $((seconds % 60))
}

cores() { nproc 2>/dev/null || echo 1; }

# How every MPI program of the scripts and tests runs: allowed as root (containers), with more ranks
# than cores, unbound. Real jobs do not come through here, so nothing here changes their settings.
export_mpi_environment() {
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
    # Containers deny process_vm_readv: MPI's own shared memory transport then warns on every start.
    export OMPI_MCA_btl_vader_single_copy_mechanism=none
    # Hosts without an RDMA device: no warning about components that find nothing to do.
    export OMPI_MCA_btl_base_warn_component_unused=0
}

export_sanitizer_environment() {
    local here=$root/scripts/sanitizers
    local stop=halt_on_error=1:abort_on_error=1
    export ASAN_OPTIONS=${ASAN_OPTIONS:-$stop:detect_stack_use_after_return=0}
    export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$here/lsan.supp:print_suppressions=0}
    export UBSAN_OPTIONS=${UBSAN_OPTIONS:-$stop:print_stacktrace=1}
    export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:suppressions=$here/tsan.supp}
    # UCX patches madvise, which a thread calls after ThreadSanitizer has taken leave of it: a crash
    # in every program that is linked to UCX and ends a thread.
    export UCX_MEM_EVENTS=n
}

# A home that cannot be written (a service account) must not stop ccache, and with it the build.
export_compiler_cache() {
    command -v ccache >/dev/null || return 0
    local dir=${CCACHE_DIR:-}
    [[ -n $dir ]] || dir=$(ccache --get-config cache_dir 2>/dev/null) || dir=
    [[ -n $dir ]] && mkdir -p "$dir" 2>/dev/null && [[ -w $dir ]] && return 0
    export CCACHE_DIR=$root/build/ccache
    mkdir -p "$CCACHE_DIR"
}

# run_setup GROUP...: silent and quick when nothing is missing.
run_setup() { "$root/scripts/setup" --quiet "$@"; }

# build_directory KIND: the directory of a kind of build: release, debug, address, thread.
build_directory() {
    case $1 in
        release | debug) echo "$root/build/$1" ;;
        address) echo "$root/build/asan" ;;
        thread) echo "$root/build/tsan" ;;
        *) die "no such kind of build: $1" ;;
    esac
}

# configure KIND DIR: runs meson once; later changes are noticed by ninja.
configure() {
    local kind=$1 dir=$2
    local -a options=()
    case $kind in
        debug) options+=(--buildtype=debug) ;;
        # -O1 -g1: readable stacks at a third of the build time of -O3 -g.
        address) options+=(-Doptimization=1 -Ddebug=true -Dcpp_args='-g1 -fno-omit-frame-pointer'
            -Db_sanitize=address,undefined -Db_lundef=false) ;;
        thread) options+=(-Doptimization=1 -Ddebug=true -Dcpp_args='-g1 -fno-omit-frame-pointer'
            -Db_sanitize=thread -Db_lundef=false) ;;
    esac
    export_compiler_cache
    if [[ ! -f $dir/build.ninja ]]; then
        say "configure $dir"
        mkdir -p "$dir"
        if command -v mold >/dev/null; then
            export CC_LD=${CC_LD:-mold} CXX_LD=${CXX_LD:-mold}
        fi
        meson setup "${options[@]}" "$dir" "$root" >"$dir/setup.log" 2>&1 || {
            cat "$dir/setup.log" >&2
            die "meson could not configure $dir (log: $dir/setup.log)"
        }
        sed -n '/^ssi 0/,/^Found ninja/p' "$dir/setup.log" | sed '/^$/d; /^Found/d; s/^/   /'
    fi
}

# compile DIR [TARGET...]: all targets when none is named. Ninja shows the progress.
compile() {
    local dir=$1 start=$SECONDS
    shift
    say "build $dir"
    NINJA_STATUS='   [%f/%t] ' ninja -C "$dir" "$@" ||
        die "the build in $dir failed (the first error is above)"
    note "built in $(minutes_since "$start")"
}
