// What is done with a replica beside copying to it once: following its origin, taking its origin's place.
#include <algorithm>
#include <unordered_map>

#include "engine/replicate.h"
#include "repo/chunk_reader.h"
#include "repo/keys.h"
#include "repo/tree.h"

namespace holdfast::engine {

namespace {

class Wholeness {
public:
    Wholeness(repo::Repository& repository, const std::set<repo::PackId>& lacking)
        : repository_(repository), lacking_(lacking) {}

    bool is_whole(const repo::Snapshot& snapshot) {
        return holds(snapshot.root) &&
               std::ranges::none_of(snapshot.facts, [&](const auto& id) { return !is_placed(id); });
    }

private:
    bool is_placed(const repo::ChunkId& id) {
        const auto places = repository_.index().find(id);
        return std::ranges::any_of(places, [&](const auto& place) { return !lacking_.contains(place.pack.id); });
    }

    // A node, and all below it.
    bool holds(const repo::ChunkId& id) {
        if (const auto known = nodes_.find(id); known != nodes_.end()) return known->second;
        repository_.world().stop.check();
        bool whole = is_placed(id);
        try {
            if (whole)
                for (const repo::Child& child : repo::parse_children(repository_.chunks().read_reachable(id)))
                    whole = whole && (child.kind == repo::ChildKind::chunk ? is_placed(child.id) : holds(child.id));
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            whole = false;
        }
        return nodes_[id] = whole;
    }

    repo::Repository& repository_;
    const std::set<repo::PackId>& lacking_;
    std::unordered_map<repo::ChunkId, bool, IdHash> nodes_;
};

}  // namespace

std::vector<repo::SnapshotId> not_whole(repo::Repository& repository, const std::vector<repo::SnapshotId>& ids,
                                        const std::set<repo::PackId>& lacking) {
    std::vector<repo::SnapshotId> out;
    const repo::Keyring& keys = repository.keys();
    if (!keys.secrets().maintainer && !keys.secrets().reader)
        throw Error{Code::denied, "this key cannot tell what a snapshot needs"};
    Wholeness wholeness(repository, lacking);
    for (const repo::Snapshot& snapshot : repository.snapshots())
        if (std::ranges::find(ids, snapshot.id) != ids.end() && !wholeness.is_whole(snapshot))
            out.push_back(snapshot.id);
    return out;
}

namespace {

void add(ReplicateReport& all, const ReplicateReport& one) {
    for (const auto& [kind, moved] : one.moved) {
        all.moved[kind].objects += moved.objects;
        all.moved[kind].bytes += moved.bytes;
    }
    all.snapshots.insert(all.snapshots.end(), one.snapshots.begin(), one.snapshots.end());
    all.there = one.there;
    all.findings = one.findings;  // those of an earlier round are found again, or healed
    all.not_whole = one.not_whole;
    all.sees_what_is_not_whole = one.sees_what_is_not_whole;
    all.lag = std::max(all.lag, one.lag);
}

bool is_worth_another_try(const Error& error) {
    return error.code() == Code::unreachable || error.code() == Code::no_space || error.code() == Code::busy;
}

bool is_stop(const Error& error) { return error.code() == Code::cancelled || error.code() == Code::terminated; }

}  // namespace

ReplicateReport follow_origin(repo::Repository& from, Store& to, const FollowOriginPlan& plan,
                              const FollowOriginEvents& events, Progress& progress) {
    World& world = from.world();
    Replication replication(from, to, progress);
    ReplicateReport all;
    Nanoseconds patience = one_second;
    Nanoseconds looked = world.clock.steady();
    std::size_t findings = 0;
    while (true) {
        Nanoseconds pause = plan.every;
        try {
            if (world.clock.steady() - looked >= plan.look_again) {
                replication.forget_what_is_there();
                looked = world.clock.steady();
            }
            const ReplicateReport report = replication.run({});
            add(all, report);
            const bool is_news = report.sum().objects > 0 || report.findings.size() != findings;
            if (events.round && is_news) events.round(report);
            findings = report.findings.size();
            patience = one_second;
        } catch (const Error& error) {
            if (is_stop(error)) return all;
            if (!is_worth_another_try(error)) throw;
            replication.forget_what_is_there();
            pause = patience;
            patience = std::min(2 * patience, plan.wait_max);
            if (events.trouble) events.trouble(error, replication.lag(), pause);
        }
        try {
            wait(world, pause);
        } catch (const Error& error) {
            if (is_stop(error)) return all;
            throw;
        }
    }
}

PromoteReport promote(repo::Repository& replica, bool dry_run) {
    replica.keys().require(repo::Right::collect, "promote a replica");
    if (replica.replica() == nullptr)
        throw Error{Code::usage, "{} is no replica", replica.store().url()}
            .unharmed("it is left as it is")
            .hint("Only what `init --like` made can be promoted; an ordinary repository needs it not.");
    if (replica.is_replica() && replica.replica()->cut.empty())
        throw Error{Code::failed, "nothing was copied to {} yet", replica.store().url()}
            .unharmed("it is a replica as before")
            .hint("Copy to it first; a new repository is made by `init` in an empty place.");
    PromoteReport report;
    if (dry_run || !replica.is_replica()) return report;
    std::set<repo::SnapshotId> shown;
    for (const repo::Snapshot& snapshot : replica.snapshots()) shown.insert(snapshot.id);
    replica.promote();
    std::vector<repo::SnapshotId> beyond;
    for (const repo::Snapshot& snapshot : replica.snapshots())
        if (!shown.contains(snapshot.id)) beyond.push_back(snapshot.id);
    report.forgotten = not_whole(replica, beyond, {});
    replica.forget(report.forgotten, "its copy was cut off");
    for (const repo::SnapshotId& id : beyond)
        if (std::ranges::find(report.forgotten, id) == report.forgotten.end()) report.beyond.push_back(id);
    return report;
}

}  // namespace holdfast::engine
