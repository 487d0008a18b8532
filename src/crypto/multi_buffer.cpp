#include "crypto/multi_buffer.h"

#ifdef HF_HAS_IPSEC_MB
#include <memory>
#include <new>

namespace holdfast::crypto {

IMB_MGR* multi_buffer() {
    struct Free {
        void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
    };
    thread_local const std::unique_ptr<IMB_MGR, Free> mine = [] {
        std::unique_ptr<IMB_MGR, Free> out(alloc_mb_mgr(0));
        if (!out) throw std::bad_alloc();
        if ((out->features & IMB_FEATURE_AESNI) == 0) return std::unique_ptr<IMB_MGR, Free>();
        init_mb_mgr_auto(out.get(), nullptr);
        if (imb_get_errno(out.get()) != 0) out.reset();
        return out;
    }();
    return mine.get();
}

}  // namespace holdfast::crypto
#endif
