#include "sources/mongodb/reading.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/text.h"
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
          pool_(pool),
          collection_(plan.collection),
          is_followed_by_oplog_(plan.instant.kind() == Consistency::oplog),
          readings_(readings),
          turn_(are_large_documents(plan.size) ? readings.turn() : nullptr),
          documents_(open_documents(pool, plan)),
          changes_(std::move(changes)) {}
    ~CollectionData() override {
        if (!is_done_) readings_.done(false);
    }

    Piece read(MutableByteView into) override {
        std::size_t done = 0;
        ends_.clear();
        while (done < into.size()) {
            if (!pending_.empty()) {
                take(pending_, into, done);
                if (pending_.empty()) ends_.push_back({done, part_.bytes.size(), part_.hash});
            } else if (const Changes::Part* const part = changes_.front()) {
                if (part->bytes.empty() && done > 0) break;
                part_ = *part;
                changes_.pop();
                if (part_.bytes.empty()) return {0, 0, part_.same.end - part_.same.begin, part_.same.begin};
                pending_ = part_.bytes;
            } else if (is_done_) {
                break;
            } else {
                next();
            }
        }
        return {done, 0, 0, 0, ends_};
    }
    bool has_records() const override { return true; }

private:
    void next() {
        const ByteView document = documents_->next();
        if (!document.empty()) {
            const OrderFreeSum::Hash hash = OrderFreeSum::hash(document);
            sum_.add(hash);
            bytes_ += document.size();
            changes_.add(document, hash.first);
            return;
        }
        changes_.end();
        readings_.add({{item_, "documents", std::to_string(sum_.count())},
                       {item_, "content", sum_.hex()},
                       {item_, "about bytes", std::to_string(bytes_)}});
        is_done_ = true;
        look_whether_intact();
        readings_.done(true);
    }

    // Documents are read by the collection's name, which another one may have got meanwhile, or none.
    void look_whether_intact() {
        if (!is_followed_by_oplog_ || collection_.uuid.empty()) return;
        const auto lease = pool_.lease();
        const auto now = look_up(*lease, collection_.name);
        if (now && now->uuid == collection_.uuid) readings_.intact(collection_.name);
    }

    const std::string item_;
    ClientPool& pool_;
    const Collection& collection_;
    const bool is_followed_by_oplog_;
    Readings& readings_;
    const std::shared_ptr<void> turn_;
    const std::unique_ptr<DocumentStream> documents_;
    Changes changes_;
    Changes::Part part_;           // that is handed out
    ByteView pending_;             // of it
    std::vector<RecordEnd> ends_;  // in what was read last
    OrderFreeSum sum_;
    std::uint64_t bytes_ = 0;
    bool is_done_ = false;
};

class OplogData final : public ItemData {
public:
    OplogData(ClientPool& pool, World& world, OplogPlan plan, Readings& readings)
        : lease_(pool.lease()), world_(world), instant_(plan.instant), plan_(std::move(plan)), readings_(readings) {}

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
            const ByteView own = plan_.scope.own_part(entry, room_);
            if (own.empty()) continue;
            // The first one's change was made before anything was read.
            if (entry.ts > instant_.oplog_from()) {
                touch(entry);
                refuse_rename(entry);
            }
            refuse_half(entry);
            return own;
        }
    }

    void begin() {
        readings_.wait_for_all(world_);
        until_ = parse_entry(newest_safe_entry(*lease_)).ts;
        cursor_ = std::make_unique<Cursor>(*lease_, "local", oplog_query(instant_.oplog_from(), until_, false),
                                           Cursor::Options{});
    }

    // A collection is read by its name: once that is another's, what it held is not in the capture.
    void refuse_rename(const OplogEntry& entry) {
        const auto renamed = find(entry.object, "renameCollection");
        if (entry.op != "c" || !renamed) return;
        const Namespace from = split_namespace(renamed->text().value_or(""));
        const auto is_it = [&](const Collection& each) {
            return entry.uuid && !each.uuid.empty() ? equal(each.uuid, *entry.uuid) : each.name == from;
        };
        const bool enters = plan_.scope.is_entered_by(entry);
        const auto captured = std::ranges::find_if(plan_.captured, is_it);
        const bool is_lost = captured != plan_.captured.end() && !readings_.is_intact(captured->name);
        if (!enters && !is_lost) return;
        throw Error{Code::source_failed, "{} was renamed to {} while it was captured", printable(from.text()),
                    printable(text_of(entry.object, "to"))}
            .hint("Try again, when nothing renames it; a follower does so by itself.");
    }

    // Transactions that are not over are looked up before the oplog's beginning is chosen; one may end in between.
    void refuse_half(const OplogEntry& entry) {
        const OplogEntry::Step step = entry.step();
        if (step == OplogEntry::Step::none) return;
        const std::string transaction = entry.transaction();
        const bool needs_earlier =
            step == OplogEntry::Step::commit || (step != OplogEntry::Step::abort && entry.has_earlier_parts());
        if (needs_earlier && !transactions_.contains(transaction))
            throw Error{Code::source_failed, "a transaction began before the oplog that is captured"}.hint(
                "Try again.");
        if (step == OplogEntry::Step::part)
            transactions_.insert(transaction);
        else
            transactions_.erase(transaction);
    }

    void touch(const OplogEntry& entry) {
        const Namespace name = split_namespace(entry.ns);
        if (name.collection == views_collection) {
            readings_.touched(
                item_path(split_namespace(text_of(entry.op == "u" ? entry.object2 : entry.object, "_id"))));
        } else if (name.collection != "$cmd") {
            readings_.touched(item_path(visible(name)));
        } else if (find(entry.object, "applyOps")) {
            for (const Element& each : Elements(document_of(entry.object, "applyOps")))
                if (each.is_document()) touch(parse_entry(each.value));
        } else if (name.database != "admin") {
            readings_.touched(encode_database(name.database));  // a collection of it was made, renamed, dropped …
            const auto first = Elements(entry.object).begin();
            if (first == Elements(entry.object).end()) return;
            if (first->name == "create")
                readings_.touched(item_path(visible({name.database, std::string(first->text().value_or(""))})));
            if (first->name == "renameCollection")
                readings_.touched(item_path(split_namespace(text_of(entry.object, "to"))));
        }
    }

    ClientPool::Lease lease_;
    World& world_;
    const Instant& instant_;
    const OplogPlan plan_;
    std::set<std::string> transactions_;  // that are not over
    Readings& readings_;
    Bytes room_;
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

std::shared_ptr<void> Readings::turn() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !is_turn_taken_; });
    is_turn_taken_ = true;
    return {nullptr, [this](void*) {
                {
                    const std::lock_guard given_back(mutex_);
                    is_turn_taken_ = false;
                }
                changed_.notify_all();
            }};
}

void Readings::intact(const Namespace& name) {
    const std::lock_guard lock(mutex_);
    intact_.insert(name);
}

bool Readings::is_intact(const Namespace& name) {
    const std::lock_guard lock(mutex_);
    return intact_.contains(name);
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
    // What was made meanwhile was not counted.
    std::set<std::string> known;
    for (const Fact& fact : facts_.list) known.insert(fact.item);
    for (const std::string& item : touched_)
        if (item.find('/') != std::string::npos && !known.contains(item))
            for (const std::string name : {"type", "options", "indexes", "documents", "content"})
                facts_.list.push_back({item, "about " + name, "made while this was captured"});
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

std::unique_ptr<ItemData> oplog_data(ClientPool& pool, World& world, OplogPlan plan, Readings& readings) {
    return std::make_unique<OplogData>(pool, world, std::move(plan), readings);
}

}  // namespace holdfast::mongodb
