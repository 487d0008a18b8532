// source/findings.h: collects findings, and counts those of which there may be one for every item.
//
// Threads  everything may be called from any thread
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "source/source.h"

namespace holdfast {

class Findings {
public:
    void add(Finding finding);
    // Becomes one finding in the end: "owner cannot be set: operation not permitted (12,345 items)", at the
    // first path.
    void count(Finding::Kind kind, std::string_view text, std::string_view path);
    std::vector<Finding> take();

private:
    struct Group {
        std::string first_path;
        std::uint64_t items = 0;
    };
    std::mutex mutex_;
    // guarded by mutex_
    std::vector<Finding> list_;
    std::map<std::pair<Finding::Kind, std::string>, Group, std::less<>> groups_;
};

// What an errno met while reading an item means.
Finding finding_of(std::string path, int error);

}  // namespace holdfast
