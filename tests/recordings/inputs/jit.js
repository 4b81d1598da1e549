// A compiler that writes code while it runs, its heap, array buffers, memory of WebAssembly, a worker.
const { Worker } = require('worker_threads');
let sum = 0;
function mix(a) { for (let i = 0; i < 3000; ++i) a = (a * 31 + i) | 0; return a; }
for (let i = 0; i < 500; ++i) sum += mix(i);
let list = [];
for (let i = 0; i < 50000; ++i) list.push({ i, s: 'item ' + i });
list = null;
const memory = new WebAssembly.Memory({ initial: 1, maximum: 16 });
memory.grow(3);
const buffer = new ArrayBuffer(3 << 20);
new Uint8Array(buffer).fill(1);
new Worker('let a = []; for (let i = 0; i < 10000; ++i) a.push([i]);', { eval: true });
