// sources/mongodb/canary.h: a document that a follower writes every few seconds, so that a restore shows by its own data
// up to when it reaches.
//
// Shape    DATABASE.holdfast_canary: {_id: SOURCE, at: DATE}
// Errors   none: a canary that cannot be written is told once, and nothing else suffers
// Threads  one owner
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "clients/mongodb/client.h"
#include "sources/mongodb/options.h"

namespace holdfast::mongodb {

constexpr std::string_view canary_collection = "holdfast_canary";

class Canary {
public:
    Canary(World& world, const CaptureOptions& options) : world_(world), options_(options) {}
    void sing_if_due();

private:
    void sing();

    World& world_;
    const CaptureOptions& options_;
    std::unique_ptr<Client> client_;
    std::optional<Nanoseconds> last_;  // steady
    bool was_told_ = false;
};

}  // namespace holdfast::mongodb
