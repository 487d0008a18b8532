#include <algorithm>
#include <set>

#include "base/error.h"
#include "engine/copy_tree.h"
#include "engine/maintain.h"
#include "repo/notes.h"
#include "repo/snapshot_codec.h"

namespace holdfast::engine {

namespace {

struct Origin {
    repo::Snapshot snapshot;  // as its record says it, without what notes added
    Nanoseconds received = 0;
    Bytes signed_record;  // the original one, also when the origin is a copy itself
};

// The wanted snapshots, oldest first.
std::vector<Origin> origins_of(const repo::Repository& from, const std::vector<repo::SnapshotId>& ids) {
    std::map<repo::SnapshotId, const repo::CommittedSnapshot*> committed;
    for (const repo::CommittedSnapshot& one : from.log().snapshots()) committed[one.id()] = &one;
    std::set<repo::SnapshotId> wanted(ids.begin(), ids.end());
    std::vector<Origin> out;
    for (const repo::Snapshot& snapshot : from.snapshots()) {
        if (!ids.empty() && wanted.erase(snapshot.id) == 0) continue;
        const repo::CommittedSnapshot& entry = *committed.at(snapshot.id);
        out.push_back({repo::decode_snapshot(from.keys(), entry.record, entry.provenance), snapshot.received,
                       entry.provenance.empty() ? entry.record : entry.provenance});
    }
    if (!wanted.empty())
        throw Error{Code::not_found, "there is no snapshot {}", wanted.begin()->short_hex()}
            .unharmed("nothing was copied")
            .hint("`holdfast snapshots` lists them.");
    return out;
}

const repo::Snapshot* find(const repo::Repository& repository, const repo::SnapshotId& id) {
    const auto& all = repository.snapshots();
    const auto at = std::ranges::find(all, id, &repo::Snapshot::id);
    return at == all.end() ? nullptr : &*at;
}

// What people and retention have said of a snapshot goes along; proofs do not, for the copy was not proven.
void carry_notes(const repo::Repository& from, repo::Repository& to, const Origin& origin) {
    const repo::SnapshotId& id = origin.snapshot.id;
    const std::vector<repo::SnapshotNote> there = to.notes().of(id);
    const auto has = [&](repo::NoteKind kind) {
        return std::ranges::find(there, kind, &repo::SnapshotNote::kind) != there.end();
    };
    if (!has(repo::NoteKind::received)) to.notes().append(id, repo::NoteKind::received, origin.received, "");
    for (const repo::SnapshotNote& note : from.notes().of(id)) {
        const bool goes_along = note.kind == repo::NoteKind::hold || note.kind == repo::NoteKind::release ||
                                note.kind == repo::NoteKind::flag || note.kind == repo::NoteKind::tag;
        const bool is_there = std::ranges::any_of(there, [&](const auto& other) {
            return other.kind == note.kind && other.time == note.time && other.text == note.text;
        });
        if (goes_along && !is_there) to.notes().append(id, note.kind, note.time, note.text);
    }
}

class Copier {
public:
    Copier(repo::Repository& from, repo::Repository& to, Progress& progress)
        : from_(from), to_(to), progress_(progress) {}

    void copy(const Origin& origin, CopyReport& report) {
        const std::string id = origin.snapshot.id.short_hex();
        const Note note{"copying snapshot {}", id};
        learn_names(origin.snapshot);
        repo::Session session(to_, repo::Session::Mode::write);
        repo::Snapshot draft = origin.snapshot;
        draft.root = TreeCopy(from_, to_, session, names_, progress_).copy(origin.snapshot);
        for (repo::ChunkId& piece : draft.facts) piece = session.packs().add(from_.chunks().read(piece)).id;
        draft.state = {};  // it is sealed to the writer of the origin, and of use only there
        const repo::Snapshot committed = session.commit(std::move(draft), origin.signed_record);
        carry_notes(from_, to_, origin);
        report.bytes_added += committed.bytes.added;
        report.bytes_stored += committed.bytes.stored;
    }

private:
    // Only what changed since the last copy of the same source is read: what did not has its name in the target.
    void learn_names(const repo::Snapshot& snapshot) {
        if (!sources_.insert({snapshot.source, snapshot.host}).second) return;
        const repo::Snapshot* last = nullptr;
        for (const repo::Snapshot& other : from_.snapshots())
            if (other.source == snapshot.source && other.host == snapshot.host && find(to_, other.id) != nullptr)
                last = &other;
        if (last == nullptr) return;
        try {
            names_.learn(from_, *last, to_, *find(to_, last->id));
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            from_.world().log.warning(
                fmt::format("the copy of snapshot {} is of no help: {}", last->id.short_hex(), error.message()));
        }
    }

    repo::Repository& from_;
    repo::Repository& to_;
    Progress& progress_;
    ChunkNames names_;
    std::set<std::pair<std::string, std::string>> sources_;
};

// How many sealed bytes a copy would read at most.
std::uint64_t forecast_bytes(repo::Repository& from, const Origin& origin, std::set<repo::ChunkPrefix>& seen) {
    std::uint64_t sum = 0;
    repo::TreeReader tree(from.keys(), from.chunks(), origin.snapshot.root);
    tree.walk("", [&](repo::TreeEntry&& entry) {
        for (const repo::Extent& extent : entry.content) {
            if (extent.is_hole() || !seen.insert(repo::prefix_of(extent.chunk)).second) continue;
            const std::vector<repo::Location> places = from.index().find(extent.chunk, true);
            if (!places.empty()) sum += places.front().length;
        }
        return true;
    });
    return sum;
}

void check_rights(const repo::Repository& from, const repo::Repository& to) {
    if (from.id() == to.id())
        throw Error{Code::usage, "{} and {} are the same repository", from.store().url(), to.store().url()}.unharmed(
            "nothing was copied");
    if (!from.keys().secrets().reader)
        throw Error{Code::denied, "this key of {} may not read", from.store().url()}.hint(
            "Use a key of the role reader or full.");
    if (to.keys().own().role != repo::Role::full)
        throw Error{Code::denied, "this key of {} may not receive copies", to.store().url()}.hint(
            "Use a key of the role full.");
}

}  // namespace

CopyReport copy(repo::Repository& from, repo::Repository& to, const std::vector<repo::SnapshotId>& ids, bool dry_run,
                Progress& progress) {
    const std::string target = to.store().url();
    const Note note{"copying to {}", target};
    check_rights(from, to);
    const std::vector<Origin> origins = origins_of(from, ids);
    CopyReport report;
    std::vector<const Origin*> due;
    for (const Origin& origin : origins) {
        const repo::SnapshotId& id = origin.snapshot.id;
        const bool there = find(to, id) != nullptr;
        if (!there && to.was_forgotten(id)) {
            if (!ids.empty())
                throw Error{Code::failed, "snapshot {} was forgotten in {}", id.short_hex(), target}
                    .unharmed("nothing was copied")
                    .hint("What a repository has forgotten does not come back to it; copy to another one.");
            to.world().log.info(
                fmt::format("snapshot {} was forgotten in {} and is not copied again", id.short_hex(), target));
            continue;
        }
        report.snapshots.push_back({id, origin.snapshot.source, there});
        if (there && !dry_run) carry_notes(from, to, origin);
        if (there) continue;
        due.push_back(&origin);
        progress.items_total += origin.snapshot.items;
        progress.bytes_total += origin.snapshot.bytes.logical;
    }
    if (dry_run) {
        std::set<repo::ChunkPrefix> seen;
        for (const Origin* origin : due) report.bytes_read += forecast_bytes(from, *origin, seen);
        return report;
    }
    const std::uint64_t read_before = from.chunks().bytes_read();
    Copier copier(from, to, progress);
    std::vector<std::string> damaged;
    std::optional<std::set<repo::SnapshotId>> still_there;
    const auto is_forgotten_by_now = [&](const repo::SnapshotId& id) {
        if (!still_there) {
            from.refresh(repo::NotesFrom::names);
            still_there.emplace();
            for (const repo::Snapshot& snapshot : from.snapshots()) still_there->insert(snapshot.id);
        }
        return !still_there->contains(id);
    };
    for (const Origin* origin : due) {
        try {
            copier.copy(*origin, report);
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            if (!is_forgotten_by_now(origin->snapshot.id))
                damaged.push_back(fmt::format("{} ({})", origin->snapshot.id.short_hex(), error.message()));
            std::erase_if(report.snapshots, [&](const auto& copied) { return copied.id == origin->snapshot.id; });
        }
    }
    report.bytes_read = from.chunks().bytes_read() - read_before;
    if (!damaged.empty())
        throw Error{Code::corrupt, "{} of {} snapshots cannot be copied: {}", damaged.size(), due.size(),
                    fmt::join(damaged, ", ")}
            .unharmed("the others are in the target, whole")
            .hint("`holdfast check --read-data` says what is affected.");
    return report;
}

}  // namespace holdfast::engine
