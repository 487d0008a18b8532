// sources/postgres/toc.h: the table of contents of a pg_dump archive in custom format.
//
// Shape    read_toc() looks at the first bytes of an archive; entries are in the order of their restore
// Errors   corrupt when it is no such archive; nothing when more bytes are needed
// Source   pg_backup_archiver.c of PostgreSQL 9.6 to 18 (archive versions 1.12 to 1.16); doc/format/postgres.md
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace holdfast::postgres {

struct TocEntry {
    enum class Section : std::uint8_t { none = 1, pre_data = 2, data = 3, post_data = 4 };
    int id = 0;
    bool has_data = false;
    std::string table_oid;
    std::string oid;
    std::string tag;   // "orders", "orders orders_pkey"
    std::string kind;  // "TABLE", "FK CONSTRAINT"
    Section section = Section::none;
    std::string definition;
    std::string drop;
    std::string copy;
    std::string schema;
    std::string tablespace;
    std::string access_method;
    std::string owner;
    std::vector<int> needs;  // ids
    // Where it stands in the archive, and its texts with their lengths.
    std::size_t at = 0;
    std::size_t definition_at = 0;
    std::size_t owner_at = 0;

    // ACL, COMMENT and SECURITY LABEL are of another entry.
    bool is_attached() const { return kind == "ACL" || kind == "COMMENT" || kind == "SECURITY LABEL"; }
    bool is_of_database() const {
        return kind.starts_with("DATABASE") || (is_attached() && tag.starts_with("DATABASE "));
    }
};

struct Toc {
    int minor = 0;  // of the archive's version 1.x
    std::string database;
    std::string server_version;
    std::vector<TocEntry> entries;
    int offset_bytes = 8;
    std::size_t count_at = 0;  // where the number of entries stands
    std::size_t end = 0;       // where data begins

    const TocEntry* find(std::string_view kind) const;  // the first one
    int reader_major() const;                           // of the oldest pg_restore that reads such an archive
};

std::optional<Toc> read_toc(ByteView begin);

// The bytes of a TABLE DATA entry and of its data in an archive of this kind. `copy`: "COPY … FROM stdin;\n".
Bytes table_data_entry(const Toc& toc, int id, const TocEntry& table, const std::string& copy);
void append_number(Bytes& to, int number);
Bytes data_block_begin(int id);

// Order-free hashes of what the archive defines, equal for equal schemas whatever the oids and casts that the server
// adds when it reads its own expressions back.
struct TocHashes {
    std::string schema;
    std::string privileges;  // owners and grants
};
TocHashes hashes_of(const Toc& toc);

struct SequenceState {
    std::string schema;
    std::string name;
    std::string last_value;
    std::string is_called;
};
std::vector<SequenceState> sequences_of(const Toc& toc);

}  // namespace holdfast::postgres
