#include "stores/local/layout.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "store/store.h"

namespace holdfast {

namespace {

constexpr std::array<std::string_view, 3> fanned_folders{"data", "meta", "state"};
constexpr std::size_t fan_digits = 2;
constexpr std::size_t hash_digits = 64;

bool is_fanned(std::string_view folder) { return std::ranges::find(fanned_folders, folder) != fanned_folders.end(); }

bool is_hex(std::string_view text, std::size_t digits) {
    return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::pair<std::string_view, std::string_view> split_last(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return {"", path};
    return {path.substr(0, slash), path.substr(slash + 1)};
}

// True for "data/ab", the folder of the objects data/ab….
bool is_fan(std::string_view folder) {
    const auto [above, digits] = split_last(folder);
    return is_fanned(above) && is_hex(digits, fan_digits);
}

}  // namespace

Place place_of(std::string_view name) {
    check_object_name(name);
    const auto [folder, leaf] = split_last(name);
    if (is_fanned(folder) && is_hex(leaf, hash_digits))
        return {std::string(folder) + "/" + std::string(leaf.substr(0, fan_digits)), std::string(leaf)};
    // Else two names could be one file.
    if (is_fan(folder)) throw Error{Code::usage, "\"{}\" cannot name an object of a local store", name};
    return {std::string(folder), std::string(leaf)};
}

std::optional<std::string> name_at(std::string_view folder, std::string_view leaf) {
    std::string name(folder);
    if (is_fan(folder)) {
        const auto [above, digits] = split_last(folder);
        if (!is_hex(leaf, hash_digits) || !leaf.starts_with(digits)) return std::nullopt;
        name = above;
    }
    if (!name.empty()) name += '/';
    name += leaf;
    if (!is_object_name(name)) return std::nullopt;
    return name;
}

bool may_hold(std::string_view folder, std::string_view prefix) {
    std::string start(folder);
    if (!is_fan(folder)) start += '/';  // "data/ab" holds data/ab…, "log/ab" holds log/ab/…
    const std::size_t shared = std::min(start.size(), prefix.size());
    return std::string_view(start).substr(0, shared) == prefix.substr(0, shared);
}

}  // namespace holdfast
