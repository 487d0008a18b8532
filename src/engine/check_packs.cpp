#include "engine/check_packs.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/workers.h"
#include "engine/whole_pack.h"
#include "repo/chunk_reader.h"

namespace holdfast::engine {

namespace {

constexpr std::string_view book_magic = "holdfast packs read 1\n";

// One chunk at its place, as a reader would take it. Throws corrupt.
void open_record(const repo::Keyring& keys, const CheckedPack& pack, ByteView bytes,
                 const CheckPlaces::Record& listed) {
    const std::string object = pack.ref.object();
    if (std::uint64_t{listed.offset} + listed.length > bytes.size())
        throw Error{Code::corrupt, "{} ends before it", object};
    const repo::ChunkRecord record = repo::parse_record(bytes.subspan(listed.offset, listed.length), object);
    if (record.length() != listed.length || repo::prefix_of(record.id) != listed.id ||
        record.section_offset > listed.offset)
        throw Error{Code::corrupt, "{} has another chunk than the index says", object};
    repo::SectionOpener opener(keys, repo::parse_section(bytes.subspan(listed.offset - record.section_offset), object),
                               object);
    const ByteView sealed = bytes.subspan(listed.offset + repo::ChunkRecord::bytes);
    Bytes content, reachable;
    opener.open(record, repo::Part::content, sealed.subspan(record.sealed_reachable, record.sealed_content), content,
                object);
    if (record.sealed_reachable > 0)
        opener.open(record, repo::Part::reachable, sealed.first(record.sealed_reachable), reachable, object);
    if (!repo::is_of_kind(keys, pack.ref.kind, record.id, reachable, content))
        throw Error{Code::corrupt, "a chunk in {} opens to other bytes than its id stands for", object};
}

}  // namespace

ReadBook::ReadBook(const repo::Repository& repository) : repository_(repository) {
    if (repository.client_folder().empty()) return;
    path_ = fmt::format("{}/read/{}", repository.client_folder(), repository.local_name());
    try {
        const auto bytes = read_file_if_present(path_);
        if (!bytes) return;
        ByteReader reader(*bytes, path_);
        if (as_text(reader.raw(book_magic.size())) != book_magic) return;
        while (!reader.done()) {
            const auto pack = Prefix::from(reader.raw(Prefix::size));
            times_[pack] = static_cast<Nanoseconds>(reader.u64());
        }
    } catch (const Error& error) {
        repository.world().log.warning(fmt::format("{} is not used: {}", path_, error.message()));
    }
}

Nanoseconds ReadBook::last_read(const repo::PackId& pack) const {
    const auto at = times_.find(Prefix::from(pack.view()));
    return at == times_.end() ? 0 : at->second;
}

void ReadBook::set(const repo::PackId& pack, Nanoseconds time) { times_[Prefix::from(pack.view())] = time; }

void ReadBook::save(const CheckPlaces& places) const {
    if (path_.empty()) return;
    Bytes out;
    ByteWriter writer(out);
    writer.raw(as_bytes(book_magic));
    for (const CheckedPack& pack : places.packs()) {
        const Nanoseconds time = last_read(pack.ref.id);
        if (time == 0) continue;
        writer.raw(pack.ref.id.view().first(Prefix::size));
        writer.u64(static_cast<std::uint64_t>(time));
    }
    try {
        std::filesystem::create_directories(std::filesystem::path(path_).parent_path());
        write_file_durably(path_, out);
    } catch (const std::exception& failure) {
        repository_.world().log.warning(fmt::format("which packs were read cannot be kept: {}", failure.what()));
    }
}

CheckPacks::CheckPacks(repo::Repository& repository, CheckPlaces& places, CheckFindings& findings, Progress& progress)
    : repository_(repository), places_(places), findings_(findings), progress_(progress) {}

std::vector<CheckedPack*> CheckPacks::choose(const CheckPlan& plan, const ReadBook& book) const {
    std::vector<CheckedPack*> packs;
    std::uint64_t total = 0;
    for (CheckedPack& pack : places_.packs()) {
        if (!pack.present) continue;
        packs.push_back(&pack);
        total += pack.bytes;
    }
    if (!plan.share && !plan.bytes_max) return packs;
    // Among equals chance decides: where no book is kept, many runs still come to all of them.
    Random& random = repository_.world().random;
    for (std::size_t i = packs.size(); i > 1; --i) std::swap(packs[i - 1], packs[random.number() % i]);
    std::ranges::stable_sort(packs, {}, [&](const CheckedPack* pack) { return book.last_read(pack->ref.id); });
    // A quarter is never less than that, so that four times are all; so many bytes are never more.
    const double share = plan.share.value_or(1) * static_cast<double>(total);
    std::uint64_t sum = 0;
    std::size_t count = 0;
    const auto goes_on = [&](const CheckedPack& next) {
        return static_cast<double>(sum) < share && (!plan.bytes_max || sum + next.bytes <= *plan.bytes_max);
    };
    while (count < packs.size() && (count == 0 || goes_on(*packs[count]))) sum += packs[count++]->bytes;
    packs.resize(count);
    return packs;
}

void CheckPacks::read(const CheckPlan& plan) {
    ReadBook book(repository_);
    const std::vector<CheckedPack*> packs = choose(plan, book);
    for (const CheckedPack* pack : packs) progress_.bytes_total += pack->bytes;
    std::vector<char> whole(packs.size(), 0);
    {
        Workers workers(core_count(), 1);
        for (std::size_t i = 0; i < packs.size(); ++i)
            workers.submit([this, &whole, &packs, i] {
                repository_.world().stop.check();
                whole[i] = prove(*packs[i]) ? 1 : 0;
            });
        workers.finish();
    }
    const Nanoseconds now = repository_.world().clock.now();
    for (std::size_t i = 0; i < packs.size(); ++i) {
        book.set(packs[i]->ref.id, whole[i] != 0 ? now : 0);
        if (whole[i] != 0) found_whole_.insert(packs[i]->ref.id);
    }
    book.save(places_);
}

// What does not read well once is read again: a cable or memory may have lied, and the pack be whole.
bool CheckPacks::prove(CheckedPack& pack) {
    std::optional<Bytes> bytes;
    std::optional<Problem> problem = look_at(pack, bytes);
    progress_.bytes += pack.bytes;
    if (problem) problem = look_at(pack, bytes);
    if (problem) diagnose(pack, bytes, *problem);
    return !problem;
}

std::optional<CheckPacks::Problem> CheckPacks::look_at(const CheckedPack& pack, std::optional<Bytes>& bytes) {
    bytes.reset();  // room for it anew
    ObjectRead read = read_object(repository_.store(), pack.ref.object());
    bytes = std::move(read.bytes);
    if (read.unreadable) return Problem{"unreadable", *read.unreadable};
    if (!bytes) return Problem{"missing", "the store does not have it"};
    bytes_read_ += bytes->size();
    if (bytes->size() != pack.bytes)
        return Problem{"damaged", fmt::format("it is {} bytes long, {} are expected", bytes->size(), pack.bytes)};
    return problem_of(pack, *bytes);
}

std::optional<CheckPacks::Problem> CheckPacks::problem_of(const CheckedPack& pack, ByteView bytes) {
    const repo::Keyring& keys = repository_.keys();
    const std::string object = pack.ref.object();
    const bool is_data = pack.ref.kind == repo::PackKind::data;
    std::uint64_t chunks = 0, sum = 0;
    std::optional<std::uint32_t> section;
    std::optional<repo::SectionOpener> opener;
    std::optional<Problem> forged;
    Bytes plain;
    try {
        if (!is_data && repo::PackId{crypto::sha256(bytes)} != pack.ref.id)
            return Problem{"damaged", "its bytes are not those it is named by"};
        repo::scan_pack(
            bytes, object, [&](const repo::SectionPlace& place, const repo::ChunkRecord& record, std::uint32_t offset) {
                ++chunks;
                sum +=
                    record_term(keys, repo::prefix_of(record.id), offset, static_cast<std::uint32_t>(record.length()));
                if (place.header.kind != pack.ref.kind)
                    throw Error{Code::corrupt, "it holds a section of another kind"};
                if (!is_data) return;
                if (section != place.offset) {
                    opener.emplace(keys, place.header, object);
                    section = place.offset;
                }
                const ByteView sealed = bytes.subspan(offset + repo::ChunkRecord::bytes, record.sealed_content);
                if (record.sealed_reachable != 0) throw Error{Code::corrupt, "it holds a node"};
                opener->open(record, repo::Part::content, sealed, plain, object);
                if (repo::is_data(keys, record.id, plain))
                    places_.set_length(record.id, plain.size());
                else
                    forged = Problem{"forged", fmt::format("chunk {} opens to other bytes than its id stands for",
                                                           record.id.short_hex())};
            });
    } catch (const Error& error) {
        if (error.code() != Code::corrupt && error.code() != Code::denied && error.code() != Code::newer_format) throw;
        return Problem{"damaged", error.message()};
    }
    if (chunks != pack.chunks || sum != pack.sum)
        return Problem{"swapped", "it holds other chunks than the index says"};
    return forged;
}

void CheckPacks::diagnose(CheckedPack& pack, const std::optional<Bytes>& bytes, const Problem& problem) {
    const DamageNumber damage =
        findings_.add(pack.ref.object(), problem.kind, problem.reason, "no snapshot loses anything by it");
    if (!bytes) {
        pack.damage = damage;
        return;
    }
    for (const CheckPlaces::Record& listed : places_.records_of(pack.ref)) {
        try {
            open_record(repository_.keys(), pack, *bytes, listed);
        } catch (const Error& error) {
            if (error.code() != Code::corrupt && error.code() != Code::denied && error.code() != Code::newer_format)
                throw;
            places_.add_bad(pack.ref.id, listed.id, damage);
        }
    }
}

}  // namespace holdfast::engine
