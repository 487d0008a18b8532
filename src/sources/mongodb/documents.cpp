#include "sources/mongodb/documents.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "base/queue.h"
#include "base/workers.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t ranges_at_once = 3;
constexpr std::uint64_t large_document = 1024 * 1024;
constexpr std::size_t piece_bytes = 2 * 1024 * 1024;
constexpr std::size_t pieces_max = 2;
constexpr std::size_t order_max = 16;

Bytes by_id() { return Builder().i32("_id", 1).done(); }

// Bounds of the index, not conditions: conditions would leave out values of other types.
struct Bounds {
    Bytes begin, end;  // {_id: …}; empty: none
    void add_to(Builder& query) const {
        if (begin.empty() && end.empty()) return;
        query.document("hint", by_id());
        if (!begin.empty()) query.document("min", begin);
        if (!end.empty()) query.document("max", end);
    }
};

class OneCursor final : public DocumentStream {
public:
    OneCursor(ClientPool& pool, const StreamPlan& plan)
        : lease_(pool.lease()), cursor_(*lease_, plan.collection.name.database, query(plan), Cursor::Options{}) {}
    ByteView next() override { return cursor_.next(); }

private:
    static Bytes query(const StreamPlan& plan) {
        Builder query;
        query.text("find", plan.collection.stored_name());
        query.document("sort", plan.collection.is_capped() ? Builder().i32("$natural", 1).done() : by_id());
        plan.instant.add_to(query);
        return query.done();
    }

    ClientPool::Lease lease_;
    Cursor cursor_;
};

// Where ranges begin, as the server's index says.
class Boundaries {
public:
    Boundaries(ClientPool& pool, const StreamPlan& plan)
        : lease_(pool.lease()),
          database_(plan.collection.name.database),
          name_(plan.collection.stored_name()),
          instant_(plan.instant),
          documents_(static_cast<std::int64_t>(std::max<std::uint64_t>(
              1, plan.size.documents * plan.range_bytes / std::max<std::uint64_t>(plan.size.bytes, 1)))) {}

    // {_id: …} of the document that lies this range's length behind `begin`; nothing when there is none.
    std::optional<Bytes> after(const Bytes& begin) { return look({begin, {}}, documents_); }

    // Servers that take no bounds may pass over them in silence. What needs no order is asked first, since such a server
    // may sort all of a collection for each question that does: nothing comes before null, but what few use as an _id.
    bool are_understood() {
        const Reply before_all = lease_->ask(database_, one_within({{}, Builder().null("_id").done()}).done());
        if (!before_all.ok() || first_id(before_all)) return false;
        const auto second = after({});
        if (!second) return false;
        const auto first = look({*second, {}}, 0);
        return first && equal(*first, *second) && !look({{}, *second}, documents_);
    }

private:
    Builder one_within(const Bounds& bounds) const {
        Builder query;
        query.text("find", name_).document("projection", by_id()).i64("limit", 1).boolean("singleBatch", true);
        bounds.add_to(query);
        instant_.add_to(query);
        return query;
    }

    std::optional<Bytes> look(const Bounds& bounds, std::int64_t skip) {
        const Reply reply =
            lease_->ask(database_, one_within(bounds).document("sort", by_id()).i64("skip", skip).done());
        return reply.ok() ? first_id(reply) : std::nullopt;
    }

    static std::optional<Bytes> first_id(const Reply& reply) {
        const ByteView batch = document_of(document_of(reply.document, "cursor"), "firstBatch");
        const auto first = Elements(batch).begin();
        const auto id = first == Elements(batch).end() ? std::nullopt : find(first->value, "_id");
        if (!id) return std::nullopt;
        return Builder().add(*id).done();
    }

    ClientPool::Lease lease_;
    const std::string database_, name_;
    const Instant& instant_;
    const std::int64_t documents_;
};

class Ranges final : public DocumentStream {
public:
    Ranges(ClientPool& pool, const StreamPlan& plan, std::unique_ptr<Boundaries> boundaries)
        : pool_(pool),
          database_(plan.collection.name.database),
          name_(plan.collection.stored_name()),
          instant_(plan.instant),
          boundaries_(std::move(boundaries)) {
        for (std::size_t i = 0; i < ranges_at_once; ++i) workers_.submit([this] { read_ranges(); });
    }

    ~Ranges() override {
        end();
        const std::lock_guard lock(mutex_);
        for (const auto& range : open_) range->pieces.close();
    }

    ByteView next() override {
        while (true) {
            if (const auto document = documents_.next()) return *document;
            if (!range_ && !next_range()) return {};
            if (auto piece = range_->pieces.pop()) {
                piece_ = std::move(*piece);
                documents_ = Documents(piece_);
                continue;
            }
            if (range_->failure) std::rethrow_exception(range_->failure);
            range_.reset();
        }
    }

private:
    struct Range {
        Bounds bounds;
        BoundedQueue<Bytes> pieces{pieces_max};
        std::exception_ptr failure;  // set before the queue is closed
    };

    bool next_range() {
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return is_over_ || !order_.empty(); });
            if (!order_.empty()) {
                range_ = std::move(order_.front());
                order_.pop_front();
                changed_.notify_all();
                return true;
            }
        }
        workers_.finish();  // throws when the search for boundaries failed
        return false;
    }

    // No more ranges are planned.
    void end() {
        {
            const std::lock_guard lock(mutex_);
            is_over_ = true;
        }
        changed_.notify_all();
    }

    void read_ranges() {
        while (const auto range = plan_range_or_end()) {
            try {
                read(*range);
            } catch (...) {
                range->failure = std::current_exception();
            }
            range->pieces.close();
            if (range->failure) end();
            const std::lock_guard lock(mutex_);
            std::erase(open_, range);
        }
    }

    std::shared_ptr<Range> plan_range_or_end() {
        try {
            return plan_range();
        } catch (...) {
            end();
            throw;
        }
    }

    std::shared_ptr<Range> plan_range() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return is_over_ || order_.size() < order_max; });
        if (is_over_) return nullptr;
        auto range = std::make_shared<Range>();
        range->bounds.begin = begin_;
        if (auto end = boundaries_->after(begin_)) {
            range->bounds.end = begin_ = std::move(*end);
        } else {
            is_over_ = true;
        }
        open_.push_back(range);
        order_.push_back(range);
        changed_.notify_all();
        return range;
    }

    void read(Range& range) {
        const auto lease = pool_.lease();
        Builder query;
        query.text("find", name_).document("sort", by_id());
        range.bounds.add_to(query);
        instant_.add_to(query);
        Cursor cursor(*lease, database_, query.done(), {});
        Bytes piece;
        while (true) {
            const ByteView document = cursor.next();
            append(piece, document);
            if (!document.empty() && piece.size() < piece_bytes) continue;
            if (!piece.empty() && !range.pieces.push(std::exchange(piece, {}))) return;
            if (document.empty()) return;
        }
    }

    ClientPool& pool_;
    const std::string database_, name_;
    const Instant& instant_;
    std::mutex mutex_;
    std::condition_variable changed_;
    // guarded by mutex_
    std::unique_ptr<Boundaries> boundaries_;
    Bytes begin_;
    bool is_over_ = false;
    std::vector<std::shared_ptr<Range>> open_;
    std::deque<std::shared_ptr<Range>> order_;  // planned, and not handed out yet

    std::shared_ptr<Range> range_;  // the one that is handed out
    Bytes piece_;
    Documents documents_{ByteView()};
    Workers workers_{ranges_at_once, ranges_at_once};  // last: joined first
};

bool has_ranges(const Collection& collection) {
    return !collection.is_capped() && !collection.id_index.empty() && !find(collection.options, "collation") &&
           !find(collection.options, "clusteredIndex");
}

}  // namespace

bool are_large_documents(const Size& size) {
    return size.bytes >= large_document * std::max<std::uint64_t>(size.documents, 1);
}

std::unique_ptr<DocumentStream> open_documents(ClientPool& pool, const StreamPlan& plan) {
    constexpr std::uint64_t ranges_min = 4;
    const bool is_large = plan.range_bytes > 0 && plan.size.bytes >= ranges_min * plan.range_bytes;
    if (is_large && !are_large_documents(plan.size) && has_ranges(plan.collection)) {
        auto boundaries = std::make_unique<Boundaries>(pool, plan);
        if (boundaries->are_understood()) return std::make_unique<Ranges>(pool, plan, std::move(boundaries));
    }
    return std::make_unique<OneCursor>(pool, plan);
}

}  // namespace holdfast::mongodb
