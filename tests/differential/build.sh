#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds Linux 6.12 with the shadowpt patch, and the programs that run in it, and keeps both in a cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tarball=${MMSIM_LINUX_TARBALL:-/usr/src/linux-source-6.12.tar.xz}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mmsim/patched
recipe=2 # changes when this file builds something else from the same inputs

usage() {
  cat <<END
usage: build.sh [--arch x86-64|arm64|all] [--debug] [--mutant FILE] [--kernel|--programs] [--paths] [--no-install]
                [--jobs N] [--help]
Builds the patched kernel and keeps it under
  $cache
keyed by the kernel source, the patch, the configuration and the compiler; a second call finds it there.
  --arch A       which architecture (all)
  --debug        with lockdep, KASAN and the other checks of config/debug.config
  --mutant FILE  with the deliberate fault of mutants/FILE applied on top of the patch
  --kernel       only the kernel
  --programs     only the programs of programs/, and their initramfs
  --paths        prints where the results are (or would be), and builds nothing
  --no-install   installs nothing: says what to install, with exit status 2
  --jobs N       how many compilers at once (the number of CPUs)
Prints a line a phase, and last, for each architecture, "kernel ARCH PATH" and "initramfs ARCH PATH".
Exit status: 0 built or found, 1 the build failed (the log's path is printed), 2 something is missing.
The source is Debian's package linux-source-6.12, or the tarball that MMSIM_LINUX_TARBALL names.
END
}

missing() { echo "build.sh: $*" >&2; exit 2; }

arches="x86-64 arm64" debug="" mutant="" programs_only="" kernel_only="" no_install="" paths_only="" jobs=$(nproc)
while [ $# -gt 0 ]; do
  case $1 in
    --arch) [ $# -ge 2 ] || missing "--arch needs a value"; arches=$2; [ "$2" = all ] && arches="x86-64 arm64"; shift ;;
    --debug) debug=-debug ;;
    --mutant) [ $# -ge 2 ] || missing "--mutant needs a file"; mutant=$here/mutants/$(basename "$2" .patch).patch; shift ;;
    --kernel) kernel_only=1 ;;
    --programs) programs_only=1 ;;
    --paths) paths_only=1 ;;
    --no-install) no_install=1 ;;
    --jobs) [ $# -ge 2 ] || missing "--jobs needs a number"; jobs=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    *) missing "what is '$1'? see --help" ;;
  esac
  shift
done
for arch in $arches; do
  case $arch in x86-64 | arm64) ;; *) missing "no such architecture: $arch (x86-64, arm64)" ;; esac
done
[ -z "$mutant" ] || [ -f "$mutant" ] || missing "no such mutant: $mutant"

# ---- what must be installed ----

need() { # need COMMAND-OR-FILE PACKAGE
  case $1 in
    /*) [ -e "$1" ] || packages="$packages $2" ;;
    *) command -v "$1" >/dev/null || packages="$packages $2" ;;
  esac
}

install_needed() {
  packages=""
  for pair in gcc:gcc make:make patch:patch cpio:cpio gzip:gzip xz:xz-utils rsync:rsync flock:util-linux bc:bc flex:flex bison:bison; do
    need "${pair%%:*}" "${pair##*:}"
  done
  need /usr/include/libelf.h libelf-dev
  need /usr/include/openssl/ssl.h libssl-dev
  [ -e "$tarball" ] || [ -n "${MMSIM_LINUX_TARBALL:-}" ] || packages="$packages linux-source-6.12"
  case $arches in *arm64*)
    need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
    need /usr/aarch64-linux-gnu/lib/libc.a libc6-dev-arm64-cross
    ;;
  esac
  if [ -n "$packages" ]; then
    local as_root=""
    [ -z "$no_install" ] || missing "install first: apt-get install$packages"
    [ "$(id -u)" = 0 ] || as_root="sudo -n"
    if [ -n "$as_root" ] && ! $as_root true 2>/dev/null; then missing "install first: apt-get install$packages"; fi
    echo "install:$packages"
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages >/dev/null 2>&1 ||
      missing "install first: apt-get install$packages"
  fi
}

# ---- keys ----

compiler_of() { [ "$1" = arm64 ] && echo aarch64-linux-gnu-gcc || echo gcc; }
fragments_of() {
  echo "$here/config/common.config $here/config/$1.config"
  [ -z "$debug" ] || echo "$here/config/debug.config"
}
patch_files() {
  (cd "$here/patch" && find . -type f | LC_ALL=C sort | sed "s|^\./|$here/patch/|")
  echo "$root/include/uapi/shadowpt.h"
  [ -z "$mutant" ] || echo "$mutant"
}
# The tarball's hash, remembered by name, size and time.
tarball_hash() {
  local stamp known
  stamp="$tarball $(stat -c '%s %Y' "$tarball")"
  known=$cache/work/tarball-hash
  if [ ! -f "$known" ] || [ "$(head -n 1 "$known")" != "$stamp" ]; then
    mkdir -p "$cache/work"
    { echo "$stamp"; sha256sum <"$tarball" | cut -c1-64; } >"$known.$$"
    mv "$known.$$" "$known"
  fi
  sed -n 2p "$known"
}
kernel_key() { # ARCH
  # shellcheck disable=SC2046
  { echo "$recipe $1"; tarball_hash; $(compiler_of "$1") --version | head -n 1; cat $(patch_files) $(fragments_of "$1"); } |
    sha256sum | cut -c1-16
}
programs_key() { # ARCH
  { echo "$recipe $1"; $(compiler_of "$1") --version | head -n 1; cat "$root/include/uapi/shadowpt.h" "$here"/programs/*.[ch]; } |
    sha256sum | cut -c1-16
}

# ---- the kernel ----

# $work/linux is the unpacked source. The files that the patch changes are put there anew each time, but only touched
# when their contents differ, so that make rebuilds no more than it must.
prepare_source() {
  local hash
  hash=$(tarball_hash)
  if [ "$(cat "$work/unpacked" 2>/dev/null)" != "$hash" ]; then
    echo "source: unpacking $tarball"
    rm -rf "$work/linux" "$work/original" "$work/unpacked" "$work"/build-*
    mkdir -p "$work/linux"
    tar -xf "$tarball" -C "$work/linux" --strip-components=1
    echo "$hash" >"$work/unpacked"
  fi
  local fresh=$work/fresh file
  rm -rf "$fresh"
  mkdir -p "$fresh" "$work/original"
  # A file that an earlier version of the patch changed, and this one does not, goes back to what it was.
  (cd "$work/original" && find . -type f) | while read -r file; do
    mkdir -p "$fresh/$(dirname "$file")"
    cp "$work/original/$file" "$fresh/$file"
  done
  sed -n 's|^+++ b/||p' "$here/patch/hooks.patch" | while read -r file; do
    if [ ! -f "$work/original/$file" ]; then
      mkdir -p "$work/original/$(dirname "$file")"
      cp "$work/linux/$file" "$work/original/$file"
    fi
    mkdir -p "$fresh/$(dirname "$file")"
    cp "$work/original/$file" "$fresh/$file"
  done
  cp -r "$here/patch/include" "$here/patch/mm" "$fresh/"
  mkdir -p "$fresh/include/uapi/linux"
  cp "$root/include/uapi/shadowpt.h" "$fresh/include/uapi/linux/shadowpt.h"
  patch -s -p1 --no-backup-if-mismatch -d "$fresh" <"$here/patch/hooks.patch"
  [ -z "$mutant" ] || patch -s -p1 --no-backup-if-mismatch -d "$fresh" <"$mutant"
  rsync -a --checksum --no-times --exclude '*.orig' "$fresh/" "$work/linux/"
  echo "patch: applied${mutant:+, with $(basename "$mutant")}"
}

build_kernel() { # ARCH RESULT-FOLDER
  local arch=$1 out=$2 object=$work/build-$1$debug log=$work/build-$1$debug.log image start
  local -a make=(timeout 7000 make -s -C "$work/linux" "O=$object" "-j$jobs")
  local cc
  cc=$(compiler_of "$arch")
  if [ "$arch" = arm64 ]; then
    make+=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-)
    image=arch/arm64/boot/Image
  else
    make+=(ARCH=x86_64)
    image=arch/x86/boot/bzImage
  fi
  command -v ccache >/dev/null && cc="ccache $cc"
  # Not in depend mode, in which ccache does not see .incbin: the compressed kernel in the image would be one from
  # before whose size was the same. The name space keeps apart what was stored so.
  export CCACHE_NODEPEND=1
  export CCACHE_NAMESPACE=mmsim-kernel-$recipe
  # Nothing of the machine and of the moment goes into the result.
  export KBUILD_BUILD_TIMESTAMP='2024-11-22' KBUILD_BUILD_USER=mmsim KBUILD_BUILD_HOST=mmsim
  mkdir -p "$object"
  start=$(date +%s)
  # shellcheck disable=SC2046
  if ! { "${make[@]}" CC="$cc" tinyconfig &&
    (cd "$work/linux" && scripts/kconfig/merge_config.sh -m -O "$object" "$object/.config" $(fragments_of "$arch")) &&
    "${make[@]}" CC="$cc" olddefconfig; } >"$log" 2>&1; then
    echo "build.sh: the configuration failed, see $log" >&2
    return 1
  fi
  check_config "$arch" "$object/.config" || return 1
  echo "config: $arch$debug"
  if ! "${make[@]}" CC="$cc" "$(basename "$image")" >>"$log" 2>&1; then
    grep -m 3 -E 'error|Error' "$log" >&2 || true
    echo "build.sh: the build of $arch$debug failed, see $log" >&2
    return 1
  fi
  mkdir -p "$out.$$"
  cp "$object/$image" "$out.$$/kernel"
  cp "$object/.config" "$out.$$/config"
  rm -rf "$out"
  mv "$out.$$" "$out"
  echo "build: $arch$debug in $(($(date +%s) - start)) s"
}

# merge_config drops what has an unmet dependency without failing; the last fragment's word counts.
check_config() { # ARCH CONFIG
  local name value got bad=0
  while IFS='=' read -r name value; do
    got=$(sed -n "s/^$name=//p" "$2")
    if [ "${got:-n}" != "$value" ]; then
      echo "build.sh: $1: $name is ${got:-n}, wanted $value" >&2
      bad=1
    fi
    # shellcheck disable=SC2046
  done < <(cat $(fragments_of "$1") | grep '^CONFIG' | tac | awk -F= '!seen[$1]++')
  return $bad
}

# ---- the programs ----

build_programs() { # ARCH RESULT-FOLDER
  local arch=$1 out=$2 cc src=$here/programs tree
  cc=$(compiler_of "$arch")
  tree=$out.$$/tree
  mkdir -p "$tree/bin" "$tree/dev"
  # CloneRaw's child has no thread pointer of its own, hence no stack protector; the tests know where the text is.
  local -a flags=(-std=gnu11 -O1 -g0 -static -no-pie -fno-pie -fno-stack-protector -D_GNU_SOURCE -Wall -Wextra)
  "$cc" "${flags[@]}" "$src/init.c" -o "$tree/init"
  "$cc" "${flags[@]}" "$src/inspector.c" -o "$tree/bin/inspector"
  "$cc" "${flags[@]}" "$src/target.c" -o "$tree/bin/target"
  "$cc" "${flags[@]}" "$src/selftest.c" "$src"/test_*.c "$src/lab.c" -o "$tree/bin/selftest"
  "$cc" "${flags[@]}" "$src/stress.c" "$src/lab.c" -o "$tree/bin/stress"
  "$cc" "${flags[@]}" "$src/session.c" -o "$tree/bin/session"
  (cd "$tree" && find . | LC_ALL=C sort | cpio --quiet -o -H newc | gzip -9n) >"$out.$$/initramfs"
  rm -rf "$out"
  mv "$out.$$" "$out"
  echo "programs: $arch"
}

[ -n "$paths_only" ] || install_needed
[ -e "$tarball" ] || missing "no kernel source at $tarball: apt-get install linux-source-6.12, or MMSIM_LINUX_TARBALL"
for arch in $arches; do command -v "$(compiler_of "$arch")" >/dev/null || missing "no compiler for $arch: apt-get install gcc-aarch64-linux-gnu"; done
mkdir -p "$cache/work"
work=$cache/work
locked=""
# Whether there is something to build: what is in the cache is found without waiting for another build.
must_build() { # FILE
  [ -z "$paths_only" ] && [ ! -f "$1" ] || return 1
  [ -z "$locked" ] || return 0
  exec 9>"$cache/work/lock"
  flock -w 7200 9 || missing "another build holds $cache/work/lock"
  locked=1
  [ ! -f "$1" ]
}
prepared=""
for arch in $arches; do
  if [ -z "$programs_only" ]; then
    kernel=$cache/kernel-$arch$debug-$(kernel_key "$arch")
    if must_build "$kernel/kernel"; then
      [ -n "$prepared" ] || prepare_source
      prepared=1
      build_kernel "$arch" "$kernel" || exit 1
    fi
    results="${results:-}kernel $arch $kernel/kernel"$'\n'
  fi
  [ -z "$kernel_only" ] || continue
  programs=$cache/programs-$arch-$(programs_key "$arch")
  if must_build "$programs/initramfs"; then build_programs "$arch" "$programs" || exit 1; fi
  results="${results:-}initramfs $arch $programs/initramfs"$'\n'
done
printf '%s' "$results"
