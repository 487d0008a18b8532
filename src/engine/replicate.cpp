#include "engine/replicate.h"

#include <algorithm>
#include <exception>

#include "base/text.h"
#include "base/workers.h"
#include "engine/whole_pack.h"
#include "repo/checkpoint.h"
#include "repo/collection.h"
#include "repo/names.h"
#include "repo/notes.h"
#include "repo/segment.h"
#include "store/read_many.h"

namespace holdfast::engine {

namespace {

namespace names = repo::names;

constexpr int tries_max = 100;
constexpr std::size_t slots_at_once = 64;
constexpr std::size_t objects_at_once = 256;

repo::Cut ends_of(const repo::LogBook& log) {
    repo::Cut out;
    for (const auto& [name, lane] : log.lanes())
        if (lane.next > 0) out[name] = lane.next;
    return out;
}

bool covers(const repo::Cut& cut, const repo::Cut& other) {
    return std::ranges::all_of(other, [&](const auto& lane) {
        const auto at = cut.find(lane.first);
        return at != cut.end() && at->second >= lane.second;
    });
}

std::string slot_name(const repo::LaneName& lane, std::uint64_t slot) {
    return names::log_entry(lane.signer, lane.lane, slot);
}

std::vector<std::string> slot_names(const repo::LaneName& lane, std::uint64_t begin, std::uint64_t end) {
    std::vector<std::string> out;
    for (std::uint64_t slot = begin; slot < std::min(end, begin + slots_at_once); ++slot)
        out.push_back(slot_name(lane, slot));
    return out;
}

std::vector<ObjectInfo> listed(Store& store, const std::string& prefix) {
    std::vector<ObjectInfo> out;
    store.list(prefix, [&](const ObjectInfo& object) { out.push_back(object); });
    std::ranges::sort(out, {}, &ObjectInfo::name);
    return out;
}

// "notes/<snapshot>/<n>"
void verify_note(const repo::Keyring& keys, const std::string& name, ByteView bytes) {
    const std::string_view rest = std::string_view(name).substr(names::notes.size());
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const auto snapshot = repo::SnapshotId::from_hex_text(rest.substr(0, slash));
    const auto number = names::parse_number(rest.substr(std::min(slash + 1, rest.size())));
    if (!snapshot || !number) throw Error{Code::corrupt, "{} is no name of a note", name};
    repo::decode_note(bytes, keys, *snapshot, *number);
}

bool is_fragment(const std::string& name, ByteView bytes) {
    return names::fragment(repo::FragmentId{crypto::sha256(bytes)}) == name;
}

void verify_attestation(const repo::Keyring& keys, const std::string& name, ByteView bytes) {
    const repo::SignedView view = repo::parse_signed(bytes, repo::SignedKind::attestation, name);
    keys.verify(view, name);
    ByteReader reader(view.payload, name);
    if (names::attestation(repo::FragmentId::from(reader.raw(repo::FragmentId::size))) != name)
        reader.fail("it is that of another fragment");
}

void verify_collection(const repo::Keyring& keys, const std::string& name, ByteView bytes) {
    const auto kind = name.ends_with("/verdict") ? repo::SignedKind::verdict : repo::SignedKind::condemned;
    keys.verify(repo::parse_signed(bytes, kind, name), name);
}

void verify_journal(const repo::Keyring& keys, const std::string& name, ByteView bytes) {
    const bool is_pack = name.find('-', name.rfind('/')) != std::string::npos;
    repo::verify_segments(keys, bytes, is_pack, name);
}

}  // namespace

Moved ReplicateReport::sum() const {
    Moved out;
    for (const auto& [kind, each] : moved) {
        out.objects += each.objects;
        out.bytes += each.bytes;
    }
    return out;
}

// The mark first, so that nobody ever takes the store for an ordinary one; the configuration last, so that what can be opened
// is whole.
void begin_replica(repo::Repository& from, Store& to) {
    const std::string target = to.url();
    const Note note{"making the replica {}", target};
    if (to.find(names::config))
        throw Error{Code::already_exists, "there is a repository at {} already", target}.unharmed(
            "it is left as it is");
    repo::write_cut(to, from.keys(), from.signed_credential(), 0, {}, from.world().clock.now());
    repo::read_replica(to, from.keys().config());  // one that was there is one of ours
    for (const repo::SlotInfo& slot : repo::list_slots(from.store(), from.keys().config()))
        to.create(slot.object, slot.stored);
    const auto config = from.store().read(names::config);
    if (!config) throw Error{Code::no_repository, "{} has no configuration any more", from.store().url()};
    repo::decode_config(*config);
    if (to.create(names::config, *config) != Created::created && !equal(*to.read(names::config), *config))
        throw Error{Code::already_exists, "somebody else made a repository at {} just now", target};
}

Replication::Replication(repo::Repository& from, Store& to, Progress& progress)
    : from_(from), to_(to), progress_(progress) {}

ReplicateReport Replication::run(const ReplicatePlan& plan) {
    const std::string target = to_.url();
    const Note note{"copying to the replica {}", target};
    plan_ = plan;
    report_ = {};
    written_.clear();
    if (!replica_) refuse_unless_replica();
    for (int tries = 1;; ++tries) {
        read_origin();
        scan_slots();  // before the target is asked again: what it lacks is known also while it does not answer
        refuse_unless_replica();
        check_history();
        if (copy_packs()) break;
        if (tries == tries_max)
            throw Error{Code::unreachable, "{} is pruned faster than it can be copied", from_.store().url()};
    }
    copy_what_slots_need();
    copy_slots();
    confirm_written();
    publish_cut();
    copy_late();
    confirm_written();
    tell_what_is_new();
    return report_;
}

Nanoseconds Replication::lag() const {
    Nanoseconds oldest = 0;
    for (const auto& [id, time] : commits_) oldest = oldest == 0 ? time : std::min(oldest, time);
    return oldest == 0 ? 0 : std::max<Nanoseconds>(1, from_.world().clock.now() - oldest);
}

void Replication::forget_what_is_there() {
    there_.clear();
    packs_there_.reset();
    history_checked_ = false;
    lacking_.clear();
    findings_.clear();
}

// ---- what there is ----

void Replication::refuse_unless_replica() {
    const std::string target = to_.url();
    const auto config = to_.read(names::config);
    if (!config)
        throw Error{Code::no_repository, "there is no repository at {}", target}
            .unharmed("nothing was copied")
            .hint(fmt::format("Make a replica with `holdfast -r {} init --like ORIGIN`.", target));
    if (!equal(*config, *from_.store().read(names::config))) refuse_difference(names::config);
    replica_ = repo::read_replica(to_, from_.keys().config(), replica_);
    if (!replica_)
        throw Error{Code::denied, "{} has the keys of {} and is not marked as a replica", target, from_.store().url()}
            .unharmed("nothing was copied")
            .hint("It may be in use as a repository of its own. `init --like` makes a replica in an empty place.");
    if (replica_->promoted)
        throw Error{Code::denied, "{} was promoted: it is a repository of its own now", target}
            .unharmed("nothing was copied")
            .hint("Make a new replica of it with `init --like`, and back up to it.");
}

// Two readings that agree: what they say was so, in all lanes at once, in the moment between them.
void Replication::read_origin() {
    for (int tries = 0; tries < tries_max; ++tries) {
        from_.world().stop.check();
        late_ = listed(from_.store(), names::collections);
        std::erase_if(late_, [](const ObjectInfo& object) { return !object.name.ends_with("/verdict"); });
        std::ranges::move(listed(from_.store(), names::checkpoints), std::back_inserter(late_));
        from_.refresh();
        doomed_ = doomed_packs();
        cut_ = ends_of(from_.log());
        from_.log().read();
        if (ends_of(from_.log()) == cut_) return;
    }
    throw Error{Code::unreachable, "the logs of {} grow faster than they can be read", from_.store().url()}.unharmed(
        "the replica is as it was");
}

// What is condemned and waits for its verdict may be spared yet. The index excludes it all the same, and may have looked before
// there was one, so each of these collections is asked anew.
std::set<repo::PackId> Replication::doomed_packs() const {
    std::set<repo::PackId> out = from_.index().excluded();
    for (std::uint64_t n = from_.collections_read() + 1; n <= from_.log().stamp(); ++n) {
        const auto condemned = repo::read_condemned(from_.store(), from_.keys(), n);
        if (!condemned)
            throw Error{Code::unreachable, "{} is named by the logs but cannot be read", names::condemned(n)};
        const auto verdict = repo::read_verdict(from_.store(), from_.keys(), n);
        for (const repo::PackRef& pack : condemned->packs) {
            const bool is_doomed = verdict && std::ranges::find(verdict->spared, pack.id) == verdict->spared.end();
            if (is_doomed)
                out.insert(pack.id);
            else
                out.erase(pack.id);
        }
    }
    return out;
}

std::uint64_t Replication::cut_there(const repo::LaneName& lane) const {
    const auto at = replica_->cut.find(lane);
    return at == replica_->cut.end() ? 0 : at->second;
}

// The chain of hashes makes the last common entry of a lane stand for all before it.
void Replication::check_history() {
    for (const auto& [lane, next] : replica_->cut) {
        const auto at = cut_.find(lane);
        if (at == cut_.end() || at->second < next)
            throw Error{Code::rolled_back,
                        "{} shows {} entries of signer {} lane {}, its replica {} has {}",
                        from_.store().url(),
                        at == cut_.end() ? 0 : at->second,
                        lane.signer.short_hex(),
                        lane.lane,
                        to_.url(),
                        next}
                .unharmed("nothing was copied, the replica is as it was")
                .hint("The origin was rolled back or replaced. The replica may hold what it lost.");
    }
    for (const auto& [lane, end] : cut_)
        if (!history_checked_ || cut_there(lane) < end) check_lane(lane, !history_checked_);
    if (!history_checked_ || plan_.compare) find_torn_lanes();
    history_checked_ = true;
    if (!torn_.empty()) scan_slots();
}

// A store may have lost of what a cut showed.
void Replication::find_torn_lanes() {
    for (const auto& [lane, end] : replica_->cut) {
        std::uint64_t lost = 0;
        for (std::uint64_t slot = 0; slot < end; ++slot) {
            if (!lacks_slot(lane, slot)) continue;
            const auto late = to_.find(slot_name(lane, slot));  // for the listing
            if (late)
                there(names::log)[late->name] = late->bytes;
            else
                ++lost;
        }
        if (lost > 0 || plan_.compare) torn_.insert(lane);
        if (lost > 0)
            from_.world().log.warning(fmt::format("{} has lost {} of the log entries of signer {} lane {} that it had",
                                                  to_.url(), lost, lane.signer.short_hex(), lane.lane));
    }
}

// From its beginning, so that it is seen what a VOID names.
std::uint64_t Replication::begin_of(const repo::LaneName& lane) const {
    return torn_.contains(lane) ? 0 : cut_there(lane);
}

bool Replication::lacks_slot(const repo::LaneName& lane, std::uint64_t slot) {
    return slot >= cut_there(lane) || !there(names::log).contains(slot_name(lane, slot));
}

void Replication::check_lane(const repo::LaneName& lane, bool beyond) {
    const auto compare_slot = [&](std::uint64_t slot) {
        const std::string name = slot_name(lane, slot);
        const auto here = to_.read(name);
        if (!here) {
            there(names::log).erase(name);
            return;
        }
        const auto origin = from_.store().read(name);
        if (!origin || !equal(*here, *origin)) refuse_difference(name);
    };
    if (cut_there(lane) > 0) compare_slot(cut_there(lane) - 1);
    if (beyond) compare_slot(cut_.at(lane));
}

void Replication::refuse_difference(const std::string& name) const {
    throw Error{Code::corrupt, "{} has another {} than {}", to_.url(), name, from_.store().url()}
        .unharmed("nothing was overwritten")
        .hint(
            "Both were written to, or one of them is damaged: `holdfast check` of each says. What only one of them has "
            "can be "
            "copied to a third repository with keys of its own.");
}

void Replication::scan_slots() {
    fragments_.clear();
    commits_.clear();
    slot_hashes_.clear();
    slots_ = {};
    for (const auto& [lane, end] : cut_) scan_lane(lane, begin_of(lane), end);
    // What lies between a place that is broken and its VOID looks like entries and counts for nothing.
    std::set<repo::SnapshotId> counted;
    for (const repo::CommittedSnapshot& each : from_.log().snapshots()) counted.insert(each.id());
    std::erase_if(commits_, [&](const auto& commit) { return !counted.contains(commit.first); });
}

// Whoever read this lane reached its end, so what is no entry of it stands before a VOID that names it or one before it.
void Replication::scan_lane(const repo::LaneName& lane, std::uint64_t begin, std::uint64_t end) {
    if (begin >= end) return;
    crypto::Digest previous{};
    if (begin > 0) previous = crypto::sha256(*from_.store().read(slot_name(lane, begin - 1)));
    std::vector<crypto::Digest>& hashes = slot_hashes_[lane];
    std::exception_ptr broken;
    for (std::uint64_t slot = begin; slot < end;) {
        from_.world().stop.check();
        const std::vector<std::string> objects = slot_names(lane, slot, end);
        const auto stored = read_many(from_.store(), objects);
        if (plan_.compare) compare_slots(lane, slot, objects, stored);
        for (std::size_t i = 0; i < objects.size(); ++i) {
            const std::string& name = objects[i];
            const std::optional<Bytes>& bytes = stored[i];
            if (!bytes) throw Error{Code::corrupt, "{} is gone from {}", name, from_.store().url()};
            const bool is_lacked = lacks_slot(lane, slot);
            slots_.objects += is_lacked ? 1 : 0;
            slots_.bytes += is_lacked ? bytes->size() : 0;
            hashes.push_back(crypto::sha256(*bytes));
            try {
                const repo::LogEntry entry = repo::parse_entry(*bytes, lane, slot, from_.keys());
                if (entry.previous != previous)
                    throw Error{Code::corrupt, "{} does not follow the entry before it", name};
                if (is_lacked) take_entry(entry);
                if (const auto named = repo::decode_void(entry, from_.keys());
                    named && named->first >= begin && named->first < slot &&
                    hashes[named->first - begin] == named->hash)
                    broken = nullptr;
            } catch (const Error& error) {
                if (error.code() != Code::corrupt) throw;
                if (!broken) broken = std::current_exception();
            }
            previous = hashes.back();
            ++slot;
        }
    }
    if (broken) std::rethrow_exception(broken);
}

void Replication::compare_slots(const repo::LaneName& lane, std::uint64_t first,
                                const std::vector<std::string>& objects,
                                const std::vector<std::optional<Bytes>>& stored) {
    std::vector<std::string> shown;
    for (std::size_t i = 0; i < objects.size() && first + i < cut_there(lane); ++i) shown.push_back(objects[i]);
    const auto here = read_many(to_, shown);
    for (std::size_t i = 0; i < shown.size(); ++i) {
        if (!here[i]) there(names::log).erase(shown[i]);
        if (here[i] && stored[i] && !equal(*here[i], *stored[i])) refuse_difference(shown[i]);
    }
}

void Replication::take_entry(const repo::LogEntry& entry) {
    if (entry.type == repo::EntryType::fragment) fragments_.push_back(repo::decode_fragment(entry.body));
    if (entry.type == repo::EntryType::commit) commits_[repo::decode_commit(entry).id()] = entry.time;
}

std::unordered_map<std::string, std::uint64_t>& Replication::there(const std::string& prefix) {
    if (const auto known = there_.find(prefix); known != there_.end()) return known->second;
    std::unordered_map<std::string, std::uint64_t> sizes;
    to_.list(prefix, [&](const ObjectInfo& object) { sizes[object.name] = object.bytes; });
    return there_[prefix] = std::move(sizes);
}

std::unordered_map<repo::PackId, std::uint64_t, IdHash>& Replication::packs_there() {
    if (!packs_there_) {
        packs_there_.emplace();
        for (const repo::PackKind kind : {repo::PackKind::data, repo::PackKind::meta, repo::PackKind::state})
            to_.list(prefix_of(kind), [&](const ObjectInfo& object) {
                const auto id = repo::PackId::from_hex_text(object.name.substr(prefix_of(kind).size()));
                if (id) (*packs_there_)[*id] = object.bytes;
            });
    }
    return *packs_there_;
}

// ---- packs ----

// False: a verdict took some of them meanwhile. What lives on of them lies elsewhere, as newer entries of the logs say.
bool Replication::copy_packs() {
    const std::vector<repo::IndexedPack> packs = missing_packs();
    progress_.items = progress_.bytes = 0;
    progress_.items_total = packs.size();
    progress_.bytes_total = 0;
    for (const repo::IndexedPack& pack : packs) progress_.bytes_total += pack.bytes;
    if (plan_.dry_run) {
        for (const repo::IndexedPack& pack : packs) count(pack.ref.object(), pack.bytes);
        return true;
    }
    gone_.clear();
    {
        Workers workers(packs_at_once, 1);
        for (const repo::IndexedPack& pack : packs) workers.submit([this, pack] { copy_pack(pack); });
        workers.finish();
    }
    return account_for_gone();
}

std::vector<repo::IndexedPack> Replication::missing_packs() {
    const auto& sizes = packs_there();
    std::vector<repo::IndexedPack> out;
    std::set<repo::PackId> seen;
    report_.there = 0;
    for (const auto& fragment : from_.index().fragments())
        for (const repo::IndexedPack& pack : fragment->packs()) {
            if (doomed_.contains(pack.ref.id) || lacking_.contains(pack.ref.id) || !seen.insert(pack.ref.id).second)
                continue;
            const auto at = sizes.find(pack.ref.id);
            if (at == sizes.end()) {
                out.push_back(pack);
                continue;
            }
            ++report_.there;
            if (at->second != pack.bytes)
                add_finding(pack.ref, "differs",
                            fmt::format("it is {} bytes long in the replica, {} are expected", at->second, pack.bytes));
            else if (plan_.compare)
                compare_pack(pack.ref);
        }
    return out;
}

void Replication::compare_pack(const repo::PackRef& ref) {
    from_.world().stop.check();
    const PackRead read = read_whole_pack(to_, ref);
    if (!read.bytes)
        add_finding(ref, read.kind == "damaged" ? "differs" : read.kind, fmt::format("in the replica {}", read.why));
}

void Replication::copy_pack(const repo::IndexedPack& pack) {
    from_.world().stop.check();
    if (const auto bytes = whole_pack(pack.ref)) put_or_find(pack.ref, *bytes);
    ++progress_.items;
    progress_.bytes += pack.bytes;
}

// Nothing: it is gone or damaged, and noted as that.
std::optional<Bytes> Replication::whole_pack(const repo::PackRef& ref) {
    PackRead read = read_whole_pack(from_.store(), ref);
    if (read.kind == "missing") {
        const std::lock_guard lock(mutex_);
        gone_.insert(ref);
    } else if (!read.bytes) {
        add_finding(ref, read.kind, read.why);
    }
    return std::move(read.bytes);
}

void Replication::put_or_find(const repo::PackRef& pack, ByteView bytes) {
    if (!create(pack.object(), bytes))
        return add_finding(pack, "differs", "the replica has other bytes under its name");
    const std::lock_guard lock(mutex_);
    (*packs_there_)[pack.id] = bytes.size();
}

bool Replication::account_for_gone() {
    if (gone_.empty()) return true;
    from_.refresh();
    const std::set<repo::PackId> doomed = doomed_packs();
    bool all_lost = true;
    for (const repo::PackRef& pack : gone_) {
        if (doomed.contains(pack.id))
            all_lost = false;
        else
            add_finding(pack, "missing", "the origin does not have it");
    }
    return all_lost;
}

// ---- everything else ----

void Replication::copy_what_slots_need() {
    const repo::Keyring& keys = from_.keys();
    const auto with_keys = [&](auto verify) {
        return [&keys, verify](const std::string& name, ByteView bytes) { verify(keys, name, bytes); };
    };
    copy_fragments();
    copy_key_slots();
    copy_listed(names::attestations, Damaged::is_left_out, with_keys(verify_attestation));
    copy_journals();
    copy_collections(with_keys(verify_collection));
    // Last: what a verdict took before the cut was forgotten before that, so its notes are there by now.
    copy_listed(names::notes, Damaged::stops, with_keys(verify_note));
}

void Replication::copy_fragments() {
    std::vector<ObjectInfo> wanted;
    std::set<std::string> counted;
    const auto& sizes = there(names::index);
    const auto want = [&](const repo::FragmentBody& body) {
        const std::string name = names::fragment(body.id);
        const auto at = sizes.find(name);
        if (at == sizes.end())
            wanted.push_back({name, body.bytes, 0});
        else if (at->second != body.bytes)
            refuse_difference(name);
        else if (plan_.compare)
            compare_fragment(name);
    };
    for (const repo::KnownFragment& each : from_.log().fragments())
        if (counted.insert(names::fragment(each.body.id)).second) want(each.body);
    for (const repo::FragmentBody& body : fragments_)
        if (!counted.contains(names::fragment(body.id))) want(body);
    const Verify verify = [](const std::string& name, ByteView bytes) {
        if (!is_fragment(name, bytes)) throw Error{Code::corrupt, "the bytes of {} are not those it is named by", name};
    };
    for (const ObjectInfo& object : wanted)  // one by one: a merged one is large
        if (!copy_object(object, Damaged::stops, verify) && counted.contains(object.name))
            throw Error{Code::corrupt, "{} is missing in {}", object.name, from_.store().url()}.unharmed(
                "the replica shows what it showed before");
}

void Replication::compare_fragment(const std::string& name) {
    from_.world().stop.check();
    const auto here = to_.read(name);
    if (!here || !is_fragment(name, *here)) refuse_difference(name);
}

void Replication::copy_key_slots() {
    std::vector<repo::DamagedSlot> damaged;
    for (const repo::SlotInfo& slot : repo::list_slots(from_.store(), from_.keys().config(), &damaged)) {
        if (!there(names::keys).contains(slot.object))
            put(slot.object, slot.stored);
        else if (plan_.compare)
            compare(slot.object, slot.stored);
    }
    for (const repo::DamagedSlot& slot : damaged) add_finding(slot.object, "damaged", slot.why.message());
}

// Segments that were put together since they were listed are in a pack by now.
void Replication::copy_journals() {
    const Verify verify = [&](const std::string& name, ByteView bytes) { verify_journal(from_.keys(), name, bytes); };
    for (int tries = 0; tries < tries_max; ++tries)
        if (copy_all(missing(names::journal, verify), Damaged::is_found, verify).empty()) return;
}

void Replication::copy_listed(const std::string& prefix, Damaged damaged, const Verify& verify) {
    std::vector<ObjectInfo> objects = missing(prefix, verify);
    if (prefix == names::collections)
        std::erase_if(objects, [](const ObjectInfo& object) { return !object.name.ends_with("/condemned"); });
    copy_all(objects, damaged, verify);
}

// A STAMP names each of them, so none may be missed because a listing was late.
void Replication::copy_collections(const Verify& verify) {
    copy_listed(names::collections, Damaged::stops, verify);
    for (std::uint64_t n = 1; n <= from_.log().stamp(); ++n)
        if (!plan_.dry_run && !there(names::collections).contains(names::condemned(n)))
            copy_object({names::condemned(n), 0, 0}, Damaged::stops, verify);
}

std::vector<ObjectInfo> Replication::missing(const std::string& prefix, const Verify& verify) {
    std::vector<ObjectInfo> out;
    const auto& sizes = there(prefix);
    for (const ObjectInfo& object : listed(from_.store(), prefix)) {
        const auto at = sizes.find(object.name);
        if (at == sizes.end()) {
            out.push_back(object);
        } else if (at->second != object.bytes) {
            refuse_difference(object.name);
        } else if (plan_.compare) {
            const auto bytes = from_.store().read(object.name);
            if (bytes) verify(object.name, *bytes);
            if (bytes) compare(object.name, *bytes);
        }
    }
    return out;
}

std::vector<std::string> Replication::copy_all(const std::vector<ObjectInfo>& objects, Damaged damaged,
                                               const Verify& verify) {
    std::vector<std::string> gone;
    for (std::size_t begin = 0; begin < objects.size(); begin += objects_at_once) {
        from_.world().stop.check();
        const std::size_t count = std::min(objects_at_once, objects.size() - begin);
        std::vector<char> done(count, 0);
        const Store& farther = to_.traits().is_remote ? to_ : from_.store();
        for_each_number(farther, count,
                        [&](std::size_t i) { done[i] = copy_object(objects[begin + i], damaged, verify) ? 1 : 0; });
        for (std::size_t i = 0; i < count; ++i)
            if (done[i] == 0) gone.push_back(objects[begin + i].name);
    }
    return gone;
}

// False: the origin has it no more.
bool Replication::copy_object(const ObjectInfo& object, Damaged damaged, const Verify& verify) {
    if (plan_.dry_run) return count(object.name, object.bytes), true;
    std::optional<Bytes> bytes;
    for (bool again = false;; again = true) {
        bytes = from_.store().read(object.name);
        if (!bytes) return false;
        try {
            verify(object.name, *bytes);
            break;
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            if (!again) continue;
            if (damaged == Damaged::stops) throw;
            if (damaged == Damaged::is_found)
                add_finding(object.name, "damaged", error.message());
            else
                from_.world().log.warning(fmt::format("{} is not copied: {}", object.name, error.message()));
            return true;
        }
    }
    put(object.name, *bytes);
    return true;
}

// ---- writing ----

// False: something else is there.
bool Replication::create(const std::string& name, ByteView bytes) {
    if (to_.create(name, bytes) != Created::created) {
        const auto here = to_.read(name);
        if (!here) throw Error{Code::unreachable, "{} exists in {} but cannot be read", name, to_.url()};
        if (!equal(*here, bytes)) return false;
    } else {
        const std::lock_guard lock(mutex_);
        written_.emplace_back(name, bytes.size());
    }
    count(name, bytes.size());
    return true;
}

void Replication::put(const std::string& name, ByteView bytes) {
    if (plan_.dry_run) return count(name, bytes.size());
    if (!create(name, bytes)) refuse_difference(name);
    const std::lock_guard lock(mutex_);
    for (auto& [prefix, sizes] : there_)
        if (name.starts_with(prefix)) sizes[name] = bytes.size();
}

void Replication::compare(const std::string& name, ByteView bytes) {
    const auto here = to_.read(name);
    if (!here || !equal(*here, bytes)) refuse_difference(name);
}

// The root's log first, for it says who there is; then lanes 0, for they say which lanes there are.
void Replication::copy_slots() {
    if (plan_.dry_run) {
        if (slots_.objects > 0) report_.moved["log"] = slots_;
        return;
    }
    if (slots_.objects == 0) return torn_.clear();
    refuse_unless_replica();  // promoted meanwhile?
    const repo::SignerId root = from_.keys().root_id();
    const auto copy_where = [&](const auto& wanted) {
        for (const auto& [lane, end] : cut_)
            if (wanted(lane)) copy_lane(lane, end);
    };
    copy_where([&](const repo::LaneName& lane) { return lane.signer == root; });
    copy_where([&](const repo::LaneName& lane) { return lane.signer != root && lane.lane == 0; });
    copy_where([&](const repo::LaneName& lane) { return lane.signer != root && lane.lane != 0; });
    torn_.clear();
}

void Replication::copy_lane(const repo::LaneName& lane, std::uint64_t end) {
    const std::uint64_t begin = begin_of(lane);
    for (std::uint64_t slot = begin; slot < end;) {
        from_.world().stop.check();
        const std::vector<std::string> objects = slot_names(lane, slot, end);
        const auto stored = read_many(from_.store(), objects);
        for (std::size_t i = 0; i < objects.size(); ++i, ++slot) {
            if (!stored[i]) throw Error{Code::corrupt, "{} is gone from {}", objects[i], from_.store().url()};
            if (crypto::sha256(*stored[i]) != slot_hashes_.at(lane)[slot - begin])
                throw Error{Code::corrupt, "{} changed while it was copied", objects[i]};
            if (lacks_slot(lane, slot)) put(objects[i], *stored[i]);
        }
    }
}

void Replication::publish_cut() {
    report_.lag = lag();
    if (plan_.dry_run) return;
    while (!covers(replica_->cut, cut_)) {
        const Nanoseconds now = from_.world().clock.now();
        if (repo::write_cut(to_, from_.keys(), from_.signed_credential(), replica_->next, cut_, now) ==
            Created::created) {
            ++replica_->next;
            replica_->cut = cut_;
        } else {
            refuse_unless_replica();  // reads what took the number: another replication, or our own with its reply lost
        }
    }
}

// A store that takes something and has it no more is found out before anything is shown that needs it.
void Replication::confirm_written() {
    for_each_number(to_, written_.size(), [&](std::size_t i) {
        from_.world().stop.check();
        const auto& [name, bytes] = written_[i];
        const auto found = to_.find(name);
        if (found && found->bytes == bytes) return;
        throw Error{Code::corrupt,      "{} took {} of {} and {}",
                    to_.url(),          name,
                    human_bytes(bytes), found ? "has " + human_bytes(found->bytes) + " of it" : "does not have it"}
            .unharmed("the replica shows what it showed before")
            .hint(
                "The store is not to be trusted. `copy` again brings what it lacks; `check --read-data` of the replica "
                "says more.");
    });
    written_.clear();
}

// They speak of what the cut shows.
void Replication::copy_late() {
    const repo::Keyring& keys = from_.keys();
    const auto lacks = [&](const ObjectInfo& object) {
        const bool is_verdict = object.name.starts_with(names::collections);
        return !there(is_verdict ? names::collections : names::index).contains(object.name);
    };
    std::erase_if(late_, [&](const ObjectInfo& object) { return !lacks(object); });
    copy_all(late_, Damaged::is_left_out, [&](const std::string& name, ByteView bytes) {
        if (name.starts_with(names::collections))
            verify_collection(keys, name, bytes);
        else
            repo::decode_checkpoint(bytes, keys, name.substr(names::checkpoints.size()));
    });
}

void Replication::tell_what_is_new() {
    for (const auto& [id, time] : commits_)
        if (!from_.was_forgotten(id)) report_.snapshots.push_back(id);
    if (!plan_.dry_run) commits_.clear();
    for (const auto& [object, finding] : findings_) report_.findings.push_back(finding);
    if (lacking_.empty()) return;
    std::vector<repo::SnapshotId> all;
    for (const repo::Snapshot& snapshot : from_.snapshots()) all.push_back(snapshot.id);
    try {
        NotWhole found = not_whole(from_, all, lacking_);
        report_.not_whole = std::move(found.surely);
        report_.not_whole.insert(report_.not_whole.end(), found.contested.begin(), found.contested.end());
    } catch (const Error& error) {
        if (error.code() != Code::denied) throw;
        report_.sees_what_is_not_whole = false;
    }
}

void Replication::count(const std::string& name, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    Moved& moved = report_.moved[name.substr(0, name.find('/'))];
    ++moved.objects;
    moved.bytes += bytes;
}

void Replication::add_finding(const std::string& object, const std::string& kind, const std::string& why) {
    const std::lock_guard lock(mutex_);
    findings_.try_emplace(object, Damage{object, kind, why});
}

void Replication::add_finding(const repo::PackRef& pack, const std::string& kind, const std::string& why) {
    add_finding(pack.object(), kind, why);
    const std::lock_guard lock(mutex_);
    lacking_.insert(pack.id);
}

}  // namespace holdfast::engine
