# Shared memory: an anonymous shared mapping and a file of /dev/shm, with a child that writes both.
import mmap
import os
from multiprocessing import resource_tracker, shared_memory
resource_tracker.ensure_running = resource_tracker.register = resource_tracker.unregister = lambda *_: None
area = mmap.mmap(-1, 300000)
block = shared_memory.SharedMemory(name='recorded', create=True, size=1 << 20)
child = os.fork()
if child == 0:
    area[100000] = 42
    again = shared_memory.SharedMemory(name='recorded')
    again.buf[500000] = 43
    again.close()
    os._exit(0)
os.waitpid(child, 0)
assert area[100000] == 42 and block.buf[500000] == 43
block.close()
block.unlink()
area.close()
