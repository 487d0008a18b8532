#include "engine/verify_content.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>

#include "base/error.h"
#include "repo/keys.h"
#include "store/read_many.h"

namespace holdfast::engine {

namespace {

bool is_zero(ByteView bytes) {
    return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

ContentVerifier::ContentVerifier(repo::Repository& repository, Progress& progress)
    : repository_(repository),
      progress_(progress),
      whole_min_(repository.keys().config().small_file_max),
      workers_(readers_of(repository.store()), 16) {}

void ContentVerifier::add(const repo::TreeEntry& entry, Fd file) {
    const auto shared = std::make_shared<File>();
    shared->fd = std::move(file);
    shared->path = entry.item.path;
    std::vector<Range> ranges;
    std::uint64_t at = 0, bytes = 0;
    const auto submit = [&] {
        workers_.submit([this, shared, mine = std::move(ranges)] { compare(shared, mine); });
        ranges = {};
        bytes = 0;
    };
    for (const repo::Extent& extent : entry.content) {
        ranges.push_back({extent, at});
        at += extent.length;
        bytes += extent.is_hole() ? 0 : extent.length;
        if (bytes >= task_bytes) submit();
    }
    if (!ranges.empty()) submit();
    bool is_full = false;
    {
        const std::lock_guard lock(mutex_);
        is_full = held_bytes_ >= held_bytes_max;
    }
    if (is_full) compare_held();
}

std::vector<ContentVerifier::Different> ContentVerifier::finish() {
    compare_held();
    workers_.finish();
    return std::move(differences_);
}

bool ContentVerifier::read(File& file, std::uint64_t at, MutableByteView into) {
    for (std::size_t done = 0; done < into.size();) {
        const ssize_t got =
            ::pread(file.fd.get(), into.data() + done, into.size() - done, static_cast<off_t>(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error{Code::target_failed, "cannot read {}: {}", file.path, errno_text(errno)};
        if (got == 0) return false;  // it became shorter
        done += static_cast<std::size_t>(got);
    }
    return true;
}

void ContentVerifier::compare(const FilePointer& file, const std::vector<Range>& ranges) {
    for (const Range& range : ranges) {
        repository_.world().stop.check();
        if (range.extent.is_hole()) {
            compare_hole(file, range);
            continue;
        }
        Bytes bytes(range.extent.length);
        if (!read(*file, range.at, bytes)) {
            differs(*file, range, "is shorter");
            return;
        }
        bytes_ += bytes.size();
        progress_.bytes += bytes.size();
        const bool may_be_whole = range.extent.offset == 0 && bytes.size() >= whole_min_;
        if (may_be_whole && repo::is_data(repository_.keys(), range.extent.chunk, bytes)) continue;
        hold({file, range, std::move(bytes)});
    }
}

void ContentVerifier::compare_hole(const FilePointer& file, const Range& range) {
    std::uint64_t at = range.at;
    const std::uint64_t end = range.at + range.extent.length;
    Bytes bytes(1024 * 1024);
    while (at < end) {
        repository_.world().stop.check();
        const off_t data = ::lseek(file->fd.get(), static_cast<off_t>(at), SEEK_DATA);
        if (data < 0 && errno == ENXIO) return;
        if (data >= 0) at = std::max(at, static_cast<std::uint64_t>(data));
        if (at >= end) return;
        const MutableByteView piece = MutableByteView(bytes).first(std::min<std::uint64_t>(bytes.size(), end - at));
        if (!read(*file, at, piece) || !is_zero(piece)) return differs(*file, range, "differs where a hole was");
        at += piece.size();
    }
}

void ContentVerifier::hold(Held held) {
    const std::lock_guard lock(mutex_);
    held_bytes_ += held.bytes.size();
    held_.push_back(std::move(held));
}

// What lies in the same chunk is compared with it in one go, in the order of the packs.
void ContentVerifier::compare_held() {
    workers_.drain();
    std::vector<Held> held;
    {
        const std::lock_guard lock(mutex_);
        held.swap(held_);
        held_bytes_ = 0;
    }
    std::vector<repo::ChunkId> ids;
    std::vector<std::vector<const Held*>> uses;
    std::unordered_map<repo::ChunkId, std::size_t, IdHash> numbers;
    for (const Held& each : held) {
        const auto [place, fresh] = numbers.try_emplace(each.range.extent.chunk, ids.size());
        if (fresh) {
            ids.push_back(each.range.extent.chunk);
            uses.emplace_back();
        }
        uses[place->second].push_back(&each);
    }
    const std::vector<repo::ReadRun> runs = repository_.chunks().plan(ids);
    std::vector<bool> planned(ids.size(), false);
    const auto lost = [&](std::size_t number) {
        for (const Held* each : uses[number])
            differs(*each->file, each->range, "cannot be compared, for the repository is damaged,");
    };
    for (const repo::ReadRun& run : runs) {
        for (const auto& wanted : run.wanted) planned[wanted.number] = true;
        workers_.submit([this, &run, &ids, &uses, &lost] {
            repository_.world().stop.check();
            repository_.chunks().read_run(
                run, ids,
                [&](std::size_t number, ByteView plain) {
                    for (const Held* each : uses[number]) {
                        const repo::Extent& extent = each->range.extent;
                        const bool fits = extent.offset + extent.length <= plain.size();
                        if (!fits || !equal(plain.subspan(extent.offset, extent.length), each->bytes))
                            differs(*each->file, each->range, "differs");
                    }
                },
                [&](std::size_t number, const Error&) { lost(number); });
        });
    }
    for (std::size_t number = 0; number < ids.size(); ++number)
        if (!planned[number]) lost(number);
    workers_.drain();
}

void ContentVerifier::differs(File& file, const Range& range, std::string_view how) {
    if (file.differs.exchange(true)) return;
    const std::lock_guard lock(mutex_);
    differences_.push_back(
        {file.path, fmt::format("{} in the {} bytes from {} on", how, range.extent.length, range.at)});
}

}  // namespace holdfast::engine
