#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Boots the patched kernel in QEMU and runs programs of programs/ in it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

usage() {
  cat <<END
usage: boot.sh [--arch x86-64|arm64] [--debug] [--mutant FILE] [--memory M] [--cpus N] [--seconds S] [--log FILE]
               [PROGRAM[,ARGUMENT...]]...
Builds what is not in the cache (build.sh), boots, runs the programs one after the other (selftest), and shows the
guest's console. KVM is used where it works, emulation elsewhere.
  --seconds S  ends the guest after S seconds (1800)
  --log FILE   keeps the console's output there
Exit status: 0 all programs succeeded and the kernel complained of nothing, 1 else, 2 when it cannot run.
END
}
missing() { echo "boot.sh: $*" >&2; exit 2; }

arch=x86-64 debug="" mutant=() memory=1024 cpus=2 seconds=1800 log=""
while [ $# -gt 0 ]; do
  case $1 in
    --arch) arch=$2; shift ;;
    --debug) debug=--debug; [ "$memory" = 1024 ] && memory=2048 ;;
    --mutant) mutant=(--mutant "$2"); shift ;;
    --memory) memory=$2; shift ;;
    --cpus) cpus=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --log) log=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) missing "what is '$1'? see --help" ;;
    *) break ;;
  esac
  shift
done
[ $# -gt 0 ] || set -- selftest

# shellcheck disable=SC2086
built=$("$here/build.sh" --arch "$arch" $debug "${mutant[@]}") || { status=$?; echo "$built"; exit $status; }
kernel=$(echo "$built" | sed -n "s/^kernel $arch //p")
initramfs=$(echo "$built" | sed -n "s/^initramfs $arch //p")

# Whether the kernel gets as far there as its first line. /dev/kvm may be there, and start a processor, and still have no
# guest come any further (a nested one, for one); QEMU says "KVM internal error" then and stands still, or says nothing.
kvm_works() { # ARCH EARLY_CONSOLE MACHINE...
  [ "$(uname -m)" = "$1" ] && [ -w /dev/kvm ] || return 1
  local early=$2 said
  shift 2
  said=$(timeout -k 1 10 "$qemu" "$@" -accel kvm -cpu host -m "$memory" -kernel "$kernel" -append "$early panic=-1" -nographic \
    -no-reboot -nodefaults -serial stdio -monitor none </dev/null 2>&1 | tr -d '\0') || true
  [[ $said == *"Linux version"* && $said != *"KVM internal error"* ]]
}

common="loglevel=5 panic=-1 oops=panic numa=fake=2 rdinit=/init"
accel=tcg
case $arch in
  x86-64)
    qemu=qemu-system-x86_64 package=qemu-system-x86
    machine=(-cpu max) append="console=ttyS0 $common"
    kvm_works x86_64 earlyprintk=serial && accel=kvm && machine=(-cpu host)
    ;;
  arm64)
    qemu=qemu-system-aarch64 package=qemu-system-arm
    machine=(-M virt -cpu neoverse-n1) append="console=ttyAMA0 $common"
    kvm_works aarch64 earlycon -M virt && accel=kvm && machine=(-M virt -cpu host)
    ;;
  *) missing "no such architecture: $arch (x86-64, arm64)" ;;
esac
command -v $qemu >/dev/null || missing "install first: apt-get install $package"

console=${log:-$(mktemp)}
[ -n "$log" ] || trap 'rm -f "$console"' EXIT
status=0
timeout "$seconds" $qemu "${machine[@]}" -accel $accel -m "$memory" -smp "$cpus" -kernel "$kernel" -initrd "$initramfs" \
  -append "$append -- $*" -nographic -no-reboot -nodefaults -serial stdio -monitor none </dev/null 2>&1 |
  stdbuf -oL tr -d "\r" | tee "$console" || status=$?
[ $status -eq 124 ] && echo "boot.sh: the guest was ended after $seconds s"
# What the kernel says when something is wrong. An injected failure prints a trace of its own, without a report.
complaint='BUG:|WARNING:|Oops|KASAN|general protection|possible circular|possible recursive|inconsistent lock|suspicious RCU|sleeping function|Kernel panic|refcount_t|Bad page|Bad rss|blocked for more than|soft lockup|list_(add|del) corruption'
if grep -qE "$complaint" "$console"; then
  echo "boot.sh: the kernel complained: $(grep -m 1 -E "$complaint" "$console")"
  exit 1
fi
grep -qE '^init: 0 of [0-9]+ programs failed' "$console" || exit 1
