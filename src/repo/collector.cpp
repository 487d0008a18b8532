#include "repo/collector.h"

#include <algorithm>
#include <ranges>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/workers.h"
#include "repo/attestation.h"
#include "repo/distrust.h"
#include "repo/names.h"
#include "repo/reach.h"
#include "repo/state.h"

namespace holdfast::repo {

namespace {

constexpr Nanoseconds silence_max = 24 * 3600 * one_second;
constexpr std::size_t small_packs_max = 8;  // more of them are put together
constexpr std::size_t packs_at_once = 2;    // are read and compared with their names

// Copies kept chunks of packs as they are, section by section.
class Repacker {
public:
    Repacker(Repository& repository, Session& session) : repository_(repository), session_(session) {}

    // Nothing when the pack is not what its name says: to copy it would make its damage the only copy. From any thread.
    std::optional<Bytes> read(const PackRef& ref) const {
        const std::string object = ref.object();
        auto bytes = repository_.store().read(object);
        if (bytes && PackId{crypto::sha256(*bytes)} == ref.id) return bytes;
        repository_.world().log.warning(fmt::format("{} is {} and stays as it is; run `holdfast check --read-data`",
                                                    object, bytes ? "damaged" : "missing"));
        return std::nullopt;
    }
    void take(const PackRef& ref, ByteView bytes, const std::set<std::uint32_t>& keep) {
        const std::string object = ref.object();
        struct Section {
            SectionPlace place;
            std::vector<std::pair<ChunkRecord, std::uint32_t>> chunks;
        };
        std::vector<Section> sections;
        scan_pack(bytes, object, [&](const SectionPlace& place, const ChunkRecord& record, std::uint32_t offset) {
            if (!keep.contains(offset)) return;
            if (sections.empty() || sections.back().place.offset != place.offset) sections.push_back({place, {}});
            sections.back().chunks.emplace_back(record, offset);
        });
        for (const Section& section : sections) copy(bytes, section.place, section.chunks, ref.kind);
    }
    void finish() {
        for (const PackKind kind : {PackKind::data, PackKind::meta, PackKind::state}) send(kind);
    }

private:
    struct Growing {
        Bytes bytes;
        std::vector<ChunkPlace> places;
    };

    void copy(ByteView from, const SectionPlace& place,
              const std::vector<std::pair<ChunkRecord, std::uint32_t>>& chunks, PackKind kind) {
        Growing& pack = growing_[static_cast<std::size_t>(kind)];
        const std::size_t start = pack.bytes.size();
        append(pack.bytes, from.subspan(place.offset, place.header.header_bytes));
        for (const auto& [record, offset] : chunks) {
            const std::size_t at = pack.bytes.size();
            append(pack.bytes, from.subspan(offset, record.length()));
            put_u32(pack.bytes, at + ChunkRecord::section_offset_at, at - start);
            pack.places.push_back(
                {record.id, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(record.length())});
        }
        put_u32(pack.bytes, start + SectionHeader::counts_at, chunks.size());
        put_u32(pack.bytes, start + SectionHeader::counts_at + 4, pack.bytes.size() - start);
        if (pack.bytes.size() >= repository_.keys().config().pack_bytes) send(kind);
    }
    static void put_u32(Bytes& bytes, std::size_t at, std::size_t value) {
        Bytes number;
        ByteWriter(number).u32(static_cast<std::uint32_t>(value));
        std::ranges::copy(number, bytes.begin() + static_cast<std::ptrdiff_t>(at));
    }
    void send(PackKind kind) {
        Growing pack = std::exchange(growing_[static_cast<std::size_t>(kind)], {});
        if (pack.places.empty()) return;
        // Under a name that was used before, the copy would count as absent, or be condemned as an orphan. More
        // padding makes another name.
        PackRef ref{kind, seal_pack(pack.bytes)};
        while (repository_.index().excluded().contains(ref.id) || repository_.store().find(ref.object()))
            ref.id = seal_pack(pack.bytes);
        create_own(repository_.store(), ref.object(), pack.bytes);
        session_.adopt({ref, pack.bytes.size(), std::move(pack.places)});
    }

    Repository& repository_;
    Session& session_;
    std::array<Growing, 4> growing_;
};

}  // namespace

namespace {

void sort_once(std::vector<ChunkPrefix>& ids) {
    std::ranges::sort(ids);
    const auto again = std::ranges::unique(ids);
    ids.erase(again.begin(), again.end());
}

// What all say that a node reaches must be there. What only some say is kept where it is: it may be a lie.
Marked mark_trees(Repository& repository) {
    Marked out;
    const Reach reach(repository);
    std::unordered_set<ChunkId, IdHash> nodes;
    std::vector<Child> open, doubtful;
    for (const Snapshot& snapshot : repository.snapshots()) {
        const std::string name = snapshot.id.short_hex();
        const Note note{"marking what snapshot {} reaches", name};
        open.push_back({ChildKind::node, snapshot.root});
        while (!open.empty()) {
            const Child child = open.back();
            open.pop_back();
            if (child.kind != ChildKind::chunk && !nodes.insert(child.id).second) continue;
            out.live.push_back(prefix_of(child.id));
            if (child.kind == ChildKind::chunk) continue;
            const std::vector<Reach::Claim> claims = reach.claims(child.id);
            Reach::Claim agreed = claims.front();
            for (const Reach::Claim& claim : claims)
                std::erase_if(agreed, [&](const Child& each) { return !std::ranges::binary_search(claim, each); });
            open.insert(open.end(), agreed.begin(), agreed.end());
            for (const Reach::Claim& claim : claims)
                std::ranges::set_difference(claim, agreed, std::back_inserter(doubtful));
        }
    }
    while (!doubtful.empty()) {
        const Child child = doubtful.back();
        doubtful.pop_back();
        if (child.kind != ChildKind::chunk && !nodes.insert(child.id).second) continue;
        out.doubtful.push_back(prefix_of(child.id));
        if (child.kind == ChildKind::chunk) continue;
        try {
            for (const Reach::Claim& claim : reach.claims(child.id))
                doubtful.insert(doubtful.end(), claim.begin(), claim.end());
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
        }
    }
    return out;
}

// A block that is damaged hides what it names. Then a first mark condemns too much, which the second one spares or refuses.
template <class Each>
void scan_what_is_whole(Fragment& fragment, const Each& each) {
    try {
        fragment.scan(each);
    } catch (const Error& error) {
        if (error.code() != Code::corrupt) throw;
    }
}

}  // namespace

Marked mark(Repository& repository) {
    Marked out;
    try {
        out = mark_trees(repository);
    } catch (const Error& error) {
        if (error.code() != Code::corrupt) throw;
        // A snapshot whose forgetting a listing missed may reach what an earlier collection took rightly.
        repository.refresh(NotesFrom::names);
        out = mark_trees(repository);
    }
    std::vector<ChunkPrefix>& live = out.live;
    for (const Snapshot& snapshot : repository.snapshots())
        for (const ChunkId& id : snapshot.facts) live.push_back(prefix_of(id));
    // Of states only the newest of a source counts.
    std::map<std::pair<std::string, std::string>, const Snapshot*> newest;
    for (const Snapshot& snapshot : repository.snapshots())
        if (!snapshot.state.is_zero())
            newest[{snapshot.source, snapshot.host + "/" + snapshot.signer.hex()}] = &snapshot;
    bool states_hidden = false;
    for (const auto& [source, snapshot] : newest) {
        try {
            for (const ChunkId& id : state_chunks(repository.chunks(), snapshot->state)) live.push_back(prefix_of(id));
        } catch (const Error& error) {
            if (error.code() != Code::corrupt && error.code() != Code::denied) throw;
            states_hidden = true;
        }
    }
    // Who cannot see which of them are in use keeps all; of one that is lost until the next backup has another.
    if (states_hidden)
        for (const auto& fragment : repository.index().fragments())
            fragment->scan([&](const ChunkPrefix& id, const Location& place) {
                if (place.pack.kind == PackKind::state) live.push_back(id);
            });
    sort_once(live);
    std::erase_if(out.doubtful, [&](const ChunkPrefix& id) { return std::ranges::binary_search(live, id); });
    sort_once(out.doubtful);
    live.insert(live.end(), out.doubtful.begin(), out.doubtful.end());
    std::ranges::sort(live);
    return out;
}

void Collector::require_whole_logs() const {
    const auto refuse = [&](const SignerId& signer, const std::string& why) {
        const Credential* who = repository_.keys().find(signer);
        const std::string id = signer.short_hex();
        throw Error{Code::corrupt, "what key {} ({}) wrote is not wholly known: {}", id,
                    who == nullptr ? "of the root" : who->label, why}
            .unharmed("nothing was deleted")
            .hint(fmt::format(
                "Who has that key, or may write to the store, did this, or the store is damaged: then bring the "
                "object back from a copy first. `holdfast unlock {}` declares void what lies there; what was "
                "committed behind it is lost for ever. A stolen key: `holdfast key remove`.",
                id));
    };
    if (const Lane* broken = repository_.log().broken_lane()) refuse(broken->name.signer, broken->broken);
    for (const auto& [id, each] : repository_.without_record()) refuse(each.signer, each.why);
}

Survey Collector::survey(double unused_max) {
    require_whole_logs();
    const Marked marked = mark(repository_);
    const std::vector<ChunkPrefix>& live = marked.live;
    kept_offsets_.clear();
    const std::set<PackId> condemned = repository_.index().excluded();
    std::map<PackRef, PackUse> uses;
    for (const PackKind kind : {PackKind::data, PackKind::meta, PackKind::state}) {
        repository_.store().list(prefix_of(kind), [&](const ObjectInfo& object) {
            const auto id = PackId::from_hex_text(std::string_view(object.name).substr(prefix_of(kind).size()));
            if (id && !condemned.contains(*id)) uses[{kind, *id}] = {{kind, *id}, object.bytes, 0};
        });
    }
    // A chunk that lies in several packs is live in one only: not in one that is known to be damaged, and in the newest
    // of the others, since a writer stores again what it could not rely on. But a place that nobody vouches for except the
    // writer who claims it costs no other place its life.
    std::vector<bool> placed(live.size(), false);
    std::map<PackId, std::set<std::uint32_t>> live_offsets;
    std::set<PackId> unsure;
    const Believed believed(repository_);
    const std::set<PackId> damaged = read_distrusted(repository_);
    const auto place_in = [&](const auto& wanted) {
        for (const auto& fragment : repository_.index().fragments() | std::views::reverse) {
            const bool is_believed = believed(*fragment);
            scan_what_is_whole(*fragment, [&](const ChunkPrefix& id, const Location& place) {
                const auto use = uses.find(place.pack);
                const auto at = std::ranges::lower_bound(live, id);
                if (use == uses.end() || !wanted(place.pack.id) || at == live.end() || *at != id ||
                    placed[static_cast<std::size_t>(at - live.begin())])
                    return;
                if (is_believed)
                    placed[static_cast<std::size_t>(at - live.begin())] = true;
                else
                    unsure.insert(place.pack.id);
                if (live_offsets[place.pack.id].insert(place.offset).second) use->second.bytes_live += place.length;
            });
        }
    };
    place_in([&](const PackId& pack) { return !damaged.contains(pack); });
    if (!damaged.empty()) place_in([&](const PackId& pack) { return damaged.contains(pack); });
    Survey survey;
    std::vector<PackUse> partly;
    std::uint64_t total = 0, unused = 0;
    std::map<PackKind, std::vector<PackUse>> small;
    for (const auto& [ref, use] : uses) {
        if (use.bytes_live == 0) {
            survey.garbage.push_back(use);
            continue;
        }
        total += use.bytes;
        // Headers and padding are no garbage that rewriting could free.
        const std::uint64_t garbage = use.bytes - std::min(use.bytes, use.bytes_live + 8192);
        unused += garbage;
        // Copied by one who may be believed, a forged chunk would be, too.
        if (unsure.contains(ref.id))
            survey.kept.push_back(use);
        else if (garbage > 0)
            partly.push_back(use);
        else if (use.bytes < repository_.keys().config().pack_bytes / 8)
            small[ref.kind].push_back(use);
        else
            survey.kept.push_back(use);
    }
    std::ranges::sort(partly, std::ranges::greater{}, [](const PackUse& use) {
        return static_cast<double>(use.bytes - use.bytes_live) / static_cast<double>(use.bytes);
    });
    for (const PackUse& use : partly) {
        const bool rewrite = static_cast<double>(unused) > unused_max * static_cast<double>(total);
        if (rewrite) unused -= use.bytes - std::min(use.bytes, use.bytes_live + 8192);
        (rewrite ? survey.rewritten : survey.kept).push_back(use);
    }
    for (auto& [kind, packs] : small)
        std::ranges::move(packs, std::back_inserter(packs.size() > small_packs_max ? survey.rewritten : survey.kept));
    for (const PackUse& use : survey.rewritten) kept_offsets_[use.pack.id] = std::move(live_offsets[use.pack.id]);
    return survey;
}

void Collector::repack(Survey& survey) {
    if (survey.rewritten.empty()) return;
    Session session(repository_, Session::Mode::write);
    Repacker repacker(repository_, session);
    const std::vector<PackUse> packs = std::exchange(survey.rewritten, {});
    Workers readers(packs_at_once, packs_at_once);
    for (std::size_t begin = 0; begin < packs.size(); begin += packs_at_once) {
        repository_.world().stop.check();
        const std::size_t count = std::min(packs_at_once, packs.size() - begin);
        std::array<std::optional<Bytes>, packs_at_once> read;
        for (std::size_t i = 0; i < count; ++i)
            readers.submit([&, i] { read[i] = repacker.read(packs[begin + i].pack); });
        readers.drain();
        for (std::size_t i = 0; i < count; ++i) {
            const PackUse& use = packs[begin + i];
            if (read[i]) repacker.take(use.pack, *read[i], kept_offsets_[use.pack.id]);
            (read[i] ? survey.rewritten : survey.kept).push_back(use);
        }
    }
    repacker.finish();
    session.publish_and_close();  // the copies are found from here on; only now may the originals be condemned
}

std::uint64_t Collector::last_collection() {
    std::uint64_t number = repository_.log().stamp();
    while (repository_.store().find(names::condemned(number + 1))) ++number;
    return number;
}

bool Collector::condemn(const Survey& survey) {
    std::vector<PackRef> packs;
    for (const auto* part : {&survey.garbage, &survey.rewritten})
        for (const PackUse& use : *part) packs.push_back(use.pack);
    if (packs.empty()) return true;
    const std::uint64_t number = last_collection() + 1;
    Bytes payload;
    ByteWriter writer(payload);
    writer.varint(number);
    writer.varint(packs.size());
    for (const PackRef& pack : packs) {
        writer.u8(static_cast<std::uint8_t>(pack.kind));
        writer.raw(pack.id.view());
    }
    const Keyring& keys = repository_.keys();
    return repository_.store().create(names::condemned(number),
                                      sign(SignedKind::condemned, keys.repository(), keys.secrets().signer, payload)) ==
           Created::created;
}

// A parent is stamped before its children are listed, so no lane is born unseen.
void Collector::stamp_every_lane(std::uint64_t number) {
    LogBook& log = repository_.log();
    const SignerId root = repository_.keys().root_id();
    const auto stamp = [&](auto wanted) {
        log.read();
        std::vector<LaneName> lanes;
        for (const auto& [name, lane] : log.lanes())
            if (wanted(name)) lanes.push_back(name);
        for (const LaneName& name : lanes) log.stamp_lane(name, number);
    };
    stamp([&](const LaneName& name) { return name.signer == root; });
    stamp([&](const LaneName& name) { return name.lane == 0; });
    stamp([](const LaneName&) { return true; });
    log.read();
}

// Nobody is fenced for being slow alone: a lane must have shown no new slot for a day of this machine's own clock,
// seen by two runs.
bool Collector::silent_for_a_day(const Lane& lane) {
    if (repository_.client_folder().empty()) return false;
    const std::string path = fmt::format("{}/waits/{}-{}-{}", repository_.client_folder(), repository_.local_name(),
                                         lane.name.signer.hex(), lane.name.lane);
    const auto boot = read_file_if_present("/proc/sys/kernel/random/boot_id");
    const std::string now_at =
        fmt::format("{} {} ", boot ? as_text(*boot).substr(0, 36) : std::string_view("-"), lane.next);
    const Nanoseconds now = repository_.world().clock.steady();
    if (const auto seen = read_file_if_present(path); seen && as_text(*seen).starts_with(now_at))
        return now - std::strtoll(std::string(as_text(*seen)).c_str() + now_at.size(), nullptr, 10) >= silence_max;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    write_file_durably(path, as_bytes(now_at + std::to_string(now)));
    return false;
}

std::vector<SessionName> Collector::sessions_before(std::uint64_t number) {
    std::vector<SessionName> waiting;
    std::vector<SessionName> dead;
    for (const auto& [name, lane] : repository_.log().lanes()) {
        if (!lane.open || lane.session.gc_number >= number) continue;
        const bool gone = is_dead_here(repository_, lane) || silent_for_a_day(lane);
        (gone ? dead : waiting).push_back({name, lane.open_slot});
    }
    for (const SessionName& session : dead) fence_dead(repository_, session);
    return waiting;
}

// G4: what is reached now and has no place that stays, is spared.
CollectionVerdict Collector::judge(const Condemned& condemned) {
    repository_.refresh();
    require_whole_logs();
    repository_.read_collections();
    const Marked marked = mark(repository_);
    const std::vector<ChunkPrefix>& live = marked.live;
    std::set<PackId> doomed;
    for (const PackRef& pack : condemned.packs) doomed.insert(pack.id);
    const std::set<PackId>& excluded = repository_.index().excluded();
    const Believed believed(repository_);
    std::vector<bool> stays(live.size(), false), may_stay(live.size(), false);
    std::map<std::size_t, PackId> holder;
    std::multimap<std::size_t, PackId> claimed;  // by writers for whom nobody vouches
    for (const auto& fragment : repository_.index().fragments()) {
        const bool is_believed = believed(*fragment);
        scan_what_is_whole(*fragment, [&](const ChunkPrefix& id, const Location& place) {
            const auto at = std::ranges::lower_bound(live, id);
            if (at == live.end() || *at != id) return;
            const auto number = static_cast<std::size_t>(at - live.begin());
            if (doomed.contains(place.pack.id)) {
                if (is_believed)
                    holder.try_emplace(number, place.pack.id);
                else
                    claimed.emplace(number, place.pack.id);
            } else if (!excluded.contains(place.pack.id)) {
                (is_believed ? stays : may_stay)[number] = true;
            }
        });
    }
    std::set<PackId> spared;
    for (std::size_t number = 0; number < live.size(); ++number) {
        if (stays[number]) continue;
        const auto at = holder.find(number);
        const auto [first, last] = claimed.equal_range(number);
        for (auto each = first; at == holder.end() && each != last; ++each) spared.insert(each->second);
        const bool must_be = !std::ranges::binary_search(marked.doubtful, live[number]);
        if (must_be && at == holder.end() && first == last && !may_stay[number])
            throw Error{Code::corrupt, "chunk {} is reached by a snapshot but lies in no pack",
                        to_hex(live[number].view()).substr(0, 8)}
                .unharmed("nothing was deleted")
                .hint("Run `holdfast check` to see what is affected.");
        if (at != holder.end()) spared.insert(at->second);
    }
    CollectionVerdict verdict{condemned.number, {spared.begin(), spared.end()}};
    Bytes payload;
    ByteWriter writer(payload);
    writer.varint(verdict.number);
    writer.varint(verdict.spared.size());
    for (const PackId& pack : verdict.spared) writer.raw(pack.view());
    const Keyring& keys = repository_.keys();
    const std::string object = names::verdict(verdict.number);
    repository_.store().create(object, sign(SignedKind::verdict, keys.repository(), keys.secrets().signer, payload));
    // Whoever came first has decided.
    const auto written = read_verdict(repository_.store(), keys, verdict.number);
    if (!written) throw Error{Code::unreachable, "{} exists but cannot be read", object};
    return *written;
}

Collector::Settled Collector::settle() {
    require_whole_logs();
    Settled out;
    Store& store = repository_.store();
    const std::uint64_t last = last_collection();
    for (std::uint64_t number = 1; number <= last; ++number) {
        const auto condemned = read_condemned(store, repository_.keys(), number);
        if (!condemned) throw Error{Code::unreachable, "{} cannot be read", names::condemned(number)};
        auto verdict = read_verdict(store, repository_.keys(), number);
        if (!verdict) {
            stamp_every_lane(number);
            out.waiting = sessions_before(number);
            if (!out.waiting.empty()) {
                out.packs_pending += condemned->packs.size();
                return out;
            }
            verdict = judge(*condemned);
        }
        const std::set<PackId> spared(verdict->spared.begin(), verdict->spared.end());
        for (const PackRef& pack : condemned->packs) {
            if (spared.contains(pack.id)) continue;
            const auto there = store.find(pack.object());
            if (!there) continue;
            store.remove(pack.object());
            ++out.packs_deleted;
            out.bytes_freed += there->bytes;
        }
    }
    repository_.refresh();
    repository_.read_collections();
    return out;
}

}  // namespace holdfast::repo
