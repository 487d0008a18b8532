// engine/check_findings.h: damage as check() meets it: told once for each object, with what it costs.
//
// Threads  every member from any thread
// Limits   a few paths and snapshots are named, the rest is counted
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "engine/maintain.h"

namespace holdfast::engine {

using DamageNumber = std::uint32_t;

// Items that one damage costs.
struct Loss {
    static constexpr std::size_t paths_max = 3;
    DamageNumber damage = 0;
    std::uint64_t items = 0;
    std::vector<std::string> paths;
    void add(std::uint64_t more, const std::string& path);
    void add(const Loss& other);
};
// Adds to the loss of the same damage.
void add_loss(std::vector<Loss>& losses, const Loss& loss);

class CheckFindings {
public:
    static constexpr std::size_t snapshots_named_max = 4;

    // `reason` is kept of the first finding about an object; `harmless` is said when it turns out to cost nothing.
    DamageNumber add(const std::string& object, std::string_view kind, const std::string& reason,
                     const std::string& harmless = "no snapshot needs it");
    void costs(const Loss& loss, const repo::Snapshot& snapshot);
    void costs_only_time(DamageNumber damage, const std::string& source);  // state: the next backup reads all again
    bool any() const;
    std::vector<Damage> told() const;

private:
    struct Cost {
        std::string snapshot;
        Loss loss;
    };
    struct Finding {
        std::string object, kind, reason, harmless;
        std::vector<Cost> costs;
        std::uint64_t further_snapshots = 0;
        std::vector<std::string> sources;
    };
    static std::string effect_of(const Finding& finding);

    mutable std::mutex mutex_;
    // guarded by mutex_
    std::vector<Finding> findings_;
    std::map<std::string, DamageNumber> number_of_;  // by object
};

}  // namespace holdfast::engine
