#include "engine/attest.h"

#include <map>
#include <set>

#include "base/error.h"
#include "repo/attestation.h"
#include "repo/chunk_reader.h"
#include "repo/keys.h"

namespace holdfast::engine {

namespace {

using Place = std::pair<std::uint32_t, std::uint32_t>;  // offset, length
using Records = std::map<repo::PackRef, std::map<Place, repo::ChunkPrefix>>;

repo::ChunkId id_of(const repo::Keyring& keys, repo::PackKind kind, ByteView reachable, ByteView content) {
    switch (kind) {
        case repo::PackKind::data:
            return repo::data_id(keys, content);
        case repo::PackKind::meta:
            return repo::node_id(keys, reachable, content);
        case repo::PackKind::state:
            return repo::state_id(keys, content);
        case repo::PackKind::journal:
            break;
    }
    throw Error{Code::corrupt, "a fragment names a pack of a kind that is not in the index"};
}

// Every chunk that the fragment says is there, is, and opens to what its id stands for.
std::uint64_t prove(repo::Repository& repository, const repo::PackRef& pack,
                    const std::map<Place, repo::ChunkPrefix>& said) {
    const repo::Keyring& keys = repository.keys();
    const std::string object = pack.object();
    const auto bytes = repository.store().read(object);
    if (!bytes) throw Error{Code::corrupt, "{} is missing", object};
    if (repo::PackId{crypto::sha256(*bytes)} != pack.id)
        throw Error{Code::corrupt, "the bytes of {} are not those it is named by", object};
    std::set<Place> found;
    std::optional<std::uint32_t> section;
    std::optional<repo::SectionOpener> opener;
    Bytes reachable, content;
    repo::scan_pack(
        *bytes, object, [&](const repo::SectionPlace& place, const repo::ChunkRecord& record, std::uint32_t offset) {
            const Place here{offset, static_cast<std::uint32_t>(record.length())};
            const auto listed = said.find(here);
            if (listed == said.end()) return;
            if (section != place.offset) {
                opener.emplace(keys, place.header, object);
                section = place.offset;
            }
            const ByteView sealed = ByteView(*bytes).subspan(offset + repo::ChunkRecord::bytes);
            reachable.clear();
            if (record.sealed_reachable != 0)
                opener->open(record, repo::Part::reachable, sealed.first(record.sealed_reachable), reachable, object);
            opener->open(record, repo::Part::content, sealed.subspan(record.sealed_reachable, record.sealed_content),
                         content, object);
            const repo::ChunkId id = id_of(keys, pack.kind, reachable, content);
            if (place.header.kind != pack.kind || id != record.id || prefix_of(id) != listed->second)
                throw Error{Code::corrupt, "chunk {} in {} opens to other bytes than its id stands for",
                            record.id.short_hex(), object};
            found.insert(here);
        });
    if (found.size() != said.size())
        throw Error{Code::corrupt, "{} lacks {} of the chunks that the index says it has", object,
                    said.size() - found.size()};
    return found.size();
}

}  // namespace

AttestReport attest(repo::Repository& repository, Progress& progress) {
    repository.keys().require(repo::Right::read, "attest");
    repository.require_writable();
    repository.refresh();
    repository.note_received();
    const std::set<repo::FragmentId> attested = repo::read_attestations(repository);
    AttestReport report;
    for (const auto& fragment : repository.index().fragments()) {
        const repo::KnownFragment& known = fragment->known();
        const repo::Credential* author = repository.keys().find(known.author);
        const bool all_believe = author != nullptr && author->role == repo::Role::full;
        if (all_believe || attested.contains(known.body.id)) {
            ++report.already;
            continue;
        }
        repository.world().stop.check();
        try {
            Records records;
            fragment->scan([&](const repo::ChunkPrefix& id, const repo::Location& place) {
                if (!repository.index().excluded().contains(place.pack.id))
                    records[place.pack][{place.offset, place.length}] = id;
            });
            for (const auto& [pack, said] : records) {
                report.chunks += prove(repository, pack, said);
                ++progress.items;
            }
            repo::write_attestation(repository, known.body.id);
            ++report.attested;
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            report.refused.push_back(
                {"index/" + known.body.id.hex(), known.author.hex().substr(0, 12), error.message()});
        }
    }
    return report;
}

}  // namespace holdfast::engine
