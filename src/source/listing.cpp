#include "source/listing.h"

#include <endian.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>

namespace holdfast {

namespace {

// linux_dirent64 of getdents64(2).
struct RawEntry {
    std::uint64_t inode;
    std::int64_t offset;
    std::uint16_t bytes;
    std::uint8_t type;
    // the name follows
};
constexpr std::size_t name_offset = offsetof(RawEntry, type) + 1;

bool is_dots(const char* name) { return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')); }

}  // namespace

int Listing::list(int folder) {
    static thread_local std::array<char, 256 * 1024> buffer;
    if (::lseek(folder, 0, SEEK_SET) != 0) return errno;  // it may have been listed before
    while (true) {
        const long got = syscall(SYS_getdents64, folder, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) return 0;
        for (const char* at = buffer.data(); at < buffer.data() + got;) {
            RawEntry raw;
            std::memcpy(&raw, at, name_offset);
            if (const char* name = at + name_offset; !is_dots(name)) add(name, raw.type);
            at += raw.bytes;
        }
        if (text_.size() > std::numeric_limits<std::uint32_t>::max() - 64 * 1024 * 1024) return EOVERFLOW;
    }
}

void Listing::add(std::string_view name, std::uint8_t type) {
    names_.push_back({0, static_cast<std::uint32_t>(text_.size()), type});
    text_.append(name).push_back('\0');
}

// Names in one folder often begin alike, so the 8 bytes after what all have in common tell most of them
// apart.
void Listing::sort() {
    if (names_.size() < 2) return;
    const char* text = text_.data();
    const char* first = text + names_[0].at;
    std::size_t common = std::strlen(first);
    for (const Name& name : names_) {
        std::size_t same = 0;
        while (same < common && text[name.at + same] == first[same]) ++same;
        common = same;
    }
    for (Name& name : names_) {
        const char* rest = text + name.at + common;
        name.key = 0;
        std::memcpy(&name.key, rest, strnlen(rest, sizeof name.key));
        name.key = be64toh(name.key);
    }
    std::ranges::sort(names_, [text](const Name& a, const Name& b) {
        return a.key != b.key ? a.key < b.key : std::strcmp(text + a.at, text + b.at) < 0;
    });
}

bool Listing::has(std::string_view name) const {
    return std::ranges::any_of(names_, [&](const Name& other) { return text_.data() + other.at == name; });
}

}  // namespace holdfast
