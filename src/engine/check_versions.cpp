#include "engine/check_versions.h"

#include <ranges>

#include "base/error.h"
#include "base/stopped.h"
#include "base/text.h"

namespace holdfast::engine {

namespace {

bool is_like(Versions& store, const ObjectVersion& one, const ObjectVersion& other) {
    if (one.bytes != other.bytes) return false;
    if (!one.sum.empty() && one.sum == other.sum) return true;
    const auto here = store.read_version(one), there = store.read_version(other);
    return here && there && equal(*here, *there);
}

// What was removed and put again, as packs are, has the same bytes.
void judge(Versions& store, const std::vector<ObjectVersion>& versions, std::vector<Damage>& out) {
    if (versions.size() < 2) return;
    const ObjectVersion& oldest = versions.back();
    std::size_t others = 0;
    bool is_front_other = false;
    for (const ObjectVersion& each : versions | std::views::take(versions.size() - 1)) {
        if (is_like(store, each, oldest)) continue;
        ++others;
        is_front_other |= &each == &versions.front();
    }
    if (others == 0) return;
    out.push_back(
        {oldest.name, "replaced",
         fmt::format(
             "somebody wrote over it: {} of its {} versions are not what was written there first, and what is read "
             "now {}; the truth is the oldest version, {} of {}",
             others, versions.size(), is_front_other ? "is one of them" : "is what came first", oldest.version,
             rfc3339(oldest.time))});
}

}  // namespace

VersionsReport check_versions(Versions& store) {
    VersionsReport out;
    std::vector<ObjectVersion> of_one_name;
    try {
        store.list_versions([&](const ObjectVersion& version) {
            if (!of_one_name.empty() && of_one_name.front().name != version.name) {
                judge(store, of_one_name, out.replaced);
                of_one_name.clear();
            }
            of_one_name.push_back(version);
        });
        judge(store, of_one_name, out.replaced);
    } catch (const Error& error) {
        if (is_stop(error.code())) throw;
        out.not_tested = "whether anything was written over: " + error.message();
    }
    return out;
}

}  // namespace holdfast::engine
