#include "repo/chunk_reader.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "repo/names.h"

namespace holdfast::repo {

namespace {

template <class Sections>
auto find_section(Sections& sections, const PackId& pack, std::uint32_t section) {
    return std::ranges::find_if(sections,
                                [&](const auto& each) { return each.section == section && each.pack == pack; });
}

std::uint32_t begin_of(const Location& place) { return place.offset <= ChunkReader::lead_max ? 0 : place.offset; }

}  // namespace

ChunkId data_id(const crypto::IdKey& key, ByteView plain) { return ChunkId{key(plain)}; }
ChunkId state_id(const crypto::IdKey& key, ByteView plain) { return ChunkId{key("state", {}, plain)}; }
ChunkId node_id(const crypto::IdKey& key, ByteView reachable, ByteView content) {
    return ChunkId{key("node", reachable, content)};
}

bool is_data(const Keyring& keys, const ChunkId& id, ByteView plain) {
    return keys.domains().any([&](const crypto::IdKey& key) { return data_id(key, plain) == id; });
}
bool is_of_kind(const Keyring& keys, PackKind kind, const ChunkId& id, ByteView reachable, ByteView content) {
    switch (kind) {
        case PackKind::data:
        case PackKind::journal:
            return is_data(keys, id, content);
        case PackKind::state:
            return keys.domains().any([&](const crypto::IdKey& key) { return state_id(key, content) == id; });
        case PackKind::meta:
            return keys.domains().any([&](const crypto::IdKey& key) { return node_id(key, reachable, content) == id; });
    }
    return false;
}

ChunkReader::ChunkReader(Store& store, const Keyring& keys, Index& index) : store_(store), keys_(keys), index_(index) {}
ChunkReader::~ChunkReader() = default;

void ChunkReader::require(bool is_so, const ChunkId& id, const std::string& object) {
    if (!is_so)
        throw Error{Code::corrupt, "a chunk in {} opens, but to other bytes than {} stands for", object, id.short_hex()}
            .hint(
                "Whoever sealed it lied about its contents, or an index entry is wrong; run `holdfast check "
                "--read-data`.");
}

// Of `bytes`, when it is among them.
std::shared_ptr<const Bytes> ChunkReader::header_of(const PackRef& pack, std::uint32_t section, ByteView bytes,
                                                    std::uint32_t bytes_offset) {
    if (section >= bytes_offset && section - bytes_offset < bytes.size()) {
        const ByteView here = bytes.subspan(section - bytes_offset);
        if (here.size() >= section_header_max)
            return std::make_shared<const Bytes>(to_bytes(here.first(section_header_max)));
    }
    {
        const std::lock_guard lock(mutex_);
        const auto at = find_section(headers_, pack.id, section);
        if (at != headers_.end()) return at->header;
    }
    auto header = store_.read_range(pack.object(), section, section_header_max);
    ++requests_;
    if (!header) throw Error{Code::corrupt, "{} is missing", pack.object()};
    return std::make_shared<const Bytes>(std::move(*header));
}

void ChunkReader::with_opener(const PackRef& pack, std::uint32_t section, ByteView bytes, std::uint32_t bytes_offset,
                              const std::function<void(SectionOpener&)>& use) {
    std::unique_ptr<SectionOpener> opener;
    {
        const std::lock_guard lock(mutex_);
        const auto at = find_section(idle_, pack.id, section);
        if (at != idle_.end()) {
            opener = std::move(at->opener);
            idle_.erase(at);
        }
    }
    std::shared_ptr<const Bytes> header;
    if (!opener) {
        const std::string object = pack.object();
        header = header_of(pack, section, bytes, bytes_offset);
        opener = std::make_unique<SectionOpener>(keys_, parse_section(*header, object), object);
    }
    use(*opener);
    const std::lock_guard lock(mutex_);
    idle_.push_front({pack.id, section, std::move(opener)});
    if (idle_.size() > section_openers_max) idle_.pop_back();
    if (!header || find_section(headers_, pack.id, section) != headers_.end()) return;
    headers_.push_front({pack.id, section, std::move(header)});  // it has opened something, so it is the right one
    if (headers_.size() > section_openers_max) headers_.pop_back();
}

void ChunkReader::at_any_place(const ChunkId& id, const Use& use) {
    if (const auto there = held(id)) {
        try {
            return use_record(id, there->place, there->ahead->window, use);
        } catch (const Error& error) {
            if (!is_about_one_object(error)) throw;
            // It may have been read wrongly only then.
            const std::lock_guard lock(mutex_);
            ahead_.remove(there->ahead);
        }
    }
    const std::vector<Location> places = index_.find(id, true);
    if (places.empty())
        throw Error{Code::corrupt, "chunk {} is in no pack that the index knows", id.short_hex()}.hint(
            "Run `holdfast check` to see what is affected.");
    std::optional<Error> first;
    for (const Location& place : places) {
        const std::optional<Error> damage = damage_at(id, place, use);
        if (!damage) return;
        if (!first) first = damage;
    }
    throw *first;
}

// A store that was away for a moment gives it the second time.
std::optional<Error> ChunkReader::damage_at(const ChunkId& id, const Location& place, const Use& use) {
    for (bool again = false;; again = true) {
        try {
            at_place(id, place, use);
            return std::nullopt;
        } catch (const Error& error) {
            if (error.code() == Code::corrupt) return error;
            if (!is_about_one_object(error)) throw;
            if (again) return Error{Code::corrupt, "{} cannot be read: {}", place.pack.object(), error.message()};
        }
    }
}

// A store that does not answer at all says nothing of its objects.
bool ChunkReader::is_about_one_object(const Error& error) {
    return error.code() == Code::corrupt || (error.code() == Code::unreachable && store_.find(names::config));
}

std::optional<ChunkReader::Held> ChunkReader::held(const ChunkId& id) {
    const std::lock_guard lock(mutex_);
    for (const auto& ahead : ahead_) {
        const auto at = std::ranges::find(ahead->chunks, id, &std::pair<ChunkId, Location>::first);
        if (at != ahead->chunks.end()) return Held{ahead, at->second};
    }
    return std::nullopt;
}

std::size_t ChunkReader::fetch_ahead(std::span<const ChunkId> ids) {
    if (ids.size() < 2) return ids.size();
    const std::vector<std::vector<Location>> places = index_.find_all(ids);
    if (places.front().empty()) return 1;
    const PackRef& pack = places.front().front().pack;
    const std::uint64_t first = places.front().front().offset;
    const std::uint64_t begin = begin_of(places.front().front());
    std::uint64_t end = first;
    Ahead ahead;
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto at = std::ranges::find(places[i], pack, &Location::pack);
        if (at == places[i].end() || at->offset < first || at->offset > end + gap_max) break;
        const std::uint64_t with_it = std::max<std::uint64_t>(end, std::uint64_t{at->offset} + at->length);
        if (i > 0 && with_it - first > ahead_bytes_max) break;
        end = with_it;
        ahead.chunks.emplace_back(ids[i], *at);
    }
    const std::size_t count = ahead.chunks.size();
    if (count < 2 || (held(ids.front()) && held(ids[count - 1]))) return count;
    try {
        auto bytes = store_.read_range(pack.object(), begin, end - begin);
        ++requests_;
        if (!bytes || bytes->size() != end - begin) return count;
        bytes_read_ += bytes->size();
        ahead.window = {static_cast<std::uint32_t>(begin), std::move(*bytes)};
        const std::lock_guard lock(mutex_);
        ahead_.push_front(std::make_shared<const Ahead>(std::move(ahead)));
        if (ahead_.size() > windows_max) ahead_.pop_back();
    } catch (const Error& error) {
        if (!is_about_one_object(error)) throw;
    }
    return count;
}

void ChunkReader::at_place(const ChunkId& id, const Location& place, const Use& use) {
    if (const auto lead = lead_of(place)) {
        try {
            return use_record(id, place, lead->window, use);
        } catch (const Error& error) {
            if (!is_about_one_object(error)) throw;
            const std::lock_guard lock(mutex_);
            leads_.remove(lead);
        }
    }
    const std::string object = place.pack.object();
    const std::uint32_t begin = begin_of(place);
    const std::size_t length = std::size_t{place.offset} + place.length - begin;
    // What is read of a small pack of nodes or state is soon followed by the rest of it.
    const bool as_lead =
        store_.traits().is_remote && begin == 0 && length <= lead_max && place.pack.kind != PackKind::data;
    auto bytes = store_.read_range(object, begin, as_lead ? lead_max : length);
    ++requests_;
    if (!bytes) throw Error{Code::corrupt, "{} is missing", object};
    bytes_read_ += bytes->size();
    if (bytes->size() < length) throw Error{Code::corrupt, "{} ends before a chunk does", object};
    const auto lead = std::make_shared<const Lead>(Lead{place.pack, {begin, std::move(*bytes)}});
    use_record(id, place, lead->window, use);
    if (!as_lead) return;
    const std::lock_guard lock(mutex_);
    leads_.push_front(lead);
    if (leads_.size() > windows_max) leads_.pop_back();
}

std::shared_ptr<const ChunkReader::Lead> ChunkReader::lead_of(const Location& place) {
    const std::lock_guard lock(mutex_);
    const auto at = std::ranges::find_if(leads_, [&](const auto& lead) {
        return lead->pack == place.pack && std::size_t{place.offset} + place.length <= lead->window.bytes.size();
    });
    return at == leads_.end() ? nullptr : *at;
}

void ChunkReader::use_record(const ChunkId& id, const Location& place, const Window& window, const Use& use) {
    const std::string object = place.pack.object();
    const ByteView bytes = ByteView(window.bytes).subspan(place.offset - window.offset, place.length);
    const ChunkRecord record = parse_record(bytes, object);
    if (record.length() != bytes.size()) throw Error{Code::corrupt, "{} has another chunk than the index says", object};
    if (record.id != id)
        throw Error{Code::corrupt, "{} has chunk {} where {} should be", object, record.id.short_hex(), id.short_hex()};
    if (record.section_offset > place.offset) throw Error{Code::corrupt, "{} has a chunk without a section", object};
    with_opener(place.pack, place.offset - record.section_offset, window.bytes, window.offset,
                [&](SectionOpener& opener) { use(record, bytes.subspan(ChunkRecord::bytes), opener, object); });
}

Bytes ChunkReader::read(const ChunkId& id) {
    Bytes plain;
    at_any_place(id, [&](const ChunkRecord& record, ByteView sealed, SectionOpener& opener, const std::string& object) {
        opener.open(record, Part::content, sealed.subspan(record.sealed_reachable), plain, object);
        require(is_data(keys_, id, plain), id, object);
    });
    return plain;
}

Bytes ChunkReader::read_state(const ChunkId& id) {
    Bytes plain;
    at_any_place(id, [&](const ChunkRecord& record, ByteView sealed, SectionOpener& opener, const std::string& object) {
        opener.open(record, Part::content, sealed.subspan(record.sealed_reachable), plain, object);
        require(is_of_kind(keys_, PackKind::state, id, {}, plain), id, object);
    });
    return plain;
}

Node ChunkReader::read_node(const ChunkId& id) {
    Node node;
    at_any_place(id, [&](const ChunkRecord& record, ByteView sealed, SectionOpener& opener, const std::string& object) {
        if (record.sealed_reachable == 0) throw Error{Code::corrupt, "{} has a chunk where a node should be", object};
        opener.open(record, Part::reachable, sealed.first(record.sealed_reachable), node.reachable, object);
        opener.open(record, Part::content, sealed.subspan(record.sealed_reachable), node.content, object);
        require(is_of_kind(keys_, PackKind::meta, id, node.reachable, node.content), id, object);
    });
    return node;
}

Bytes ChunkReader::read_reachable(const ChunkId& id, const Location& place) {
    Bytes reachable;
    at_place(id, place,
             [&](const ChunkRecord& record, ByteView sealed, SectionOpener& opener, const std::string& object) {
                 if (record.sealed_reachable == 0)
                     throw Error{Code::corrupt, "{} has a chunk where a node should be", object};
                 opener.open(record, Part::reachable, sealed.first(record.sealed_reachable), reachable, object);
             });
    return reachable;
}

std::vector<ReadRun> ChunkReader::plan(std::span<const ChunkId> ids) {
    struct Pack {
        PackRef ref;
        std::vector<ReadRun::Wanted> wanted;
    };
    std::vector<Pack> packs;
    std::map<PackId, std::size_t> number_of;
    const std::vector<std::vector<Location>> places = index_.find_all(ids);
    for (std::size_t number = 0; number < ids.size(); ++number) {
        if (places[number].empty()) continue;
        const Location& place = places[number].front();
        const auto [at, fresh] = number_of.try_emplace(place.pack.id, packs.size());
        if (fresh) packs.push_back({place.pack, {}});
        packs[at->second].wanted.push_back({place.offset, place.length, number});
    }
    std::vector<ReadRun> runs;
    for (Pack& pack : packs) {
        std::ranges::sort(pack.wanted, {}, &ReadRun::Wanted::offset);
        for (const ReadRun::Wanted& wanted : pack.wanted) {
            const bool joins = !runs.empty() && runs.back().pack == pack.ref &&
                               wanted.offset <= std::uint64_t{runs.back().offset} + runs.back().bytes + gap_max &&
                               wanted.offset + wanted.length - runs.back().offset <= run_bytes_max;
            if (!joins) runs.push_back({pack.ref, begin_of({pack.ref, wanted.offset, wanted.length}), 0, {}});
            ReadRun& run = runs.back();
            run.bytes = std::max(run.bytes, wanted.offset + wanted.length - run.offset);
            run.wanted.push_back(wanted);
        }
    }
    return runs;
}

void ChunkReader::read_run(const ReadRun& run, std::span<const ChunkId> ids,
                           const std::function<void(std::size_t number, ByteView plain)>& each,
                           const std::function<void(std::size_t number, const Error& error)>& failed) {
    const std::string object = run.pack.object();
    std::optional<Bytes> bytes;
    try {
        bytes = store_.read_range(object, run.offset, run.bytes);
        ++requests_;
    } catch (const Error& error) {
        if (!is_about_one_object(error)) throw;
    }
    if (bytes) bytes_read_ += bytes->size();
    Bytes plain;
    for (const ReadRun::Wanted& wanted : run.wanted) {
        const ChunkId& id = ids[wanted.number];
        bool good = false;
        if (bytes && wanted.offset - run.offset + wanted.length <= bytes->size()) {
            try {
                const ByteView here = ByteView(*bytes).subspan(wanted.offset - run.offset, wanted.length);
                const ChunkRecord record = parse_record(here, object);
                if (record.length() != here.size() || record.id != id || record.section_offset > wanted.offset)
                    throw Error{Code::corrupt, "{} has another chunk than the index says", object};
                with_opener(run.pack, wanted.offset - record.section_offset, *bytes, run.offset,
                            [&](SectionOpener& opener) {
                                opener.open(record, Part::content,
                                            here.subspan(ChunkRecord::bytes + record.sealed_reachable), plain, object);
                            });
                require(is_data(keys_, id, plain), id, object);
                good = true;
            } catch (const Error& error) {
                if (!is_about_one_object(error)) throw;
            }
        }
        if (!good) {
            try {
                plain = read(id);
                good = true;
            } catch (const Error& error) {
                if (error.code() != Code::corrupt) throw;
                failed(wanted.number, error);
            }
        }
        if (good) each(wanted.number, plain);
    }
}

}  // namespace holdfast::repo
