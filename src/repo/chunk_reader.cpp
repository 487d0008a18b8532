#include "repo/chunk_reader.h"

#include <algorithm>
#include <map>

#include "base/error.h"

namespace holdfast::repo {

ChunkId data_id(const Keyring& keys, ByteView plain) { return ChunkId{keys.chunk_id()(plain)}; }
ChunkId state_id(const Keyring& keys, ByteView plain) { return ChunkId{keys.chunk_id()("state", {}, plain)}; }
ChunkId node_id(const Keyring& keys, ByteView reachable, ByteView content) {
    return ChunkId{keys.chunk_id()("node", reachable, content)};
}

ChunkReader::ChunkReader(Store& store, const Keyring& keys, Index& index) : store_(store), keys_(keys), index_(index) {}
ChunkReader::~ChunkReader() = default;

void ChunkReader::check_id(const ChunkId& id, const ChunkId& found, const std::string& object) const {
    if (id != found)
        throw Error{Code::corrupt, "a chunk in {} opens, but to other bytes than {} stands for", object, id.short_hex()}
            .hint(
                "Whoever sealed it lied about its contents, or an index entry is wrong; run `holdfast check "
                "--read-data`.");
}

void ChunkReader::with_opener(const PackRef& pack, std::uint32_t section, ByteView bytes, std::uint32_t bytes_offset,
                              const std::function<void(SectionOpener&)>& use) {
    std::unique_ptr<SectionOpener> opener;
    {
        const std::lock_guard lock(mutex_);
        const auto at = std::ranges::find_if(
            idle_, [&](const OpenSection& open) { return open.section == section && open.pack == pack.id; });
        if (at != idle_.end()) {
            opener = std::move(at->opener);
            idle_.erase(at);
        }
    }
    if (!opener) {
        const std::string object = pack.object();
        std::optional<Bytes> header;
        ByteView header_bytes;
        if (section >= bytes_offset && section - bytes_offset + section_header_max <= bytes.size()) {
            header_bytes = bytes.subspan(section - bytes_offset);
        } else {
            header = store_.read_range(object, section, section_header_max);
            ++requests_;
            if (!header) throw Error{Code::corrupt, "{} is missing", object};
            header_bytes = *header;
        }
        opener = std::make_unique<SectionOpener>(keys_, parse_section(header_bytes, object), object);
    }
    use(*opener);
    const std::lock_guard lock(mutex_);
    idle_.push_front({pack.id, section, std::move(opener)});
    if (idle_.size() > section_openers_max) idle_.pop_back();
}

void ChunkReader::at_any_place(const ChunkId& id, const Use& use) {
    const std::vector<Location> places = index_.find(id, true);
    if (places.empty())
        throw Error{Code::corrupt, "chunk {} is in no pack that the index knows", id.short_hex()}.hint(
            "Run `holdfast check` to see what is affected.");
    std::optional<Error> first;
    for (const Location& place : places) {
        try {
            at_place(id, place, use);
            return;
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            if (!first) first = error;
        }
    }
    throw *first;
}

std::shared_ptr<const ChunkReader::Window> ChunkReader::window_over(const Location& place) {
    const std::lock_guard lock(mutex_);
    const auto at = std::ranges::find_if(
        windows_, [&](const auto& each) { return each->holds(place.pack, place.offset, place.length); });
    return at == windows_.end() ? nullptr : *at;
}

std::size_t ChunkReader::fetch_ahead(std::span<const ChunkId> ids) {
    if (ids.size() < 2) return ids.size();
    const std::vector<Location> places = index_.find(ids.front(), true);
    if (places.empty()) return 1;
    const PackRef& pack = places.front().pack;
    const std::uint64_t begin = places.front().offset;
    std::uint64_t end = begin + places.front().length;
    std::size_t count = 1;
    for (; count < ids.size(); ++count) {
        const std::vector<Location> next = index_.find(ids[count], true);
        const auto at = std::ranges::find(next, pack, &Location::pack);
        if (at == next.end() || at->offset < begin || at->offset > end + gap_max) break;
        const std::uint64_t with_it = std::max<std::uint64_t>(end, std::uint64_t{at->offset} + at->length);
        if (with_it - begin > ahead_bytes_max) break;
        end = with_it;
    }
    if (count == 1 || window_over({pack, places.front().offset, static_cast<std::uint32_t>(end - begin)})) return count;
    try {
        auto bytes = store_.read_range(pack.object(), begin, end - begin);
        ++requests_;
        if (!bytes) return count;
        bytes_read_ += bytes->size();
        auto window = std::make_shared<const Window>(pack.id, static_cast<std::uint32_t>(begin), std::move(*bytes));
        const std::lock_guard lock(mutex_);
        windows_.push_front(std::move(window));
        if (windows_.size() > windows_max) windows_.pop_back();
    } catch (const Error& error) {
        if (error.code() != Code::corrupt) throw;
    }
    return count;
}

void ChunkReader::at_place(const ChunkId& id, const Location& place, const Use& use) {
    if (const auto window = window_over(place)) {
        try {
            return use_record(id, place, *window, use);
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            // It may have been read wrongly only then.
            const std::lock_guard lock(mutex_);
            windows_.remove(window);
        }
    }
    const std::string object = place.pack.object();
    auto bytes = store_.read_range(object, place.offset, place.length);
    ++requests_;
    if (!bytes) throw Error{Code::corrupt, "{} is missing", object};
    bytes_read_ += bytes->size();
    if (bytes->size() != place.length) throw Error{Code::corrupt, "{} ends before a chunk does", object};
    use_record(id, place, {place.pack.id, place.offset, std::move(*bytes)}, use);
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
        check_id(id, data_id(keys_, plain), object);
    });
    return plain;
}

Bytes ChunkReader::read_state(const ChunkId& id) {
    Bytes plain;
    at_any_place(id, [&](const ChunkRecord& record, ByteView sealed, SectionOpener& opener, const std::string& object) {
        opener.open(record, Part::content, sealed.subspan(record.sealed_reachable), plain, object);
        check_id(id, state_id(keys_, plain), object);
    });
    return plain;
}

Node ChunkReader::read_node(const ChunkId& id) {
    Node node;
    at_any_place(id, [&](const ChunkRecord& record, ByteView sealed, SectionOpener& opener, const std::string& object) {
        if (record.sealed_reachable == 0) throw Error{Code::corrupt, "{} has a chunk where a node should be", object};
        opener.open(record, Part::reachable, sealed.first(record.sealed_reachable), node.reachable, object);
        opener.open(record, Part::content, sealed.subspan(record.sealed_reachable), node.content, object);
        check_id(id, node_id(keys_, node.reachable, node.content), object);
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
    for (std::size_t number = 0; number < ids.size(); ++number) {
        const std::vector<Location> places = index_.find(ids[number], true);
        if (places.empty()) continue;
        const auto [at, fresh] = number_of.try_emplace(places[0].pack.id, packs.size());
        if (fresh) packs.push_back({places[0].pack, {}});
        packs[at->second].wanted.push_back({places[0].offset, places[0].length, number});
    }
    std::vector<ReadRun> runs;
    for (Pack& pack : packs) {
        std::ranges::sort(pack.wanted, {}, &ReadRun::Wanted::offset);
        for (const ReadRun::Wanted& wanted : pack.wanted) {
            const bool joins = !runs.empty() && runs.back().pack == pack.ref &&
                               wanted.offset <= std::uint64_t{runs.back().offset} + runs.back().bytes + gap_max &&
                               wanted.offset + wanted.length - runs.back().offset <= run_bytes_max;
            if (!joins) runs.push_back({pack.ref, wanted.offset, 0, {}});
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
        if (error.code() != Code::corrupt) throw;
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
                check_id(id, data_id(keys_, plain), object);
                good = true;
            } catch (const Error& error) {
                if (error.code() != Code::corrupt) throw;
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
