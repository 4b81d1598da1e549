// SPDX-License-Identifier: Apache-2.0
// The words of the scenario language beside those of symbols.def, and what was probably meant by one that is
// none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "sim/kernel/syscall.h"

namespace mmsim::scenario {

// By the name that the kernel's tables and strace use.
std::optional<Sys> SysByName(std::string_view name);

absl::Span<const std::string_view> CallWords();     // system calls, accesses, and the words that open a line
absl::Span<const std::string_view> SettingWords();  // set NAME
absl::Span<const std::string_view> SeamWords();     // inject SEAM
absl::Span<const std::string_view> SubjectWords();  // expect PID SUBJECT
absl::Span<const std::string_view> LevelWords();    // pte levels
absl::Span<const std::string_view>
EntryWords();  // what an entry is: neutral words, bits of both architectures
absl::Span<const std::string_view> ShadowWords();    // what an entry of a shadow page table says
absl::Span<const std::string_view> PagemapWords();   // bits of a pagemap entry
absl::Span<const std::string_view> PageFlagWords();  // KPF_*

bool IsOneOf(std::string_view word, absl::Span<const std::string_view> words);

// ", did you mean mmap?" when one of `words` is near enough; else "".
std::string DidYouMean(std::string_view word, absl::Span<const std::string_view> words);

// A number as strace and C write it: 0x1f, 017, 12, with an optional sign. Nothing when it is none or needs
// more than 64 bits.
std::optional<uint64_t> ParseNumber(std::string_view text);

}  // namespace mmsim::scenario
