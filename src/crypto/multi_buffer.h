// crypto/multi_buffer.h: libipsec-mb, where this machine's kind has it; of use inside this layer only.
#pragma once

#ifdef HF_HAS_IPSEC_MB
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

namespace holdfast::crypto {

// The calling thread's; null on a CPU (or a virtual machine) without AES instructions, where it is slow or does not start.
// Costs some 100 KB, so threads that do not ask have none.
IMB_MGR* multi_buffer();

}  // namespace holdfast::crypto
#endif
