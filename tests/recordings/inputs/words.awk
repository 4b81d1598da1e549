# A table that grows, with its strings.
{ seen[$1 % 5003] = seen[$1 % 5003] " " $1; total += $1 }
END {
  for (k in seen) if (length(seen[k]) > longest) longest = length(seen[k])
  text = "x"
  for (i = 0; i < 21; i++) text = text text
  print total, longest, length(text)
}
