# A buffer grows by mremap, a mapping of a file and an anonymous one are resized, protections change.
import mmap
data = bytearray()
for _ in range(200):
    data += b'x' * 30011
del data[1000000:]
with open('grow.bin', 'w+b') as file:
    file.truncate(70000)
    mapping = mmap.mmap(file.fileno(), 70000)
    mapping[0:4] = b'head'
    mapping.resize(200000)
    mapping[199999] = 7
    mapping.flush()
anonymous = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
anonymous[5000] = 1
anonymous.resize(3 << 20)
anonymous[2500000] = 1
anonymous.resize(1 << 16)
anonymous.madvise(mmap.MADV_DONTNEED)
keep = [bytes(1000 + i) for i in range(3000)]
del keep[::2]
