// stores/local/layout.h: which file below a store's folder is which object.
//
// Shape    the object's name is the path, but data/HEX, meta/HEX and state/HEX (64 lower-case hex digits) lie
//          one folder deeper, at data/HE/HEX: a folder of a million entries is slow on some file systems
// Errors   usage for a name that cannot be a path here
// Source   doc/format/store.md section 2
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

// Where unfinished files wait when they cannot be made without a name; no object can lie there.
constexpr std::string_view temporary_folder = ".tmp";

struct Place {
    std::string folder;  // "" is the store's own
    std::string leaf;
    std::string path() const { return folder.empty() ? leaf : folder + "/" + leaf; }
};

Place place_of(std::string_view name);
// Nothing for a file that is no object's.
std::optional<std::string> name_at(std::string_view folder, std::string_view leaf);
// False when no object below `folder` has a name that starts with `prefix`.
bool may_hold(std::string_view folder, std::string_view prefix);

}  // namespace holdfast
