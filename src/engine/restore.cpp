#include "engine/restore.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/workers.h"
#include "engine/wanted.h"
#include "repo/chunk_reader.h"
#include "store/read_many.h"

namespace holdfast::engine {

namespace {

// What a stretch holds at most: some 200 bytes an item and 70 an extent. Chunks that two stretches share are read twice.
constexpr std::size_t stretch_items = 64 * 1024;
constexpr std::uint64_t stretch_bytes = 4ULL * 1024 * 1024 * 1024;
constexpr std::size_t stretch_extents = 128 * 1024;
constexpr std::size_t first_stretch_part = 32;  // of that has the first one, and the next
constexpr std::size_t parts_fewer = 8;

// What a plan has no place for.
std::vector<std::size_t> left_out(const std::vector<repo::ReadRun>& runs, std::size_t count) {
    std::vector<bool> planned(count, false);
    for (const repo::ReadRun& run : runs)
        for (const auto& wanted : run.wanted) planned[wanted.number] = true;
    std::vector<std::size_t> out;
    for (std::size_t number = 0; number < count; ++number)
        if (!planned[number]) out.push_back(number);
    return out;
}

// Chunks of which an item has a part only: items near it have the others.
class SharedChunks {
public:
    using Plain = std::shared_ptr<const Bytes>;
    // Null when it is not here.
    Plain find(const repo::ChunkId& id) {
        const std::lock_guard lock(mutex_);
        const auto at = std::ranges::find(newest_first_, id, &Kept::id);
        if (at == newest_first_.end()) return nullptr;
        newest_first_.splice(newest_first_.begin(), newest_first_, at);
        return at->plain;
    }
    void keep(const repo::ChunkId& id, const Plain& plain) {
        const std::lock_guard lock(mutex_);
        if (std::ranges::find(newest_first_, id, &Kept::id) != newest_first_.end()) return;
        newest_first_.push_front({id, plain});
        bytes_ += plain->size();
        for (; bytes_ > bytes_max; newest_first_.pop_back()) bytes_ -= newest_first_.back().plain->size();
    }

private:
    static constexpr std::size_t bytes_max = 16 * 1024 * 1024;
    struct Kept {
        repo::ChunkId id;
        Plain plain;
    };
    std::mutex mutex_;
    // guarded by mutex_; some dozens
    std::list<Kept> newest_first_;
    std::size_t bytes_ = 0;
};

// Items whose bytes go out in order, each from one worker, several at once.
class InOrder {
public:
    InOrder(repo::Repository& repository, Rebuild& rebuild, Progress& progress, RestoreReport& report)
        : repository_(repository), rebuild_(rebuild), progress_(progress), report_(report) {}

    void add(repo::TreeEntry&& entry) {
        repository_.world().stop.check();
        cause_first([&] { workers_.rethrow_if_failed(); });
        const Rebuild::Ticket ticket = rebuild_.begin_item(entry.item);
        ++report_.items;
        ++progress_.items;
        if (!ticket.wants_content) return;
        report_.bytes += entry.item.size;
        workers_.submit([this, ticket, entry = std::make_shared<repo::TreeEntry>(std::move(entry))] {
            const std::string& path = entry->item.path;
            const Note note{"restoring {}", path};
            send(ticket, *entry);
        });
    }
    void finish() {
        cause_first([&] { workers_.finish(); });
    }
    // After a failure elsewhere: what is under way ends at its next piece. A worker's failure says more than that
    // somebody waited for it in vain.
    void give_up() {
        given_up_ = true;
        finish();
    }

private:
    static constexpr std::size_t items_at_once = 2;
    static constexpr std::uint64_t piece_bytes = 16 * 1024 * 1024;

    // What failed first is told, not what failed because of it.
    template <class Work>
    void cause_first(const Work& work) {
        try {
            work();
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (cause_) std::rethrow_exception(cause_);
            throw;
        }
    }

    void send(const Rebuild::Ticket& ticket, const repo::TreeEntry& entry) {
        std::uint64_t at = 0;
        std::size_t next = 0;
        Plain plain;
        try {
            while (next < entry.content.size()) {
                if (given_up_) break;
                const std::size_t begin = next;
                for (std::uint64_t bytes = 0; next < entry.content.size() && bytes < piece_bytes; ++next)
                    bytes += entry.content[next].length;
                if (!send_piece(ticket, entry, begin, next, at, plain)) return;
            }
        } catch (...) {
            {
                const std::lock_guard lock(mutex_);
                if (!cause_) cause_ = std::current_exception();
            }
            // Who waits for this item must not wait for ever.
            rebuild_.abandon_item(ticket, {entry.item.path, Finding::Kind::unreadable, "it could not be restored"});
            throw;
        }
        if (given_up_)
            rebuild_.abandon_item(ticket, {entry.item.path, Finding::Kind::unreadable, "the restore was given up"});
        else
            rebuild_.end_item(ticket);
    }

    // Chunks that the pieces of one item share are read once.
    using Plain = std::unordered_map<repo::ChunkId, std::shared_ptr<const Bytes>, IdHash>;

    bool send_piece(const Rebuild::Ticket& ticket, const repo::TreeEntry& entry, std::size_t begin, std::size_t end,
                    std::uint64_t& at, Plain& before) {
        Plain plain;
        std::vector<repo::ChunkId> ids;
        for (std::size_t i = begin; i < end; ++i) {
            const repo::ChunkId& id = entry.content[i].chunk;
            if (entry.content[i].is_hole() || plain.contains(id)) continue;
            const auto there = before.find(id);
            auto known = there == before.end() ? shared_.find(id) : there->second;
            if (!known) ids.push_back(id);
            plain.emplace(id, std::move(known));
        }
        before.clear();
        std::optional<std::string> lost;
        std::mutex mutex;  // guards plain and lost
        const std::vector<repo::ReadRun> runs = repository_.chunks().plan(ids);
        for_each_number(repository_.store(), runs.size(), [&](std::size_t i) {
            repository_.world().stop.check();
            repository_.chunks().read_run(
                runs[i], ids,
                [&](std::size_t number, ByteView bytes) {
                    auto shared = std::make_shared<const Bytes>(to_bytes(bytes));
                    const std::lock_guard lock(mutex);
                    plain[ids[number]] = std::move(shared);
                },
                [&](std::size_t, const Error& error) {
                    const std::lock_guard lock(mutex);
                    lost = error.message();
                });
        });
        for (const std::size_t number : left_out(runs, ids.size())) {
            try {
                plain[ids[number]] = std::make_shared<const Bytes>(repository_.chunks().read(ids[number]));
            } catch (const Error& error) {
                if (error.code() != Code::corrupt) throw;
                lost = error.message();
            }
        }
        for (std::size_t i = begin; i < end && !lost; ++i) {
            const repo::Extent& extent = entry.content[i];
            if (!extent.is_hole()) {
                const auto& bytes = plain[extent.chunk];
                if (!bytes || extent.offset + extent.length > bytes->size()) {
                    lost = fmt::format("chunk {} is not whole", extent.chunk.short_hex());
                    break;
                }
                rebuild_.write(ticket, at, ByteView(*bytes).subspan(extent.offset, extent.length));
                progress_.bytes += extent.length;
                if (extent.length < bytes->size()) shared_.keep(extent.chunk, bytes);
            }
            at += extent.length;
        }
        before = std::move(plain);
        if (!lost) return true;
        {
            const std::lock_guard lock(mutex_);
            report_.damaged.push_back({entry.item.path, Finding::Kind::unreadable, *lost});
        }
        rebuild_.abandon_item(ticket,
                              {entry.item.path, Finding::Kind::unreadable, "its bytes are damaged in the repository"});
        return false;
    }

    repo::Repository& repository_;
    Rebuild& rebuild_;
    Progress& progress_;
    RestoreReport& report_;
    SharedChunks shared_;
    std::atomic<bool> given_up_{false};
    std::mutex mutex_;  // guards report_.damaged, cause_
    std::exception_ptr cause_;
    Workers workers_{items_at_once, items_at_once};
};

void restore_in_order(repo::Repository& repository, const RestorePlan& plan, Rebuild& rebuild, Progress& progress,
                      RestoreReport& report) {
    InOrder items(repository, rebuild, progress, report);
    try {
        walk_wanted(repository, plan, [&](repo::TreeEntry&& entry) {
            items.add(std::move(entry));
            return true;
        });
    } catch (...) {
        items.give_up();
        throw;
    }
    items.finish();
}

// A stretch of items whose bytes are fetched together, in the order of the packs. Gathered by one thread, then read by others.
class Stretch {
public:
    // `report_mutex` guards the report's list of what is damaged.
    Stretch(repo::Repository& repository, Rebuild& rebuild, Progress& progress, RestoreReport& report,
            std::mutex& report_mutex)
        : repository_(repository),
          rebuild_(rebuild),
          progress_(progress),
          report_(report),
          report_mutex_(report_mutex) {}

    void add(repo::TreeEntry&& entry) {
        const Rebuild::Ticket ticket = rebuild_.begin_item(entry.item);
        ++report_.items;
        ++progress_.items;
        if (!ticket.wants_content) return;
        const std::size_t number = targets_.size();
        targets_.emplace_back();
        Target& target = targets_.back();
        target.ticket = ticket;
        target.path = std::move(entry.item.path);
        std::uint64_t at = 0;
        std::uint32_t parts = 0;
        for (const repo::Extent& extent : entry.content) {
            if (!extent.is_hole()) {
                const auto [place, fresh] = chunk_numbers_.try_emplace(extent.chunk, ids_.size());
                if (fresh) ids_.push_back(extent.chunk);
                uses_.push_back({place->second, number, extent.offset, extent.length, at});
                ++parts;
                bytes_ += extent.length;
            }
            at += extent.length;
        }
        report_.bytes += entry.item.size;
        target.parts.store(parts);
        if (parts == 0) rebuild_.end_item(ticket);
    }

    // Has it one of so many parts of what it may hold?
    bool full(std::size_t parts) const {
        return targets_.size() * parts >= stretch_items || bytes_ * parts >= stretch_bytes ||
               uses_.size() * parts >= stretch_extents;
    }

    void read(Workers& workers) {
        chunk_numbers_ = {};
        std::ranges::sort(uses_, {}, &Use::chunk);
        first_use_.reserve(ids_.size() + 1);
        for (std::size_t i = 0; i < uses_.size(); ++i)
            if (uses_[i].chunk == first_use_.size()) first_use_.push_back(i);
        first_use_.push_back(uses_.size());
        runs_ = repository_.chunks().plan(ids_);
        const std::vector<std::size_t> alone = left_out(runs_, ids_.size());
        tasks_left_ = runs_.size() + alone.size();
        for (const repo::ReadRun& run : runs_)
            workers.submit([this, &run] {
                repository_.world().stop.check();
                repository_.chunks().read_run(
                    run, ids_, [this](std::size_t number, ByteView plain) { use(number, plain); },
                    [this](std::size_t number, const Error& error) { lose(number, error); });
                --tasks_left_;
            });
        for (const std::size_t number : alone)
            workers.submit([this, number] {
                read_alone(number);
                --tasks_left_;
            });
    }
    // No task looks at it any more.
    bool is_done() const { return tasks_left_ == 0; }

private:
    struct Target {
        Rebuild::Ticket ticket;
        std::string path;
        std::atomic<std::uint32_t> parts{0};
        std::atomic<bool> lost{false};
    };
    struct Use {
        std::size_t chunk;
        std::size_t target;
        std::uint32_t offset;  // in the chunk
        std::uint64_t length;
        std::uint64_t at;  // in the item
    };

    std::span<const Use> uses_of(std::size_t chunk) const {
        return std::span(uses_).subspan(first_use_[chunk], first_use_[chunk + 1] - first_use_[chunk]);
    }

    void use(std::size_t number, ByteView plain) {
        for (const Use& use : uses_of(number)) {
            Target& target = targets_[use.target];
            if (use.offset + use.length > plain.size())
                throw Error{Code::corrupt, "{} refers to bytes that its chunk does not have", target.path};
            if (!target.lost) rebuild_.write(target.ticket, use.at, plain.subspan(use.offset, use.length));
            progress_.bytes += use.length;
            part_done(target);
        }
    }

    void read_alone(std::size_t number) {
        Bytes plain;
        try {
            plain = repository_.chunks().read(ids_[number]);
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            return lose(number, error);
        }
        use(number, plain);
    }

    void lose(std::size_t number, const Error& error) {
        for (const Use& use : uses_of(number)) {
            Target& target = targets_[use.target];
            if (!target.lost.exchange(true)) {
                const std::lock_guard lock(report_mutex_);
                report_.damaged.push_back({target.path, Finding::Kind::unreadable, error.message()});
            }
            part_done(target);
        }
    }

    void part_done(Target& target) {
        if (target.parts.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        if (target.lost)
            rebuild_.abandon_item(target.ticket,
                                  {target.path, Finding::Kind::unreadable, "its bytes are damaged in the repository"});
        else
            rebuild_.end_item(target.ticket);
    }

    repo::Repository& repository_;
    Rebuild& rebuild_;
    Progress& progress_;
    RestoreReport& report_;
    std::mutex& report_mutex_;
    std::deque<Target> targets_;  // stays in place while it grows
    std::vector<repo::ChunkId> ids_;
    std::vector<repo::ReadRun> runs_;
    std::vector<Use> uses_;
    std::vector<std::size_t> first_use_;  // by chunk, once they are sorted
    std::unordered_map<repo::ChunkId, std::size_t, IdHash> chunk_numbers_;
    std::uint64_t bytes_ = 0;
    std::atomic<std::size_t> tasks_left_{0};
};

// While one stretch is read the next one is gathered. The first are short, so that reading begins soon.
class Stretches {
public:
    Stretches(repo::Repository& repository, Rebuild& rebuild, Progress& progress, RestoreReport& report)
        : repository_(repository),
          next_([&, this] { return std::make_unique<Stretch>(repository, rebuild, progress, report, report_mutex_); }),
          gathered_(next_()),
          workers_(readers_of(repository.store()) + writers_waiting, std::numeric_limits<std::size_t>::max()) {}

    void add(repo::TreeEntry&& entry) {
        gathered_->add(std::move(entry));
        if (gathered_->full(parts_)) read();
    }
    void finish() {
        read();
        workers_.finish();
    }

private:
    // The last one may still be under way, so that the store is never idle in between.
    static constexpr std::size_t under_way_max = 2;
    // Who writes to a file waits while another one does.
    static constexpr std::size_t writers_waiting = 1;

    void read() {
        repository_.world().stop.check();
        while (!read_.empty() && read_.front()->is_done()) read_.pop_front();
        if (read_.size() >= under_way_max) {
            workers_.drain();
            read_.clear();
        }
        read_.push_back(std::exchange(gathered_, next_()));
        read_.back()->read(workers_);
        parts_ = std::max<std::size_t>(1, parts_ / parts_fewer);
    }

    repo::Repository& repository_;
    std::mutex report_mutex_;
    const std::function<std::unique_ptr<Stretch>()> next_;
    std::size_t parts_ = first_stretch_part;
    std::unique_ptr<Stretch> gathered_;
    std::deque<std::unique_ptr<Stretch>> read_;
    Workers workers_;  // ends first
};

Replay::Summary replay(repo::Repository& repository, const RestorePlan& plan, Rebuild& rebuild) {
    const auto replay = rebuild.replay(plan.part.request);
    if (!replay)
        throw Error{Code::usage, "this target takes snapshots only, no journal"}
            .unharmed("what was restored so far is the base")
            .hint("Without --at, the newest snapshot is restored.");
    const std::vector<repo::Segment> all = plan.journal->segments();  // read_content() may read them anew
    bool wanted = true;
    for (std::size_t i = plan.part.begin; i < plan.part.end && wanted; ++i) {
        repository.world().stop.check();
        if (i == plan.part.begin || all[i].lane != all[i - 1].lane) replay->begin_lane();
        if (all[i].bytes == 0) continue;
        plan.journal->read_content(all[i], [&](ByteView bytes) { wanted = wanted && replay->feed(bytes); });
    }
    return replay->finish();
}

}  // namespace

RestoreForecast forecast(repo::Repository& repository, const RestorePlan& plan) {
    RestoreForecast out;
    std::unordered_set<repo::ChunkId, IdHash> seen;
    std::vector<repo::ChunkId> ids;
    walk_wanted(repository, plan, [&](repo::TreeEntry&& entry) {
        ++out.items;
        out.bytes += entry.item.size;
        for (const repo::Extent& extent : entry.content)
            if (!extent.is_hole() && seen.insert(extent.chunk).second) ids.push_back(extent.chunk);
        return true;
    });
    std::unordered_set<repo::PackId, IdHash> packs;
    for (const repo::ReadRun& run : repository.chunks().plan(ids)) {
        ++out.requests;
        out.bytes_to_read += run.bytes;
        packs.insert(run.pack.id);
    }
    out.packs = packs.size();
    if (!plan.journal) return out;
    for (std::size_t i = plan.part.begin; i < plan.part.end; ++i) {
        const repo::Segment& segment = plan.journal->segments()[i];
        out.journal_records += segment.records;
        out.bytes_to_read += segment.stored();
        ++out.requests;
    }
    return out;
}

RestoreReport restore(repo::Repository& repository, const RestorePlan& plan, Rebuild& rebuild, Progress& progress) {
    const std::string id = plan.snapshot.short_hex();
    const Note note{"restoring snapshot {}", id};
    World& world = repository.world();
    const Nanoseconds began = world.clock.steady();
    const repo::Snapshot& snapshot = snapshot_of(repository, plan.snapshot);
    const bool whole = plan.include.empty() && plan.exclude.empty() && plan.below.empty();
    if (whole) {
        progress.items_total = snapshot.items;
        progress.bytes_total = snapshot.bytes.logical;
    }
    RestoreReport report;
    if (rebuild.sequential()) {
        restore_in_order(repository, plan, rebuild, progress, report);
    } else {
        Stretches stretches(repository, rebuild, progress, report);
        walk_wanted(repository, plan, [&](repo::TreeEntry&& entry) {
            stretches.add(std::move(entry));
            return true;
        });
        stretches.finish();
    }
    if (plan.journal) report.replayed = replay(repository, plan, rebuild);
    report.rebuilt = rebuild.finish();
    report.seconds = static_cast<double>(world.clock.steady() - began) / one_second;
    return report;
}

}  // namespace holdfast::engine
