#include "engine/back_up.h"

#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "engine/assembly.h"
#include "engine/contents.h"
#include "engine/facts.h"
#include "engine/left_out.h"

namespace holdfast::engine {

namespace {

constexpr std::size_t pending_max = 16384;

// Where the source stands since the last time, if it can still be read.
struct Previous {
    std::unique_ptr<repo::StateReader> state;
    bool complete = false;  // nothing was condemned since: all that it reaches is still there
};

Previous read_previous(repo::Repository& repository, const repo::Snapshot& draft, const repo::Session& session) {
    const auto& snapshots = repository.snapshots();
    for (auto at = snapshots.rbegin(); at != snapshots.rend(); ++at) {
        if (at->source != draft.source || at->host != draft.host || at->state.is_zero() || at->origin) continue;
        try {
            auto state = std::make_unique<repo::StateReader>(repository.keys(), repository.chunks(), at->state);
            const bool complete = state->gc_number() >= session.gc_number() && !session.distrusts();
            return {std::move(state), complete};
        } catch (const Error& error) {
            repository.world().log.warning(fmt::format("the state of {} cannot be read ({}); everything is read again",
                                                       draft.source, error.message()));
            return {};
        }
    }
    return {};
}

// Jobs and unchanged items wait here in item order until what is before them is done.
class Line {
public:
    Line(Contents& contents, Assembly& assembly) : contents_(contents), assembly_(assembly) {}

    void add(std::shared_ptr<ItemJob> job) {
        waiting_.push_back({std::move(job), {}, 0, {}});
        shorten();
    }
    void add_unchanged(std::shared_ptr<const Batch> batch, std::size_t number, repo::StateReader::Found row) {
        if (waiting_.empty()) return assembly_.add_unchanged(batch, number, row);
        waiting_.push_back({nullptr, std::move(batch), number, std::move(row)});
        shorten();
    }
    void finish() {
        while (!waiting_.empty()) take();
    }

private:
    struct Waiting {
        std::shared_ptr<ItemJob> job;
        std::shared_ptr<const Batch> batch;
        std::size_t number;
        repo::StateReader::Found row;
    };
    void shorten() {
        while (!waiting_.empty() &&
               (waiting_.size() > pending_max || !waiting_.front().job || waiting_.front().job->done()))
            take();
    }
    void take() {
        Waiting& first = waiting_.front();
        if (first.job) {
            contents_.wait(*first.job);
            join_runs(*first.job);
            share_content(*first.job);
            assembly_.add(*first.job);
        } else {
            assembly_.add_unchanged(first.batch, first.number, first.row);
        }
        waiting_.pop_front();
    }
    static void join_runs(ItemJob& job) {
        if (!job.runs.empty()) job.content = joined(job.runs, job.earlier->content(), job.content);
        job.earlier.reset();
        job.runs.clear();
    }
    // A further name of a file takes over what was read under the first one.
    void share_content(ItemJob& job) {
        if (job.is_apart) job.item.hard_link = 0;
        if (job.item.hard_link == 0 || job.item.kind != ItemKind::file || job.left_out) return;
        if (!job.shares_content) {
            links_.try_emplace(job.item.hard_link, job.content, job.item.size);
            return;
        }
        const auto at = links_.find(job.item.hard_link);
        if (at == links_.end()) {
            job.findings.push_back(
                {job.item.path, Finding::Kind::unreadable, "its content could not be read under another of its names"});
            job.left_out = true;
            return;
        }
        std::tie(job.content, job.item.size) = at->second;
    }

    Contents& contents_;
    Assembly& assembly_;
    std::deque<Waiting> waiting_;
    std::unordered_map<std::uint64_t, std::pair<std::vector<repo::Extent>, std::uint64_t>> links_;
};

// Which items are names of one file. A file that changes between two of its names, and a number that comes to stand for
// another file meanwhile, are told by the version: then the later name is a file of its own.
class LinkedFiles {
public:
    // True for a name of what was another file under the names before. Version 0: nothing tells.
    bool is_apart(const Item& item, std::uint64_t version) {
        if (item.hard_link == 0) return false;
        const auto [at, is_first] = files_.try_emplace(item.hard_link, File{version, false});
        return !is_first && (version == 0 || version != at->second.version);
    }
    // True when another name of the file is read already.
    bool is_read(const Item& item) {
        return item.hard_link != 0 && item.kind == ItemKind::file &&
               std::exchange(files_.at(item.hard_link).is_read, true);
    }

private:
    struct File {
        std::uint64_t version;
        bool is_read;
    };
    std::unordered_map<std::uint64_t, File> files_;
};

std::shared_ptr<ItemJob> job_of(const std::shared_ptr<const Batch>& batch, std::size_t number) {
    auto job = std::make_shared<ItemJob>();
    job->batch = batch;
    job->number = number;
    return job;
}

// Items that are stored before their turn.
class Ahead {
public:
    explicit Ahead(Contents& contents) : contents_(contents) {}
    void add(const std::shared_ptr<const Batch>& batch) {
        for (std::size_t number = 0; number < batch->entries.size(); ++number) {
            auto job = job_of(batch, number);
            jobs_.emplace(batch->entries[number].item.path, job);
            contents_.submit(std::move(job));
        }
        contents_.start_run();  // the next ones may be long in coming
        contents_.rethrow_if_failed();
    }
    // Null when the item was not.
    std::shared_ptr<ItemJob> take(const std::string& path) {
        auto node = jobs_.extract(path);
        return node ? std::move(node.mapped()) : nullptr;
    }
    // What was stored and is not in the snapshot would be lost in silence.
    void end() const {
        if (!jobs_.empty())
            throw Error{Code::internal, "{} was stored before its turn, which never came", jobs_.begin()->first};
    }

private:
    Contents& contents_;
    std::unordered_map<std::string, std::shared_ptr<ItemJob>> jobs_;
};

// Rows are believed only while every chunk they name is still there.
class PresentChunks {
public:
    PresentChunks(repo::PackWriter& packs, bool all) : packs_(packs), all_(all) {}
    bool all_of(const std::vector<repo::Extent>& content) {
        if (all_) return true;
        for (const repo::Extent& extent : content) {
            if (extent.is_hole()) continue;
            const auto [at, fresh] = seen_.try_emplace(extent.chunk, false);
            if (fresh) at->second = packs_.knows(extent.chunk);
            if (!at->second) return false;
        }
        return true;
    }

private:
    repo::PackWriter& packs_;
    const bool all_;
    std::unordered_map<repo::ChunkId, bool, IdHash> seen_;
};

}  // namespace

void require_right_to_write(const repo::Keyring& keys, const std::string& source, const char* what) {
    keys.require(repo::Right::back_up, what);
    if (!keys.may_back_up(keys.own_id(), source))
        throw Error{Code::denied, "this key may not {} {}", what, source}
            .unharmed("nothing was written")
            .hint(fmt::format("It is for {}; `--name` calls a source so.", join(keys.own().sources, ", ")));
}

BackupReport back_up(Source& source, repo::Repository& repository, const BackupPlan& plan, Progress& progress) {
    World& world = repository.world();
    const std::string name = source.name();
    const Note note{"backing up {}", name};
    const Nanoseconds began = world.clock.steady();

    BackupReport report;
    repo::Snapshot& draft = report.snapshot;
    draft.source = name;
    draft.kind = source.kind();
    draft.host = plan.host;
    draft.tags = plan.tags;
    draft.describes = source.describe();
    draft.time = plan.time.value_or(world.clock.now());

    require_right_to_write(repository.keys(), name, "back up");
    repository.write_in(plan.domain);
    repo::Session session(repository, plan.dry_run ? repo::Session::Mode::dry_run : repo::Session::Mode::write);
    Previous previous = plan.reread ? Previous{} : read_previous(repository, draft, session);
    const auto capture = source.begin({world});  // freezes one consistent point
    const repo::Keyring& keys = repository.keys();
    LineMemory lines(repository.client_folder(), keys, draft.source, draft.host);
    if (plan.reread) lines.know_nothing();
    Contents contents(*capture, session.packs(), keys, world.stop, progress, lines, core_count());
    Assembly assembly(*capture, keys, session.packs(), previous.state.get(), previous.complete);
    PresentChunks present(session.packs(), previous.complete);
    Line line(contents, assembly);

    LinkedFiles linked;
    Ahead ahead(contents);
    Batch next;
    // A source may fail because what it gave was not taken: what failed first is told.
    const auto has_next = [&] {
        try {
            return capture->next(next);
        } catch (...) {
            contents.rethrow_if_failed();
            throw;
        }
    };
    while (has_next()) {
        world.stop.check();
        const auto batch = std::make_shared<const Batch>(std::move(next));
        next = {};
        if (batch->is_ahead) {
            ahead.add(batch);
            session.publish_if_due();
            continue;
        }
        if (previous.state) previous.state->begin_folder(batch->folder);
        for (std::size_t number = 0; number < batch->entries.size(); ++number) {
            const Batch::Entry& entry = batch->entries[number];
            const auto row = previous.state ? previous.state->match(state_tag(keys, entry.item.path)) : std::nullopt;
            const std::uint64_t version = entry.version.empty() ? 0 : state_tag(keys, entry.version);
            const bool apart = linked.is_apart(entry.item, version);
            const bool same =
                row && version != 0 && (*row)->version == version && !apart && present.all_of((*row)->content);
            if (same) {
                ++progress.items;
                line.add_unchanged(batch, number, *row);
                continue;
            }
            ++(row ? draft.counts.changed : draft.counts.added);
            if (auto job = ahead.take(entry.item.path)) {
                line.add(std::move(job));
                continue;
            }
            auto job = job_of(batch, number);
            if (row && !entry.based_on.empty() && (*row)->version == state_tag(keys, entry.based_on) &&
                present.all_of((*row)->content))
                job->earlier = std::make_shared<Earlier>((*row)->content);
            job->is_apart = apart;
            job->shares_content = !apart && linked.is_read(entry.item);
            contents.submit(job);
            line.add(std::move(job));
        }
        session.publish_if_due();
    }
    ahead.end();
    contents.end();
    line.finish();
    if (previous.state && previous.state->lost_blocks() > 0)
        world.log.warning(
            fmt::format("a part of the state of {} cannot be read; what it stands for was read again", name));

    const Assembly::Roots roots = assembly.finish(session.gc_number());
    const CaptureSummary summary = capture->finish();  // a capture that is void throws here: nothing is committed
    Totals& totals = assembly.totals();
    report.findings = std::move(totals.findings);
    report.findings.insert(report.findings.end(), summary.findings.begin(), summary.findings.end());
    draft.root = roots.tree;
    if (summary.facts) draft.facts = store_facts(session.packs(), *summary.facts);
    draft.moment = summary.moment;
    draft.several_instants = summary.several_instants;
    draft.state = roots.state;
    draft.items = totals.items;
    draft.counts.unchanged = totals.unchanged;
    draft.counts.failed = report.findings.size();
    draft.bytes.logical = totals.bytes_logical;
    draft.bytes.read = contents.bytes_read();
    draft.partial = !report.findings.empty();
    draft.left_out = places_left_out(report.findings, summary.left_out);
    world.stop.check();
    draft = session.commit(std::move(draft));  // the one step that makes the backup exist
    if (!plan.dry_run) lines.commit();
    report.seconds = static_cast<double>(world.clock.steady() - began) / one_second;
    return report;
}

}  // namespace holdfast::engine
