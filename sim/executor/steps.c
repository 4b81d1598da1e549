// SPDX-License-Identifier: Apache-2.0
// See steps.h. A step is checked as a whole before anything is done.
#include "steps.h"

#include <linux/sched.h>

#include "faults.h"
#include "files.h"
#include "pages.h"
#include "shadow.h"
#include "spaces.h"
#include "victims.h"

#define MAX_STEPS (1ul << 22)  // of a scenario, whose results can be referred to
#define MAX_LOAD (1ul << 24)   // bytes of one LOAD, STORE or READ_FILE

static int64_t* results;
static uint64_t *loaded, last_loaded;  // what the steps, and the last one, read
static uint32_t nr_steps;
static struct observe_report* report;
static int last_pid_fd;
static char* cold_page;

// A step, taken apart.
static struct {
  const struct observe_step* step;
  const struct observe_arg* args;
  const struct observe_patch* patches;
  const char* bytes[OBSERVE_MAX_ARGS];  // of IN arguments, in the record
  size_t offsets[OBSERVE_MAX_ARGS];     // of IN and OUT arguments, in the buffer
  uint64_t values[OBSERVE_MAX_ARGS];
  size_t used;  // of the buffer
} now;
static char buffer[OBSERVE_MAX_OUTSIDE] __attribute__((aligned(16)));

static int Refuse(enum observe_refusal why) {
  report->ending = OBSERVE_ENDING_REFUSED;
  report->result = why;
  return 0;
}

/* ---- taking a step apart ---- */

static int Resolve(uint16_t kind, uint32_t ref, uint64_t value, uint64_t buffer_at, uint64_t* result) {
  switch (kind) {
    case OBSERVE_ARG_LITERAL:
      *result = value;
      return 1;
    case OBSERVE_ARG_RESULT:
      if (ref >= nr_steps) return Refuse(OBSERVE_REFUSED_REFERENCE);
      *result = (uint64_t)results[ref] + value;
      return 1;
    case OBSERVE_ARG_LOADED:
      if (ref >= nr_steps) return Refuse(OBSERVE_REFUSED_REFERENCE);
      *result = loaded[ref] + value;
      return 1;
    case OBSERVE_ARG_BUFFER:
      if (ref >= now.step->nargs ||
          (now.args[ref].kind != OBSERVE_ARG_IN && now.args[ref].kind != OBSERVE_ARG_OUT))
        return Refuse(OBSERVE_REFUSED_MALFORMED);
      *result = buffer_at + now.offsets[ref] + value;
      return 1;
    default:
      return Refuse(OBSERVE_REFUSED_MALFORMED);
  }
}

// Finds arguments, patches and bytes in the record, and gives each buffer its place.
static int TakeApart(const struct observe_step* step, size_t buffer_bytes) {
  now.step = step;
  now.args = (const struct observe_arg*)(step + 1);
  now.patches = (const struct observe_patch*)(now.args + step->nargs);
  const char *p = (const char*)(now.patches + step->npatches), *end = (const char*)step + step->size;
  if (step->nargs > OBSERVE_MAX_ARGS || p > end) return Refuse(OBSERVE_REFUSED_MALFORMED);
  now.used = 0;
  for (int i = 0; i < step->nargs; ++i) {
    const struct observe_arg* a = &now.args[i];
    if (a->kind != OBSERVE_ARG_IN && a->kind != OBSERVE_ARG_OUT) continue;
    if (a->value > OBSERVE_MAX_OUTSIDE) {
      if (a->kind != OBSERVE_ARG_IN || buffer_bytes) return Refuse(OBSERVE_REFUSED_MALFORMED);
    }
    if (a->kind == OBSERVE_ARG_IN) {
      if (a->value > (uint64_t)(end - p)) return Refuse(OBSERVE_REFUSED_MALFORMED);
      now.bytes[i] = p;
      p += (a->value + 7) & ~7ul;
    }
    now.offsets[i] = now.used;
    now.used += (a->value + 15) & ~15ul;
  }
  if (buffer_bytes && now.used > buffer_bytes) return Refuse(OBSERVE_REFUSED_MALFORMED);
  return 1;
}

// The buffer's bytes, and the arguments' values for a buffer at `buffer_at`.
static int FillBuffer(uint64_t buffer_at) {
  memset(buffer, 0, now.used);
  for (int i = 0; i < now.step->nargs; ++i) {
    const struct observe_arg* a = &now.args[i];
    if (a->kind == OBSERVE_ARG_IN) memcpy(buffer + now.offsets[i], now.bytes[i], a->value);
    if (a->kind == OBSERVE_ARG_IN || a->kind == OBSERVE_ARG_OUT)
      now.values[i] = buffer_at + now.offsets[i];
    else if (!Resolve(a->kind, a->ref, a->value, buffer_at, &now.values[i]))
      return 0;
  }
  for (int i = now.step->nargs; i < OBSERVE_MAX_ARGS; ++i) now.values[i] = 0;
  for (int i = 0; i < now.step->npatches; ++i) {
    const struct observe_patch* patch = &now.patches[i];
    uint64_t value;
    if (patch->arg >= now.step->nargs || now.args[patch->arg].kind != OBSERVE_ARG_IN ||
        patch->offset > now.args[patch->arg].value || now.args[patch->arg].value - patch->offset < 8)
      return Refuse(OBSERVE_REFUSED_MALFORMED);
    if (!Resolve(patch->kind, patch->ref, patch->value, buffer_at, &value)) return 0;
    memcpy(buffer + now.offsets[patch->arg] + patch->offset, &value, 8);
  }
  return 1;
}

static void ReportBuffers(void) {
  for (int i = 0; i < now.step->nargs; ++i) {
    const struct observe_arg* a = &now.args[i];
    if (a->kind == OBSERVE_ARG_OUT || (a->kind == OBSERVE_ARG_IN && a->ref & OBSERVE_ARG_ALSO_OUT))
      AddChunk(OBSERVE_CHUNK_OUT, (uint32_t)i, buffer + now.offsets[i], a->value);
  }
}

static int HasOutput(void) {
  for (int i = 0; i < now.step->nargs; ++i) {
    const struct observe_arg* a = &now.args[i];
    if (a->kind == OBSERVE_ARG_OUT || (a->kind == OBSERVE_ARG_IN && a->ref & OBSERVE_ARG_ALSO_OUT)) return 1;
  }
  return 0;
}

/* ---- the kinds of steps ---- */

// The victim of the step, ready to run; NULL when it was refused.
static struct victim* Stepped(void) {
  struct victim* v = FindVictim(now.step->process);
  if (!v || v->state == VICTIM_ZOMBIE_LEADER) {
    Refuse(OBSERVE_REFUSED_NO_PROCESS);
    return 0;
  }
  if (v->state == VICTIM_SUSPENDED) {
    Refuse(OBSERVE_REFUSED_SUSPENDED);
    return 0;
  }
  return v;
}

static void Tell(const struct run* run) {
  report->ending = (uint16_t)run->ending;
  report->signo = run->signo;
  report->signal_code = run->signal_code;
  report->fault_address = run->fault_address;
  report->wait_status = run->wait_status;
  report->made = run->made;
}

// Parent and child share the page of the stubs, copy on write, which the next use of the scratch area would
// end. So it ends here: the child gets a copy, and then the parent its own page back.
static void PartScratch(const struct victim* parent, const struct victim* child) {
  if (!parent || !child || parent->space == child->space) return;
  WriteMemory(child->space, VICTIM_SCRATCH, "", 1);
  WriteMemory(parent->space, VICTIM_SCRATCH, "", 1);
}

static int SendsSignal(uint64_t number) {
  return number == __NR_kill || number == __NR_tkill || number == __NR_tgkill ||
         number == __NR_pidfd_send_signal || number == __NR_rt_sigqueueinfo ||
         number == __NR_rt_tgsigqueueinfo;
}

// The next process that is made gets this process id, if nobody has it.
static void ChooseNextPid(uint32_t pid) {
  struct text t = {0};
  AddNumber(&t, pid - 1);
  const long n = WriteAt(last_pid_fd, t.chars, t.length, 0);
  if (n < 0) Say("choosing a process id failed:", n);
}

// Calls that may change the memory of a process that is not the caller; the reads and writes are those of
// /proc/PID/mem and clear_refs, and ftruncate takes swapped copies, which no frame tells of.
static int ReachesOthers(uint64_t number) {
  return number == __NR_process_madvise || number == __NR_process_vm_readv ||
         number == __NR_process_vm_writev || number == __NR_pread64 || number == __NR_pwrite64 ||
         number == __NR_read || number == __NR_write || number == __NR_ftruncate || number == __NR_truncate;
}

// Of memory that no victim maps: shared memory, the swap cache.
static int MovesSwap(uint64_t number) {
  return number == __NR_madvise || number == __NR_fallocate || number == __NR_sendfile ||
         number == __NR_shmctl;
}

static int Call(void) {
  struct victim* v = Stepped();
  if (!v || !TakeApart(now.step, VICTIM_SCRATCH_BYTES) || !FillBuffer(VICTIM_SCRATCH)) return 0;
  const uint64_t number = now.step->number;
  if (now.used && WriteMemory(v->space, VICTIM_SCRATCH, buffer, now.used) != (long)now.used)
    return Refuse(OBSERVE_REFUSED_SCRATCH);
  NoteCall(number, now.used > 0);
  if (now.step->child) ChooseNextPid(now.step->child);
  if (ReachesOthers(number))
    NoteChangeAnywhere();
  else
    NoteCallIn(v->space);
  if (MovesSwap(number)) NoteSwap();
  SetCall(&v->regs, number, now.values);
  struct run run;
  if (number == __NR_exit && v->pid == v->group && HasThreads(v)) {
    run = RunLeaderExit(v);
  } else {
    if (number == __NR_exit_group) ExpectGroupToEnd(v);
    run = RunStub(v, VICTIM_CALL);
  }
  Tell(&run);
  if (SendsSignal(number)) SettleVictims();
  if (run.ending == OBSERVE_ENDING_BLOCKED) report->result = -ERR_INTR;
  if (run.ending == OBSERVE_ENDING_SUSPENDED) report->result = run.made;
  v = FindVictim(now.step->process);
  if (run.made) PartScratch(v, FindVictim(run.made));
  if (run.ending != OBSERVE_ENDING_DONE || !v) return 1;
  if (!v->executed) NoteShadowCall(v->space, v->group, number, now.values[1], (int64_t)RegResult(&v->regs));
  report->result = v->executed ? 0 : (int64_t)RegResult(&v->regs);
  // It may have been to clear_refs, which makes the page of the stubs old: until when, the TLB decides.
  if (number == __NR_write) WriteMemory(v->space, VICTIM_SCRATCH, "", 1);
  if (v->executed || !HasOutput()) return 1;
  if (ReadMemory(v->space, VICTIM_SCRATCH, buffer, now.used) == (long)now.used) ReportBuffers();
  return 1;
}

static int StubIndex(uint64_t address, uint64_t bytes) {
  if (bytes == 0 || bytes > 8 || (bytes & (bytes - 1)) || address % bytes) return -1;
  return __builtin_ctzl(bytes);
}

static int Load(void) {
  struct victim* v = Stepped();
  const uint64_t bytes = now.step->number;
  if (!v || !TakeApart(now.step, VICTIM_SCRATCH_BYTES) || !FillBuffer(VICTIM_SCRATCH)) return 0;
  if (now.step->nargs < 1 || now.used || bytes > MAX_LOAD) return Refuse(OBSERVE_REFUSED_MALFORMED);
  NoteAccessIn(v->space, now.values[0], bytes);
  char* out = BeginChunk(OBSERVE_CHUNK_OUT, 0, bytes);
  struct run run = {.ending = OBSERVE_ENDING_DONE};
  uint64_t done = 0;
  const int stub = StubIndex(now.values[0], bytes);
  if (stub >= 0) {
    SetAccess(&v->regs, now.values[0], 0);
    run = RunStub(v, VICTIM_LOAD1 + stub);
    const uint64_t value = RegResult(&v->regs);
    memcpy(out, &value, bytes);
    done = run.ending == OBSERVE_ENDING_DONE ? bytes : 0;
  }
  while (stub < 0 && done < bytes && run.ending == OBSERVE_ENDING_DONE) {
    const uint64_t n = bytes - done < VICTIM_SCRATCH_BYTES ? bytes - done : VICTIM_SCRATCH_BYTES;
    SetCopy(&v->regs, VICTIM_SCRATCH, now.values[0] + done, n);
    run = RunStub(v, VICTIM_COPY);
    if (!FindVictim(now.step->process)) break;
    const uint64_t copied = n - RegCopyLeft(&v->regs);
    if (copied) ReadMemory(v->space, VICTIM_SCRATCH, out + done, copied);
    done += copied;
  }
  memcpy(&last_loaded, out, done < 8 ? done : 8);
  EndChunk(done);
  Tell(&run);
  report->result = (int64_t)done;
  return 1;
}

static int Store(void) {
  struct victim* v = Stepped();
  const uint64_t bytes = now.step->number;
  if (!v || !TakeApart(now.step, 0) || now.step->nargs != 2 || now.args[1].kind != OBSERVE_ARG_IN ||
      now.args[1].value == 0 || bytes > MAX_LOAD || now.step->npatches)
    return v ? Refuse(OBSERVE_REFUSED_MALFORMED) : 0;
  uint64_t address;
  if (!Resolve(now.args[0].kind, now.args[0].ref, now.args[0].value, 0, &address)) return 0;
  const char* pattern = now.bytes[1];
  const uint64_t period = now.args[1].value;
  NoteAccessIn(v->space, address, bytes);
  struct run run = {.ending = OBSERVE_ENDING_DONE};
  uint64_t done = 0;
  const int stub = StubIndex(address, bytes);
  if (stub >= 0) {
    uint64_t value = 0;
    for (uint64_t i = 0; i < bytes; ++i) ((char*)&value)[i] = pattern[i % period];
    SetAccess(&v->regs, address, value);
    run = RunStub(v, VICTIM_STORE1 + stub);
    done = run.ending == OBSERVE_ENDING_DONE ? bytes : 0;
  }
  while (stub < 0 && done < bytes && run.ending == OBSERVE_ENDING_DONE) {
    const uint64_t n = bytes - done < VICTIM_SCRATCH_BYTES ? bytes - done : VICTIM_SCRATCH_BYTES;
    for (uint64_t i = 0; i < n; ++i) buffer[i] = pattern[(done + i) % period];
    if (WriteMemory(v->space, VICTIM_SCRATCH, buffer, n) != (long)n) return Refuse(OBSERVE_REFUSED_SCRATCH);
    SetCopy(&v->regs, address + done, VICTIM_SCRATCH, n);
    run = RunStub(v, VICTIM_COPY);
    if (!FindVictim(now.step->process)) break;
    done += n - RegCopyLeft(&v->regs);
  }
  Tell(&run);
  report->result = (int64_t)done;
  return 1;
}

static int Fetch(void) {
  struct victim* v = Stepped();
  if (!v || !TakeApart(now.step, VICTIM_SCRATCH_BYTES) || !FillBuffer(VICTIM_SCRATCH)) return 0;
  if (now.step->nargs < 1 || now.used) return Refuse(OBSERVE_REFUSED_MALFORMED);
  NoteAccessIn(v->space, now.values[0], 16);
  const struct run run = RunFetch(v, now.values[0]);
  Tell(&run);
  return 1;
}

static int Outside(void) {
  if (!TakeApart(now.step, sizeof(buffer)) || !FillBuffer((uintptr_t)buffer)) return 0;
  const uint64_t* a = now.values;
  NoteChangeAnywhere();
  report->result =
      RawCall((long)now.step->number, (long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4], (long)a[5]);
  if (SendsSignal(now.step->number)) SettleVictims();
  ReportBuffers();
  return 1;
}

static int File(int write) {
  if (!TakeApart(now.step, 0)) return 0;
  const int nargs = write ? 2 : 1;
  if (now.step->nargs != nargs || now.step->number > MAX_LOAD) return Refuse(OBSERVE_REFUSED_MALFORMED);
  for (int i = 0; i < nargs; ++i)
    if (now.args[i].kind != OBSERVE_ARG_IN) return Refuse(OBSERVE_REFUSED_MALFORMED);
  const uint64_t path_bytes = now.args[0].value;
  if (path_bytes == 0 || now.bytes[0][path_bytes - 1] != 0) return Refuse(OBSERVE_REFUSED_MALFORMED);
  if (write) {
    NoteChangeAnywhere();
    report->result = WriteWholeFile(now.bytes[0], now.bytes[1], now.args[1].value);
  } else {
    char* out = BeginChunk(OBSERVE_CHUNK_OUT, 0, now.step->number);
    report->result = ReadWholeFile(now.bytes[0], out, now.step->number);
    EndChunk(report->result > 0 ? (size_t)report->result : 0);
  }
  return 1;
}

static int Kill(void) {
  struct victim* v = FindVictim(now.step->process);
  if (!v) return Refuse(OBSERVE_REFUSED_NO_PROCESS);
  // An inspector's end changes the address space that others share with it.
  NoteChangeAnywhere();
  KillVictim(v);
  return 1;
}

static int Spawn(void) {
  const int refusal = SpawnVictim(now.step->child, now.step->flags);
  if (refusal) return Refuse(refusal);
  report->made = now.step->child;
  report->result = report->made;
  return 1;
}

static int Reset(void) {
  KillAllVictims();
  ForgetSpaces();
  ForgetFrames();
  ForgetShadow();
  ResetFiles();
  nr_steps = 0;
  return 1;
}

static int Do(void) {
  switch (now.step->kind) {
    case OBSERVE_STEP_SPAWN:
      return Spawn();
    case OBSERVE_STEP_KILL:
      return Kill();
    case OBSERVE_STEP_CALL:
      return Call();
    case OBSERVE_STEP_LOAD:
      return Load();
    case OBSERVE_STEP_STORE:
      return Store();
    case OBSERVE_STEP_FETCH:
      return Fetch();
    case OBSERVE_STEP_OUTSIDE:
      return Outside();
    case OBSERVE_STEP_WRITE_FILE:
      return File(1);
    case OBSERVE_STEP_READ_FILE:
      return File(0);
    case OBSERVE_STEP_RESET:
      return Reset();
    case OBSERVE_STEP_OFF:
      return 1;
    default:
      return Refuse(OBSERVE_REFUSED_MALFORMED);
  }
}

void InitSteps(void) {
  results = Reserve(MAX_STEPS * sizeof(*results));
  loaded = Reserve(MAX_STEPS * sizeof(*loaded));
  cold_page = Reserve(4096);
  last_pid_fd = (int)Open("/proc/sys/kernel/ns_last_pid", O_WRITE, 0);
  if (last_pid_fd < 0) Die("/proc/sys/kernel/ns_last_pid does not open:", last_pid_fd);
}

void CarryOut(const struct observe_step* step) {
  const int kind = step->kind;
  report = BeginReport();
  report->kind = step->kind;
  report->step = nr_steps;
  now.step = step;
  last_loaded = 0;
  ForgetDead();
  if (step->observe & OBSERVE_FAULTS && FaultsThere()) ListenForFaults();
  Do();
  if (step->observe & OBSERVE_FAULTS && FaultsThere()) ReportFaults();
  if (nr_dead) AddChunk(OBSERVE_CHUNK_DIED, 0, dead, (size_t)nr_dead * sizeof(dead[0]));
  // Pages that wait in this CPU's batch for the LRU lists have a reference more: whether a copy-on-write
  // fault copies would hang on what came before. MADV_COLD of any page empties the batch.
  CALL3(__NR_madvise, cold_page, 4096, 20 /* MADV_COLD */);
  Observe(step->observe);
  if (step->observe & OBSERVE_SHADOW && ShadowThere()) ReportShadow();
  if (kind != OBSERVE_STEP_RESET) {
    if (nr_steps == MAX_STEPS) Die("too many steps:", nr_steps);
    loaded[nr_steps] = last_loaded;
    results[nr_steps++] = report->result;
  }
  // After a step that took long, the host must hear that the guest is alive.
  EndReport(step->flags & OBSERVE_STEP_FLUSH || kind == OBSERVE_STEP_OFF ||
            report->ending == OBSERVE_ENDING_BLOCKED);
}
