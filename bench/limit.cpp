// bench/limit.cpp: what a backup of a tree cannot cost less than: the CPU seconds of the stages that cannot be left out,
// each measured alone over unique bytes, divided by the cores. Prints {"first":s,"restore":s,"check":s,...} as JSON.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "base/workers.h"
#include "base/world.h"
#include "codec/chunker.h"
#include "codec/compress.h"
#include "crypto/crypto.h"

namespace {

using namespace holdfast;

class Stage {
public:
    template <class Work>
    auto operator()(Work work) {
        const double from = now();
        struct Stop {
            Stage& stage;
            double from;
            ~Stop() { stage.seconds += now() - from; }
        } stop{*this, from};
        return work();
    }
    double seconds = 0;

private:
    static double now() {
        timespec time{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
    }
};

struct Stages {
    Stage walk, read, cut, hash, compress, seal, open, name, write, decompress, rehash, rewrite;
};

class Limit {
public:
    explicit Limit(const std::string& scratch)
        : scratch_(scratch + "/out"),
          key_(system_random().array<32>()),
          id_(crypto::fastest_id_suite(), key_),
          chunker_({}, key_),
          cipher_(key_) {}

    void file(const std::string& path) {
        Bytes bytes = stages.read([&] { return read_file(path); });
        total += bytes.size();
        if (bytes.size() <= small_max) {
            small_.insert(small_.end(), bytes.begin(), bytes.end());
            if (small_.size() >= 512 * 1024) chunk(std::exchange(small_, {}));
            return;
        }
        ByteView rest = bytes;
        while (!rest.empty()) {
            const std::size_t cut = stages.cut([&] { return chunker_.first_cut(rest, true); });
            chunk(rest.first(cut));
            rest = rest.subspan(cut);
        }
    }
    void finish() { chunk(small_); }

    Stages stages;
    std::uint64_t total = 0, unique = 0, stored = 0;

private:
    static constexpr std::size_t small_max = 64 * 1024;

    void chunk(ByteView plain) {
        const crypto::Digest id = stages.hash([&] { return id_(plain); });
        if (!seen_.insert(std::string(as_text(id))).second) return;
        unique += plain.size();
        Bytes packed, sealed, opened, unpacked;
        const codec::Codec codec = stages.compress([&] { return compressor_(plain, packed); });
        const ByteView form = codec == codec::Codec::stored ? plain : ByteView(packed);
        stages.seal([&] { cipher_.seal(id, id, form, sealed); });
        stages.open([&] { cipher_.open(id, id, sealed, opened); });
        stages.decompress([&] { decompressor_(codec, opened, plain.size(), unpacked); });
        stages.rehash([&] { return id_(unpacked); });
        stages.name([&] { return crypto::sha256(sealed); });
        const auto put = [&](ByteView what) {
            const Fd fd(::open(scratch_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
            write_all(fd.get(), what, scratch_);
        };
        stages.write([&] { put(sealed); });
        stages.rewrite([&] { put(unpacked); });
        stored += sealed.size();
    }

    std::string scratch_;
    Secret key_;
    crypto::IdKey id_;
    codec::Chunker chunker_;
    codec::Compressor compressor_{3};
    codec::Decompressor decompressor_;
    crypto::ChunkCipher cipher_;
    std::unordered_set<std::string> seen_;
    Bytes small_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: hf_limit FOLDER\n");
        return 2;
    }
    const TemporaryFolder scratch;
    Limit limit(scratch.path());
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[1]))
        if (entry.is_regular_file() && !entry.is_symlink()) limit.file(entry.path());
    limit.finish();
    const Stages& s = limit.stages;
    const double cores = static_cast<double>(core_count());
    const double first = s.read.seconds + s.cut.seconds + s.hash.seconds + s.compress.seconds + s.seal.seconds +
                         s.open.seconds + s.name.seconds + s.write.seconds;
    const double restore = s.open.seconds + s.decompress.seconds + s.rehash.seconds + s.rewrite.seconds;
    const double check = s.open.seconds + s.decompress.seconds + s.rehash.seconds;
    fmt::print(
        "{{\"first\":{:.2f},\"restore\":{:.2f},\"check\":{:.2f},\"bytes\":{},\"unique\":{},\"stored\":{},\"stages\":{{"
        "\"read\":{:.2f},\"cut\":{:.2f},"
        "\"hash\":{:.2f},\"compress\":{:.2f},\"seal\":{:.2f},\"open\":{:.2f},\"name\":{:.2f},\"write\":{:.2f},"
        "\"decompress\":{:.2f}}}}}\n",
        first / cores, restore / cores, check / cores, limit.total, limit.unique, limit.stored, s.read.seconds,
        s.cut.seconds, s.hash.seconds, s.compress.seconds, s.seal.seconds, s.open.seconds, s.name.seconds,
        s.write.seconds, s.decompress.seconds);
}
