// SPDX-License-Identifier: Apache-2.0
// The validator is silent about a machine in order, and speaks up for each thing put out of order by hand.
#include "sim/audit/validator.h"

#include <functional>

#include "sim/mm/page_table.h"
#include "sim/mm/rmap.h"
#include "sim/mm/vma_ops.h"
#include "tests/kernel/kernel_fixture.h"

namespace mmsim {
namespace {

using testing::HasSubstr;

constexpr uint64_t kAt = 0x10000000;

class ValidatorTest : public KernelTest {
 protected:
  ValidatorTest() {
    EXPECT_EQ(Call(Sys::k_mmap, {kAt, 4 * kPageSize, 3, 0x32, ~uint64_t{0}, 0}), int64_t{kAt});
    EXPECT_TRUE(Store(*task, kAt, 1).ok());
    EXPECT_TRUE(Store(*task, kAt + kPageSize, 1).ok());
  }
  System& system() { return kernel->system(); }
  Mm& mm() { return *task->mm; }
  Vma& vma() { return *mm().vmas.Lookup(VirtAddr(kAt)); }
  void SetFlags(VmFlags flags) { VmaEdit(mm()).SetFlags(vma(), flags); }
  EntryPtr Entry(uint64_t page) { return FindEntry(mm(), VirtAddr(kAt + page * kPageSize), kLevelPte); }
  void SetEntry(uint64_t page, Pte pte) {
    StorePte(mm(), VirtAddr(kAt + page * kPageSize), Entry(page), pte, "a test");
  }
  Page& Frame() { return system().pages[PtePfn(GetParam(), ReadEntry(Entry(0)))]; }

  // After `spoil` a finding says so, and after `mend` none does.
  void Finds(const std::string& what, const std::function<void()>& spoil, const std::function<void()>& mend) {
    EXPECT_THAT(Validate(system()), testing::IsEmpty()) << "before: " << what;
    spoil();
    EXPECT_THAT(Validate(system()), testing::Contains(HasSubstr(what)));
    mend();
    EXPECT_THAT(Validate(system()), testing::IsEmpty()) << "after: " << what;
  }
};

TEST_P(ValidatorTest, CountersOfTheAddressSpace) {
  Finds(
      "total_vm is", [&] { ++mm().total_vm; }, [&] { --mm().total_vm; });
  Finds(
      "data_vm is", [&] { --mm().data_vm; }, [&] { ++mm().data_vm; });
  Finds(
      "map_count is", [&] { ++mm().map_count; }, [&] { --mm().map_count; });
  Finds(
      "vm_committed_as is", [&] { ++system().vm_committed_as; }, [&] { --system().vm_committed_as; });
  Finds(
      "locked_vm is", [&] { SetFlags(vma().flags | kVmLocked); },
      [&] { SetFlags(vma().flags & ~kVmLocked); });
  Finds(
      "num_active_vmas is", [&] { ++vma().anon_vma->num_active_vmas; },
      [&] { --vma().anon_vma->num_active_vmas; });
}

TEST_P(ValidatorTest, CountsOfAFrame) {
  Finds(
      "references, held by", [&] { ++Frame().refcount; }, [&] { --Frame().refcount; });
  Finds(
      "map count 2, mapped by 1", [&] { ++Frame().mapcount; }, [&] { --Frame().mapcount; });
  const uint64_t index = Frame().Index();
  Finds(
      "the page's index is", [&] { Frame().SetIndex(index + 1); }, [&] { Frame().SetIndex(index); });
  Finds(
      "the page is not exclusive", [&] { Frame().Clear(kPgAnonExclusive); },
      [&] { Frame().Set(kPgAnonExclusive); });
  Pfn lost;
  Finds(
      "the number of allocated frames is", [&] { lost = system().pages.Alloc(); },
      [&] {
        system().pages[lost].refcount = 0;
        system().pages.Free(lost, 0);
      });
}

TEST_P(ValidatorTest, EntriesAgainstTheirVma) {
  const Pte pte = ReadEntry(Entry(0)), other = ReadEntry(Entry(1));
  const auto mend = [&] { SetEntry(0, pte); };
  Finds(
      "references, held by", [&] { SetEntry(0, {0}); }, mend);
  Finds(
      "the page's index is", [&] { SetEntry(0, other); }, mend);
  Finds(
      "writable in a VMA that is not", [&] { SetFlags(vma().flags & ~kVmWrite); },
      [&] { SetFlags(vma().flags | kVmWrite); });
}

TEST_P(ValidatorTest, ATranslationThatWasNotFlushed) {
  const Pte pte = ReadEntry(Entry(0));
  Finds(
      "TLB", [&] { SetEntry(0, PteWrProtect(GetParam(), pte)); }, [&] { SetEntry(0, pte); });
}

MMSIM_FOR_BOTH_ARCHITECTURES(ValidatorTest);

}  // namespace
}  // namespace mmsim
