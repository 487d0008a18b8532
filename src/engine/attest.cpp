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

// Every chunk that the fragment says is there, is, and opens to what its id stands for.
std::uint64_t prove(repo::Repository& repository, const repo::PackRef& pack,
                    const std::map<Place, repo::ChunkPrefix>& said) {
    const repo::Keyring& keys = repository.keys();
    const std::string object = pack.object();
    if (pack.kind == repo::PackKind::journal)
        throw Error{Code::corrupt, "a fragment names {}, of a kind that is not in the index", object};
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
            if (place.header.kind != pack.kind || prefix_of(record.id) != listed->second ||
                !is_of_kind(keys, pack.kind, record.id, reachable, content))
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
