// source/attributes.h: extended attributes of what a name in an open folder stands for, symlinks not
// followed.
//
// Shape    Linux 6.13 has calls for it (listxattrat …); before it, the way leads through /proc/self/fd
// Errors   values: an errno, 0 for success
// Threads  no shared state but what the kernel can do, found out once
// Limits   the kernel's: 64 KiB of names, 64 KiB a value
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/item.h"

namespace holdfast {

// What has attributes: a name in a folder, or with `name` null the open file `fd` itself (not one opened by
// O_PATH).
struct AttributeOwner {
    int fd = -1;
    const char* name = nullptr;
};

struct AttributeList {
    std::vector<Attribute> attributes;  // sorted by name
    int error = 0;                      // the names could not be had; a file system without attributes is no error
    struct Unread {
        std::string name;
        int error = 0;
    };
    std::vector<Unread> unread;  // values that could not be had
};
AttributeList read_attributes(const AttributeOwner& owner);
int set_attribute(const AttributeOwner& owner, const std::string& name, std::string_view value);
int remove_attribute(const AttributeOwner& owner, const std::string& name);
bool has_attribute(const AttributeOwner& owner, const std::string& name);

constexpr std::string_view acl_access = "system.posix_acl_access";
constexpr std::string_view acl_default = "system.posix_acl_default";
inline bool is_acl(std::string_view name) { return name == acl_access || name == acl_default; }

// For tests: act as a kernel before 6.13.
void use_old_attribute_calls(bool old);

}  // namespace holdfast
