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

constexpr std::uint32_t lane_number_max = 1'000'000;

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
    if (type < 1 || type > 9) reader.fail("it is an entry of a type that this version does not know");
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
    static constexpr std::array names{"",       "ENROL", "LANE",   "OPEN",  "FRAGMENT",
                                      "COMMIT", "CLOSE", "FENCED", "STAMP", "VOID"};
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

CommittedSnapshot decode_commit(const LogEntry& entry) {
    ByteReader body(entry.body, "a COMMIT entry");
    CommittedSnapshot snapshot{entry.lane, entry.slot, to_bytes(body.string_view()), {}};
    snapshot.provenance = to_bytes(body.string_view());
    return snapshot;
}

std::optional<VoidBody> decode_void(const LogEntry& entry, const Keyring& keys) {
    if (entry.type != EntryType::voided) return std::nullopt;
    if (entry.author != entry.lane.signer && !keys.may_collect(entry.author)) return std::nullopt;
    ByteReader body(entry.body, "a VOID entry");
    VoidBody named;
    named.first = body.varint();
    named.hash = body.array<32>();
    return named;
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
    const LaneName root{keys_.root_id(), 0};
    lane_of(root);
    foresee_lanes();
    read_lane(root);
    if (const std::string& broken = lane_of(root).broken; !broken.empty() && !own_enrolment_seen_)
        throw Error{Code::corrupt, "the root's log does not show the enrolment of this key: {}", broken};
    std::vector<LaneName> first, others;
    for (const Credential& credential : keys_.enrolled()) first.push_back({credential.id(), 0});
    read_lanes(first);
    for (const auto& [name, lane] : state_.lanes)
        if (name.lane != 0) others.push_back(name);
    read_lanes(others);
}

// Most lanes end where they did: on a remote store one round trip says so for all. Only what this reading asks for in any case
// may be foreseen here: an answer that is left over would show the next one a lane's end that is no longer there.
void LogBook::foresee_lanes() {
    const LaneName root{keys_.root_id(), 0};
    const auto is_read = [&](const LaneName& name) {
        return name == root || name.lane != 0 || keys_.find(name.signer) != nullptr;
    };
    Foreseen soon;
    for (const auto& [name, lane] : state_.lanes)
        if (lane.next < limit_of(name) && is_read(name)) soon.read.push_back(describe(name, lane.next));
    store_.foresee(soon);
}

void LogBook::read_lanes(const std::vector<LaneName>& names) {
    Foreseen soon;
    for (const LaneName& name : names)
        if (lane_of(name).next == 0 && limit_of(name) > 0) soon.read.push_back(describe(name, 0));
    store_.foresee(soon);
    for (const LaneName& name : names) read_lane(name);
}

std::uint64_t LogBook::limit_of(const LaneName& name) const {
    if (!limit_) return std::numeric_limits<std::uint64_t>::max();
    const auto at = limit_->find(name);
    return at == limit_->end() ? 0 : at->second;
}

void LogBook::read_lane(const LaneName& name) {
    lane_of(name).broken.clear();  // unless what lies there still is no entry of it
    bool goes_on_behind_void = true;
    while (std::exchange(goes_on_behind_void, false))
        read_slots(name, lane_of(name).next, [&](std::uint64_t slot, const Bytes& bytes) {
            if (!take(name, bytes)) return false;
            goes_on_behind_void = lane_of(name).next != slot + 1;
            return !goes_on_behind_void;
        });
}

void LogBook::read_slots(const LaneName& name, std::uint64_t first,
                         const std::function<bool(std::uint64_t, Bytes)>& each) {
    // How long a lane is nobody says; far from its end, more and more slots are asked for at a time.
    const std::size_t most = store_.traits().is_remote ? 4 * requests_at_once : 1;
    const std::uint64_t limit = limit_of(name);
    for (std::size_t count = 1; first < limit; count = std::min(2 * count, most)) {
        std::vector<std::string> objects;
        for (std::size_t i = 0; i < std::min<std::uint64_t>(count, limit - first); ++i)
            objects.push_back(describe(name, first + i));
        auto found = read_many(store_, objects);
        for (std::optional<Bytes>& bytes : found) {
            if (!bytes && limit_)
                throw Error{Code::unreachable, "{} is named by a mark of this replica but cannot be read",
                            describe(name, first)};
            if (!bytes || !each(first++, std::move(*bytes))) return;
        }
    }
}

Lane& LogBook::lane_of(const LaneName& name) {
    Lane& lane = state_.lanes[name];
    lane.name = name;
    return lane;
}

bool LogBook::take(const LaneName& name, ByteView bytes) {
    Lane& lane = lane_of(name);
    ++entries_read_;
    try {
        const LogEntry entry = placed(bytes, name, lane.next, lane.last_hash);
        check_right(entry);
        absorb(entry, bytes);
        return true;
    } catch (const Error& error) {
        if (error.code() != Code::corrupt) throw;
        lane.broken = error.message();
    }
    return take_void_behind(name, bytes);
}

// All in between counts for nothing, whatever it is: who wrote VOID names the first of it by place and hash, so nobody takes
// an entry for void that he himself can read.
bool LogBook::take_void_behind(const LaneName& name, ByteView bytes) {
    const std::uint64_t first = lane_of(name).next;
    const crypto::Digest hash = crypto::sha256(bytes);
    crypto::Digest before = hash;
    bool found = false;
    read_slots(name, first + 1, [&](std::uint64_t slot, const Bytes& there) {
        try {
            const LogEntry entry = placed(there, name, slot, before);
            const auto named = decode_void(entry, keys_);
            found = named && named->first == first && named->hash == hash;
            if (found) absorb(entry, there);
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
        }
        before = crypto::sha256(there);
        return !found;
    });
    return found;
}

LogEntry LogBook::placed(ByteView bytes, const LaneName& lane, std::uint64_t slot, const crypto::Digest& previous) {
    const std::string object = describe(lane, slot);
    const SignedView view = parse_signed(bytes, SignedKind::log_entry, object);
    // Whoever was enrolled since the root's log was read may have written here.
    const LaneName root{keys_.root_id(), 0};
    const SignerId author = decode_payload(view, bytes, object).author;
    if (lane != root && author != root.signer && keys_.find(author) == nullptr) read_lane(root);
    LogEntry entry = parse_entry(bytes, lane, slot, keys_);
    if (entry.previous != previous) throw Error{Code::corrupt, "{} does not follow the entry before it", object};
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
        case EntryType::voided:
            allowed = false;  // where nothing is broken
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

// What does not parse leaves everything as it was.
void LogBook::absorb(const LogEntry& entry, ByteView stored) {
    Lane after = lane_of(entry.lane);
    after.next = entry.slot + 1;
    after.last_hash = entry.hash;
    after.last_time = entry.time;
    after.broken.clear();
    ByteReader body(entry.body, "a log entry");
    switch (entry.type) {
        case EntryType::enrol: {
            const std::uint64_t number = body.varint();
            Bytes credential = to_bytes(body.string_view());
            enrol_signed(credential);
            state_.stamp = std::max(state_.stamp, number);
            state_.enrolments.push_back(std::move(credential));
            break;
        }
        case EntryType::lane: {
            const std::uint64_t number = body.varint();
            const LaneName made{entry.lane.signer, body.u32()};
            if (made.lane > lane_number_max) body.fail("no process takes a lane of that number");
            if (is_known_number(number, made.signer)) state_.stamp = std::max(state_.stamp, number);
            lane_of(made);
            break;
        }
        case EntryType::open:
            after.session = decode_open(entry.body);
            after.open = true;
            after.open_slot = entry.slot;
            after.open_time = entry.time;
            break;
        case EntryType::fragment:
            state_.fragments.push_back({entry.author, decode_fragment(entry.body), to_bytes(stored)});
            break;
        case EntryType::commit:
            state_.snapshots.push_back(decode_commit(entry));
            after.open = false;
            break;
        case EntryType::close:
        case EntryType::fenced:
        case EntryType::voided:
            after.open = false;
            break;
        case EntryType::stamp:
            after.stamp = std::max(after.stamp, body.varint());
            state_.stamp = std::max(state_.stamp, after.stamp);
            break;
    }
    lane_of(entry.lane) = std::move(after);
}

// A writer's word for a collection that nobody began would stop all others: they wait for what it condemned.
bool LogBook::is_known_number(std::uint64_t number, const SignerId& signer) {
    return number <= state_.stamp || signer == keys_.own_id() || store_.find(names::condemned(number)).has_value();
}

Bytes LogBook::signed_entry(LogEntry& entry, const crypto::SigningKey& author) const {
    entry.time = world_.clock.now();
    entry.author = signer_id_of(author.public_key());
    Bytes bytes = sign(SignedKind::log_entry, keys_.repository(), author, encode_payload(entry));
    entry.hash = crypto::sha256(bytes);
    return bytes;
}

LogBook::Appended LogBook::append(const LaneName& name, EntryType type, ByteView body, const crypto::SigningKey& author,
                                  const std::function<bool(const Lane&)>& still_wanted) {
    while (still_wanted(lane_of(name))) {
        const Lane& lane = lane_of(name);
        LogEntry entry;
        entry.type = type;
        entry.lane = name;
        entry.slot = lane.next;
        entry.previous = lane.last_hash;
        entry.body = to_bytes(body);
        const Bytes bytes = signed_entry(entry, author);
        const std::string object = describe(name, entry.slot);
        if (store_.create(object, bytes) == Created::created) {
            absorb(entry, bytes);
            return Appended::done;
        }
        const auto there = store_.read(object);
        if (!there) throw Error{Code::unreachable, "{} exists but cannot be read", object};
        if (!take(name, *there)) return Appended::lane_broken;
        // After a lost reply the entry in the way is the very one that we wrote.
        if (equal(*there, bytes)) return Appended::done;
    }
    return Appended::not_wanted;
}

void LogBook::append_or_throw(const LaneName& name, EntryType type, ByteView body, const crypto::SigningKey& author,
                              const std::function<bool(const Lane&)>& still_wanted) {
    if (append(name, type, body, author, still_wanted) != Appended::lane_broken) return;
    throw Error{Code::corrupt, "the log of key {} goes no further: {}", name.signer.short_hex(), lane_of(name).broken}
        .unharmed("what stands before it in that log stays valid")
        .hint(fmt::format("`holdfast unlock {}` declares void what lies there.", name.signer.short_hex()));
}

void LogBook::void_rest(const LaneName& name) {
    read_lane(name);
    while (!lane_of(name).broken.empty()) {
        const std::uint64_t first = lane_of(name).next;
        LogEntry entry;
        entry.type = EntryType::voided;
        entry.lane = name;
        entry.slot = first;
        read_slots(name, first, [&](std::uint64_t slot, const Bytes& bytes) {
            entry.previous = crypto::sha256(bytes);
            if (slot == first) {
                ByteWriter writer(entry.body);
                writer.varint(first);
                writer.raw(entry.previous);
            }
            entry.slot = slot + 1;
            return true;
        });
        if (entry.slot > first) store_.create(describe(name, entry.slot), signed_entry(entry, keys_.secrets().signer));
        read_lane(name);  // whoever took that slot first, what is there counts
    }
}

const Lane* LogBook::broken_lane() const {
    const auto at = std::ranges::find_if(state_.lanes, [](const auto& each) { return !each.second.broken.empty(); });
    return at == state_.lanes.end() ? nullptr : &at->second;
}

void LogBook::append_in_session(const SessionName& session, EntryType type, ByteView body) {
    const auto still_open = [&](const Lane& lane) { return lane.open && lane.open_slot == session.open_slot; };
    const Appended appended = append(session.lane, type, body, keys_.secrets().signer, still_open);
    if (appended == Appended::done) return;
    if (appended == Appended::lane_broken)
        throw Error{Code::fenced, "this session ended before its {}, for its log goes no further: {}", name_of(type),
                    lane_of(session.lane).broken}
            .unharmed("nothing of it was committed, earlier snapshots are untouched")
            .hint("Somebody writes into this key's log. Run the backup again; it takes another lane.");
    throw Error{Code::fenced, "this session was ended by a collector before its {}", name_of(type)}
        .unharmed("nothing of it was committed, earlier snapshots are untouched")
        .hint("The machine was asleep or cut off for long, or `holdfast unlock` was used. Run the backup again.");
}

void LogBook::fence(const SessionName& session) {
    Bytes body;
    ByteWriter(body).varint(session.open_slot);
    append_or_throw(session.lane, EntryType::fenced, body, keys_.secrets().signer,
                    [&](const Lane& lane) { return lane.open && lane.open_slot == session.open_slot; });
}

void LogBook::stamp_lane(const LaneName& name, std::uint64_t gc_number) {
    append_or_throw(name, EntryType::stamp, encode_stamp(gc_number), keys_.secrets().signer,
                    [&](const Lane& lane) { return lane.stamp < gc_number; });
}

SessionName LogBook::open_session(const OpenBody& wanted) {
    // Who has not read its own ENROL has not read the numbers before it either.
    if (!own_enrolment_seen_)
        throw Error{Code::unreachable, "the root's log does not show the enrolment of this key yet"}.hint(
            "A store that shows writes late does that. Try again in a minute.");
    const SignerId& own = keys_.own_id();
    const crypto::SigningKey& key = keys_.secrets().signer;
    for (bool first = true;; first = false) {
        std::optional<LaneName> free;
        std::uint32_t count = 1;
        lane_of({own, 0});
        for (const auto& [name, lane] : state_.lanes) {
            if (name.signer != own) continue;
            count = std::max(count, name.lane + 1);
            if (!lane.open && lane.broken.empty() && !free) free = name;
        }
        if (!free) {
            Bytes body = encode_stamp(state_.stamp);
            ByteWriter(body).u32(count);
            const LaneName made{own, count};
            append_or_throw({own, 0}, EntryType::lane, body, key,
                            [&](const Lane&) { return !state_.lanes.contains(made); });
            continue;
        }
        // W1: every entry before the slot that OPEN takes is read, so the STAMPs before it are known; the number in
        // OPEN must not be below them, so it is made anew whenever one turns up. That nothing has come behind what is
        // known the store says when it creates the slot.
        if (!first) read_lane(*free);
        OpenBody body = wanted;
        body.gc_number = state_.stamp;
        const Appended opened = append(*free, EntryType::open, encode(body), key, [&](const Lane& lane) {
            return !lane.open && lane.broken.empty() && state_.stamp == body.gc_number;
        });
        if (opened == Appended::done) return {*free, lane_of(*free).open_slot};
    }
}

// The root's log comes first: what is not in it no collector would see.
void LogBook::enrol(const Credential& credential) {
    HF_ASSERT(keys_.secrets().root.has_value());
    Bytes body = encode_stamp(state_.stamp);
    ByteWriter(body).string(encode(credential, keys_.repository(), *keys_.secrets().root));
    append_or_throw({keys_.root_id(), 0}, EntryType::enrol, body, *keys_.secrets().root,
                    [](const Lane&) { return true; });
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

bool LogBook::has_marks_of(const Config& config, const std::string& folder) {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder, none))
        if (entry.path().filename().string().starts_with(config.repository.hex() + "-") &&
            read_marks(entry.path()).contains({signer_id_of(config.root), 0}))
            return true;
    return false;
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
        Error error{Code::rolled_back,
                    "{} shows {} entries of signer {} lane {}, this machine has seen {}{}",
                    store_.url(),
                    next,
                    name.signer.short_hex(),
                    name.lane,
                    mark.next,
                    next == mark.next ? " with other contents" : ""};
        error.set_unharmed("nothing was read from it or written to it");
        error.set_hint(
            fmt::format("The store was rolled back or replaced. If you restored it on purpose, remove {}.", path));
        if (lane != state_.lanes.end() && !lane->second.broken.empty()) error.add_notes({lane->second.broken});
        throw error;
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
