#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds each broken patch and says what catches it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mmsim=${MMSIM:-$root/build/release/mmsim}

usage() {
  cat <<END
usage: mutants.sh [--arch x86_64|arm64] [--seconds S] [NAME...]
Each fault of mutants/ (or these): the kernel is built with it, and then asked, until something notices,
  every hand-written scenario about shadowpt, in lock step with the simulator,
  the self-test of programs/, a stress run of S seconds (60).
A line a fault: what caught it, and after how many steps. Exit status: 0 all are caught, 1 one is not, 2 it could not run.
END
}
stop() { echo "mutants.sh: $*" >&2; exit 2; }

arch=x86_64 seconds=60
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --arch) [ $# -ge 2 ] || stop "--arch needs a value"; arch=$2; shift ;;
    --seconds) [ $# -ge 2 ] || stop "--seconds needs a number"; seconds=$2; shift ;;
    -*) stop "what is '$1'? see --help" ;;
    *) break ;;
  esac
  shift
done
names=("$@")
[ $# -gt 0 ] || for file in "$here"/mutants/*.patch; do names+=("$(basename "$file" .patch)"); done

said=$(mktemp)
trap 'rm -f "$said"' EXIT

# What caught the fault, in $how; false: nothing did.
catch() { # NAME
  local code=0 step
  "$mmsim" compare --with patched --mutant "$1" --arch "$arch" --differences "$here/differences.md" \
    "$root/scenarios/shadowpt" "$root/scenarios/regress" >"$said" 2>&1 || code=$?
  [ $code -lt 2 ] || { cat "$said" >&2; stop "$1 could not be compared"; }
  if [ $code -eq 1 ]; then
    step=$(sed -n 's/^the first difference came after \([0-9]*\) steps$/\1/p' "$said")
    how="$(sed -n "s|^$root/\([^:]*:[0-9]*\):[0-9]*: .*|\1|p" "$said" | head -n 1), after $step steps"
    return 0
  fi
  local program
  for program in selftest "stress,$seconds,7"; do
    if ! "$here/boot.sh" --arch "${arch/_/-}" --mutant "$1" "$program" >"$said" 2>&1; then
      how="${program%%,*}: $(grep -m 1 -E '^not ok|FAIL|^boot.sh: ' "$said" || tail -n 1 "$said")"
      return 0
    fi
  done
  return 1
}

status=0
for name in "${names[@]}"; do
  [ -f "$here/mutants/$name.patch" ] || stop "there is no fault $name"
  if catch "$name"; then
    echo "$name: $how"
  else
    echo "$name: NOT CAUGHT"
    status=1
  fi
done
exit $status
