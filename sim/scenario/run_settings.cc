// SPDX-License-Identifier: Apache-2.0
// The lines that set something: sysctls, limits, allocations that fail.
#include "fmt/format.h"
#include "sim/mm/swap.h"
#include "sim/scenario/runner.h"

namespace mmsim::scenario {

absl::StatusOr<bool> Runner::DoSet(const Step& step, guest::Outcome* outcome) {
  Sysctls& s = kernel_->sysctls();
  const std::string_view name = step.Name();
  // What write(2) to the file returns.
  if (name == "transparent_hugepage") {
    outcome->result = static_cast<int64_t>(scenario_.Arg(step, 0).size());
    const std::optional<ThpMode> mode = ThpModeOf(scenario_.Arg(step, 0));
    if (!mode) return scenario_.ErrorAt(scenario_.Arg(step, 0).data(), kExpectedThpMode);
    s.transparent_hugepage = *mode;
    return true;
  }
  absl::StatusOr<uint64_t> value = Eval(scenario_, scenario_.Arg(step, 0), kernel_->arch(), names_);
  if (!value.ok()) return value.status();
  outcome->result = static_cast<int64_t>(fmt::formatted_size("{}", *value));
  const std::pair<std::string_view, uint64_t*> wide[] = {{"admin_reserve_kbytes", &s.admin_reserve_kbytes},
                                                         {"user_reserve_kbytes", &s.user_reserve_kbytes},
                                                         {"stack_guard_gap", &s.stack_guard_gap}};
  bool known = false;
  for (const auto& [n, where] : wide) {
    if (n != name) continue;
    *where = *value;
    known = true;
  }
  if (name == "mmap_min_addr") known = true, s.SetMmapMinAddr(*value);
  if (name == "overcommit_ratio") known = true, s.SetOvercommitRatio(*value);
  if (name == "overcommit_kbytes") known = true, s.SetOvercommitKbytes(*value);
  if (name == "overcommit_memory") known = true, s.overcommit_memory = static_cast<int>(*value);
  if (name == "max_map_count") known = true, s.max_map_count = static_cast<int>(*value);
  if (name == "legacy_va_layout") known = true, s.legacy_va_layout = *value != 0;
  if (name == "swap_pages" && kernel_->system().swap == nullptr) {  // swapon
    known = true;
    kernel_->system().swap = std::make_unique<SwapArea>(kernel_->system(), *value);
  }
  if (!known) return scenario_.ErrorAt(name.data(), "expected the name of a sysctl under /proc/sys/vm");
  return true;
}

absl::StatusOr<bool> Runner::DoLimit(const Step& step, guest::Outcome* outcome) {
  absl::StatusOr<uint64_t> which = Eval(scenario_, step.Name(), kernel_->arch(), names_);
  if (!which.ok()) return which.status();
  absl::StatusOr<uint64_t> current = Eval(scenario_, scenario_.Arg(step, 0), kernel_->arch(), names_);
  if (!current.ok()) return current.status();
  RlimitPair& limit = kernel_->default_rlimits()[static_cast<Rlimit>(*which)];
  limit.cur = limit.max = *current;
  if (step.nr_args > 1) {
    absl::StatusOr<uint64_t> maximum = Eval(scenario_, scenario_.Arg(step, 1), kernel_->arch(), names_);
    if (!maximum.ok()) return maximum.status();
    limit.max = *maximum;
  }
  outcome->result = 0;
  return true;
}

absl::StatusOr<bool> Runner::DoInject(const Step& step) {
  static constexpr std::pair<std::string_view, Seam> kSeams[] = {
      {"frame", Seam::kPage},       {"table", Seam::kTable},
      {"vma", Seam::kVma},          {"anon_vma", Seam::kAnonVma},
      {"vma_tree", Seam::kVmaTree}, {"swap_slot", Seam::kSwapSlot},
      {"file", Seam::kFile},        {"mm", Seam::kMm}};
  if (step.Name() == "off") {
    for (const auto& [name, seam] : kSeams) kernel_->system().failures.FailAt(seam, 0);
    return true;
  }
  for (const auto& [name, seam] : kSeams) {
    if (name != step.Name()) continue;
    absl::StatusOr<uint64_t> nth = Eval(scenario_, scenario_.Arg(step, 0), kernel_->arch(), names_);
    if (!nth.ok()) return nth.status();
    kernel_->system().failures.FailAt(seam, *nth);
    return true;
  }
  return scenario_.ErrorAt(step.Name().data(),
                           "expected frame, table, vma, anon_vma, vma_tree, swap_slot, file, mm or off");
}

}  // namespace mmsim::scenario
