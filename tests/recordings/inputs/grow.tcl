# Lists and strings that grow and go.
set rows {}
for {set i 0} {$i < 30000} {incr i} { lappend rows [expr {$i * 7919 % 30011}] }
set sorted [lsort -integer $rows]
set text [string repeat "some text " 200000]
append text $text
unset text rows
puts [llength $sorted]
