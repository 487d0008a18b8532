// sources/mongodb/oplog.h: the oplog of a replica set: its entries, and where it begins and ends.
//
// Errors   corrupt for what is no entry; source_failed
// Threads  one owner
// Source   design reference databases.md 4e; doc/format/mongodb.md
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "clients/mongodb/client.h"
#include "source/source.h"

namespace holdfast::mongodb {

// What an entry says, in the bytes of its document.
struct OplogEntry {
    ByteView document;
    std::uint64_t ts = 0;  // seconds << 32 | increment
    std::int64_t term = 0;
    std::string_view op;           // i, u, d, c, n …
    std::string_view ns;           // "shop.orders", "shop.$cmd"
    std::optional<ByteView> uuid;  // of the collection
    ByteView object, object2;      // o, o2; empty documents when absent
    Nanoseconds time = 0;          // when it was made

    // Time stamp and term name an entry for ever: after an election another one may have the same time stamp.
    Moment moment(const std::string& line) const { return {position(line), time}; }
    Position position(const std::string& line) const;
    // lsid and txnNumber, which name a transaction; empty for what is in none.
    std::string transaction() const;
    // What it is to its transaction; `none` also for the inserts of one command, though they carry a session's numbers.
    enum class Step : std::uint8_t { none, part, last, commit, abort };
    Step step() const;
    bool has_earlier_parts() const;
};
OplogEntry parse_entry(ByteView document);

void refuse_sharded(const Client& client);  // throws source_failed
bool has_oplog(Client& client);             // one that this user may read
void require_oplog(Client& client);         // throws source_failed: there is none, or the user may not read it
// Names the history that this server has: the id of its set, else its name, else that of the oplog itself.
std::string line_of(Client& client);
// One entry as a document of its own.
std::optional<Bytes> newest_entry(Client& client, std::optional<std::uint64_t> not_after = {});
std::optional<Bytes> oldest_entry(Client& client);

// {find: "oplog.rs", filter: {ts: {$gte, $lte}}, …}
Bytes oplog_query(std::uint64_t from, std::optional<std::uint64_t> to, bool tailable);
// Of "NAME ID term 4" the part that names the set, and the term; 0 when it says none.
std::pair<std::string, std::int64_t> split_line(const std::string& line);
bool is_set_member(Client& client);  // of a replica set, so that read concerns mean something

}  // namespace holdfast::mongodb
