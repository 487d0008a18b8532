#include "sources/files/roots.h"

#include <filesystem>
#include <utility>

#include "base/text.h"

namespace holdfast::files {

std::string absolute_path(std::string_view path) {
    std::string all;
    if (!path.starts_with('/')) all = std::filesystem::current_path().string() + "/";
    all += path;
    std::vector<std::string> parts;
    for (std::string& part : split(all, '/')) {
        if (part.empty() || part == ".") continue;
        if (part != "..") {
            parts.push_back(std::move(part));
        } else if (!parts.empty()) {
            parts.pop_back();
        }
    }
    return "/" + join(parts, "/");
}

bool add_root(Root& top, std::string_view path) {
    Root* at = &top;
    for (const std::string& name : split(path, '/')) {
        if (name.empty()) continue;
        std::unique_ptr<Root>& child = at->children[name];
        if (!child) {
            child = std::make_unique<Root>();
            child->whole = at->whole;
        }
        at = child.get();
    }
    at->given = true;
    return !std::exchange(at->whole, true);
}

}  // namespace holdfast::files
