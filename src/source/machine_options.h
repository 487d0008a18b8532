// source/machine_options.h: of what a source is configured with, what holds for its restores on this machine, too: where
// the system's programs are.
#pragma once

#include <algorithm>

#include "source/source.h"

namespace holdfast {

// Options that captures and restores of this type have in common.
inline SourceOptions machine_options(const SourceType& type, const SourceOptions& of_source) {
    SourceOptions out;
    for (const SourceOption& each : type.restore_options) {
        const bool is_of_both = std::ranges::find(type.options, each.name, &SourceOption::name) != type.options.end();
        if (const auto found = of_source.find(each.name); is_of_both && found != of_source.end()) out.insert(*found);
    }
    return out;
}

}  // namespace holdfast
