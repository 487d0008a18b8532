#include <algorithm>

#include "base/error.h"
#include "engine/check_packs.h"
#include "engine/check_trees.h"
#include "engine/maintain.h"
#include "engine/windows.h"
#include "repo/checkpoint.h"
#include "repo/collection.h"
#include "repo/distrust.h"
#include "repo/names.h"
#include "repo/notes.h"
#include "repo/replica.h"
#include "repo/snapshot_codec.h"

namespace holdfast::engine {

namespace {

constexpr int attempts_max = 3;

// Runs one part of the check; what is corrupt there is a finding. `object` may be the prefix of many: then the message
// says which it is.
template <class Part>
void find_damage(CheckFindings& findings, const std::string& object, std::string_view effect, const Part& part) {
    try {
        part();
    } catch (const Error& error) {
        if (error.code() != Code::corrupt && error.code() != Code::newer_format) throw;
        const std::size_t at = object.ends_with('/') ? error.message().find(object) : std::string::npos;
        const std::string named = at == std::string::npos
                                      ? object
                                      : error.message().substr(at, error.message().find_first_of(" ,:", at) - at);
        findings.add(named, "damaged", error.message(), std::string(effect));
    }
}

void check_keys(repo::Repository& repository, CheckFindings& findings) {
    const repo::Keyring& keys = repository.keys();
    find_damage(findings, repo::names::config, "without it nobody can open the repository", [&] {
        const auto bytes = repository.store().read(repo::names::config);
        if (!bytes) throw Error{Code::corrupt, "it is missing"};
        const repo::Config config = repo::decode_config(*bytes);
        if (config.repository != keys.repository() || config.root != keys.config().root)
            throw Error{Code::corrupt, "it is another repository's"};
    });
    std::vector<repo::DamagedSlot> damaged;
    repo::list_slots(repository.store(), keys.config(), &damaged);
    for (const repo::DamagedSlot& slot : damaged)
        findings.add(slot.object, "damaged", slot.why.message(),
                     "who holds its passphrase or key file cannot open the repository");
}

// The logs were verified when the repository was opened, but not, where there is a checkpoint, from their beginning.
void check_logs(repo::Repository& repository, repo::LogBook& log, CheckFindings& findings) {
    constexpr std::string_view effect = "what its log says from there on cannot be believed";
    std::map<repo::LaneName, std::uint64_t> last;
    repository.store().list(repo::names::log, [&](const ObjectInfo& object) {
        std::string_view rest = std::string_view(object.name).substr(repo::names::log.size());
        const std::size_t first = rest.find('/'), second = rest.rfind('/');
        if (first == std::string_view::npos || second == first) return;
        const auto signer = repo::SignerId::from_hex_text(rest.substr(0, first));
        const std::string lane(rest.substr(first + 1, second - first - 1));
        const auto slot = repo::names::parse_number(rest.substr(second + 1));
        if (!signer || !slot || lane.empty() || lane.find_first_not_of("0123456789") != std::string::npos) return;
        std::uint64_t& highest = last[{*signer, static_cast<std::uint32_t>(std::strtoul(lane.c_str(), nullptr, 10))}];
        highest = std::max(highest, *slot + 1);
    });
    find_damage(findings, repo::names::log, effect, [&] { log.read(); });
    for (const auto& [name, lane] : log.lanes())
        if (!lane.broken.empty())
            findings.add(repo::names::log_entry(name.signer, name.lane, lane.next), "damaged", lane.broken,
                         fmt::format("{}; prune waits for `holdfast unlock {}`", effect, name.signer.short_hex()));
    for (const auto& [name, slots] : last) {
        const auto lane = log.lanes().find(name);
        const std::uint64_t known = lane == log.lanes().end() ? 0 : lane->second.next;
        if (known >= slots) continue;
        const std::string object = repo::names::log_entry(name.signer, name.lane, known);
        if (repository.store().find(object)) continue;  // it is there and was refused, which was told, or it is new
        findings.add(object, "missing",
                     fmt::format("{} later entries of this log count for nothing without it", slots - known),
                     std::string(effect));
    }
    for (const repo::CommittedSnapshot& snapshot : log.snapshots())
        find_damage(findings, repo::names::log_entry(snapshot.lane.signer, snapshot.lane.lane, snapshot.slot),
                    "the snapshot that it commits cannot be restored",
                    [&] { repo::decode_snapshot(repository.keys(), snapshot.record, snapshot.provenance); });
}

// Against the logs themselves, read from their beginning.
void compare(const repo::Checkpoint& checkpoint, const repo::LogBook& log) {
    std::map<repo::SnapshotId, const repo::CommittedSnapshot*> committed;
    for (const repo::CommittedSnapshot& snapshot : log.snapshots()) committed[snapshot.id()] = &snapshot;
    std::set<repo::SnapshotId> told = checkpoint.forgotten;
    for (const repo::CommittedSnapshot& snapshot : checkpoint.log.snapshots) {
        const auto at = committed.find(snapshot.id());
        if (at == committed.end() || at->second->lane != snapshot.lane || at->second->slot != snapshot.slot)
            throw Error{Code::corrupt, "it tells of snapshot {}, which no log commits there",
                        snapshot.id().short_hex()};
        told.insert(snapshot.id());
    }
    for (const auto& [id, snapshot] : committed) {
        const auto lane = checkpoint.log.lanes.find(snapshot->lane);
        if (lane != checkpoint.log.lanes.end() && snapshot->slot < lane->second.next && !told.contains(id))
            throw Error{Code::corrupt, "it hides snapshot {}", id.short_hex()};
    }
    for (const auto& [name, lane] : checkpoint.log.lanes) {
        const auto at = log.lanes().find(name);
        const std::uint64_t next = at == log.lanes().end() ? 0 : at->second.next;
        if (next < lane.next || (next == lane.next && at->second.last_hash != lane.last_hash))
            throw Error{Code::corrupt,
                        "it tells of {} entries of lane {} of {}, the log has {} or others",
                        lane.next,
                        name.lane,
                        name.signer.short_hex(),
                        next};
    }
}

void check_checkpoints(repo::Repository& repository, const repo::LogBook& log, CheckFindings& findings) {
    std::vector<std::string> days;
    repository.store().list(repo::names::checkpoints, [&](const ObjectInfo& object) {
        days.push_back(object.name.substr(repo::names::checkpoints.size()));
    });
    for (const std::string& day : days) {
        const std::string object = repo::names::checkpoint(day);
        find_damage(findings, object, "opening the repository reads all logs instead", [&] {
            const auto bytes = repository.store().read(object);
            if (bytes) compare(repo::decode_checkpoint(*bytes, repository.keys(), day), log);
        });
    }
}

// Fragments that a merged one stands for serve those who find no checkpoint.
void check_replaced_fragments(repo::Repository& repository, const repo::LogBook& log, CheckFindings& findings) {
    std::set<repo::FragmentId> in_use;
    for (const repo::KnownFragment& known : repository.log().fragments()) in_use.insert(known.body.id);
    for (const repo::KnownFragment& known : log.fragments()) {
        if (in_use.contains(known.body.id)) continue;
        find_damage(findings, repo::names::fragment(known.body.id),
                    "without a checkpoint the repository cannot be opened", [&] {
                        repo::Fragment(repository.store(), repository.keys(), known)
                            .scan([](const repo::ChunkPrefix&, const repo::Location&) {});
                    });
    }
}

void check_notes(repo::Repository& repository, const repo::LogBook& log, CheckFindings& findings) {
    struct Numbers {
        std::uint64_t count = 0, next = 0;
    };
    std::map<repo::SnapshotId, Numbers> listed;
    repository.store().list(repo::names::notes, [&](const ObjectInfo& object) {
        const std::string_view rest = std::string_view(object.name).substr(repo::names::notes.size());
        const std::size_t slash = rest.find('/');
        if (slash == std::string_view::npos) return;
        const auto snapshot = repo::SnapshotId::from_hex_text(rest.substr(0, slash));
        const auto number = repo::names::parse_number(rest.substr(slash + 1));
        if (!snapshot || !number) return;
        Numbers& numbers = listed[*snapshot];
        ++numbers.count;
        numbers.next = std::max(numbers.next, *number + 1);
    });
    std::set<repo::SnapshotId> committed;
    for (const repo::CommittedSnapshot& snapshot : log.snapshots()) committed.insert(snapshot.id());
    for (const repo::CommittedSnapshot& snapshot : repository.log().snapshots()) committed.insert(snapshot.id());
    repo::NoteBook notes(repository.store(), repository.keys(), repository.world());
    notes.read();
    for (const auto& [id, all] : notes.all())
        for (std::size_t number = 0; number < all.size(); ++number)
            if (all[number].kind == repo::NoteKind::unreadable)
                findings.add(repo::names::note(id, number), "damaged", all[number].text,
                             "if it was a hold, a tag or a time, its snapshot is without");
    for (const auto& [id, numbers] : listed) {
        const std::uint64_t known = notes.of(id).size();
        if (known < numbers.count && !repository.store().find(repo::names::note(id, known)))
            findings.add(repo::names::note(id, known), "missing",
                         fmt::format("{} later notes of snapshot {} count for nothing without it",
                                     numbers.next - known - 1, id.short_hex()),
                         "");
        if (!committed.contains(id) && id != repo::no_snapshot)
            findings.add(fmt::format("snapshot {}", id.hex()), "missing",
                         "there are notes about it, but no log has its COMMIT", "it cannot be restored");
    }
}

void check_collections(repo::Repository& repository, CheckFindings& findings) {
    for (std::uint64_t number = 1; number <= repository.log().stamp(); ++number) {
        const std::string object = repo::names::condemned(number);
        constexpr std::string_view effect = "backups may rely on packs that it condemned";
        find_damage(findings, object, effect, [&] {
            if (!repo::read_condemned(repository.store(), repository.keys(), number))
                findings.add(object, "missing", "the store does not have it", std::string(effect));
        });
        find_damage(findings, repo::names::verdict(number), "packs that it spared count as gone",
                    [&] { repo::read_verdict(repository.store(), repository.keys(), number); });
    }
}

// Only the newest state of a source is of use, and kept: collections take the others.
std::vector<const repo::Snapshot*> with_state_in_use(const repo::Repository& repository) {
    std::map<std::tuple<std::string, std::string, repo::SignerId>, const repo::Snapshot*> newest;
    for (const repo::Snapshot& snapshot : repository.snapshots())
        if (!snapshot.state.is_zero()) newest[{snapshot.source, snapshot.host, snapshot.signer}] = &snapshot;
    std::vector<const repo::Snapshot*> out;
    for (const auto& [source, snapshot] : newest) out.push_back(snapshot);
    return out;
}

// From now on backups of this machine do not rely on what is damaged, but store it anew.
void remember_damage(const repo::Repository& repository, const CheckPlaces& places,
                     const std::set<repo::PackId>& found_whole) {
    std::set<repo::PackId> damaged = places.damaged_packs();
    for (const repo::PackId& known : repo::read_distrusted(repository))
        if (places.pack(known) != nullptr && !found_whole.contains(known)) damaged.insert(known);
    repo::write_distrusted(repository, damaged);
}

// Tags of sources whose snapshots are all gone cannot be named; their segments are garbage that prune cannot see.
void check_journals(repo::Repository& repository, const CheckPlan& plan, CheckFindings& findings,
                    std::uint64_t& bytes) {
    for (const std::string& source : sources_with_journals(repository)) {
        repo::Journal journal(repository, source);
        journal.read();
        const std::string effect = fmt::format("a window of {} ends there", source);
        for (const repo::Journal::Damage& each : journal.damage())
            findings.add(each.object, "damaged", each.why.message(), effect);
        const auto runs = journal.runs();
        for (std::size_t i = 1; i < runs.size(); ++i) {
            const repo::Segment& first = journal.segments()[runs[i].begin];
            const bool is_told = !journal.damage().empty();
            if (!first.starts && !is_told)
                findings.add(repo::names::segment(first.source_tag, first.lane, first.number), "missing",
                             "what comes before it is not in the store", effect);
        }
        if (!plan.read_data) continue;
        const std::vector<repo::Segment> all = journal.segments();
        for (const repo::Segment& segment : all) {
            repository.world().stop.check();
            find_damage(findings, segment.object, effect, [&] { journal.read_content(segment, [](ByteView) {}); });
            bytes += segment.stored();
        }
    }
}

CheckReport check_once(repo::Repository& repository, const CheckPlan& plan, Progress& progress) {
    CheckFindings findings;
    CheckReport report;
    check_keys(repository, findings);
    repo::Keyring keys = repository.keys();
    repo::LogBook log(repository.store(), keys, repository.world());
    if (repository.is_replica()) log.limit_to(repository.replica()->cut);
    check_logs(repository, log, findings);
    check_checkpoints(repository, log, findings);
    check_replaced_fragments(repository, log, findings);
    check_notes(repository, log, findings);
    check_collections(repository, findings);

    CheckPlaces places(repository, findings);
    CheckPacks packs(repository, places, findings, progress);
    if (plan.read_data) packs.read(plan);
    places.settle();

    CheckTrees trees(repository, places, findings, progress);
    const std::uint64_t bytes_before = repository.chunks().bytes_read();
    for (const repo::Snapshot& snapshot : repository.snapshots()) trees.check(snapshot);
    for (const repo::Snapshot* snapshot : with_state_in_use(repository)) trees.check_state(*snapshot);
    std::uint64_t journal_bytes = 0;
    check_journals(repository, plan, findings, journal_bytes);
    report.bytes = journal_bytes + packs.bytes_read() + repository.chunks().bytes_read() - bytes_before;
    remember_damage(repository, places, packs.found_whole());
    report.snapshots = repository.snapshots().size();
    report.packs = places.packs().size();
    report.chunks = places.chunks();
    report.errors = findings.told();
    report.damaged = places.damaged_packs();
    return report;
}

}  // namespace

CheckReport check(repo::Repository& repository, const CheckPlan& plan, Progress& progress) {
    const std::string url = repository.store().url();
    const Note note{"checking {}", url};
    if (!repository.keys().secrets().reader)
        throw Error{Code::denied, "this key may not read, so it cannot check"}.hint(
            "Use a key of the role reader or full.");
    CheckReport report;
    for (int attempt = 1;; ++attempt) {
        const std::uint64_t stamp = repository.log().stamp();
        const std::size_t snapshots = repository.snapshots().size();
        report = check_once(repository, plan, progress);
        if (report.errors.empty() || attempt == attempts_max) return report;
        // Others may have committed, forgotten and collected meanwhile: what came or went is no damage.
        repository.refresh(repo::NotesFrom::names);
        const auto was_collected = [&](const Damage& error) {
            const auto pack = repo::PackId::from_hex_text(error.object.substr(error.object.rfind('/') + 1));
            return pack && repository.index().excluded().contains(*pack);
        };
        if (repository.log().stamp() == stamp && repository.snapshots().size() == snapshots &&
            std::ranges::none_of(report.errors, was_collected))
            return report;
        repository.world().log.info("others worked in the repository meanwhile; it is checked again");
    }
}

}  // namespace holdfast::engine
