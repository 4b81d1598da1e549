# The heap grows by brk, large scalars come and go by mmap and grow by mremap.
my @list = map { "entry $_ " x 3 } 1 .. 20000;
my $text = '';
$text .= 'x' x 65536 for 1 .. 64;
my %by_length = map { length($_) . $_ => 1 } @list[0 .. 4999];
undef @list;
undef $text;
my $pid = fork;
if (!$pid) { my @more = (1 .. 50000); exit 3 }
waitpid $pid, 0;
undef %by_length;
