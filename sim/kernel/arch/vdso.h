// SPDX-License-Identifier: Apache-2.0
// The vdso and its data pages. Linux: arch/x86/entry/vdso/vma.c, arch/arm64/kernel/vdso.c
// Not modelled: what they hold. The text is code of the very build of the kernel, the data the clock of the
// moment; here both are zeros. No call of the model looks at them.
#pragma once

#include "sim/kernel/task.h"

namespace mmsim {

// Maps them where the address space has room for both. Linux: arch_setup_additional_pages()
Status SetupAdditionalPages(Task& task);

// The special mapping of a name as /proc shows it ("[vdso]"), with its flags on `arch`; null for another
// name.
const SpecialMapping* SpecialMappingByName(std::string_view name);
VmFlags SpecialMappingFlags(Arch arch, const SpecialMapping& mapping);

}  // namespace mmsim
