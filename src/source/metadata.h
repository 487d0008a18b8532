// source/metadata.h: gives what a restore has made its owner, mode, attributes, ACLs and times.
//
// Shape    in the order that keeps all of them: owner (clears setuid and capabilities), attributes, mode
//          (would widen an ACL's mask), ACLs, times
// Errors   what this user or the target's file system cannot do is counted and becomes one finding for each
//          kind of it; target_failed and no_space when nothing more can be written
// Threads  everything may be called from any thread
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/item.h"
#include "source/attributes.h"
#include "source/findings.h"

namespace holdfast {

struct Metadata {
    std::uint32_t mode = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t mtime_ns = 0;
    std::int64_t mtime_s = 0;
    std::vector<Attribute> attributes;
};
Metadata metadata_of(const Item& item);  // without the partial mark

// What is known of the thing before it gets its metadata.
struct Present {
    std::uint32_t mode = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    bool is_new = false;     // made by us and nothing inherited: it has no attributes
    bool has_times = false;  // its times are those wanted
};
Present present_of(const struct stat& stat);
// As far as stat shows.
bool differs(const Metadata& wanted, const Present& present);

// Errors that no other item would escape.
bool ends_restore(int error);
// "cannot create /target/a: no space left on device"
[[noreturn]] void throw_target_error(std::string_view verb, const std::string& path, int error);

// An errno, 0 for success; a symlink is not followed.
int chmod_by_name(int folder, const char* name, unsigned mode);

// Paths are put together only when something is to be said of them.
using PathMaker = std::function<std::string()>;

class MetadataWriter {
public:
    explicit MetadataWriter(Findings& findings);
    bool is_root_user() const { return is_root_user_; }

    // Of an open file or folder. True when something had to be changed.
    bool set(int fd, const Metadata& wanted, const Present& present, const PathMaker& path);
    // Of a symlink, device, fifo or socket, by its name in an open folder.
    bool set_by_name(int folder, const char* name, ItemKind kind, const Metadata& wanted, const Present& present,
                     const PathMaker& path);

private:
    struct Step;
    bool set_owner(const Step& step, Present& now);
    bool remove_others(const Step& step, const AttributeList& current);
    enum class Which : std::uint8_t { plain, acls };
    bool set_attributes(const Step& step, const AttributeList& current, Which which);
    bool set_mode(const Step& step, const Present& now, bool always);
    void set_times(const Step& step);
    bool set_all(const Step& step, Present now);
    void cannot(const Step& step, std::string_view what, int error);

    Findings& findings_;
    const bool is_root_user_;
};

}  // namespace holdfast
