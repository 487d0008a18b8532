// bench/many_chunks.cpp: makes the index of a repository on S3 as large as one of COUNT chunks has it, without their bytes.
//   hf_many_chunks ENDPOINT BUCKET/PREFIX KEYFILE COUNT, with AWS_… in the environment
// What it names lies nowhere: such a repository is good for timing how one is opened, and for nothing else.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "base/world.h"
#include "repo/checkpoint.h"
#include "repo/session.h"
#include "stores/s3/s3_store.h"

namespace {

using namespace holdfast;

constexpr std::uint32_t chunks_each = 2'000;  // a pack of 16 MiB of chunks of 8 KiB
constexpr std::uint32_t chunk_bytes = 8'192;
constexpr std::uint64_t fragment_chunks = 100'000;

std::vector<repo::PackContents> invented(std::uint64_t chunks, Random& random) {
    std::vector<repo::PackContents> packs;
    while (chunks > 0) {
        const auto here = static_cast<std::uint32_t>(std::min<std::uint64_t>(chunks, chunks_each));
        packs.push_back({{repo::PackKind::data, repo::PackId{random.array<32>()}}, here * chunk_bytes, {}});
        for (std::uint32_t i = 0; i < here; ++i)
            packs.back().places.push_back({repo::ChunkId{random.array<32>()}, i * chunk_bytes, chunk_bytes});
        chunks -= here;
    }
    return packs;
}

void fill(const std::string& endpoint, const std::string& place, const std::string& key_file, std::uint64_t chunks) {
    Stop stop;
    World world{system_clock(), system_random(), stop, stderr_log(Level::warning)};
    const repo::Unlock unlock{repo::Unlock::Way::keyfile, Secret(read_file(key_file))};
    const auto repository = repo::Repository::open(
        open_s3_store({.url = "s3://" + place, .endpoint = endpoint, .region = "us-east-1"}, world), unlock, {}, world);
    while (chunks > 0) {
        const std::uint64_t now = std::min(chunks, fragment_chunks);
        repo::Session session(*repository, repo::Session::Mode::write);
        session.publish(encode_fragment(repository->keys(), invented(now, world.random), world.random));
        session.publish_and_close();
        chunks -= now;
    }
    repo::keep_checkpoint(*repository, 1);
}

}  // namespace

int main(int argc, char** argv) {
    const std::span<char*> args(argv, static_cast<std::size_t>(argc));
    std::uint64_t chunks = 0;
    const std::string_view count = args.size() == 5 ? args[4] : "";
    if (std::from_chars(count.data(), count.data() + count.size(), chunks).ec != std::errc()) {
        fmt::print(stderr, "usage: hf_many_chunks ENDPOINT BUCKET/PREFIX KEYFILE COUNT\n");
        return 2;
    }
    try {
        fill(args[1], args[2], args[3], chunks);
    } catch (const Error& error) {
        fmt::print(stderr, "hf_many_chunks: {}\n", error.message());
        return 1;
    }
}
