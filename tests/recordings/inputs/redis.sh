# A server with background threads, which forks to save; its allocator (jemalloc) maps and unmaps by itself.
redis-server --port 0 --unixsocket /tmp/x/redis.sock --save '' --dir /tmp/x --daemonize no &
until redis-cli -s /tmp/x/redis.sock ping; do sleep 1; done
redis-cli -s /tmp/x/redis.sock debug populate 20000
redis-cli -s /tmp/x/redis.sock bgsave
redis-cli -s /tmp/x/redis.sock flushall
sleep 8
redis-cli -s /tmp/x/redis.sock shutdown nosave
wait
