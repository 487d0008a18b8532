#include "sources/mongodb/canary.h"

#include "base/error.h"
#include "base/text.h"

namespace holdfast::mongodb {

namespace {

// One that is captured.
std::string database_for(const CaptureOptions& options) {
    for (const std::string& each : options.databases)
        if (!has_glob(each)) return each;
    return "holdfast";
}

}  // namespace

void Canary::sing_if_due() {
    if (options_.canary_every == 0) return;
    const Nanoseconds now = world_.clock.steady();
    if (last_ && now - *last_ < options_.canary_every) return;
    last_ = now;
    try {
        sing();
    } catch (const Error& error) {
        if (error.code() != Code::source_failed) throw;
        client_.reset();
        if (std::exchange(was_told_, true)) return;
        world_.log.warning(fmt::format("no canary is written: {}. It needs `readWrite` on the database {}",
                                       error.message(), database_for(options_)));
    }
}

void Canary::sing() {
    if (!client_) client_ = std::make_unique<Client>(world_, options_.endpoint, Code::source_failed, true);
    constexpr Nanoseconds millisecond = one_second / 1000;
    Bytes at;
    ByteWriter(at).u64(static_cast<std::uint64_t>(world_.clock.now() / millisecond));
    const Bytes update =
        Builder()
            .document("q", Builder().text("_id", options_.source).done())
            .document("u", Builder().text("_id", options_.source).value("at", BsonType::date, at).done())
            .boolean("upsert", true)
            .done();
    (void)client_->run(database_for(options_),
                       Builder().text("update", canary_collection).array("updates", std::vector<Bytes>{update}).done());
    was_told_ = false;
}

}  // namespace holdfast::mongodb
