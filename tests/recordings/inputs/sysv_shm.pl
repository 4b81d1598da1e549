# A System V segment, written by a child and read by its parent; perl attaches and detaches for each.
my $id = shmget(0, 300000, 01600) // die "shmget: $!";
my $pid = fork;
if (!$pid) { shmwrite($id, 'from the child', 4096, 14) or die; exit 0 }
waitpid $pid, 0;
my $text;
shmread($id, $text, 4096, 14) or die;
shmctl($id, 0, 0);
print "$text\n";
