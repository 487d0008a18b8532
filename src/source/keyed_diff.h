// source/keyed_diff.h: which rows or documents differ between two sides, by key, however many there are.
//
// Shape    count() all of both sides; choose(); keep() all of both sides once more; differences()
// Limits   rows_held_max keys of differing buckets in memory, or those of one bucket; what is beyond is not listed
// Threads  one owner
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "source/source.h"

namespace holdfast {

class KeyedDiff {
public:
    enum class Side : std::uint8_t { captured, live };
    using Hash = std::pair<std::uint64_t, std::uint64_t>;  // low and high half

    void count(Side side, const std::string& key, const Hash& row);
    void choose();
    void keep(Side side, std::string key, const Hash& row);
    // By key.
    std::vector<RowDifference> differences() const;
    bool has_more() const { return has_more_; }  // than were kept

private:
    static constexpr std::size_t buckets = 1 << 16;
    static constexpr std::size_t rows_held_max = 200'000;
    struct Bucket {
        std::uint64_t low = 0, high = 0;  // captured minus live
        std::uint32_t rows = 0;
        bool is_chosen = false;
    };
    struct Row {
        Hash hash;
        RowDifference::Kind kind{};
    };

    std::vector<Bucket> buckets_ = std::vector<Bucket>(buckets);
    std::map<std::string, Row> rows_;
    bool has_more_ = false;
};

}  // namespace holdfast
