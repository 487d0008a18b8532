// sandbox/view.h: what a process of a sandbox sees of the file system: programs, read-only, and its own folder.
//
// Shape    steps that are prepared before the fork, for afterwards nothing may be allocated
#pragma once

#include <string>
#include <vector>

namespace holdfast {

struct ViewStep {
    enum class Kind : std::uint8_t { folder, text, link, device, read_only, writable, memory, processes };
    Kind kind{};
    std::string target;  // below the new root
    std::string source;  // what is bound there; the text; where the link leads
    bool may_fail = false;
};

struct View {
    std::string root;  // the empty folder that it is built in
    std::vector<ViewStep> steps;
};

struct ViewOptions {
    std::string root;
    std::string work;
    std::vector<std::string> readable;
    unsigned uid = 0;
};
View make_view(const ViewOptions& options);

// In the child: builds the view and makes it the root. Allocates nothing. 0, or the errno of the step `failed`.
int enter_view(const View& view, const ViewStep*& failed);

}  // namespace holdfast
