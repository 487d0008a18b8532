#include "repo/log.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "repo/names.h"
#include "store/read_many.h"

namespace holdfast::repo {

namespace {

std::string describe(const LaneName& lane, std::uint64_t slot) {
    return names::log_entry(lane.signer, lane.lane, slot);
}

Bytes encode_payload(const LogEntry& entry) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(static_cast<std::uint8_t>(entry.type));
    writer.raw(entry.lane.signer.view());
    writer.u32(entry.lane.lane);
    writer.u64(entry.slot);
    writer.raw(entry.previous);
    writer.zigzag(entry.time);
    writer.string(entry.body);
    return payload;
}

LogEntry decode_payload(const SignedView& view, ByteView whole, std::string_view what) {
    ByteReader reader(view.payload, what);
    LogEntry entry;
    const std::uint8_t type = reader.u8();
    if (type < 1 || type > 8) reader.fail("it is an entry of a type that this version does not know");
    entry.type = static_cast<EntryType>(type);
    entry.lane.signer = SignerId::from(reader.raw(SignerId::size));
    entry.lane.lane = reader.u32();
    entry.slot = reader.u64();
    entry.previous = reader.array<32>();
    entry.time = reader.zigzag();
    entry.body = to_bytes(reader.string_view());
    reader.expect_done();
    entry.author = view.author;
    entry.hash = crypto::sha256(whole);
    return entry;
}

}  // namespace

std::string_view name_of(EntryType type) {
    static constexpr std::array names{"", "ENROL", "LANE", "OPEN", "FRAGMENT", "COMMIT", "CLOSE", "FENCED", "STAMP"};
    return names[static_cast<std::size_t>(type)];
}

Bytes encode(const OpenBody& body) {
    Bytes out;
    ByteWriter writer(out);
    writer.varint(body.gc_number);
    writer.u64(body.host_tag);
    writer.raw(body.lock_token);
    writer.string(body.program);
    return out;
}

OpenBody decode_open(ByteView bytes) {
    ByteReader reader(bytes, "an OPEN entry");
    OpenBody body;
    body.gc_number = reader.varint();
    body.host_tag = reader.u64();
    body.lock_token = reader.array<16>();
    body.program = reader.string();
    return body;
}

KnownFragment known_fragment(ByteView entry, const Keyring& keys) {
    const SignedView view = parse_signed(entry, SignedKind::log_entry, "a FRAGMENT entry");
    keys.verify(view, "a FRAGMENT entry");
    const LogEntry parsed = decode_payload(view, entry, "a FRAGMENT entry");
    if (parsed.type != EntryType::fragment || parsed.author != parsed.lane.signer)
        throw Error{Code::corrupt, "what should be a FRAGMENT entry is a {} by {}", name_of(parsed.type),
                    parsed.author.short_hex()};
    return {parsed.author, decode_fragment(parsed.body), to_bytes(entry)};
}

LogEntry parse_entry(ByteView stored, const LaneName& lane, std::uint64_t slot, const Keyring& keys) {
    const std::string object = describe(lane, slot);
    const SignedView view = parse_signed(stored, SignedKind::log_entry, object);
    LogEntry entry = decode_payload(view, stored, object);
    if (entry.lane != lane || entry.slot != slot)
        throw Error{Code::corrupt, "{} holds the entry of another place", object};
    keys.verify(view, object);
    return entry;
}

SnapshotId CommittedSnapshot::id() const {
    return SnapshotId{crypto::sha256(provenance.empty() ? record : provenance)};
}

Bytes encode(const FragmentBody& body) {
    Bytes out;
    ByteWriter writer(out);
    writer.raw(body.id.view());
    writer.varint(body.bytes);
    writer.u32(body.header_bytes);
    writer.raw(body.header_hash);
    writer.varint(body.chunks);
    return out;
}

FragmentBody decode_fragment(ByteView bytes) {
    ByteReader reader(bytes, "a FRAGMENT entry");
    FragmentBody body;
    body.id = FragmentId::from(reader.raw(FragmentId::size));
    body.bytes = reader.varint();
    body.header_bytes = reader.u32();
    body.header_hash = reader.array<32>();
    body.chunks = reader.varint();
    return body;
}

Bytes encode_stamp(std::uint64_t gc_number) {
    Bytes out;
    ByteWriter(out).varint(gc_number);
    return out;
}

Bytes encode_commit(ByteView record, ByteView provenance) {
    Bytes out;
    ByteWriter writer(out);
    writer.string(record);
    writer.string(provenance);
    return out;
}

LogBook::LogBook(Store& store, Keyring& keys, World& world) : store_(store), keys_(keys), world_(world) {}

void LogBook::start_from(State state) {
    HF_ASSERT(state_.lanes.empty());
    state_ = std::move(state);
    for (const Bytes& credential : state_.enrolments) enrol_signed(credential);
}

void LogBook::enrol_signed(ByteView bytes) {
    const Credential credential = decode_credential(bytes, keys_.repository(), keys_.config().root);
    keys_.enrol(credential);
    own_enrolment_seen_ = own_enrolment_seen_ || credential.id() == keys_.own_id();
}

// The root's log first, for it says who there is; then each signer's lane 0, for it says which lanes there are.
void LogBook::read() {
    if (!anything_new()) return;
    const LaneName root{keys_.root_id(), 0};
    lane_of(root);
    read_lane(root);
    for (const Credential& credential : keys_.enrolled()) {
        const LaneName first{credential.id(), 0};
        lane_of(first);
        read_lane(first);
    }
    std::vector<LaneName> others;
    for (const auto& [name, lane] : state_.lanes)
        if (name.lane != 0) others.push_back(name);
    for (const LaneName& name : others) read_lane(name);
}

std::uint64_t LogBook::limit_of(const LaneName& name) const {
    if (!limit_) return std::numeric_limits<std::uint64_t>::max();
    const auto at = limit_->find(name);
    return at == limit_->end() ? 0 : at->second;
}

// Of many lanes on a remote store most end where they did: one round trip says so for all.
bool LogBook::anything_new() {
    if (limit_) return true;
    constexpr std::size_t lanes_worth_asking = 3;
    if (!store_.traits().is_remote || state_.lanes.size() < lanes_worth_asking) return true;
    std::vector<std::string> objects;
    for (const auto& [name, lane] : state_.lanes) objects.push_back(describe(name, lane.next));
    const auto found = read_many(store_, objects);
    return std::ranges::any_of(found, [](const auto& entry) { return entry.has_value(); });
}

void LogBook::read_lane(const LaneName& name) {
    // How long a lane is nobody says; far from it, more and more slots are asked for at a time.
    const std::size_t most = store_.traits().is_remote ? 4 * requests_at_once : 1;
    for (std::size_t count = 1;; count = std::min(2 * count, most)) {
        const std::uint64_t first = lane_of(name).next;
        const std::uint64_t limit = limit_of(name);
        if (first >= limit) return;
        std::vector<std::string> objects;
        for (std::size_t i = 0; i < std::min<std::uint64_t>(count, limit - first); ++i)
            objects.push_back(describe(name, first + i));
        const auto found = read_many(store_, objects);
        for (std::size_t i = 0; i < found.size(); ++i) {
            if (!found[i] && limit_)
                throw Error{Code::unreachable, "{} is named by a mark of this replica but cannot be read", objects[i]};
            if (!found[i]) return;
            absorb(verified(*found[i], name, first + i), *found[i]);
        }
    }
}

Lane& LogBook::lane_of(const LaneName& name) {
    Lane& lane = state_.lanes[name];
    lane.name = name;
    return lane;
}

LogEntry LogBook::verified(ByteView bytes, const LaneName& lane, std::uint64_t slot) {
    ++entries_read_;
    LogEntry entry = parse_entry(bytes, lane, slot, keys_);
    const std::string object = describe(lane, slot);
    if (entry.previous != lane_of(lane).last_hash)
        throw Error{Code::corrupt, "{} does not follow the entry before it", object}.hint(
            "Somebody replaced a part of this log. Compare with another copy of the repository.");
    check_right(entry);
    return entry;
}

void LogBook::check_right(const LogEntry& entry) const {
    const bool own = entry.author == entry.lane.signer;
    bool allowed = own;
    switch (entry.type) {
        case EntryType::stamp:
            allowed = keys_.may_collect(entry.author);
            break;
        case EntryType::fenced:
            allowed = own || keys_.may_collect(entry.author);
            break;
        case EntryType::enrol:
            allowed = own && entry.author == keys_.root_id();
            break;
        case EntryType::commit:
            allowed = own && keys_.may(entry.author, Right::back_up);
            break;
        default:
            break;
    }
    if (!allowed)
        throw Error{Code::corrupt, "{} has {} by {}, who has no right to it", describe(entry.lane, entry.slot),
                    name_of(entry.type), entry.author.short_hex()};
}

void LogBook::absorb(const LogEntry& entry, ByteView stored) {
    Lane& lane = lane_of(entry.lane);
    HF_ASSERT(entry.slot == lane.next);
    lane.next = entry.slot + 1;
    lane.last_hash = entry.hash;
    lane.last_time = entry.time;
    ByteReader body(entry.body, "a log entry");
    switch (entry.type) {
        case EntryType::enrol: {
            state_.stamp = std::max(state_.stamp, body.varint());
            state_.enrolments.push_back(to_bytes(body.string_view()));
            enrol_signed(state_.enrolments.back());
            break;
        }
        case EntryType::lane:
            state_.stamp = std::max(state_.stamp, body.varint());
            lane_of({entry.lane.signer, body.u32()});
            break;
        case EntryType::open:
            lane.open = true;
            lane.open_slot = entry.slot;
            lane.open_time = entry.time;
            lane.session = decode_open(entry.body);
            break;
        case EntryType::fragment:
            state_.fragments.push_back({entry.author, decode_fragment(entry.body), to_bytes(stored)});
            break;
        case EntryType::commit: {
            CommittedSnapshot snapshot{entry.lane, entry.slot, to_bytes(body.string_view()), {}};
            snapshot.provenance = to_bytes(body.string_view());
            state_.snapshots.push_back(std::move(snapshot));
            lane.open = false;
            break;
        }
        case EntryType::close:
        case EntryType::fenced:
            lane.open = false;
            break;
        case EntryType::stamp:
            lane.stamp = std::max(lane.stamp, body.varint());
            state_.stamp = std::max(state_.stamp, lane.stamp);
            break;
    }
}

bool LogBook::append(const LaneName& name, EntryType type, ByteView body, const crypto::SigningKey& author,
                     const std::function<bool(const Lane&)>& still_wanted) {
    while (still_wanted(lane_of(name))) {
        const Lane& lane = lane_of(name);
        LogEntry entry;
        entry.type = type;
        entry.lane = name;
        entry.slot = lane.next;
        entry.previous = lane.last_hash;
        entry.time = world_.clock.now();
        entry.body = to_bytes(body);
        const Bytes bytes = sign(SignedKind::log_entry, keys_.repository(), author, encode_payload(entry));
        const std::string object = describe(name, entry.slot);
        entry.author = signer_id_of(author.public_key());
        entry.hash = crypto::sha256(bytes);
        if (store_.create(object, bytes) == Created::created) {
            absorb(entry, bytes);
            return true;
        }
        const auto there = store_.read(object);
        if (!there) throw Error{Code::unreachable, "{} exists but cannot be read", object};
        absorb(verified(*there, name, entry.slot), *there);
        // After a lost reply the entry in the way is the very one that we wrote.
        if (equal(*there, bytes)) return true;
    }
    return false;
}

void LogBook::append_in_session(const SessionName& session, EntryType type, ByteView body) {
    const auto still_open = [&](const Lane& lane) { return lane.open && lane.open_slot == session.open_slot; };
    if (append(session.lane, type, body, keys_.secrets().signer, still_open)) return;
    throw Error{Code::fenced, "this session was ended by a collector before its {}", name_of(type)}
        .unharmed("nothing of it was committed, earlier snapshots are untouched")
        .hint("The machine was asleep or cut off for long, or `holdfast unlock` was used. Run the backup again.");
}

void LogBook::fence(const SessionName& session) {
    Bytes body;
    ByteWriter(body).varint(session.open_slot);
    append(session.lane, EntryType::fenced, body, keys_.secrets().signer,
           [&](const Lane& lane) { return lane.open && lane.open_slot == session.open_slot; });
}

void LogBook::stamp_lane(const LaneName& name, std::uint64_t gc_number) {
    append(name, EntryType::stamp, encode_stamp(gc_number), keys_.secrets().signer,
           [&](const Lane& lane) { return lane.stamp < gc_number; });
}

SessionName LogBook::open_session(const OpenBody& wanted) {
    // Who has not read its own ENROL has not read the numbers before it either.
    if (!own_enrolment_seen_)
        throw Error{Code::unreachable, "the root's log does not show the enrolment of this key yet"}.hint(
            "A store that shows writes late does that. Try again in a minute.");
    const SignerId& own = keys_.own_id();
    const crypto::SigningKey& key = keys_.secrets().signer;
    while (true) {
        std::optional<LaneName> free;
        std::uint32_t count = 1;
        lane_of({own, 0});
        for (const auto& [name, lane] : state_.lanes) {
            if (name.signer != own) continue;
            count = std::max(count, name.lane + 1);
            if (!lane.open && !free) free = name;
        }
        if (!free) {
            Bytes body = encode_stamp(state_.stamp);
            ByteWriter(body).u32(count);
            const LaneName made{own, count};
            append({own, 0}, EntryType::lane, body, key, [&](const Lane&) { return !state_.lanes.contains(made); });
            continue;
        }
        // W1: every entry before the slot that OPEN takes is read, so the STAMPs before it are known; the number in
        // OPEN must not be below them, so it is made anew whenever one turns up.
        read_lane(*free);
        OpenBody body = wanted;
        body.gc_number = state_.stamp;
        const bool opened = append(*free, EntryType::open, encode(body), key,
                                   [&](const Lane& lane) { return !lane.open && state_.stamp == body.gc_number; });
        if (opened) return {*free, lane_of(*free).open_slot};
    }
}

// The root's log comes first: what is not in it no collector would see.
void LogBook::enrol(const Credential& credential) {
    HF_ASSERT(keys_.secrets().root.has_value());
    Bytes body = encode_stamp(state_.stamp);
    ByteWriter(body).string(encode(credential, keys_.repository(), *keys_.secrets().root));
    append({keys_.root_id(), 0}, EntryType::enrol, body, *keys_.secrets().root, [](const Lane&) { return true; });
}

// The marks are lines "<signer> <lane> <next> <hash of the last entry>". A repository that shows less than that, or
// something else at that place, was rolled back or replaced.
LogBook::Marks LogBook::read_marks(const std::string& path) {
    Marks marks;
    const auto known = read_file_if_present(path);
    if (!known) return marks;
    for (const std::string& line : split(as_text(*known), '\n')) {
        const std::vector<std::string> field = split(line, ' ');
        const auto signer = SignerId::from_hex_text(field[0]);
        if (!signer || field.size() != 4) continue;
        marks[{*signer, static_cast<std::uint32_t>(std::strtoul(field[1].c_str(), nullptr, 10))}] = {
            std::strtoull(field[2].c_str(), nullptr, 10), field[3]};
    }
    return marks;
}

bool LogBook::shows_less(const Marks::value_type& known) const {
    const auto& [name, mark] = known;
    const auto lane = state_.lanes.find(name);
    if (lane == state_.lanes.end()) return mark.next > 0;
    return lane->second.next < mark.next ||
           (lane->second.next == mark.next && to_hex(lane->second.last_hash) != mark.hash);
}

void LogBook::check_marks(const std::string& folder) {
    if (folder.empty()) return;
    const std::string place = to_hex(crypto::sha256(as_bytes(store_.url()))).substr(0, 16);
    const std::string path = folder + "/" + keys_.repository().hex() + "-" + place;
    const Marks marks = read_marks(path);
    const auto is_behind = [&](const auto& known) { return shows_less(known); };
    // Another process of this machine may have raised them after we read the logs.
    if (std::ranges::any_of(marks, is_behind)) read();
    if (const auto known = std::ranges::find_if(marks, is_behind); known != marks.end()) {
        const auto& [name, mark] = *known;
        const auto lane = state_.lanes.find(name);
        const std::uint64_t next = lane == state_.lanes.end() ? 0 : lane->second.next;
        throw Error{Code::rolled_back,
                    "{} shows {} entries of signer {} lane {}, this machine has seen {}{}",
                    store_.url(),
                    next,
                    name.signer.short_hex(),
                    name.lane,
                    mark.next,
                    next == mark.next ? " with other contents" : ""}
            .unharmed("nothing was read from it or written to it")
            .hint(
                fmt::format("The store was rolled back or replaced. If you restored it on purpose, remove {}.", path));
    }
    std::string text;
    for (const auto& [name, lane] : state_.lanes)
        if (lane.next > 0)
            text += fmt::format("{} {} {} {}\n", name.signer.hex(), name.lane, lane.next, to_hex(lane.last_hash));
    try {
        std::filesystem::create_directories(folder);
        const auto before = read_file_if_present(path);
        if (!before || as_text(*before) != text) write_file_durably(path, as_bytes(text));
    } catch (const std::exception& failure) {
        world_.log.warning(fmt::format("the high-water marks of {} cannot be kept: {}", store_.url(), failure.what()));
    }
}

}  // namespace holdfast::repo
