#include "source/facts.h"

#include <algorithm>

#include "base/item.h"
#include "source/untold_facts.h"

namespace holdfast {

namespace {

constexpr std::uint8_t version = 1;

bool is_wanted(const std::vector<std::string>& only, std::string_view item) {
    return only.empty() || std::ranges::any_of(only, [&](const std::string& path) { return is_within(item, path); });
}

auto place(const Fact& fact) { return std::pair<std::string_view, std::string_view>(fact.item, fact.name); }

}  // namespace

bool is_about(const Fact& fact) { return fact.name.starts_with("about "); }

std::optional<std::string> Facts::value(std::string_view item, std::string_view name) const {
    const auto at =
        std::ranges::find_if(list, [&](const Fact& fact) { return fact.item == item && fact.name == name; });
    if (at == list.end()) return std::nullopt;
    return at->value;
}

void Facts::sort() { std::ranges::sort(list); }

Bytes encode_facts(const Facts& facts) {
    Facts sorted = facts;
    sorted.sort();
    Bytes out;
    ByteWriter writer(out);
    writer.u8(version);
    writer.string(sorted.basis);
    writer.varint(sorted.list.size());
    for (const Fact& fact : sorted.list) {
        writer.string(fact.item);
        writer.string(fact.name);
        writer.string(fact.value);
    }
    return out;
}

Facts decode_facts(ByteView bytes) {
    ByteReader reader(bytes, "the facts of a snapshot");
    if (reader.u8() != version) reader.fail("they are of a version that this one does not know");
    Facts out;
    out.basis = reader.string();
    const std::size_t count = reader.count(3);
    out.list.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        Fact& fact = out.list.emplace_back();
        fact.item = reader.string();
        fact.name = reader.string();
        fact.value = reader.string();
    }
    reader.expect_done();
    return out;
}

std::string_view name_of(CheckLine::Result result) {
    switch (result) {
        case CheckLine::Result::pass:
            return "pass";
        case CheckLine::Result::fail:
            return "fail";
        case CheckLine::Result::not_tested:
            return "not_tested";
    }
    return "not_tested";
}

std::vector<CheckLine> compare_facts(const Facts& expected, const Facts& found, const std::vector<std::string>& only) {
    Facts left = expected, right = found;
    left.sort();
    right.sort();
    std::vector<CheckLine> out;
    const auto add = [&](const Fact& fact, std::string was, std::string is) {
        if (!is_wanted(only, fact.item) || is_about(fact)) return;
        auto result = was == is ? CheckLine::Result::pass : CheckLine::Result::fail;
        if (result == CheckLine::Result::fail)
            if (auto reason = why_untold(found, fact.item, fact.name)) {
                result = CheckLine::Result::not_tested;
                is = std::move(*reason);
            }
        out.push_back(
            {fact.item.empty() ? fact.name : fact.item + " " + fact.name, result, std::move(was), std::move(is)});
    };
    auto a = left.list.begin();
    auto b = right.list.begin();
    while (a != left.list.end() || b != right.list.end()) {
        if (b == right.list.end() || (a != left.list.end() && place(*a) < place(*b))) {
            add(*a, a->value, "missing");
            ++a;
        } else if (a == left.list.end() || place(*b) < place(*a)) {
            add(*b, "absent", b->value);
            ++b;
        } else {
            add(*a, a->value, b->value);
            ++a;
            ++b;
        }
    }
    return out;
}

}  // namespace holdfast
