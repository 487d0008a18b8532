// source/parts.h: a source that may consist of several servers, each captured and followed by itself (a cluster's masters).
//
// Errors   source_failed, partial
// Threads  one
#pragma once

#include <memory>
#include <vector>

#include "source/source.h"

namespace holdfast {

class PartedSource : public Source {
public:
    virtual std::vector<std::unique_ptr<Source>> parts(World& world) = 0;  // empty: it is one
    // After one of them was captured after the other: throws partial when one may have given to another what neither
    // has in its snapshot then.
    virtual void look_at_parts_again(World&) {}
};

inline std::vector<std::unique_ptr<Source>> parts_of(Source& source, World& world) {
    auto* const parted = dynamic_cast<PartedSource*>(&source);
    return parted == nullptr ? std::vector<std::unique_ptr<Source>>() : parted->parts(world);
}

inline void look_at_parts_again(Source& source, World& world) {
    if (auto* const parted = dynamic_cast<PartedSource*>(&source)) parted->look_at_parts_again(world);
}

}  // namespace holdfast
