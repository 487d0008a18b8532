#include "engine/left_out.h"

#include <algorithm>
#include <set>

#include "base/item.h"

namespace holdfast::engine {

namespace {

using Places = std::set<std::string, std::less<>>;

std::size_t depth_of(const std::string& path) {
    return path == "/" ? 0 : static_cast<std::size_t>(std::ranges::count(path, '/'));
}

bool has_above(const Places& places, std::string_view path) {
    while (path.size() > 1) {
        path = split_path(path).first;
        if (places.contains(path)) return true;
    }
    return false;
}

std::size_t bytes_of(const Places& places) {
    std::size_t bytes = 0;
    for (const std::string& place : places) bytes += place.size() + 1;
    return bytes;
}

// The deepest places become the folders that they are in.
Places shortened(const Places& places) {
    std::size_t deepest = 0;
    for (const std::string& place : places) deepest = std::max(deepest, depth_of(place));
    Places out;
    for (const std::string& place : places)
        out.emplace(depth_of(place) == deepest ? split_path(place).first : std::string_view(place));
    Places tops;
    for (const std::string& place : out)
        if (!has_above(out, place)) tops.insert(place);
    return tops;
}

}  // namespace

std::vector<std::string> places_left_out(const std::vector<Finding>& findings,
                                         const std::vector<std::string>& on_purpose) {
    Places places;
    // Only files lie in folders of which a restore deletes; what changed while it was read is there.
    const auto add = [&](const std::string& path) {
        if (path.starts_with('/')) places.insert(path);
    };
    for (const Finding& finding : findings)
        if (finding.kind != Finding::Kind::changed) add(finding.path);
    for (const std::string& path : on_purpose) add(path);
    while (bytes_of(places) > left_out_bytes_max && !places.contains("/")) places = shortened(places);
    return {places.begin(), places.end()};
}

bool is_left_out(const repo::Snapshot& snapshot, std::string_view path) {
    return std::ranges::any_of(snapshot.left_out, [&](const std::string& place) { return is_within(path, place); });
}

}  // namespace holdfast::engine
