# A server of several processes around a shared buffer pool; the cluster in /tmp/x/cluster was made before.
bin=/usr/lib/postgresql/15/bin
$bin/postgres -D cluster -c listen_addresses= -c unix_socket_directories=/tmp/x -c shared_buffers=2MB \
  -c autovacuum=off -c max_connections=10 &
until $bin/psql -q -h /tmp/x -d postgres -c 'create table t as select i, i * 7 % 100 as j from generate_series(1, 20000) i'; do
  sleep 1
done
$bin/psql -q -h /tmp/x -d postgres -c 'select j, count(*) from t group by j order by 2; drop table t'
kill -INT "$(head -n 1 cluster/postmaster.pid)"
wait
