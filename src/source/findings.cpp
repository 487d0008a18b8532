#include "source/findings.h"

#include <cerrno>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {

void Findings::add(Finding finding) {
    const std::lock_guard lock(mutex_);
    list_.push_back(std::move(finding));
}

void Findings::count(Finding::Kind kind, std::string_view text, std::string_view path) {
    const std::lock_guard lock(mutex_);
    Group& group = groups_[{kind, std::string(text)}];
    if (group.items++ == 0) group.first_path = path;
}

std::vector<Finding> Findings::take() {
    const std::lock_guard lock(mutex_);
    for (const auto& [what, group] : groups_) {
        std::string text = what.second;
        if (group.items > 1) text += fmt::format(" ({} items, this is the first)", human_count(group.items));
        list_.push_back({group.first_path, what.first, std::move(text), group.items});
    }
    groups_.clear();
    return std::move(list_);
}

Finding finding_of(std::string path, int error) {
    const bool gone = error == ENOENT || error == ENOTDIR || error == ESTALE;
    // ELOOP: where a folder or file was seen, a symlink lies now.
    const Finding::Kind kind = gone || error == ELOOP ? Finding::Kind::vanished : Finding::Kind::unreadable;
    return {std::move(path), kind, errno_text(error)};
}

}  // namespace holdfast
