#include "sources/postgres/measure.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/item.h"
#include "base/text.h"
#include "base/workers.h"
#include "clients/postgres/tools.h"
#include "sources/postgres/catalog.h"
#include "sources/postgres/names.h"
#include "sources/postgres/row_checksum.h"

namespace holdfast::postgres {

namespace {

constexpr std::size_t sessions_max = 2;
constexpr auto lock_timeout = "60s";

bool is_wanted(const std::vector<std::string>& only, std::string_view item) {
    return only.empty() || std::ranges::any_of(only, [&](const auto& path) { return is_within(item, path); });
}

// The captured order of columns, when these are its columns: a child of several tables may get another order.
std::string in_order_of(const std::string& columns, const std::string& captured) {
    std::vector<std::string> a = split(columns, ','), b = split(captured, ',');
    const auto tidy = [](std::vector<std::string>& parts) {
        for (std::string& part : parts) part.erase(0, part.find_first_not_of(' '));
        std::ranges::sort(parts);
    };
    tidy(a);
    tidy(b);
    return a == b ? captured : columns;
}

// Its large objects follow and are not wanted.
Toc read_toc_from(Tool& tool) {
    Bytes head;
    for (std::size_t look = 64 * 1024;; look *= 2) {
        while (head.size() < look) {
            const std::size_t at = head.size();
            head.resize(look);
            const std::size_t got = tool.read(MutableByteView(head).subspan(at));
            head.resize(at + got);
            if (got != 0) continue;
            tool.finish();
            if (auto toc = read_toc(head)) return std::move(*toc);
            throw Error{Code::target_failed, "pg_dump printed no whole archive"};
        }
        if (auto toc = read_toc(head)) return std::move(*toc);
    }
}

class Measurement {
public:
    explicit Measurement(const MeasureRequest& request)
        : request_(request), endpoint_(Endpoint::parse(request.target)) {}

    Facts take() {
        out_.basis = request_.expected.basis;
        const std::vector<std::string> items = databases();
        Connection first(request_.world, database_endpoint(items.front(), items.size()), Code::target_failed);
        out_.list.push_back({"", "about server version", first.value("SHOW server_version").value_or("")});
        out_.list.push_back({"", "about system identifier", system_identifier(first)});
        for (const std::string& item : items) measure_database(item, items.size());
        out_.sort();
        return std::move(out_);
    }

private:
    // Folders of databases that were captured.
    std::vector<std::string> databases() const {
        std::set<std::string> out;
        for (const Fact& fact : request_.expected.list) {
            const std::string item = fact.item.substr(0, fact.item.find('/'));
            const auto has_wanted = [&](const Fact& each) {
                return is_within(each.item, item) && is_wanted(request_.only, each.item);
            };
            if (!item.empty() && !out.contains(item) && std::ranges::any_of(request_.expected.list, has_wanted))
                out.insert(item);
        }
        if (out.empty()) throw Error{Code::target_failed, "the snapshot has no facts of these items"};
        return {out.begin(), out.end()};
    }

    Endpoint database_endpoint(const std::string& item, std::size_t count) const {
        return count == 1 && !endpoint_.database().empty() ? endpoint_ : endpoint_.with_database(decode_part(item));
    }

    void measure_database(const std::string& item, std::size_t count) {
        const Endpoint endpoint = database_endpoint(item, count);
        Connection connection(request_.world, endpoint, Code::target_failed);
        const std::string encoding = request_.expected.value(item, "encoding").value_or("");
        prepare_session(connection, encoding, lock_timeout);
        if (is_wanted(request_.only, item)) add_database_facts(connection, item, out_);
        add_toc_facts(connection, item);
        read_tables(connection, endpoint, encoding, item);
    }

    void add_toc_facts(Connection& connection, const std::string& item) {
        const Tools tools = find_tools(connection.server_major(), "", Code::target_failed);
        std::vector<std::string> argv{tools.path("pg_dump"), "--format=custom", "--compress=0",
                                      "--lock-wait-timeout=60s"};
        for (const Table& table : tables_of(connection)) argv.push_back("--exclude-table-data=" + table.qualified());
        Tool tool(request_.world, connection.endpoint(), std::move(argv), Code::target_failed);
        const Toc toc = read_toc_from(tool);
        for (Fact& fact : facts_of_toc(toc, item))
            if (is_wanted(request_.only, fact.item)) out_.list.push_back(std::move(fact));
    }

    void read_tables(Connection& connection, const Endpoint& endpoint, const std::string& encoding,
                     const std::string& item) {
        std::vector<Table> tables = tables_of(connection);
        read_sizes(connection, tables);
        std::ranges::sort(tables, std::greater<>{}, &Table::bytes);
        Workers workers(sessions_max, sessions_max);
        std::mutex idle_mutex;
        std::vector<std::unique_ptr<Connection>> idle;
        for (const Table& table : tables) {
            const std::string path = item + "/" + encode_part(table.schema) + "/" + encode_part(table.name);
            if (!is_wanted(request_.only, path) || request_.expected.value(path, "about rows")) continue;
            workers.submit([&, table, path] {
                std::unique_ptr<Connection> session;
                {
                    const std::lock_guard lock(idle_mutex);
                    if (!idle.empty()) {
                        session = std::move(idle.back());
                        idle.pop_back();
                    }
                }
                if (!session) {
                    session = std::make_unique<Connection>(request_.world, endpoint, Code::target_failed);
                    prepare_session(*session, encoding, lock_timeout);
                }
                read_table(*session, table, path);
                const std::lock_guard lock(idle_mutex);
                idle.push_back(std::move(session));
            });
        }
        workers.finish();
    }

    void read_table(Connection& session, Table table, const std::string& path) {
        if (const auto captured = request_.expected.value(path, "columns"))
            table.columns = in_order_of(table.columns, *captured);
        session.begin_copy_out("COPY " + table.copied() + " TO STDOUT");
        RowChecksum sum;
        while (true) {
            const ByteView row = session.next_row();
            if (row.empty()) break;
            sum.add(row.first(row.size() - 1));
        }
        const std::lock_guard lock(out_mutex_);
        out_.list.push_back({path, "rows", fmt::format("{}", sum.rows())});
        out_.list.push_back({path, "checksum", sum.hex()});
        out_.list.push_back({path, "columns", table.columns});
    }

    const MeasureRequest& request_;
    const Endpoint endpoint_;
    std::mutex out_mutex_;
    Facts out_;  // guarded by out_mutex_ while tables are read
};

}  // namespace

std::vector<Fact> facts_of_toc(const Toc& toc, const std::string& item) {
    const TocHashes hashes = hashes_of(toc);
    std::vector<Fact> out{{item, "schema", hashes.schema}, {item, "privileges", hashes.privileges}};
    if (toc.minor < 16) {
        const auto large = std::ranges::count(toc.entries, "BLOB", &TocEntry::kind);
        out.push_back({item, "large objects", fmt::format("{}", large)});
    }
    for (const SequenceState& sequence : sequences_of(toc)) {
        const std::string path = item + "/" + encode_part(sequence.schema) + "/" + encode_part(sequence.name);
        out.push_back({path, "last value", sequence.last_value});
        out.push_back({path, "is called", sequence.is_called});
    }
    return out;
}

Facts measure(const MeasureRequest& request) { return Measurement(request).take(); }

std::string query_value(World& world, const std::string& target, const std::string& text, Nanoseconds limit) {
    Endpoint endpoint = Endpoint::parse(target);
    if (endpoint.database().empty()) endpoint.set("dbname", "postgres");
    Connection connection(world, endpoint, Code::target_failed);
    connection.run(fmt::format("SET statement_timeout = {}", std::max<Nanoseconds>(limit / 1'000'000, 1)));
    return connection.value(text).value_or("");
}

}  // namespace holdfast::postgres
