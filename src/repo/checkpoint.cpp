#include "repo/checkpoint.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "repo/collection.h"
#include "repo/index_merge.h"
#include "repo/names.h"
#include "store/read_many.h"

namespace holdfast::repo {

namespace {

constexpr std::uint8_t version = 1;
constexpr Nanoseconds one_day = 24 * 3600 * one_second;

std::string day_of(Nanoseconds time) { return rfc3339_seconds(time).substr(0, 10); }

void put(ByteWriter& writer, const Lane& lane) {
    writer.raw(lane.name.signer.view());
    writer.u32(lane.name.lane);
    writer.varint(lane.next);
    writer.raw(lane.last_hash);
    writer.varint(lane.stamp);
    writer.zigzag(lane.last_time);
    writer.u8(lane.open ? 1 : 0);
    writer.varint(lane.open_slot);
    writer.zigzag(lane.open_time);
    writer.string(encode(lane.session));
}

Lane take_lane(ByteReader& reader) {
    Lane lane;
    lane.name.signer = SignerId::from(reader.raw(SignerId::size));
    lane.name.lane = reader.u32();
    lane.next = reader.varint();
    lane.last_hash = reader.array<32>();
    lane.stamp = reader.varint();
    lane.last_time = reader.zigzag();
    lane.open = reader.u8() != 0;
    lane.open_slot = reader.varint();
    lane.open_time = reader.zigzag();
    lane.session = decode_open(reader.string_view());
    return lane;
}

void put(ByteWriter& writer, const CommittedSnapshot& snapshot, const std::vector<SnapshotNote>& notes) {
    writer.raw(snapshot.lane.signer.view());
    writer.u32(snapshot.lane.lane);
    writer.varint(snapshot.slot);
    writer.string(snapshot.record);
    writer.string(snapshot.provenance);
    writer.varint(notes.size());
    for (const SnapshotNote& note : notes) writer.string(note.stored);
}

bool is_settled(const Repository& repository) {
    for (std::uint64_t number = repository.collections_read() + 1; number <= repository.log().stamp(); ++number)
        if (!read_verdict(repository.store(), repository.keys(), number)) return false;
    return true;
}

Checkpoint checkpoint_of(const Repository& repository, const std::set<FragmentId>& replaced) {
    Checkpoint out;
    out.log = repository.log().state();
    std::erase_if(out.log.fragments, [&](const KnownFragment& each) { return replaced.contains(each.body.id); });
    out.forgotten = repository.forgotten();
    std::erase_if(out.log.snapshots, [&](const CommittedSnapshot& each) { return out.forgotten.contains(each.id()); });
    // A note that says nothing may only have been read wrongly: those from there on are left to be read again.
    for (const CommittedSnapshot& each : out.log.snapshots) {
        const std::vector<SnapshotNote>& notes = repository.notes().of(each.id());
        out.notes[each.id()].assign(notes.begin(), std::ranges::find(notes, NoteKind::unreadable, &SnapshotNote::kind));
    }
    return out;
}

// No writer finds a chunk by a pack that no fragment names.
std::set<PackId> named_ones(const std::set<PackId>& packs, const Repository& repository, const Checkpoint& checkpoint) {
    std::set<FragmentId> kept;
    for (const KnownFragment& each : checkpoint.log.fragments) kept.insert(each.body.id);
    std::set<PackId> out;
    for (const auto& fragment : repository.index().fragments())
        if (kept.contains(fragment->known().body.id))
            for (const IndexedPack& pack : fragment->packs())
                if (packs.contains(pack.ref.id)) out.insert(pack.ref.id);
    return out;
}

}  // namespace

Bytes encode(const Checkpoint& checkpoint, const RepositoryId& repository, const crypto::SigningKey& author) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(version);
    writer.string(checkpoint.day);
    writer.varint(checkpoint.log.stamp);
    writer.varint(checkpoint.log.enrolments.size());
    for (const Bytes& credential : checkpoint.log.enrolments) writer.string(credential);
    writer.varint(checkpoint.log.lanes.size());
    for (const auto& [name, lane] : checkpoint.log.lanes) put(writer, lane);
    writer.varint(checkpoint.log.fragments.size());
    for (const KnownFragment& fragment : checkpoint.log.fragments) writer.string(fragment.entry);
    writer.varint(checkpoint.log.snapshots.size());
    static const std::vector<SnapshotNote> none;
    for (const CommittedSnapshot& snapshot : checkpoint.log.snapshots) {
        const auto notes = checkpoint.notes.find(snapshot.id());
        put(writer, snapshot, notes == checkpoint.notes.end() ? none : notes->second);
    }
    writer.varint(checkpoint.forgotten.size());
    for (const SnapshotId& id : checkpoint.forgotten) writer.raw(id.view());
    writer.varint(checkpoint.collections);
    writer.varint(checkpoint.excluded.size());
    for (const PackId& pack : checkpoint.excluded) writer.raw(pack.view());
    return sign(SignedKind::checkpoint, repository, author, payload);
}

Checkpoint decode_checkpoint(ByteView bytes, const Keyring& keys, const std::string& day) {
    const std::string object = names::checkpoint(day);
    const SignedView view = parse_signed(bytes, SignedKind::checkpoint, object);
    ByteReader reader(view.payload, object);
    if (reader.u8() != version) reader.fail("it is of a version that this one does not know");
    Checkpoint out;
    out.day = reader.string();
    if (out.day != day) reader.fail("it is that of another day");
    out.log.stamp = reader.varint();
    // Who may have signed it stands in it too; that is believed because the root signed each.
    Keyring known = keys;
    for (std::size_t left = reader.count(1); left > 0; --left) {
        out.log.enrolments.push_back(to_bytes(reader.string_view()));
        known.enrol(decode_credential(out.log.enrolments.back(), keys.repository(), keys.config().root));
    }
    known.verify(view, object);
    if (!known.may_collect(view.author))
        throw Error{Code::corrupt, "{} is by {}, who may not collect", object, view.author.short_hex()};
    for (std::size_t left = reader.count(1); left > 0; --left) {
        Lane lane = take_lane(reader);
        out.log.lanes[lane.name] = std::move(lane);
    }
    for (std::size_t left = reader.count(1); left > 0; --left)
        out.log.fragments.push_back(known_fragment(reader.string_view(), known));
    for (std::size_t left = reader.count(1); left > 0; --left) {
        CommittedSnapshot snapshot;
        snapshot.lane.signer = SignerId::from(reader.raw(SignerId::size));
        snapshot.lane.lane = reader.u32();
        snapshot.slot = reader.varint();
        snapshot.record = to_bytes(reader.string_view());
        snapshot.provenance = to_bytes(reader.string_view());
        std::vector<SnapshotNote>& notes = out.notes[snapshot.id()];
        const std::size_t count = reader.count(1);
        while (notes.size() < count) notes.push_back(note_of(reader.string_view(), known, snapshot.id(), notes.size()));
        out.log.snapshots.push_back(std::move(snapshot));
    }
    for (std::size_t left = reader.count(SnapshotId::size); left > 0; --left)
        out.forgotten.insert(SnapshotId::from(reader.raw(SnapshotId::size)));
    out.collections = reader.varint();
    for (std::size_t left = reader.count(PackId::size); left > 0; --left)
        out.excluded.insert(PackId::from(reader.raw(PackId::size)));
    reader.expect_done();
    return out;
}

std::vector<std::string> checkpoint_days(Nanoseconds now, DaysBack back) {
    // Where somebody collects every night it is one of the first.
    constexpr int days_likely = 2, days_asked = 7;
    std::vector<std::string> days;
    for (int day = back == DaysBack::few ? 0 : days_likely; day < (back == DaysBack::few ? days_likely : days_asked);
         ++day)
        days.push_back(day_of(now - day * one_day));
    return days;
}

std::vector<std::string> with_checkpoint(Store& store, std::vector<std::string> days) {
    std::erase_if(days, [&](const std::string& day) { return !store.find(names::checkpoint(day)); });
    return days;
}

std::optional<Checkpoint> read_checkpoint(Store& store, const Keyring& keys, const std::vector<std::string>& days,
                                          Log& log) {
    for (const std::string& day : days) {
        const auto bytes = store.read(names::checkpoint(day));
        if (!bytes) continue;
        try {
            return decode_checkpoint(*bytes, keys, day);
        } catch (const Error& error) {
            log.warning(fmt::format("{}; the logs are read instead", error.message()));
        }
    }
    return std::nullopt;
}

void keep_checkpoint(Repository& repository, std::uint64_t entries) {
    const Keyring& keys = repository.keys();
    if (!keys.may_collect(keys.own_id())) return;
    const bool is_due = repository.log().entries_read() >= entries;
    const bool merges = keys.own().role == Role::full && needs_merging(repository);  // whom writers believe
    if (!is_due && !merges) return;
    const std::string day = day_of(repository.world().clock.now());
    if (repository.store().find(names::checkpoint(day))) return;
    // What is condemned and has its verdict is gone for ever; what waits for one may be spared yet.
    if (!is_settled(repository)) return;
    const std::uint64_t collections = repository.log().stamp();
    repository.read_collections();
    const std::set<PackId> gone = repository.index().excluded();
    const std::set<FragmentId> replaced = merges ? merge_fragments(repository, gone) : std::set<FragmentId>{};
    repository.refresh();  // from here on: the merging session lies before the checkpoint
    Checkpoint checkpoint = checkpoint_of(repository, replaced);
    checkpoint.day = day;
    checkpoint.collections = collections;
    // What a fragment names that cannot be read now is not known.
    checkpoint.excluded = repository.index().unloaded().empty() ? named_ones(gone, repository, checkpoint) : gone;
    repository.store().create(names::checkpoint(day), encode(checkpoint, keys.repository(), keys.secrets().signer));
}

}  // namespace holdfast::repo
