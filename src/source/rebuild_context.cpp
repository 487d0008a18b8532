#include "source/rebuild_context.h"

#include <sys/stat.h>

#include "base/error.h"
#include "source/remove_tree.h"

namespace holdfast {

namespace {

std::string_view kind_text(unsigned mode) {
    switch (mode & S_IFMT) {
        case S_IFDIR:
            return "a folder";
        case S_IFLNK:
            return "a symlink";
        case S_IFREG:
            return "a file";
        default:
            return "a special file";
    }
}

}  // namespace

std::string name_until_complete(const std::string& name) {
    return fmt::format(".holdfast-new-{:016x}", std::hash<std::string>{}(name));
}

void RebuildContext::failed(std::string_view verb, const std::string& item_path, int error) {
    if (ends_restore(error)) throw_target_error(verb, fmt::format("{} in {}", item_path, target.path()), error);
    findings.add({item_path, Finding::Kind::unsupported, fmt::format("cannot {}: {}", verb, errno_text(error))});
}

bool RebuildContext::clear_way(const Folder::Pointer& folder, const std::string& name, const std::string& item_path,
                               unsigned found_mode) {
    if (request.existing != Existing::overwrite) {
        findings.add({item_path, Finding::Kind::unsupported,
                      fmt::format("{} is in the way; --overwrite replaces it", kind_text(found_mode))});
        return false;
    }
    if (!request.dry_run) remove_tree(folder, name, {}, findings);
    return true;
}

bool RebuildContext::may_delete(const Folder::Pointer& folder, const std::string& name) const {
    const std::string found = folder->path_of(name);
    std::string_view below = std::string_view(found).substr(target.path().size());
    if (below.starts_with('/')) below.remove_prefix(1);
    return request.may_delete(join_path(request.strip.empty() ? "/" : request.strip, below));
}

}  // namespace holdfast
