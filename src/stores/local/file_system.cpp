#include "stores/local/file_system.h"

#include <algorithm>
#include <array>

namespace holdfast {

namespace {

constexpr std::array file_systems{
    FileSystem{.magic = 0x517b, .name = "SMB", .is_refused = true},
    FileSystem{.magic = 0xff534d42, .name = "SMB", .is_refused = true},  // CIFS
    FileSystem{.magic = 0xfe534d42, .name = "SMB", .is_refused = true},  // SMB2
    FileSystem{.magic = 0x6969, .name = "NFS", .lists_at_once = false},
    FileSystem{.magic = 0x65735546, .name = "FUSE", .lists_at_once = false},
    FileSystem{.magic = 0xef53, .name = "ext4", .writes_directly = true},
    FileSystem{.magic = 0x58465342, .name = "XFS", .writes_directly = true},
};
constexpr FileSystem any_other{.magic = 0, .name = "local"};

}  // namespace

const FileSystem& file_system_of(std::uint64_t magic) {
    const auto* const found = std::ranges::find(file_systems, magic, &FileSystem::magic);
    return found == file_systems.end() ? any_other : *found;
}

}  // namespace holdfast
