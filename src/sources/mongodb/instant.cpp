#include "sources/mongodb/instant.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace holdfast::mongodb {

namespace {

constexpr std::uint64_t snapshot_bytes_max =
    4ULL * 1024 * 1024 * 1024;  // read within the five minutes that servers keep
constexpr int snapshot_major_min = 5;
constexpr int safe_tries_max = 600;

std::optional<std::uint64_t> cluster_time(Client& client, const Namespace& any) {
    Builder query;
    query.text("find", any.collection).i64("limit", 1).boolean("singleBatch", true);
    query.document("readConcern", Builder().text("level", "snapshot").done());
    const Reply reply = client.ask(any.database, query.done());
    if (!reply.ok()) return std::nullopt;
    const auto time = find(document_of(reply.document, "cursor"), "atClusterTime");
    return time ? time->timestamp() : std::nullopt;
}

// Transactions that began earlier and are not over yet have entries from then on.
std::uint64_t oldest_open_transaction(Client& client, std::uint64_t otherwise) {
    Builder query;
    query.text("find", "transactions");
    query.document(
        "filter",
        Builder()
            .document("state", Builder().array("$in", std::vector<std::string>{"prepared", "inProgress"}).done())
            .done());
    query.document("sort", Builder().i32("startOpTime", 1).done()).i64("limit", 1).boolean("singleBatch", true);
    const Reply reply = client.ask("config", query.done());
    if (!reply.ok()) return otherwise;
    const ByteView list = document_of(document_of(reply.document, "cursor"), "firstBatch");
    const auto first = Elements(list).begin();
    if (first == Elements(list).end() || !first->is_document()) return otherwise;
    const auto began = find(document_of(first->value, "startOpTime"), "ts");
    return std::min(began && began->timestamp() ? *began->timestamp() : otherwise, otherwise);
}

}  // namespace

std::optional<std::uint64_t> Instant::log_begins(Client& client) {
    const auto newest = has_oplog(client) ? newest_entry(client) : std::nullopt;
    if (!newest) return std::nullopt;
    return oldest_open_transaction(client, parse_entry(*newest).ts);
}

Instant Instant::choose(Client& client, Consistency wanted, const Reading& reading) {
    Instant out;
    if (wanted == Consistency::none) return out;
    if (wanted == Consistency::snapshot && reading.capped)
        throw Error{Code::source_failed, "{} is capped, and servers give no snapshot reads of such collections",
                    reading.capped->text()}
            .hint("`consistency: oplog` does without; or leave it out (`exclude`).");
    const bool tries_snapshot =
        wanted == Consistency::snapshot ||
        (wanted == Consistency::automatic && !reading.capped && is_set_member(client) &&
         reading.bytes <= snapshot_bytes_max && std::atoi(client.server_version().c_str()) >= snapshot_major_min);
    if (tries_snapshot && reading.any) {
        if (const auto time = cluster_time(client, *reading.any)) {
            out.kind_ = Consistency::snapshot;
            out.cluster_time_ = *time;
            if (has_oplog(client)) out.line_ = line_of(client);
            return out;
        }
    }
    if (wanted == Consistency::snapshot)
        throw Error{Code::source_failed, "{} gives no snapshot reads", client.endpoint().shown()}.hint(
            "Members of a replica set give them from version 5.0 on; `consistency: oplog` does without.");
    if (reading.log_begins) {
        out.kind_ = Consistency::oplog;
        out.line_ = line_of(client);
        out.oplog_from_ = *reading.log_begins;
        out.reads_majority_ = is_set_member(client);
        return out;
    }
    if (wanted == Consistency::oplog) {
        require_oplog(client);
        throw Error{Code::source_failed, "the oplog of {} is empty", client.endpoint().shown()}.hint(
            "Write something once.");
    }
    return out;
}

void Instant::add_to(Builder& find) const {
    if (kind_ == Consistency::snapshot)
        find.document("readConcern",
                      Builder().text("level", "snapshot").timestamp("atClusterTime", cluster_time_).done());
    else if (reads_majority_)
        find.document("readConcern", Builder().text("level", "majority").done());
}

std::string Instant::description() const {
    switch (kind_) {
        case Consistency::snapshot:
            return "one cluster time";
        case Consistency::oplog:
            return std::string(consistent_by_oplog);
        default:
            return std::string(not_one_instant);
    }
}

std::optional<Moment> Instant::snapshot_moment(Client& client) const {
    if (line_.empty()) return std::nullopt;
    const auto entry = newest_entry(client, cluster_time_);
    if (!entry) return std::nullopt;
    return parse_entry(*entry).moment(line_);
}

Bytes newest_safe_entry(Client& client) {
    // What this server has itself applied is at or behind all that was read; what most have is what stays.
    Bytes own;
    {
        Builder query;
        query.text("find", "oplog.rs").document("sort", Builder().i32("$natural", -1).done()).i64("limit", 1);
        Cursor cursor(client, "local", query.done(), {.first_batch = 1});
        own = to_bytes(cursor.next());
    }
    const std::uint64_t seen = own.empty() ? 0 : parse_entry(own).ts;
    for (int i = 0; i < safe_tries_max; ++i) {
        auto newest = newest_entry(client);
        if (newest && parse_entry(*newest).ts >= seen) {
            const auto now = own.empty() ? std::nullopt : newest_entry(client, seen);
            if (!own.empty() &&
                (!now || parse_entry(*now).ts != seen || parse_entry(*now).term != parse_entry(own).term))
                throw Error{Code::source_failed, "an election took changes back while {} was captured",
                            client.endpoint().shown()}
                    .hint("Try again.");
            return std::move(*newest);
        }
        client.world().stop.check();
        client.world().clock.sleep(one_second / 10);
    }
    throw Error{Code::source_failed, "{}: most of its set does not keep up, so that what was read may be taken back",
                client.endpoint().shown()}
        .hint("Look at the set with rs.status(); try again when its members are in step.");
}

}  // namespace holdfast::mongodb
