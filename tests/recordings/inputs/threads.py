# Threads: stacks with guard pages, one malloc arena a thread, a fork while they live.
import os
import threading
ready = threading.Barrier(5)
def work(number):
    blocks = [bytearray(3000 + number * 100) for _ in range(200)]
    ready.wait()
    big = bytearray(400000 * (number + 1))
    ready.wait()
    del blocks, big
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
ready.wait()
child = os.fork()
if child == 0:
    more = bytearray(1 << 20)
    os._exit(len(more) & 1)
os.waitpid(child, 0)
ready.wait()
for thread in threads:
    thread.join()
threading.stack_size(1 << 18)
last = threading.Thread(target=lambda: bytearray(1 << 17))
last.start()
last.join()
