// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/generate.h"

#include <algorithm>

#include "fmt/format.h"
#include "sim/scenario/generator.h"

namespace mmsim::scenario {
namespace {

constexpr uint64_t kPageBytes = 0x1000;
// Fixed addresses: room for small mappings, and for some that hold huge pages.
constexpr uint64_t kFixedStart = 0x10000000, kFixedPages = 64;
constexpr uint64_t kHugeStart = 0x20000000, kHugePages = 4 * 512;
constexpr size_t kMaxRegions = 20;

std::string Sum(const std::string& base, uint64_t bytes) {
  if (bytes == 0) return base;
  return fmt::format("{}+{:#x}", base, bytes);
}

std::string_view AboutName(About about) {
  return std::find_if(std::begin(kAbouts), std::end(kAbouts),
                      [about](const auto& a) { return a.second == about; })
      ->first;
}

}  // namespace

Generator::Generator(const GenerateOptions& options)
    : options_(options), random_(options.seed * 2 + (options.about != About::kAddressSpace)) {}

std::string Generator::Run() {
  text_ = fmt::format("# mmsim generate, version {}: --seed {} --steps {} --about {}\n", kGeneratorVersion,
                      options_.seed, options_.steps, AboutName(options_.about));
  ChooseVerbs();
  Settings();
  Spawn();
  if (options_.about == About::kShadowpt) Spawn();
  uint64_t total = 0;
  for (const ChosenVerb& verb : verbs_) total += verb.weight;
  while (done_ < options_.steps) {
    std::vector<GeneratedProcess*> able;
    for (const auto& p : processes_) {
      if (!p->suspended) able.push_back(p.get());
    }
    if (able.empty()) {
      Spawn();
      continue;
    }
    process_ = able[random_.Below(able.size())];
    uint64_t at = random_.Below(total);
    size_t verb = 0;
    while (at >= verbs_[verb].weight) at -= verbs_[verb++].weight;
    verbs_[verb].emit(*this);
  }
  for (const auto& [call, count] : counts_) EmitLine(fmt::format("# {} {}", count, call));
  return std::move(text_);
}

// Each scenario is about some of the verbs more than about others.
void Generator::ChooseVerbs() {
  static constexpr uint32_t kTimes[] = {0, 1, 1, 1, 5};
  const auto choose = [&](const Verb& verb) {
    const uint32_t weight = AboutPages() ? verb.pages : verb.address_space;
    verbs_.push_back({verb.emit, weight * kTimes[random_.Below(std::size(kTimes))]});
  };
  for (const Verb& verb : Verbs()) choose(verb);
  verbs_[0].weight = std::max<uint32_t>(verbs_[0].weight, 10);  // without any mmap there is nothing to do
  if (options_.about != About::kShadowpt) return;
  for (const Verb& verb : ShadowVerbs()) choose(verb);
  uint32_t& open = verbs_[Verbs().size()].weight;  // nor without any open
  open = std::max<uint32_t>(open, 9);
}

void Generator::Settings() {
  if (random_.Percent(12)) EmitLine(fmt::format("set overcommit_memory {}", random_.Below(2)));
  if (random_.Percent(8)) {
    limited_ = true;
    EmitLine(fmt::format("set max_map_count {}", random_.Between(8, 40)));
  }
  if (random_.Percent(10)) {
    limited_ = true;
    static constexpr const char* kLimits[] = {"AS", "DATA", "STACK", "MEMLOCK"};
    EmitLine(fmt::format("limit RLIMIT_{} {:#x}", OneOf(random_, kLimits),
                         random_.Between(0, 0x400) * 0x1000 + 0x40000));
  }
  // Too small for a huge page in one piece, and for the kernel to keep free slots apart; now and then soon
  // full.
  if (AboutPages() && random_.Percent(60))
    EmitLine(random_.Percent(75) ? "set swap_pages 300" : "set swap_pages 12");
  if (random_.Percent(AboutPages() ? 25 : 10)) {
    static constexpr const char* kModes[] = {"always", "madvise", "never"};
    EmitLine("set transparent_hugepage " + OneOf(random_, kModes));
  }
}

void Generator::Spawn() {
  const int pid = NewPid();
  // Of two processes in a scenario about shadowpt the first is the inspector.
  const bool first = options_.about == About::kShadowpt && processes_.empty();
  const bool privileged = random_.Percent(15) || first;
  EmitLine(fmt::format("pid {}{}", pid, privileged ? " privileged" : ""));
  GeneratedProcess process{
      pid,   pid,       std::make_shared<GeneratedSpace>(), std::make_shared<std::vector<GeneratedFile>>(), 0,
      false, privileged};
  AddProcess(std::move(process));
  process_ = processes_.back().get();
  AddRegion(fmt::format("{:#x}", kFixedStart), kFixedPages);
}

void Generator::EmitLine(const std::string& line) {
  text_ += line;
  text_ += '\n';
}

void Generator::Emit(const std::string& call, const std::string& result) {
  EmitLine(fmt::format("{} {} = {}", process_->pid, call, result));
  const std::string name = call.substr(0, call.find('('));
  const auto count =
      std::find_if(counts_.begin(), counts_.end(), [&](const auto& c) { return c.first == name; });
  if (count != counts_.end()) {
    ++count->second;
  } else {
    counts_.emplace_back(name, 1);
  }
  ++done_;
}

std::string Generator::NewName(char letter) {
  return fmt::format("${}{}", letter, next_name_++);
}

void Generator::AddRegion(const std::string& base, uint64_t pages) {
  std::vector<Region>& regions = process_->space->regions;
  // The first is the range of fixed addresses.
  if (regions.size() == kMaxRegions)
    regions.erase(regions.begin() + 1 + static_cast<std::ptrdiff_t>(random_.Below(kMaxRegions - 1)));
  regions.push_back({base, pages});
}

RangeText Generator::PickRange() {
  const std::vector<Region>& regions = process_->space->regions;
  const Region& region = regions[random_.Percent(40) ? 0 : random_.Below(regions.size())];
  uint64_t first = random_.Below(region.pages),
           pages = 1 + random_.Below(std::min<uint64_t>(8, region.pages - first));
  if (random_.Percent(15)) first = 0, pages = region.pages;
  if (random_.Percent(5)) pages += random_.Below(6);
  uint64_t offset = 0, bytes = pages * kPageBytes;
  if (random_.Percent(2)) offset = random_.Below(kPageBytes);
  if (random_.Percent(4)) bytes -= random_.Below(kPageBytes);
  if (random_.Percent(1)) bytes = 0;
  return {Sum(region.base, first * kPageBytes + offset), fmt::format("{:#x}", bytes), pages};
}

std::string Generator::PickAddress(bool aligned) {
  const std::vector<Region>& regions = process_->space->regions;
  const Region& region = regions[random_.Percent(40) ? 0 : random_.Below(regions.size())];
  return Sum(region.base,
             random_.Below(region.pages) * kPageBytes + (aligned ? 0 : random_.Below(kPageBytes)));
}

std::string Generator::PickFixed(uint64_t pages) {
  if (pages > kFixedPages)
    return fmt::format("{:#x}",
                       kHugeStart + random_.Below(kHugePages - std::min(pages, kHugePages - 1)) * kPageBytes);
  return fmt::format("{:#x}", kFixedStart + random_.Below(kFixedPages - pages + 1) * kPageBytes);
}

uint64_t Generator::PickPages() {
  if (random_.Percent(AboutPages() ? 8 : 3)) return random_.Between(512, 1536);
  return 1 + random_.Below(random_.Percent(70) ? 6 : 24);
}

void Generator::Become(const std::function<bool(const GeneratedProcess&)>& may) {
  std::vector<GeneratedProcess*> able;
  for (const auto& p : processes_) {
    if (!p->suspended && may(*p)) able.push_back(p.get());
  }
  if (!able.empty()) process_ = able[random_.Below(able.size())];
}

void Generator::BecomeInspector() {
  Become([](const GeneratedProcess& p) { return p.privileged; });
}

void Generator::BecomeOpener() {
  Become([this](const GeneratedProcess& p) { return p.pid == opener_; });
}

std::string Generator::AnyPid() {
  // Process 1 is there in a guest: the executor.
  static constexpr const char* kNobody[] = {"0", "-1", "99"};
  if (random_.Percent(3)) return OneOf(random_, kNobody);
  return fmt::format("{}", processes_[random_.Below(processes_.size())]->pid);
}

void Generator::Wake(GeneratedProcess& process) {
  for (const auto& p : processes_) {
    if (process.vfork_parent != 0 && p->pid == process.vfork_parent) p->suspended = false;
  }
  process.vfork_parent = 0;
}

void Generator::EndIf(const std::function<bool(const GeneratedProcess&)>& ends) {
  for (const auto& p : processes_) {
    if (!ends(*p)) continue;
    Wake(*p);
    // It waits for no child any more, and who has its process id later is somebody else.
    for (const auto& child : processes_)
      if (child->vfork_parent == p->pid) child->vfork_parent = 0;
  }
  std::erase_if(processes_, [&ends](const auto& p) { return ends(*p); });
}

std::string Generate(const GenerateOptions& options) {
  return Generator(options).Run();
}

}  // namespace mmsim::scenario
