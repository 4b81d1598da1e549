# fork and exec: pipelines, a subshell, a command substitution, and an exec in place.
ls /usr | sort -r | head -n 3
(cd /; pwd; exit 3)
count=$(wc -l < numbers.txt)
[ "$count" -gt 1 ] && true &
wait
exec true
