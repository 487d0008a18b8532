#include "repo/journal.h"

#include <algorithm>

#include "repo/names.h"
#include "repo/segment_pack.h"

namespace holdfast::repo {

namespace {

constexpr std::size_t head_guess = 2048;  // enough for a head, as a rule

}  // namespace

Journal::Journal(const Repository& repository, std::string source)
    : repository_(repository), source_(std::move(source)), tag_(source_tag(repository.keys(), source_)) {}

std::optional<Error> Journal::fault_of(const Segment& segment, const Slot& slot, const std::string& object) const {
    if (segment.source_tag != tag_ || segment.lane != slot.lane || segment.number != slot.number)
        return Error{Code::corrupt, "{} is the segment of another place", object};
    const std::string who = segment.author.short_hex();
    if (!repository_.keys().may_back_up(segment.author, source_))
        return Error{Code::corrupt, "{} has a segment by {}, who may not back up {}", object, who, source_};
    return std::nullopt;
}

// What is wrong with it, or it is known from here on.
std::optional<Error> Journal::take(Segment segment, const Slot& slot, const std::string& object) {
    if (auto fault = fault_of(segment, slot, object)) return fault;
    segment.object = object;
    known_.insert_or_assign(slot, std::move(segment));
    return std::nullopt;
}

// False: there is none.
bool Journal::read_segment(const Slot& slot) {
    if (known_.contains(slot)) return true;
    const std::string object = names::segment(tag_, slot.lane, slot.number);
    Store& store = repository_.store();
    try {
        auto bytes = store.read_range(object, 0, head_guess);
        if (!bytes) return false;
        const std::size_t wanted = 4 + head_bytes_of(*bytes, object);
        if (wanted > bytes->size()) bytes = store.read_range(object, 0, wanted);
        if (!bytes || bytes->size() < wanted) throw Error{Code::corrupt, "{} ends within its head", object};
        const ByteView head = ByteView(*bytes).subspan(4, wanted - 4);
        if (auto fault = take(decode_head(repository_.keys(), head, object), slot, object)) throw std::move(*fault);
    } catch (const Error& error) {
        if (error.code() != Code::corrupt && error.code() != Code::denied) throw;
        damage_.push_back({object, error});
    }
    return true;
}

void Journal::read_pack(const std::string& object) {
    if (packs_read_[object]) return;
    try {
        auto segments = read_segment_pack(repository_, object);
        if (!segments) {
            repository_.world().log.warning(
                fmt::format("{} is passed over: it was put together by someone who may not do that", object));
            passed_over_.insert(object);
            packs_read_[object] = true;
            return;
        }
        std::optional<Error> fault;  // of one row, which is nothing against the others
        for (Segment& segment : *segments) {
            const Slot slot{segment.lane, segment.number};
            if (auto found = take(std::move(segment), slot, object)) fault = std::move(found);
        }
        if (fault) throw std::move(*fault);
        packs_read_[object] = true;
    } catch (const Error& error) {
        if (error.code() != Code::corrupt && error.code() != Code::denied) throw;
        damage_.push_back({object, error});
    }
}

void Journal::read() {
    damage_.clear();
    superseded_.clear();
    const std::string prefix = names::journal_of(tag_);
    std::set<Slot> single;
    std::vector<std::string> packs;
    repository_.store().list(prefix, [&](const ObjectInfo& object) {
        const std::string_view rest = std::string_view(object.name).substr(prefix.size());
        const std::size_t slash = rest.find('/');
        if (slash == std::string_view::npos) return;
        const auto lane = names::parse_number(rest.substr(0, slash));
        const std::string_view name = rest.substr(slash + 1);
        if (!lane) return;
        if (const auto number = names::parse_number(name))
            single.insert({static_cast<std::uint32_t>(*lane), *number});
        else if (name.find('-') != std::string_view::npos)
            packs.push_back(object.name);
    });
    for (const std::string& pack : packs) read_pack(pack);
    for (const Slot& slot : single) {
        read_segment(slot);
        const std::string object = names::segment(tag_, slot.lane, slot.number);
        const auto at = known_.find(slot);
        if (at != known_.end() && at->second.object != object) superseded_.push_back(object);
    }

    // A listing may be late: what follows the newest is asked for by name.
    Slot next;
    if (!known_.empty()) next = known_.rbegin()->first;
    if (!single.empty()) next = std::max(next, *single.rbegin());
    next_.reset();
    while (read_segment(next)) {
        while (read_segment(next)) {
            repository_.world().stop.check();
            ++next.number;
        }
        next_ = next;
        next = {next.lane + 1, 0};
    }
    segments_.clear();
    for (const auto& [slot, segment] : known_) segments_.push_back(segment);
}

bool Journal::tail_is_lost() const {
    if (!next_) return false;
    return known_.empty() || known_.rbegin()->first != Slot{next_->lane, next_->number - 1};
}

std::vector<Journal::Run> Journal::runs() const {
    std::vector<Run> out;
    for (std::size_t i = 0; i < segments_.size(); ++i) {
        const Segment& segment = segments_[i];
        const bool linked = i > 0 && segment.previous == segments_[i - 1].hash;
        if (out.empty() || segment.starts || !linked) {
            Run& run = out.emplace_back();
            run.begin = i;
            run.from = segment.first;
            run.why = segment.starts ? segment.why : i == 0 ? "what was before has expired" : "segments are missing";
        }
        Run& run = out.back();
        run.end = i + 1;
        run.to = segment.last;
        run.records += segment.records;
        run.bytes += segment.bytes;
        run.stored += segment.stored();
    }
    return out;
}

void Journal::read_content(Segment segment, const std::function<void(ByteView)>& each) {
    const Note note{"reading segment {} of lane {} of a journal", segment.number, segment.lane};
    const std::size_t wanted = segment.stored();
    Store& store = repository_.store();
    auto bytes = store.read_range(segment.object, segment.offset, wanted);
    if (!bytes) {
        read();
        const auto at = known_.find(Slot{segment.lane, segment.number});
        if (at != known_.end() && at->second.hash == segment.hash) {
            segment = at->second;
            bytes = store.read_range(segment.object, segment.offset, wanted);
        }
    }
    if (!bytes) throw Error{Code::corrupt, "{} is no longer there", segment.object};
    if (bytes->size() < wanted) throw Error{Code::corrupt, "{} is too short", segment.object};
    const ByteView head = ByteView(*bytes).subspan(4, segment.head_bytes);
    // A table in a pack is believed for planning; what is used carries its own signature.
    Segment signed_one = decode_head(repository_.keys(), head, segment.object);
    if (signed_one.hash != segment.hash)
        throw Error{Code::corrupt, "{} is not the segment it should be", segment.object};
    if (auto fault = fault_of(signed_one, {segment.lane, segment.number}, segment.object)) throw std::move(*fault);
    signed_one.object = segment.object;
    open_section(repository_.keys(), signed_one, ByteView(*bytes).subspan(4 + segment.head_bytes), each);
}

JournalWriter::JournalWriter(Repository& repository, const std::string& source)
    : repository_(repository), journal_(repository, source), lock_(repository) {
    repository.require_writable();
    journal_.read();
    if (!journal_.damage().empty()) {
        const Journal::Damage& first = journal_.damage().front();
        repository.world().log.warning(fmt::format("{}: {}", first.object, first.why.message()));
    }
    if (!journal_.segments().empty()) newest_ = journal_.segments().back();
}

std::optional<Moment> JournalWriter::last() const {
    if (!newest_ || (segments_ == 0 && journal_.tail_is_lost())) return std::nullopt;
    return newest_->last;
}

void JournalWriter::refuse_if_at_work(const Segment& newest, bool take_over) const {
    if (newest.ends || take_over) return;
    const Presence found = presence(repository_, newest.host, newest.token);
    constexpr Nanoseconds silence_max = 180 * one_second;
    const Nanoseconds silent = repository_.world().clock.now() - newest.written;
    if (found == Presence::here || (found == Presence::unknown && silent < silence_max))
        throw Error{Code::busy, "{} is followed by another process already", journal_.source()}
            .unharmed("its journal goes on")
            .hint(found == Presence::here ? "It runs on this machine; `--take-over` ends its work."
                                          : "It wrote less than three minutes ago; `--take-over` ends its work.");
}

// Takes the very slot that its writer would need next.
void JournalWriter::end_lane(std::uint64_t number) {
    Segment end;
    end.source_tag = newest_->source_tag;
    end.lane = newest_->lane;
    end.number = number;
    end.ends = true;
    end.first = newest_->last;
    end.last = newest_->last;
    end.previous = newest_->hash;
    end.source = journal_.source();
    put(std::move(end), {});
}

void JournalWriter::begin(const Begin& begin) {
    settle();
    HF_ASSERT(!begin.continues || last());
    if (open_) {
        if (!newest_->ends) end_lane(newest_->number + 1);
    } else if (newest_) {
        refuse_if_at_work(*newest_, begin.take_over);
        if (!newest_->ends && newest_->lane == journal_.next()->lane) end_lane(journal_.next()->number);
    }
    Segment segment;
    segment.source_tag = source_tag(repository_.keys(), journal_.source());
    segment.lane = open_ ? newest_->lane + 1 : journal_.next() ? journal_.next()->lane + 1 : 0;
    segment.starts = !begin.continues;
    segment.first = begin.at;
    segment.last = begin.at;
    segment.source = journal_.source();
    segment.why = begin.why;
    if (newest_) segment.previous = newest_->hash;
    put(std::move(segment), {});
    open_ = true;
}

void JournalWriter::append(const Piece& piece) {
    HF_ASSERT(open_);
    settle();
    Segment segment;
    segment.source_tag = newest_->source_tag;
    segment.lane = newest_->lane;
    segment.number = newest_->number + 1;
    segment.first = newest_->last;
    segment.last = piece.last;
    segment.records = piece.records;
    segment.open = piece.open;
    segment.pauses = piece.pauses;
    segment.previous = newest_->hash;
    segment.source = journal_.source();
    put(std::move(segment), piece.bytes);
}

void JournalWriter::end() {
    if (!open_) return;
    settle();
    if (!newest_->ends) end_lane(newest_->number + 1);
    open_ = false;
    lock_.remove();
}

void JournalWriter::put(Segment segment, ByteView bytes) {
    const Keyring& keys = repository_.keys();
    segment.written = repository_.world().clock.now();
    segment.host = host_tag(keys);
    segment.token = lock_.token();
    Bytes object = encode_segment(keys, segment, bytes, repository_.world().random);
    segment.object = names::segment(segment.source_tag, segment.lane, segment.number);
    unsettled_ = {std::move(segment), std::move(object)};
    settle();
}

void JournalWriter::settle() {
    if (!unsettled_) return;
    const auto& [segment, object] = *unsettled_;
    if (repository_.store().create(segment.object, object) != Created::created) {
        const auto there = repository_.store().read(segment.object);
        if (!there) throw Error{Code::unreachable, "{} exists but cannot be read", segment.object};
        if (!equal(*there, object))
            throw Error{Code::fenced, "another process took over the journal of {}", journal_.source()}
                .unharmed("everything that this one reported as stored is in the journal")
                .hint("`holdfast windows` shows how far the journal goes.");
    }
    ++segments_;
    bytes_stored_ += object.size();
    newest_ = std::move(unsettled_->segment);
    unsettled_.reset();
}

std::uint64_t expire_journal(const Repository& repository, const Journal& journal, const std::vector<bool>& keep) {
    const std::vector<Segment>& all = journal.segments();
    HF_ASSERT(keep.size() == all.size());
    std::map<std::string, std::uint64_t> going;  // objects and how much of them we know
    for (std::size_t i = 0; i < all.size(); ++i)
        if (!keep[i]) going[all[i].object] += all[i].stored();
    for (std::size_t i = 0; i < all.size(); ++i)
        if (keep[i]) going.erase(all[i].object);
    if (!all.empty()) going.erase(all.back().object);
    std::uint64_t freed = 0;
    for (const auto& [object, bytes] : going) {
        repository.world().stop.check();
        repository.store().remove(object);
        freed += bytes;
    }
    return freed;
}

std::vector<std::uint64_t> list_journals(const Repository& repository) {
    std::set<std::uint64_t> out;
    repository.store().list(names::journal, [&](const ObjectInfo& object) {
        const std::string_view rest = std::string_view(object.name).substr(names::journal.size());
        const auto raw = from_hex(rest.substr(0, rest.find('/')));
        if (!raw || raw->size() != 8) return;
        std::uint64_t tag = 0;
        for (const std::uint8_t byte : *raw) tag = tag << 8 | byte;
        out.insert(tag);
    });
    return {out.begin(), out.end()};
}

}  // namespace holdfast::repo
