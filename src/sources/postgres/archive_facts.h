// sources/postgres/archive_facts.h: what a pg_dump archive in custom format says of itself, while it goes by.
//
// Shape    put() all bytes from the first on; facts of the table of contents, and sums of the data behind it that do not
//          depend on order: large objects, rows of extensions
// Errors   corrupt when it is no such archive, or not whole
// Threads  one
// Source   pg_backup_custom.c of PostgreSQL; doc/format/postgres.md
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "source/facts.h"
#include "sources/postgres/row_checksum.h"
#include "sources/postgres/toc.h"

namespace holdfast::postgres {

constexpr std::string_view object_contents = "large object contents";
constexpr std::string_view extension_rows = "extension rows";

class ArchiveFacts {
public:
    explicit ArchiveFacts(std::string item) : item_(std::move(item)) {}  // of the database

    void put(ByteView bytes);
    bool has_toc() const { return toc_.has_value(); }
    std::vector<Fact> of_toc();  // schema, privileges, large objects, sequences
    // After the last byte.
    std::vector<Fact> of_data();

private:
    enum class At : std::uint8_t { block, entry, object, length, content };

    void put_data(ByteView bytes);
    void take_number();
    void take_content(ByteView bytes);
    void end_content();
    void add_piece();

    const std::string item_;
    Bytes head_;  // until the table of contents is there
    std::size_t look_again_ = 64 * 1024;
    std::optional<Toc> toc_;

    At at_ = At::block;
    Bytes number_;  // as far as it has come
    bool is_of_objects_ = false;
    std::string name_;  // whose content it is
    std::uint64_t piece_number_ = 0;
    std::size_t left_ = 0;  // of the content's chunk
    Bytes piece_;
    RowChecksum objects_;
    RowChecksum rows_;
};

}  // namespace holdfast::postgres
