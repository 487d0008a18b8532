// stores/local/file_system.h: what a file system promises to a store in one of its folders.
//
// Source   review.md B5; statfs(2), linux/magic.h
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast {

struct FileSystem {
    std::uint64_t magic;  // statfs f_type
    std::string_view name;
    bool is_refused = false;
    bool lists_at_once = true;     // what another machine has just created is in a listing
    bool writes_directly = false;  // large objects by O_DIRECT; a network would wait for each piece
};

const FileSystem& file_system_of(std::uint64_t magic);

}  // namespace holdfast
