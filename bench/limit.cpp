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
#include "source/order_free_sum.h"

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
        const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (!fd) return;
        for (bool first = true;; first = false) {
            const std::size_t count = stages.read([&] { return read_some(fd.get()); });
            total += count;
            if (count == 0) return;
            piece(ByteView(buffer_).first(count), first && count <= small_max);
        }
    }
    void finish() { chunk(small_); }

    Stages stages;
    std::uint64_t total = 0, unique = 0, stored = 0;

private:
    static constexpr std::size_t small_max = 64 * 1024;

    std::size_t read_some(int fd) {
        std::size_t at = 0;
        while (at < buffer_.size()) {
            const ssize_t count = ::read(fd, buffer_.data() + at, buffer_.size() - at);
            if (count <= 0) break;
            at += static_cast<std::size_t>(count);
        }
        return at;
    }
    void piece(ByteView rest, bool small) {
        if (small) {
            append(small_, rest);
            if (small_.size() >= 512 * 1024) chunk(small_), small_.clear();
            return;
        }
        while (!rest.empty()) {
            const std::size_t cut = stages.cut([&] { return chunker_.first_cut(rest, true); });
            chunk(rest.first(cut));
            rest = rest.subspan(cut);
        }
    }
    void chunk(ByteView plain) {
        const crypto::Digest id = stages.hash([&] { return id_(plain); });
        if (!seen_.insert(std::string(as_text(id))).second) return;
        unique += plain.size();
        sealed_.clear();
        const codec::Codec codec = stages.compress([&] { return compressor_(plain, packed_); });
        const ByteView form = codec == codec::Codec::stored ? plain : ByteView(packed_);
        stages.seal([&] { cipher_.seal(id, id, form, sealed_); });
        stages.open([&] { cipher_.open(id, id, sealed_, opened_); });
        stages.decompress([&] { decompressor_(codec, opened_, plain.size(), unpacked_); });
        stages.rehash([&] { return id_(unpacked_); });
        stages.name([&] { return crypto::sha256(sealed_); });
        const auto put = [&](ByteView what) {
            const Fd fd(::open(scratch_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
            write_all(fd.get(), what, scratch_);
        };
        stages.write([&] { put(sealed_); });
        stages.rewrite([&] { put(unpacked_); });
        stored += sealed_.size();
    }

    std::string scratch_;
    Secret key_;
    crypto::IdKey id_;
    codec::Chunker chunker_;
    codec::Compressor compressor_;
    codec::Decompressor decompressor_;
    crypto::ChunkCipher cipher_;
    std::unordered_set<std::string> seen_;
    Bytes small_, packed_, sealed_, opened_, unpacked_;
    Bytes buffer_ = Bytes(8 << 20);
};

// GB/s of what a backup and a restore are made of, one thread.
void primitives() {
    const Secret key(system_random().array<32>());
    Bytes sample(1 << 20), sealed, opened;
    system_random().fill(sample);
    const auto rate = [&](auto work) {
        Stage stage;
        std::size_t rounds = 0;
        while (stage.seconds < 0.5) {
            stage(work);
            ++rounds;
        }
        return static_cast<double>(rounds * sample.size()) / stage.seconds / 1e9;
    };
    const auto id_rate = [&](crypto::IdSuite suite) {
        const crypto::IdKey id(suite, key);
        return rate([&] { return id(sample); });
    };
    crypto::ChunkCipher cipher(key);
    const double seal_rate = rate([&] {
        sealed.clear();
        cipher.seal(ByteView(sample).first(32), {}, sample, sealed);
    });
    Stage argon;
    argon([&] { return crypto::argon2id(sample, ByteView(sample).first(16), {}); });
    fmt::print(
        "GB/s of one core: SHA-256 {:.2f}, id suites: HMAC-SHA-256 {:.2f}, BLAKE2b {:.2f}, HMAC-SHA-256 in lanes "
        "{:.2f}; "
        "AES-256-GCM seal {:.2f}, open {:.2f}; Argon2id 64 MiB, 3 passes: {:.0f} ms\n",
        rate([&] { return crypto::sha256(sample); }), id_rate(crypto::IdSuite::hmac_sha256),
        id_rate(crypto::IdSuite::blake2b), id_rate(crypto::IdSuite::hmac_sha256_lanes), seal_rate,
        rate([&] { return cipher.open(ByteView(sample).first(32), {}, sealed, opened); }), argon.seconds * 1e3);
}

// What facts of rows cost: the CPU seconds of counting and hashing each line of standard input.
void facts() {
    Stage sum_up;
    OrderFreeSum sum;
    Bytes buffer(4 * 1024 * 1024);
    std::size_t held = 0;
    std::uint64_t total = 0;
    while (const ssize_t got = ::read(STDIN_FILENO, buffer.data() + held, buffer.size() - held)) {
        if (got < 0) throw Error{Code::failed, "cannot read standard input: {}", errno_text(errno)};
        total += static_cast<std::uint64_t>(got);
        ByteView left = ByteView(buffer).first(held + static_cast<std::size_t>(got));
        sum_up([&] {
            while (!left.empty()) {
                const auto* const end = static_cast<const std::uint8_t*>(std::memchr(left.data(), '\n', left.size()));
                if (end == nullptr) break;
                const auto bytes = static_cast<std::size_t>(end - left.data());
                sum.add(left.first(bytes));
                left = left.subspan(bytes + 1);
            }
        });
        held = left.size();
        if (held == buffer.size()) throw Error{Code::failed, "a line is longer than {} bytes", buffer.size()};
        std::memmove(buffer.data(), left.data(), held);
    }
    fmt::print("{{\"seconds\":{:.3f},\"bytes\":{},\"rows\":{}}}\n", sum_up.seconds, total, sum.count());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: hf_limit FOLDER|--primitives|--facts\n");
        return 2;
    }
    if (std::string_view(argv[1]) == "--facts") return facts(), 0;
    if (std::string_view(argv[1]) == "--primitives") return primitives(), 0;
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
