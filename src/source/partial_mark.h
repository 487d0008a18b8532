// source/partial_mark.h: says of a folder in a snapshot that it was not captured as a whole.
//
// Shape    an attribute of the folder's item, in a name space that no kernel has: folders that only lead to
//          the source's paths, mount points that were left out, folders left out by a tag file, folders that
//          could not be listed. What a snapshot lacks of such a folder says nothing, so a restore must not
//          delete it
#pragma once

#include <algorithm>
#include <string_view>

#include "base/item.h"

namespace holdfast {

constexpr std::string_view partial_mark = "holdfast.partial";

inline bool is_partial(const Item& item) {
    return std::ranges::any_of(item.attributes,
                               [](const Attribute& attribute) { return attribute.name == partial_mark; });
}

inline void mark_partial(Item& item) {
    if (is_partial(item)) return;
    item.attributes.push_back({std::string(partial_mark), ""});
    std::ranges::sort(item.attributes, {}, &Attribute::name);
}

}  // namespace holdfast
