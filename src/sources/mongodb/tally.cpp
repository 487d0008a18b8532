#include "sources/mongodb/tally.h"

#include <charconv>

#include "source/untold_facts.h"

namespace holdfast::mongodb {

namespace {

constexpr std::string_view not_counted = "the capture has not counted it";

std::optional<std::string> said(const Facts& captured, const std::string& item, const std::string& name) {
    auto value = captured.value(item, name);
    return value ? value : captured.value(item, "about " + name);
}

std::optional<OrderFreeSum> sum_of(const Facts& captured, const std::string& item) {
    const auto documents = said(captured, item, "documents"), content = said(captured, item, "content");
    if (!documents || !content) return std::nullopt;
    std::uint64_t count = 0;
    const char* const last = documents->data() + documents->size();
    const auto [end, problem] = std::from_chars(documents->data(), last, count);
    if (problem != std::errc{} || end != last) return std::nullopt;
    return OrderFreeSum::from(count, *content);
}

}  // namespace

void Tally::begin(const Namespace& name, const Facts& captured) {
    const auto sum = sum_of(captured, item_path(name));
    counts_[name] = {sum.value_or(OrderFreeSum()), 0, {}, {}};
    if (!sum) lose(name, not_counted);
}

void Tally::begin_empty(const Namespace& name) { counts_[name] = {}; }

void Tally::rename(const Namespace& from, const Namespace& to) {
    auto moved = counts_.extract(from);
    counts_.erase(to);
    if (moved.empty()) return;
    moved.key() = to;
    counts_.insert(std::move(moved));
}

void Tally::lose(const Namespace& name, std::string_view why) {
    counts_[name].no_count = counts_[name].no_content = why;
}

bool Tally::counts(const Namespace& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(name);
    return found != counts_.end() && (found->second.no_count.empty() || found->second.no_content.empty());
}

void Tally::change(const Namespace& name, const TallyChange& change) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(name);
    if (found == counts_.end()) return;
    Count& count = found->second;
    count.sum.add(change.come);
    count.sum.remove(change.gone);
    count.missing += change.missing;
    if (change.has_missing && count.no_content.empty())
        count.no_content = "a document that the journal changes was not at the target";
}

std::vector<Fact> Tally::facts(const Namespace& name) const {
    const std::string item = item_path(name);
    const auto found = counts_.find(name);
    if (found == counts_.end())
        return {untold(item, "documents", std::string(not_counted)), untold(item, "content", std::string(not_counted))};
    const Count& count = found->second;
    const auto fact = [&](const std::string& fact_name, const std::string& value, const std::string& why) {
        return why.empty() ? Fact{item, fact_name, value} : untold(item, fact_name, why);
    };
    return {fact("documents", std::to_string(count.sum.count() - count.missing), count.no_count),
            fact("content", count.sum.hex(), count.no_content)};
}

}  // namespace holdfast::mongodb
