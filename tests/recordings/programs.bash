# SPDX-License-Identifier: Apache-2.0
# Shared by the two scripts beside: reads the table `programs`.

die() { echo "${0##*/}: $*" >&2; exit 2; }

trim() { local text=$1; text=${text#"${text%%[! ]*}"}; printf '%s' "${text%"${text##*[! ]}"}"; }

# each_program FILE WHERE [NAME...]: calls `program NAME PACKAGES COMMAND` for each line meant for WHERE.
each_program() {
  local file=$1 where=$2 name places packages command; shift 2
  while IFS='|' read -r name places packages command <&3; do
    case $name in '#'*|'') continue ;; esac
    name=$(trim "$name")
    [[ " $places " == *" $where "* ]] || continue
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    program "$name" "$(trim "$packages")" "$(trim "$command")" 3<&-
  done 3<"$file"
}

# prepare_inputs FOLDER: what the commands read.
prepare_inputs() {
  local here; here=$(dirname "${BASH_SOURCE[0]}")
  mkdir -p "$1"
  cp "${INPUTS:-$here/inputs}"/* "$1"
  seq 1 7919 1600000000 | head -n 200000 >"$1/numbers.txt"
}
