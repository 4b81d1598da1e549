#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Generated scenarios, compared with the patched kernel until so many steps have been.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mmsim=${MMSIM:-$root/build/release/mmsim}
each=250 batch=120 # steps of a scenario, scenarios of one boot

usage() {
  cat <<END
usage: fuzz.sh --seed S --steps N [--arch x86_64|arm64|x86_64,arm64] [--about A[,A...]] [--smaps-every N] [--keep FOLDER]
Scenarios from seed S on, about address-space, pages and shadowpt in turn (--about: only these), each carried out in the simulator
and on the patched kernel, until N steps have been compared; smaps, which take as long as all else, after every 8th and at the
end of each, or (--smaps-every) after so many. mseal, which this kernel has not, is left out. One that differs is kept in
FOLDER (build/differential/fuzz).
Last line: "N steps compared, D differences". Exit status: 0 all agrees, 1 something differs, 2 it could not run.
END
}
stop() { echo "fuzz.sh: $*" >&2; exit 2; }

seed="" steps="" archs=x86_64 smaps_every=8 about=address-space,pages,shadowpt keep=$root/build/differential/fuzz
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --seed | --steps | --arch | --about | --smaps-every | --keep) [ $# -ge 2 ] || stop "$1 needs a value" ;;&
    --seed) seed=$2 ;;
    --steps) steps=$2 ;;
    --arch) archs=$2 ;;
    --about) about=$2 ;;
    --smaps-every) smaps_every=$2 ;;
    --keep) keep=$2 ;;
    *) stop "what is '$1'? see --help" ;;
  esac
  shift 2
done
case $seed$steps in *[!0-9]*) stop "--seed and --steps are numbers" ;; esac
[ -n "$seed" ] && [ -n "$steps" ] || stop "needs --seed and --steps, see --help"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
total=0 differences=0 status=0
IFS=, read -ra subjects <<<"$about"
while [ "$total" -lt "$steps" ] && [ "$status" -ne 2 ]; do
  rm -f "$folder"/*.scn
  for ((i = 0; i < batch; ++i)); do
    subject=${subjects[i % ${#subjects[@]}]}
    "$mmsim" generate --seed "$seed" --steps $each --about "$subject" | sed '/ mseal(/d' >"$folder/$subject-$seed.scn" ||
      exit 2
    seed=$((seed + 1))
  done
  for _ in 1 2; do # a guest may not boot in time where much else goes on
    code=0
    "$mmsim" compare --with patched --arch "$archs" --smaps-every "$smaps_every" --differences "$here/differences.md" \
      "$folder" >"$folder/said" || code=$?
    [ "$code" -gt 1 ] || break
  done
  read -r compared found < <(sed -n 's/^\([0-9]*\) steps compared, \([0-9]*\) differences$/\1 \2/p' "$folder/said") || true
  if [ "$code" -gt 1 ] || [ -z "${compared:-}" ]; then
    cat "$folder/said"
    status=2
    break
  fi
  total=$((total + compared)) differences=$((differences + found))
  if [ "$code" -eq 1 ]; then
    status=1
    mkdir -p "$keep"
    sed '$d' "$folder/said"
    # FILE:LINE:COLUMN: ARCH: ...
    sed -n "s|^\($folder/[^:]*\.scn\):[0-9]*:[0-9]*: .*|\1|p" "$folder/said" | sort -u | while read -r file; do
      cp "$file" "$keep/"
      echo "kept: $keep/$(basename "$file")"
    done
  fi
  echo "seeds to $((seed - 1)): $total steps, $differences differences" >&2
done
echo "$total steps compared, $differences differences"
exit $status
