// source/partial_mark.h: says of a folder in a snapshot that it was not captured as a whole.
//
// Shape    an attribute of the folder's item, in a name space that no kernel has: folders that only lead to
//          the source's paths (without a value; so are older snapshots' folders of the other kinds), and folders of
//          which names were left out by a pattern, a tag file, as another file system, or as closed to who captured.
//          What a snapshot lacks of such a folder says nothing, so a restore must not delete it. What was found out
//          only later, when the folder's item was written, is in Snapshot::left_out
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/item.h"

namespace holdfast {

constexpr std::string_view partial_mark = "holdfast.partial";

enum class Wholeness : std::uint8_t { whole, in_part, leading };

inline Wholeness wholeness_of(const Item& item) {
    const auto mark = std::ranges::find(item.attributes, partial_mark, &Attribute::name);
    if (mark == item.attributes.end()) return Wholeness::whole;
    return mark->value.empty() ? Wholeness::leading : Wholeness::in_part;
}
inline bool is_partial(const Item& item) { return wholeness_of(item) != Wholeness::whole; }

inline void mark_wholeness(Item& item, Wholeness as) {
    if (as == Wholeness::whole) return;
    item.attributes.push_back({std::string(partial_mark), as == Wholeness::leading ? "" : "in part"});
    std::ranges::sort(item.attributes, {}, &Attribute::name);
}

}  // namespace holdfast
