#include "engine/import.h"

#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/isolation.h"
#include "sandbox/sandbox.h"

namespace holdfast::engine {

namespace {

// What a dump becomes is larger than the dump.
constexpr std::uint64_t grows_by = 3;
constexpr std::uint64_t spare_bytes = 128 * 1024 * 1024;

std::uint64_t bytes_below(const std::string& path) {
    if (!std::filesystem::is_directory(path)) return std::filesystem::file_size(path);
    std::uint64_t out = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
        if (entry.is_regular_file()) out += entry.file_size();
    return out;
}

}  // namespace

BackupReport import_dump(repo::Repository& repository, const SourceType& type, const ImportPlan& plan,
                         Progress& loading, Progress& capturing, const std::function<void()>& loaded) {
    World& world = repository.world();
    const Nanoseconds began = world.clock.steady();
    if (const Isolation& isolation = possible_isolation(); !isolation.is_complete() && !plan.allow_unisolated)
        throw Error{Code::failed, "a dump can run programs, and this machine refuses to isolate them: it lacks {}",
                    join(isolation.missing(), ", ")}
            .unharmed("nothing of the dump was run")
            .hint("For dumps that you trust there is --allow-unisolated.");
    const std::uint64_t bytes = bytes_below(plan.path);
    loading.bytes_total = bytes;
    Sandbox sandbox(world, plan.sandbox_root, grows_by * bytes + spare_bytes);
    const auto source = type.load_dump(
        {sandbox, plan.path, plan.source, plan.options, [&](std::uint64_t more) { loading.bytes += more; }});
    loaded();
    BackupReport out = back_up(*source, repository, plan.backup, capturing);
    out.seconds = static_cast<double>(world.clock.steady() - began) / one_second;
    return out;
}

}  // namespace holdfast::engine
