#include "sources/mongodb/oplog.h"

#include <charconv>

#include "base/error.h"

namespace holdfast::mongodb {

namespace {

constexpr auto local = "local";
constexpr auto oplog = "oplog.rs";
constexpr std::string_view term_word = " term ";

void add_read_concern(Builder& query) { query.document("readConcern", Builder().text("level", "majority").done()); }

std::optional<Bytes> one_entry(Client& client, std::int32_t direction, std::optional<std::uint64_t> not_after) {
    Builder query;
    query.text("find", oplog);
    if (not_after)
        query.document("filter", Builder().document("ts", Builder().timestamp("$lte", *not_after).done()).done());
    query.document("sort", Builder().i32("$natural", direction).done()).i64("limit", 1);
    if (is_set_member(client)) add_read_concern(query);
    Cursor cursor(client, local, query.done(), {.first_batch = 1});
    const ByteView found = cursor.next();
    if (found.empty()) return std::nullopt;
    return to_bytes(found);
}

std::string oplog_uuid(Client& client) {
    Builder query;
    query.i32("listCollections", 1).document("filter", Builder().text("name", oplog).done());
    Cursor cursor(client, local, query.done(), {});
    const ByteView found = cursor.next();
    if (found.empty()) return {};
    const auto uuid = find(document_of(found, "info"), "uuid");
    return uuid && uuid->binary() ? to_hex(*uuid->binary()) : std::string("local");
}

}  // namespace

std::string OplogEntry::transaction() const {
    const auto session = find(document, "lsid");
    const auto number = find(document, "txnNumber");
    if (!session || !number) return {};
    return std::string(as_text(session->value)) + std::string(as_text(number->value));
}

OplogEntry::Step OplogEntry::step() const {
    const auto first = Elements(object).begin();
    if (op != "c" || first == Elements(object).end()) return Step::none;
    if (first->name == "commitTransaction") return Step::commit;
    if (first->name == "abortTransaction") return Step::abort;
    if (first->name != "applyOps" || transaction().empty() || number_of(document, "multiOpType") == 1)
        return Step::none;
    for (const std::string_view name : {"partialTxn", "prepare"})
        if (const auto flag = find(object, name); flag && flag->is_true()) return Step::part;
    return Step::last;
}

bool OplogEntry::has_earlier_parts() const {
    const auto previous = find(document_of(document, "prevOpTime"), "ts");
    return previous && previous->timestamp().value_or(0) != 0;
}

Position OplogEntry::position(const std::string& line) const {
    return {term > 0 ? fmt::format("{}{}{}", line, term_word, term) : line, ts};
}

std::pair<std::string, std::int64_t> split_line(const std::string& line) {
    const std::size_t at = line.rfind(term_word);
    if (at == std::string::npos) return {line, 0};
    std::int64_t term = 0;
    const char* const end = line.data() + line.size();
    const auto [stopped, problem] = std::from_chars(line.data() + at + term_word.size(), end, term);
    if (problem != std::errc{} || stopped != end) return {line, 0};
    return {line.substr(0, at), term};
}

OplogEntry parse_entry(ByteView document) {
    OplogEntry out;
    out.document = document;
    out.object = out.object2 = empty_document();
    std::optional<std::int64_t> wall;
    for (const Element& each : Elements(document)) {
        if (each.name == "ts")
            out.ts = each.timestamp().value_or(0);
        else if (each.name == "t")
            out.term = each.number().value_or(0);
        else if (each.name == "op")
            out.op = each.text().value_or("");
        else if (each.name == "ns")
            out.ns = each.text().value_or("");
        else if (each.name == "ui")
            out.uuid = each.binary();
        else if (each.name == "o" && (each.is_document() || each.is_array()))
            out.object = each.value;
        else if (each.name == "o2" && each.is_document())
            out.object2 = each.value;
        else if (each.name == "wall")
            wall = each.milliseconds();
    }
    if (out.op.empty()) throw Error{Code::corrupt, "an entry of the oplog says no operation"};
    constexpr Nanoseconds millisecond = one_second / 1000;
    constexpr std::int64_t wall_max = 9'000'000'000'000;  // the year 2255: nanoseconds end soon after
    if (wall && *wall > 0 && *wall < wall_max)
        out.time = *wall * millisecond;
    else
        out.time = static_cast<Nanoseconds>(out.ts >> 32) * one_second;
    return out;
}

void refuse_sharded(const Client& client) {
    if (text_of(client.hello(), "msg") == "isdbgrid")
        throw Error{Code::source_failed, "{} is a sharded cluster, which this version neither captures nor follows",
                    client.endpoint().shown()}
            .hint(
                "Name the members of each shard and of the config servers as sources of their own, with writes "
                "and the balancer stopped meanwhile.");
}

namespace {

// The list that tells whether it is there, or the refusal of whoever may not look or read.
Reply look_for_oplog(Client& client) {
    Builder list;
    list.i32("listCollections", 1).document("filter", Builder().text("name", oplog).done());
    Reply listed = client.ask(local, list.done());
    if (!listed.ok()) return listed;
    Reply read = client.ask(local, Builder().text("find", oplog).i64("limit", 1).boolean("singleBatch", true).done());
    return read.code == server_code::unauthorized ? read : listed;
}

bool is_listed(const Reply& list) {
    const ByteView found = document_of(document_of(list.document, "cursor"), "firstBatch");
    return list.ok() && Elements(found).begin() != Elements(found).end();
}

}  // namespace

bool has_oplog(Client& client) { return is_listed(look_for_oplog(client)); }

void require_oplog(Client& client) {
    const Reply found = look_for_oplog(client);
    if (is_listed(found)) return;
    if (!found.ok()) client.fail(found, "looking for the oplog");
    throw Error{client.failure(), "{} has no oplog", client.endpoint().shown()}.hint(
        "Make it a replica set of one: start mongod with --replSet rs0, then rs.initiate().");
}

bool is_set_member(Client& client) { return find(client.hello(), "setName").has_value(); }

std::string line_of(Client& client) {
    const std::string name = text_of(client.hello(), "setName");
    if (name.empty()) return "oplog " + oplog_uuid(client);
    const Reply config =
        client.ask(local, Builder().text("find", "system.replset").i64("limit", 1).boolean("singleBatch", true).done());
    if (config.ok()) {
        const ByteView list = document_of(document_of(config.document, "cursor"), "firstBatch");
        const auto first = Elements(list).begin();
        if (first != Elements(list).end() && first->is_document())
            if (const auto id = find(document_of(first->value, "settings"), "replicaSetId"))
                return name + " " + to_hex(id->value);
    }
    return name;
}

std::optional<Bytes> newest_entry(Client& client, std::optional<std::uint64_t> not_after) {
    return one_entry(client, -1, not_after);
}
std::optional<Bytes> oldest_entry(Client& client) { return one_entry(client, 1, std::nullopt); }

Bytes oplog_query(std::uint64_t from, std::optional<std::uint64_t> to, bool tailable) {
    Builder range;
    range.timestamp("$gte", from);
    if (to) range.timestamp("$lte", *to);
    Builder query;
    query.text("find", oplog).document("filter", Builder().document("ts", range.done()).done());
    if (tailable) query.boolean("tailable", true).boolean("awaitData", true);
    return query.done();
}

}  // namespace holdfast::mongodb
