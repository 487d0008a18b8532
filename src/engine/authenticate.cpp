#include "engine/authenticate.h"

#include <atomic>
#include <mutex>

namespace holdfast::engine {

namespace {

// A restore whose target keeps nothing: the bytes are opened and their ids recomputed on the way.
class Nowhere final : public Rebuild {
public:
    Ticket begin_item(const Item& item) override {
        const std::lock_guard lock(mutex_);
        if (item.kind == ItemKind::file) ++items_;
        return {items_, item.kind == ItemKind::file};
    }
    void write(const Ticket&, std::uint64_t, ByteView) override { ++pieces; }
    void end_item(const Ticket&) override {}
    void abandon_item(const Ticket&, const Finding&) override {}
    Summary finish() override { return {}; }

    std::atomic<std::uint64_t> pieces{0};

private:
    std::mutex mutex_;
    std::uint64_t items_ = 0;  // guarded by mutex_
};

}  // namespace

Authenticated authenticate(repo::Repository& repository, const RestorePlan& plan, Progress& progress) {
    Nowhere nowhere;
    RestoreReport report = restore(repository, plan, nowhere, progress);
    return {nowhere.pieces, report.bytes, std::move(report.damaged)};
}

}  // namespace holdfast::engine
