// source/facts.h: what a source counted and hashed inside a capture's consistent view, to be compared after a restore.
//
// Shape    one row a fact, sorted by item, then name: {"shop/public/orders", "rows", "120000"}
// Errors   corrupt from decode_facts()
// Source   doc/format/snapshot.md, "Facts"; design section 5
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace holdfast {

struct Fact {
    std::string item;  // item path; empty: of the whole
    std::string name;  // "rows", "checksum"
    std::string value;
    auto operator<=>(const Fact&) const = default;
};

// "about size": said of the source, and not to be found again after a restore.
bool is_about(const Fact& fact);

struct Facts {
    std::string basis;  // same-view, stream, quiet or canary: what the numbers were taken from
    std::vector<Fact> list;

    // Nothing when it was not counted.
    std::optional<std::string> value(std::string_view item, std::string_view name) const;
    void sort();
};

Bytes encode_facts(const Facts& facts);  // sorted
Facts decode_facts(ByteView bytes);

// One line of a comparison. A check that could not be made is not a pass.
struct CheckLine {
    enum class Result : std::uint8_t { pass, fail, not_tested };
    std::string name;  // "shop/public/orders rows"
    Result result = Result::not_tested;
    std::string expected;
    std::string found;
};
std::string_view name_of(CheckLine::Result result);

// Every expected fact against what was found; one that was not found fails, an item that is found but was not
// expected fails too. `only`: facts of other items are left out (a part was restored); empty: all.
std::vector<CheckLine> compare_facts(const Facts& expected, const Facts& found, const std::vector<std::string>& only);

}  // namespace holdfast
