// Runs every fuzz function on its kept corpus and on mutations of it from a fixed seed. What once failed stays in
// the corpus.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "base/file.h"
#include "fuzz_table.h"

namespace {

using holdfast::Bytes;

Bytes mutated(Bytes bytes, std::mt19937_64& random) {
    const auto below = [&](std::size_t end) {
        return static_cast<std::size_t>(random() % std::max<std::size_t>(end, 1));
    };
    for (std::size_t edits = 1 + below(4); edits > 0; --edits) {
        switch (below(4)) {
            case 0:
                if (!bytes.empty()) bytes[below(bytes.size())] = static_cast<std::uint8_t>(random());
                break;
            case 1:
                bytes.resize(below(bytes.size() + 1));
                break;
            case 2:
                bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size() + 1)),
                             static_cast<std::uint8_t>(random()));
                break;
            default:
                if (!bytes.empty()) bytes[below(bytes.size())] ^= static_cast<std::uint8_t>(1U << below(8));
        }
    }
    return bytes;
}

class FuzzCorpus : public testing::TestWithParam<Fuzzer> {};

TEST_P(FuzzCorpus, decodes_or_refuses_everything) {
    const char* scale = std::getenv("HOLDFAST_SCALE");
    const int rounds = 200 * std::max(1, scale == nullptr ? 1 : std::atoi(scale));
    std::vector<Bytes> corpus{Bytes{}, Bytes(1, 0), Bytes(64, 0xff)};
    const std::filesystem::path folder = std::filesystem::path(CORPUS_FOLDER) / GetParam().name;
    if (std::filesystem::exists(folder))
        for (const auto& file : std::filesystem::directory_iterator(folder))
            corpus.push_back(holdfast::read_file(file.path()));
    std::mt19937_64 random(1);
    for (const Bytes& bytes : corpus) {
        GetParam().run(bytes);
        for (int round = 0; round < rounds; ++round) GetParam().run(mutated(bytes, random));
    }
}

INSTANTIATE_TEST_SUITE_P(All, FuzzCorpus, testing::ValuesIn(fuzzers),
                         [](const auto& fuzzer) { return std::string(fuzzer.param.name); });

}  // namespace
