// What is done with a replica beside copying to it once: following its origin, taking its origin's place.
#include <algorithm>
#include <unordered_map>

#include "engine/replicate.h"
#include "engine/rounds.h"
#include "repo/keys.h"
#include "repo/reach.h"

namespace holdfast::engine {

namespace {

// A key that cannot prove what a node reaches sees it contested where somebody lied.
enum class Whole : std::uint8_t { no, contested, yes };

class Wholeness {
public:
    Wholeness(repo::Repository& repository, const std::set<repo::PackId>& lacking)
        : repository_(repository), reach_(repository), lacking_(lacking) {}

    Whole of(const repo::Snapshot& snapshot) {
        const bool has_facts = std::ranges::all_of(snapshot.facts, [&](const auto& id) { return is_placed(id); });
        return has_facts ? of_node(snapshot.root, 0) : Whole::no;
    }

private:
    bool is_placed(const repo::ChunkId& id) {
        const auto places = repository_.index().find(id);
        return std::ranges::any_of(places, [&](const auto& place) { return !lacking_.contains(place.pack.id); });
    }

    Whole of_child(const repo::Child& child, int depth) {
        if (child.kind != repo::ChildKind::chunk) return of_node(child.id, depth);
        return is_placed(child.id) ? Whole::yes : Whole::no;
    }

    // A node, and all below it.
    Whole of_node(const repo::ChunkId& id, int depth) {
        if (depth > depth_max) return Whole::contested;
        // What is met again below itself is a lie, too.
        const auto [known, is_new] = nodes_.try_emplace(id, Whole::contested);
        if (!is_new) return known->second;
        repository_.world().stop.check();
        if (!is_placed(id)) return nodes_[id] = Whole::no;
        std::vector<Whole> found;
        try {
            for (const repo::Reach::Claim& claim : reach_.claims(id)) {
                found.push_back(Whole::yes);
                for (const repo::Child& child : claim)
                    found.back() = std::min(found.back(), of_child(child, depth + 1));
            }
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            return nodes_[id] = Whole::no;
        }
        const bool all_alike = std::ranges::adjacent_find(found, std::not_equal_to<>{}) == found.end();
        return nodes_[id] = all_alike ? found.front() : Whole::contested;
    }

    static constexpr int depth_max = 64;  // no true tree is as deep

    repo::Repository& repository_;
    const repo::Reach reach_;
    const std::set<repo::PackId>& lacking_;
    std::unordered_map<repo::ChunkId, Whole, IdHash> nodes_;
};

}  // namespace

NotWhole not_whole(repo::Repository& repository, const std::vector<repo::SnapshotId>& ids,
                   const std::set<repo::PackId>& lacking) {
    NotWhole out;
    const repo::Keyring& keys = repository.keys();
    if (!keys.secrets().maintainer && !keys.secrets().reader)
        throw Error{Code::denied, "this key cannot tell what a snapshot needs"};
    const std::set<repo::SnapshotId> asked(ids.begin(), ids.end());
    Wholeness wholeness(repository, lacking);
    for (const repo::Snapshot& snapshot : repository.snapshots()) {
        if (!asked.contains(snapshot.id)) continue;
        const Whole whole = wholeness.of(snapshot);
        if (whole == Whole::no) out.surely.push_back(snapshot.id);
        if (whole == Whole::contested) out.contested.push_back(snapshot.id);
    }
    return out;
}

std::vector<repo::SnapshotId> not_there(repo::Repository& repository, const std::vector<repo::SnapshotId>& ids) {
    std::unordered_map<std::string, std::uint64_t> listed;
    for (const repo::PackKind kind : {repo::PackKind::data, repo::PackKind::meta, repo::PackKind::state})
        repository.store().list(repo::prefix_of(kind),
                                [&](const ObjectInfo& object) { listed[object.name] = object.bytes; });
    std::set<repo::PackId> lacking;
    for (const auto& fragment : repository.index().fragments())
        for (const repo::IndexedPack& pack : fragment->packs()) {
            const auto at = listed.find(pack.ref.object());
            if (at == listed.end() || at->second != pack.bytes) lacking.insert(pack.ref.id);
        }
    NotWhole found = not_whole(repository, ids, lacking);
    std::vector<repo::SnapshotId> out = std::move(found.surely);
    out.insert(out.end(), found.contested.begin(), found.contested.end());
    for (const repo::SnapshotId& id : ids)
        if (std::ranges::find(repository.snapshots(), id, &repo::Snapshot::id) == repository.snapshots().end())
            out.push_back(id);
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

}  // namespace

ReplicateReport follow_origin(repo::Repository& from, Store& to, const FollowOriginPlan& plan,
                              const FollowOriginEvents& events, Progress& progress) {
    World& world = from.world();
    Replication replication(from, to, progress);
    ReplicateReport all;
    Nanoseconds looked = world.clock.steady();
    std::size_t findings = 0;
    const auto round = [&] {
        if (world.clock.steady() - looked >= plan.look_again) {
            replication.forget_what_is_there();
            looked = world.clock.steady();
        }
        const Nanoseconds began = world.clock.now();
        const ReplicateReport report = replication.run({});
        add(all, report);
        const bool is_news = report.sum().objects > 0 || report.findings.size() != findings;
        if (events.round && is_news) events.round(report);
        findings = report.findings.size();
        if (events.whole && findings == 0) events.whole(began);
    };
    go_on(world, plan.rounds, round, [&](const Error& error, Nanoseconds wait) {
        replication.forget_what_is_there();
        if (events.trouble) events.trouble(error, replication.lag(), wait);
    });
    return all;
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
    NotWhole found = not_whole(replica, beyond, {});
    replica.forget(found.surely, "its copy was cut off");
    const std::set<repo::SnapshotId> forgotten(found.surely.begin(), found.surely.end());
    const std::set<repo::SnapshotId> contested(found.contested.begin(), found.contested.end());
    for (const repo::SnapshotId& id : beyond)
        if (!forgotten.contains(id) && !contested.contains(id)) report.beyond.push_back(id);
    report.forgotten = std::move(found.surely);
    report.contested = std::move(found.contested);
    return report;
}

}  // namespace holdfast::engine
