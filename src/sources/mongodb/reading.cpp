#include "sources/mongodb/reading.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "source/order_free_sum.h"

namespace holdfast::mongodb {

namespace {

constexpr std::chrono::milliseconds stop_wait_max{200};
constexpr std::chrono::seconds idle_max{30};

class BytesData final : public ItemData {
public:
    explicit BytesData(Bytes bytes) : bytes_(std::move(bytes)) {}
    Piece read(MutableByteView into) override {
        const std::size_t count = std::min(into.size(), bytes_.size() - at_);
        if (count > 0) std::memcpy(into.data(), bytes_.data() + at_, count);
        at_ += count;
        return {count, 0};
    }

private:
    const Bytes bytes_;
    std::size_t at_ = 0;
};

// As many of `pending` as there is room for.
void take(ByteView& pending, MutableByteView into, std::size_t& done) {
    const std::size_t bytes = std::min(pending.size(), into.size() - done);
    if (bytes == 0) return;
    std::memcpy(into.data() + done, pending.data(), bytes);
    pending = pending.subspan(bytes);
    done += bytes;
}

class CollectionData final : public ItemData {
public:
    CollectionData(ClientPool& pool, const StreamPlan& plan, Changes changes, Readings& readings)
        : item_(item_path(plan.collection.name)),
          readings_(readings),
          documents_(open_documents(pool, plan)),
          changes_(std::move(changes)) {}
    ~CollectionData() override {
        if (!is_done_) readings_.done(false);
    }

    Piece read(MutableByteView into) override {
        std::size_t done = 0;
        while (done < into.size()) {
            if (!pending_.empty()) {
                take(pending_, into, done);
            } else if (const Changes::Part* const part = changes_.front()) {
                if (part->bytes.empty() && done > 0) break;
                const Changes::Part taken = *part;
                changes_.pop();
                if (taken.bytes.empty()) return {0, 0, taken.same.end - taken.same.begin, taken.same.begin};
                pending_ = taken.bytes;
            } else if (is_done_) {
                break;
            } else {
                next();
            }
        }
        return {done, 0};
    }

private:
    void next() {
        const ByteView document = documents_->next();
        if (!document.empty()) {
            sum_.add(document);
            bytes_ += document.size();
            changes_.add(document);
            return;
        }
        changes_.end();
        readings_.add({{item_, "documents", std::to_string(sum_.count())},
                       {item_, "content", sum_.hex()},
                       {item_, "about bytes", std::to_string(bytes_)}});
        is_done_ = true;
        readings_.done(true);
    }

    const std::string item_;
    Readings& readings_;
    const std::unique_ptr<DocumentStream> documents_;
    Changes changes_;
    ByteView pending_;
    OrderFreeSum sum_;
    std::uint64_t bytes_ = 0;
    bool is_done_ = false;
};

class OplogData final : public ItemData {
public:
    OplogData(ClientPool& pool, World& world, const Instant& instant, Readings& readings,
              std::function<bool(const OplogEntry&)> concerns)
        : lease_(pool.lease()), world_(world), instant_(instant), readings_(readings), concerns_(std::move(concerns)) {}

    Piece read(MutableByteView into) override {
        std::size_t done = 0;
        while (done < into.size() && !is_over_) {
            if (pending_.empty()) pending_ = next();
            is_over_ = pending_.empty();
            take(pending_, into, done);
        }
        return {done, 0};
    }

private:
    ByteView next() {  // empty at the end, which comes once
        if (!cursor_) begin();
        while (true) {
            const ByteView document = cursor_->next();
            if (document.empty()) {
                if (last_.position.at != until_)
                    throw Error{Code::source_failed, "the oplog ended before its newest entry"};
                readings_.set_moment(last_);
                return {};
            }
            const OplogEntry entry = parse_entry(document);
            if (is_first_ && entry.ts != instant_.oplog_from())
                throw Error{Code::source_failed, "the oplog rolled over while the collections were read"}.hint(
                    "Make the oplog larger (replSetResizeOplog), or capture when less is written.");
            is_first_ = false;
            last_ = entry.moment(instant_.line());
            if (!concerns_(entry)) continue;
            // The first one's change was made before anything was read.
            if (entry.ts > instant_.oplog_from()) touch(entry);
            return document;
        }
    }

    void begin() {
        readings_.wait_for_all(world_);
        until_ = parse_entry(newest_safe_entry(*lease_)).ts;
        cursor_ = std::make_unique<Cursor>(*lease_, "local", oplog_query(instant_.oplog_from(), until_, false),
                                           Cursor::Options{});
    }

    void touch(const OplogEntry& entry) {
        const Namespace name = split_namespace(entry.ns);
        if (name.collection != "$cmd") {
            readings_.touched(item_path(name));
            return;
        }
        if (name.database != "admin" && !find(entry.object, "applyOps")) {
            readings_.touched(encode_database(name.database));  // a collection of it was made, renamed, dropped …
            return;
        }
        for (const Element& each : Elements(document_of(entry.object, "applyOps")))
            if (each.is_document()) readings_.touched(item_path(split_namespace(text_of(each.value, "ns"))));
    }

    ClientPool::Lease lease_;
    World& world_;
    const Instant& instant_;
    Readings& readings_;
    const std::function<bool(const OplogEntry&)> concerns_;
    std::unique_ptr<Cursor> cursor_;
    Moment last_;
    std::uint64_t until_ = 0;
    bool is_first_ = true;
    ByteView pending_;
    bool is_over_ = false;
};

}  // namespace

void Readings::add(std::vector<Fact> facts) {
    const std::lock_guard lock(mutex_);
    facts_.list.insert(facts_.list.end(), std::make_move_iterator(facts.begin()), std::make_move_iterator(facts.end()));
}

void Readings::expect(std::size_t collections) {
    const std::lock_guard lock(mutex_);
    left_ = collections;
}

void Readings::begin() {
    const std::lock_guard lock(mutex_);
    ++open_;
}

void Readings::done(bool whole) {
    {
        const std::lock_guard lock(mutex_);
        --open_;
        --left_;
        if (!whole) is_broken_ = true;
    }
    changed_.notify_all();
}

void Readings::wait_for_all(World& world) {
    std::unique_lock lock(mutex_);
    // All others were begun before this one, unless the capture was given up meanwhile.
    auto last_open = std::chrono::steady_clock::now();
    while (left_ > 0) {
        if (open_ > 0) last_open = std::chrono::steady_clock::now();
        if (is_broken_ || std::chrono::steady_clock::now() - last_open > idle_max)
            throw Error{Code::source_failed, "a collection could not be read to its end"};
        changed_.wait_for(lock, stop_wait_max);
        world.stop.check();
    }
}

void Readings::touched(const std::string& item) {
    const std::lock_guard lock(mutex_);
    touched_.insert(item);
}

void Readings::set_moment(Moment moment) {
    const std::lock_guard lock(mutex_);
    moment_ = std::move(moment);
}

// What the oplog changes between the read and the end cannot be compared with what was read.
Facts Readings::take(Consistency kind) {
    const std::lock_guard lock(mutex_);
    facts_.basis = kind == Consistency::snapshot ? "same-view" : kind == Consistency::oplog ? "quiet" : "stream";
    for (Fact& fact : facts_.list)
        if (!is_about(fact) && !fact.item.empty() &&
            (touched_.contains(fact.item) || touched_.contains(fact.item.substr(0, fact.item.find('/')))))
            fact.name = "about " + fact.name;
    facts_.sort();
    return std::move(facts_);
}

std::unique_ptr<ItemData> bytes_data(Bytes bytes) { return std::make_unique<BytesData>(std::move(bytes)); }

std::unique_ptr<ItemData> collection_data(ClientPool& pool, const StreamPlan& plan, Changes changes,
                                          Readings& readings) {
    readings.begin();
    try {
        return std::make_unique<CollectionData>(pool, plan, std::move(changes), readings);
    } catch (...) {
        readings.done(false);
        throw;
    }
}

std::unique_ptr<ItemData> oplog_data(ClientPool& pool, World& world, const Instant& instant, Readings& readings,
                                     std::function<bool(const OplogEntry&)> concerns) {
    return std::make_unique<OplogData>(pool, world, instant, readings, std::move(concerns));
}

}  // namespace holdfast::mongodb
