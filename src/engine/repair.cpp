#include "engine/repair.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "base/error.h"
#include "engine/copy_tree.h"
#include "engine/replicate.h"
#include "engine/whole_pack.h"
#include "repo/chunk_reader.h"
#include "repo/distrust.h"
#include "repo/index.h"
#include "repo/keys.h"
#include "repo/names.h"

namespace holdfast::engine {

namespace {

namespace names = repo::names;

// What is no pack and no chunk that no pack has.
std::vector<Damage> others_of(const CheckReport& before) {
    std::vector<Damage> out;
    std::ranges::copy_if(before.errors, std::back_inserter(out), [](const Damage& each) {
        return std::ranges::none_of(std::array<std::string_view, 4>{names::data, names::meta, names::state, "chunk "},
                                    [&](std::string_view prefix) { return each.object.starts_with(prefix); });
    });
    return out;
}

class Repairer {
public:
    Repairer(repo::Repository& repository, repo::Repository& from, repo::Session& session, Progress& progress)
        : repository_(repository), from_(from), session_(session), progress_(progress) {}

    void repair(const repo::Snapshot& snapshot, const repo::Snapshot& twin) {
        try {
            contents(snapshot, twin);
        } catch (const Error& error) {
            if (error.code() != Code::corrupt || is_of_other_) throw;
            tree(snapshot, twin);  // a node is gone, and with it the names of what lies below
        }
        if (snapshot.facts.size() != twin.facts.size()) throw Error{Code::corrupt, "its facts differ there"};
        for (std::size_t i = 0; i < snapshot.facts.size(); ++i) chunk(snapshot.facts[i], twin.facts[i]);
    }

private:
    // Both trees hold the same items in the same order, cut at the same places.
    void contents(const repo::Snapshot& snapshot, const repo::Snapshot& twin) {
        is_of_other_ = true;
        TreeItems there(from_, twin);
        is_of_other_ = false;
        TreeItems here(repository_, snapshot);
        while (const repo::TreeEntry* entry = here.next()) {
            repository_.world().stop.check();
            is_of_other_ = true;
            const repo::TreeEntry* other = there.next();
            if (other == nullptr || !same_shape(*entry, *other)) throw Error{Code::corrupt, "it has other items there"};
            for (std::size_t i = 0; i < entry->content.size(); ++i)
                if (!entry->content[i].is_hole()) chunk(entry->content[i].chunk, other->content[i].chunk);
            is_of_other_ = false;
            ++progress_.items;
        }
    }

    void chunk(const repo::ChunkId& id, const repo::ChunkId& there) {
        if (session_.packs().knows(id)) return;
        if (session_.packs().add(from_.chunks().read(there)).id != id)
            throw Error{Code::corrupt, "chunk {} has other bytes there", id.short_hex()};
    }

    void tree(const repo::Snapshot& snapshot, const repo::Snapshot& twin) {
        ChunkNames names;
        if (TreeCopy(from_, repository_, session_, names, progress_).copy(twin) != snapshot.root)
            throw Error{Code::corrupt, "its tree comes out as another one from there"};
    }

    repo::Repository& repository_;
    repo::Repository& from_;
    repo::Session& session_;
    Progress& progress_;
    bool is_of_other_ = false;  // what is read now
};

}  // namespace

RepairReport repair(repo::Repository& repository, repo::Repository& from, const CheckPlan& plan, bool dry_run,
                    Progress& progress) {
    repository.keys().require(repo::Right::read, "repair");
    repository.keys().require(repo::Right::back_up, "repair");
    from.keys().require(repo::Right::read, "be repaired from");
    RepairReport report;
    report.before = check(repository, plan, progress);
    report.left = others_of(report.before);
    std::set<repo::PackId> damaged = repo::read_distrusted(repository);
    damaged.insert(report.before.damaged.begin(), report.before.damaged.end());
    if (damaged.empty() && report.before.errors.size() == report.left.size()) return report;

    repo::Session session(repository, dry_run ? repo::Session::Mode::dry_run : repo::Session::Mode::write);
    repository.index().distrust(damaged);
    Repairer repairer(repository, from, session, progress);
    for (const repo::Snapshot& snapshot : repository.snapshots()) {
        const auto twin = std::ranges::find(from.snapshots(), snapshot.id, &repo::Snapshot::id);
        if (twin == from.snapshots().end()) {
            report.absent.push_back(snapshot.id);
            continue;
        }
        const std::uint64_t chunks_before = session.packs().chunks_added();
        try {
            repairer.repair(snapshot, *twin);
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            report.failed.push_back({snapshot.id, error.message()});
        }
        if (session.packs().chunks_added() != chunks_before) report.repaired.push_back(snapshot.id);
        session.publish_if_due();
    }
    report.chunks = session.packs().chunks_added();
    report.bytes = session.packs().bytes_added();
    session.publish_and_close();
    if (dry_run || report.absent.empty()) return report;
    repository.refresh();
    NotWhole needy = not_whole(repository, report.absent, damaged);
    report.not_whole = std::move(needy.surely);
    std::ranges::move(needy.contested, std::back_inserter(report.not_whole));
    return report;
}

ReplicaRepairReport repair_replica(repo::Repository& replica, Store& store, Store& from, const CheckPlan& plan,
                                   bool dry_run, Progress& progress) {
    ReplicaRepairReport report;
    report.before = check(replica, plan, progress);
    report.left = others_of(report.before);
    std::set<repo::PackRef> damaged;
    for (const auto& fragment : replica.index().fragments())
        for (const repo::IndexedPack& pack : fragment->packs())
            if (report.before.damaged.contains(pack.ref.id)) damaged.insert(pack.ref);
    for (const repo::PackRef& pack : damaged) {
        replica.world().stop.check();
        const std::string object = pack.object();
        const PackRead read = read_whole_pack(from, pack);
        if (!read.bytes) {
            report.failed.push_back({object, read.kind, "it is not whole there either: " + read.why});
            continue;
        }
        if (!dry_run) {
            store.remove(object);
            create_own(store, object, *read.bytes);
        }
        report.brought.push_back(object);
        report.bytes += read.bytes->size();
        ++progress.items;
    }
    return report;
}

}  // namespace holdfast::engine
