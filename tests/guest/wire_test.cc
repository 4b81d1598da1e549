// SPDX-License-Identifier: Apache-2.0
#include "sim/guest/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/guest/calls.h"

namespace mmsim::guest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
T At(const std::string& bytes, size_t offset) {
  T value;
  EXPECT_LE(offset + sizeof(T), bytes.size());
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// A report, chunk by chunk.
class Report {
 public:
  explicit Report(observe_report head) : head_(head) {}
  template <typename T>
  Report& Add(uint16_t kind, uint32_t id, const std::vector<T>& values) {
    return AddBytes(kind, id,
                    std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)));
  }
  Report& AddBytes(uint16_t kind, uint32_t id, const std::string& bytes) {
    const observe_chunk chunk{kind, 0, id, bytes.size()};
    chunks_.append(reinterpret_cast<const char*>(&chunk), sizeof(chunk));
    chunks_ += bytes;
    chunks_.append((8 - bytes.size() % 8) % 8, '\0');
    return *this;
  }
  Report& AddText(uint16_t kind, uint32_t id, observe_text kept, std::string_view rest) {
    return AddBytes(kind, id,
                    std::string(reinterpret_cast<const char*>(&kept), sizeof(kept)) + std::string(rest));
  }
  std::string Bytes() const {
    observe_report head = head_;
    head.size = static_cast<uint32_t>(sizeof(head) + chunks_.size());
    return std::string(reinterpret_cast<const char*>(&head), sizeof(head)) + chunks_;
  }

 private:
  observe_report head_;
  std::string chunks_;
};

observe_report Head(uint16_t kind) {
  observe_report head{};
  head.kind = kind;
  return head;
}

void Take(const Report& report, Outcome& outcome, State& state) {
  observe_report head;
  const absl::Status status = TakeReport(report.Bytes(), head, outcome, state);
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Wire, StepsAreWholeMultiplesOfEightWithBytesBehindArgumentsAndPatches) {
  Step step = Calls(Arch::kX86_64).Execve(7, "/victim");
  step.observe = OBSERVE_MAPS;
  std::string stream = "earlier.";
  AppendStep(step, OBSERVE_STEP_FLUSH, stream);
  const auto head = At<observe_step>(stream, 8);
  EXPECT_EQ(head.size + 8, stream.size());
  EXPECT_EQ(head.size % 8, 0u);
  EXPECT_EQ(head.kind, OBSERVE_STEP_CALL);
  EXPECT_EQ(head.flags, OBSERVE_STEP_FLUSH);
  EXPECT_EQ(head.number, 59u);
  EXPECT_EQ(head.nargs, 3);
  EXPECT_EQ(head.npatches, 1);
  const size_t args = 8 + sizeof(observe_step);
  EXPECT_EQ(At<observe_arg>(stream, args).value, 8u);  // "/victim" and its NUL
  const size_t patches = args + 3 * sizeof(observe_arg);
  EXPECT_EQ(At<observe_patch>(stream, patches).kind, OBSERVE_ARG_BUFFER);
  EXPECT_EQ(stream.substr(patches + sizeof(observe_patch), 8), std::string("/victim\0", 8));
}

TEST(Wire, ProgramsThatNoGuestCouldCarryOutAreRefusedWithTheStep) {
  const Calls calls(Arch::kX86_64);
  const auto message = [](std::vector<Step> steps) {
    return std::string(CheckProgram({"p", std::move(steps)}).message());
  };
  EXPECT_EQ(message({Spawn(1), Load(1, Arg::Result(0), 1)}), "");
  EXPECT_THAT(message({Spawn(1), Load(1, Arg::Result(1), 1)}), HasSubstr("step 1 refers to the result"));
  EXPECT_EQ(message({Spawn(1), Load(1, Arg::Literal(0), 8), Load(1, Arg::Loaded(1), 1)}), "");
  EXPECT_THAT(message({Spawn(1), Load(1, Arg::Loaded(1), 1)}), HasSubstr("step 1 refers to the result"));
  EXPECT_THAT(message({calls.Call(1, 1, 1, std::vector<Arg>(7))}), HasSubstr("too many arguments"));
  EXPECT_THAT(message({calls.Call(1, 1, 1, {Arg::Literal(1), Arg::Buffer(0)})}), HasSubstr("has no buffer"));
  Step patched = calls.Call(1, 1, 1, {Arg::In("12345678")});
  patched.patches = {{0, 1, Arg::Literal(1)}};
  EXPECT_THAT(message({patched}), HasSubstr("patch outside"));
  patched.patches = {{0, 0, Arg::In("x")}};
  EXPECT_THAT(message({patched}), HasSubstr("patch without a value"));
  EXPECT_THAT(message({{.kind = OBSERVE_STEP_RESET, .args = {}, .patches = {}}}),
              HasSubstr("not of a program"));
}

TEST(Wire, AStateIsBroughtUpToDateByWhatChanged) {
  observe_report spawned = Head(OBSERVE_STEP_SPAWN), faulted = Head(OBSERVE_STEP_CALL);
  spawned.step = 3;
  spawned.made = 9;
  spawned.result = 9;
  faulted.ending = OBSERVE_ENDING_SIGNAL;
  faulted.signo = 11;
  faulted.fault_address = 0x1234;
  Outcome outcome;
  State state;
  Take(Report(spawned)
           .Add<observe_live>(OBSERVE_CHUNK_LIVE, 0, {{9, 1, 9, 0}, {10, 2, 10, 0}})
           .AddText(OBSERVE_CHUNK_MAPS, 1, {0, 0}, "a line\n")
           .Add<observe_page>(OBSERVE_CHUNK_PAGES, 1, {{0x1000, 5}, {0x3000, 6}})
           .Add<observe_frame>(OBSERVE_CHUNK_FRAMES, 0, {{5, 1, 0}, {6, 2, 0}}),
       outcome, state);
  EXPECT_EQ(outcome.step, 3u);
  EXPECT_EQ(outcome.made, 9u);
  EXPECT_THAT(state.changed_spaces, ElementsAre(1));
  EXPECT_TRUE(state.frames_changed);
  Take(Report(faulted)
           .Add<observe_page>(OBSERVE_CHUNK_PAGES, 1, {{0x1000, 0}, {0x2000, 7}, {0x3000, 8}, {0x4000, 9}})
           .Add<observe_frame>(OBSERVE_CHUNK_FRAMES, 0, {{5, OBSERVE_FRAME_GONE, 0}, {6, 1, 4}}),
       outcome, state);
  EXPECT_EQ(outcome.ending, OBSERVE_ENDING_SIGNAL);
  EXPECT_EQ(outcome.fault_address, 0x1234u);
  EXPECT_EQ(state.spaces.at(1).maps, "a line\n");
  std::vector<uint64_t> pages;
  for (const observe_page& p : state.spaces.at(1).pages) pages.insert(pages.end(), {p.vaddr, p.entry});
  EXPECT_THAT(pages, ElementsAre(0x2000, 7, 0x3000, 8, 0x4000, 9));
  EXPECT_EQ(state.frames.size(), 1u);
  EXPECT_EQ(state.frames.at(6).count, 1u);
  // One entry of zeros: nobody lives, and every space goes.
  Take(Report(Head(OBSERVE_STEP_KILL))
           .Add<observe_live>(OBSERVE_CHUNK_LIVE, 0, {{0, 0, 0, 0}})
           .Add<observe_died>(OBSERVE_CHUNK_DIED, 0, {{9, 9}}),
       outcome, state);
  EXPECT_TRUE(state.live.empty());
  EXPECT_TRUE(state.spaces.empty());
  EXPECT_TRUE(state.changed_spaces.empty());
  EXPECT_EQ(outcome.died.at(0).process, 9u);
}

TEST(Wire, OfATextComesWhatIsNotAsItWas) {
  Outcome outcome;
  State state;
  const auto take = [&](uint32_t front, uint32_t back, std::string_view rest) {
    Take(Report(Head(OBSERVE_STEP_CALL)).AddText(OBSERVE_CHUNK_SMAPS, 1, {front, back}, rest), outcome,
         state);
    return state.spaces.at(1).smaps;
  };
  EXPECT_EQ(take(0, 0, "one\ntwo\nthree\n"), "one\ntwo\nthree\n");
  EXPECT_EQ(take(4, 6, "2\n"), "one\n2\nthree\n");
  EXPECT_EQ(take(4, 6, ""), "one\nthree\n");
  EXPECT_EQ(take(10, 0, "four\n"), "one\nthree\nfour\n");
  EXPECT_THAT(state.changed_spaces, ElementsAre(1));
  const std::string does_not_fit =
      Report(Head(OBSERVE_STEP_CALL)).AddText(OBSERVE_CHUNK_SMAPS, 1, {10, 10}, "more than there is").Bytes();
  observe_report head;
  EXPECT_TRUE(absl::IsDataLoss(TakeReport(does_not_fit, head, outcome, state)));
}

TEST(Wire, AShadowTableIsBroughtUpToDateAndGoes) {
  Outcome outcome;
  State state;
  Take(Report(Head(OBSERVE_STEP_CALL))
           .Add<observe_shadow>(OBSERVE_CHUNK_SHADOW, 2, {{0, 0x1000, 5, 7}, {1, 0x2000, 0, 3}}),
       outcome, state);
  // The second one changes; one behind the end is nobody's.
  Take(Report(Head(OBSERVE_STEP_CALL))
           .Add<observe_shadow>(OBSERVE_CHUNK_SHADOW, 2, {{1, 0x2000, 6, 7}, {2, 0x3000, 6, 7}}),
       outcome, state);
  ASSERT_EQ(state.shadow.size(), 2u);
  EXPECT_EQ(state.shadow[0].pfn, 5u);
  EXPECT_EQ(state.shadow[1].pfn, 6u);
  EXPECT_EQ(state.shadow[1].state_flags, 7u);
  Take(Report(Head(OBSERVE_STEP_CALL))
           .Add<observe_shadow>(OBSERVE_CHUNK_SHADOW, 0, {{OBSERVE_SHADOW_CLOSED, 0, 0, 0}}),
       outcome, state);
  EXPECT_TRUE(state.shadow.empty());
}

TEST(Wire, ARecordIsTakenWhenAllOfItIsThere) {
  const std::string bytes = Report(Head(1)).AddBytes(OBSERVE_CHUNK_MAPS, 1, "xyz").Bytes();
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_EQ(*RecordSize(bytes.substr(0, n)), 0u) << n;
  EXPECT_EQ(*RecordSize(bytes + "more"), bytes.size());
}

TEST(Wire, BrokenRecordsAreErrors) {
  std::string bytes = Report(Head(1)).AddBytes(OBSERVE_CHUNK_MAPS, 1, "xyz").Bytes();
  EXPECT_TRUE(absl::IsDataLoss(RecordSize(std::string(64, '\0')).status()));
  EXPECT_TRUE(absl::IsDataLoss(RecordSize(std::string(64, '\xff')).status()));
  observe_report head;
  Outcome outcome;
  State state;
  std::string longer = bytes;
  longer[sizeof(observe_report) + offsetof(observe_chunk, bytes)] = 100;
  EXPECT_TRUE(absl::IsDataLoss(TakeReport(longer, head, outcome, state)));
  std::string huge = bytes;
  std::memset(huge.data() + sizeof(observe_report) + offsetof(observe_chunk, bytes), 0xff, 8);
  EXPECT_TRUE(absl::IsDataLoss(TakeReport(huge, head, outcome, state)));
  EXPECT_TRUE(
      absl::IsDataLoss(TakeReport(bytes.substr(0, sizeof(observe_report) + 8), head, outcome, state)));
}

TEST(Wire, AGreetingOfAnotherVersionIsRefused) {
  const auto hello = [](uint32_t version) {
    const observe_hello fields{version, 4096, 3584, 0xf};
    return TakeHello(
        Report({})
            .AddBytes(OBSERVE_CHUNK_HELLO, 0,
                      std::string(reinterpret_cast<const char*>(&fields), sizeof(fields)) + "6.12")
            .Bytes());
  };
  ASSERT_TRUE(hello(OBSERVE_VERSION).ok());
  EXPECT_EQ(hello(OBSERVE_VERSION)->release, "6.12");
  EXPECT_TRUE(absl::IsFailedPrecondition(hello(OBSERVE_VERSION + 1).status()));
  EXPECT_TRUE(absl::IsDataLoss(TakeHello(Report({}).Bytes()).status()));
}

}  // namespace
}  // namespace mmsim::guest
