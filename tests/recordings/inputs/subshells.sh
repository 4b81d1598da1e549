# bash forks for subshells and process substitution; its heap grows with an array.
declare -a squares
for ((i = 0; i < 20000; i++)); do squares[i]=$((i * i)); done
while read -r line; do last=$line; done < <(head -n 5 numbers.txt)
(unset squares; echo "$last" | cat)
text=$(printf '%s ' "${squares[@]:0:2000}")
unset squares
echo "${#text}"
