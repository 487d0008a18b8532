#include "testing/faulty_store.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "base/error.h"

namespace holdfast {

void FaultyStore::set_faults(Faults faults) {
    const std::lock_guard lock(mutex_);
    faults_ = std::move(faults);
}

void FaultyStore::crash_after(std::uint64_t writes) {
    const std::lock_guard lock(mutex_);
    crash_at_ = writes_ + writes;
}

void FaultyStore::revive() {
    const std::lock_guard lock(mutex_);
    crashed_ = false;
    crash_at_.reset();
    recent_.clear();
}

bool FaultyStore::crashed() const {
    const std::lock_guard lock(mutex_);
    return crashed_;
}

std::uint64_t FaultyStore::writes() const {
    const std::lock_guard lock(mutex_);
    return writes_;
}

// Nothing goes wrong with what the prefix does not name; a dead client's calls all do.
Faults FaultyStore::faults_for(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    if (crashed_) throw SimulatedCrash{};
    if (name.starts_with(faults_.prefix)) return faults_;
    return {};
}

void FaultyStore::stumble(const Faults& faults, std::string_view name) {
    if (sim_.random.chance(faults.late))
        sim_.clock.advance(
            static_cast<Nanoseconds>(sim_.random.below(static_cast<std::uint64_t>(faults.late_max) + 1)));
    if (sim_.random.chance(faults.failed_before)) lose(name, "the connection was refused");
}

void FaultyStore::lose(std::string_view name, std::string_view how) const {
    throw Error{Code::unreachable, "{} for {}, as simulated", how, name};
}

template <class Call>
auto FaultyStore::write(std::string_view name, const Call& call) {
    bool is_last = false;
    {
        const std::lock_guard lock(mutex_);
        if (crashed_ || crash_at_ == writes_) {
            crashed_ = true;
            throw SimulatedCrash{};
        }
        is_last = crash_at_ == ++writes_;
        crashed_ = is_last;
    }
    const auto result = call();
    if (is_last) throw SimulatedCrash{};
    if (sim_.random.chance(faults_for(name).lost_reply)) lose(name, "the reply was lost");
    return result;
}

template <class Call>
auto FaultyStore::ask(std::string_view name, const Call& call) {
    const Faults faults = faults_for(name);
    stumble(faults, name);
    if (sim_.random.chance(faults.lost_reply)) lose(name, "the reply was lost");
    return call(faults);
}

Created FaultyStore::create(std::string_view name, ByteView bytes) {
    const Faults faults = faults_for(name);
    stumble(faults, name);
    if (sim_.random.chance(faults.torn)) {
        leave_torn(name, bytes);
        lose(name, "the connection broke");
    }
    return write(name, [&] {
        const Created created = inner().create(name, bytes);
        if (created == Created::created) remember({std::string(name), bytes.size(), sim_.clock.now()}, false);
        return created;
    });
}

void FaultyStore::remove(std::string_view name) {
    stumble(faults_for(name), name);
    write(name, [&] {
        const auto info = inner().find(name);
        inner().remove(name);
        if (info) remember(*info, true);
        return true;
    });
}

std::optional<Bytes> FaultyStore::read(std::string_view name) {
    return ask(name, [&](const Faults& faults) {
        auto bytes = inner().read(name);
        if (!bytes) return bytes;
        if (sim_.random.chance(faults.swapped))
            if (const auto other = neighbour_of(name)) bytes = inner().read(*other);
        if (bytes) damage(faults, *bytes);
        return bytes;
    });
}

std::optional<Bytes> FaultyStore::read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) {
    return ask(name, [&](const Faults& faults) {
        auto range = inner().read_range(name, offset, bytes);
        if (!range) return range;
        if (sim_.random.chance(faults.swapped))
            if (const auto other = neighbour_of(name)) range = inner().read_range(*other, offset, bytes);
        if (range) damage(faults, *range);
        return range;
    });
}

std::optional<ObjectInfo> FaultyStore::find(std::string_view name) {
    return ask(name, [&](const Faults&) { return inner().find(name); });
}

std::optional<std::uint64_t> FaultyStore::bytes_free() {
    faults_for("");
    return inner().bytes_free();
}

void FaultyStore::list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) {
    std::map<std::string, ObjectInfo> listing;
    ask(prefix, [&](const Faults& faults) {
        inner().list(prefix, [&](const ObjectInfo& info) { listing.emplace(info.name, info); });
        if (!sim_.random.chance(faults.stale_list)) return;
        const std::lock_guard lock(mutex_);
        const std::size_t unseen = std::min<std::size_t>(recent_.size(), sim_.random.below(faults.recent_max + 1));
        for (auto at = recent_.rbegin(); at != recent_.rbegin() + static_cast<std::ptrdiff_t>(unseen); ++at) {
            if (!at->removed) listing.erase(at->info.name);
            if (at->removed && at->info.name.starts_with(prefix)) listing.emplace(at->info.name, at->info);
        }
    });
    for (const auto& [name, info] : listing) each(info);
}

// As an upload that ended in its middle would leave it on a store with temporary files.
void FaultyStore::leave_torn(std::string_view name, ByteView bytes) {
    std::string torn_name;
    {
        const std::lock_guard lock(mutex_);
        torn_name = "tmp/" + std::string(name) + "." + std::to_string(torn_++);
    }
    if (is_object_name(torn_name)) inner().create(torn_name, bytes.first(sim_.random.below(bytes.size() + 1)));
}

void FaultyStore::remember(const ObjectInfo& info, bool removed) {
    const std::lock_guard lock(mutex_);
    recent_.push_back({info, removed});
    if (recent_.size() > faults_.recent_max) recent_.pop_front();
}

std::optional<std::string> FaultyStore::neighbour_of(std::string_view name) {
    const std::size_t slash = name.find('/');
    std::vector<std::string> names;
    inner().list(slash == std::string_view::npos ? "" : name.substr(0, slash + 1), [&](const ObjectInfo& info) {
        if (info.name != name) names.push_back(info.name);
    });
    if (names.empty()) return std::nullopt;
    std::ranges::sort(names);  // a listing has no promised order
    return names[sim_.random.below(names.size())];
}

void FaultyStore::damage(const Faults& faults, Bytes& bytes) {
    if (bytes.empty()) return;
    if (sim_.random.chance(faults.truncated)) bytes.resize(sim_.random.below(bytes.size()));
    if (bytes.empty()) return;
    if (sim_.random.chance(faults.flipped)) {
        const std::uint64_t bit = sim_.random.below(8 * bytes.size());
        bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
    }
}

}  // namespace holdfast
