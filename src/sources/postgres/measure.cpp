#include "sources/postgres/measure.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/item.h"
#include "base/text.h"
#include "base/workers.h"
#include "clients/postgres/tools.h"
#include "source/option_values.h"
#include "source/untold_facts.h"
#include "sources/postgres/archive_facts.h"
#include "sources/postgres/catalog.h"
#include "sources/postgres/names.h"
#include "sources/postgres/row_checksum.h"

namespace holdfast::postgres {

namespace {

constexpr std::size_t sessions_max = 2;
constexpr auto lock_timeout = "60s";
constexpr auto excluded_of_before = "about rows";  // in captures that did not yet say why
constexpr std::uint64_t part_bytes = 16ULL << 20;
constexpr int first_with_ranges_of_pages = 140000;  // servers before that would read the whole table for each

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

// What pg_dump says, and nothing else does.
bool is_of_dump(std::string_view fact) {
    constexpr std::array<std::string_view, 7> names{"schema",       "privileges", "large objects", object_contents,
                                                    extension_rows, "last value", "is called"};
    return std::ranges::find(names, fact) != names.end();
}

// By item path. Tables may be many, and facts are a list.
struct CapturedTables {
    std::map<std::string_view, const std::string*> columns;
    std::set<std::string_view> excluded;
    explicit CapturedTables(const Facts& facts) {
        const std::string no_rows = untold("", "rows", "").name;
        for (const Fact& fact : facts.list) {
            if (fact.name == "columns") columns.emplace(fact.item, &fact.value);
            if (fact.name == no_rows || fact.name == excluded_of_before) excluded.insert(fact.item);
        }
    }
};

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

    // Of the version that captured, where it is here: what pg_dump prints is its own.
    Tools tools_for(int server_major) const {
        if (const int captured = major_of("about pg_dump version"); captured > server_major) {
            try {
                return find_tools(captured, bin_dir(), Code::target_failed);
            } catch (const Error& error) {
                if (error.code() != Code::target_failed) throw;
            }
        }
        return find_tools(server_major, bin_dir(), Code::target_failed);
    }

    std::string bin_dir() const { return option_text(request_.options, "bin_dir"); }

    int major_of(std::string_view fact) const {
        return std::atoi(request_.expected.value("", fact).value_or("").c_str());
    }

    // Other versions word the same definitions otherwise.
    void say_what_cannot_be_told(const std::string& item, int server_major, int dump_major) {
        const int captured_server = major_of("about server version"), captured_dump = major_of("about pg_dump version");
        const bool is_other_server = captured_server != 0 && captured_server != server_major;
        const bool is_other_dump = captured_dump != 0 && captured_dump != dump_major;
        if (!is_other_server && !is_other_dump) return;
        const std::string reason = is_other_server
                                       ? fmt::format("another major version: {}, now {}", captured_server, server_major)
                                       : fmt::format("another pg_dump: {}, now {}", captured_dump, dump_major);
        std::vector<std::string_view> names{"schema", "privileges", "large objects", extension_rows};
        if (is_other_server) names.emplace_back("collation");
        for (const std::string_view name : names) out_.list.push_back(untold(item, name, reason));
    }

    void say_that_there_is_no_dump(const std::string& item, const std::string& reason) {
        for (const Fact& fact : request_.expected.list)
            if (is_within(fact.item, item) && is_wanted(request_.only, fact.item) && is_of_dump(fact.name))
                out_.list.push_back(untold(fact.item, fact.name, reason));
    }

    void add_toc_facts(Connection& connection, const std::string& item) {
        Tools tools;
        try {
            tools = tools_for(connection.server_major());
        } catch (const Error& error) {
            if (error.code() != Code::target_failed) throw;
            return say_that_there_is_no_dump(item, error.message() + " (" + error.hint() + ")");
        }
        if (is_wanted(request_.only, item)) say_what_cannot_be_told(item, connection.server_major(), tools.major);
        std::vector<std::string> argv{tools.path("pg_dump"), "--format=custom", "--compress=0",
                                      "--lock-wait-timeout=60s"};
        for (const Table& table : tables_of(connection)) argv.push_back("--exclude-table-data=" + table.qualified());
        Tool tool(request_.world, connection.endpoint(), std::move(argv), Code::target_failed);
        ArchiveFacts archive(item);
        // A capture of before did not look at them.
        const bool looks_at_data =
            is_wanted(request_.only, item) && request_.expected.value(item, object_contents).has_value();
        Bytes buffer(256 * 1024);
        std::size_t got = 1;
        while (got != 0 && (looks_at_data || !archive.has_toc())) {
            got = tool.read(buffer);
            archive.put(ByteView(buffer).first(got));
        }
        if (got == 0) tool.finish();
        add_wanted(archive.of_toc());
        if (looks_at_data) add_wanted(archive.of_data());
    }

    void add_wanted(std::vector<Fact> facts) {
        for (Fact& fact : facts)
            if (is_wanted(request_.only, fact.item)) out_.list.push_back(std::move(fact));
    }

    // Some of a table's pages, or all of it: a sum knows no order, so that the sessions share even one large table.
    struct Part {
        const Table* table;
        std::string path;
        std::uint64_t first_page = 0;
        std::optional<std::uint64_t> end_page{};
        bool is_all() const { return first_page == 0 && !end_page; }
        std::string rows() const {
            if (is_all()) return table->copied();
            std::string out = fmt::format("(SELECT {} FROM ONLY {} WHERE ctid >= '({},0)'", table->columns,
                                          table->qualified(), first_page);
            if (end_page) out += fmt::format(" AND ctid < '({},0)'", *end_page);
            return out + ")";
        }
    };

    void read_tables(Connection& connection, const Endpoint& endpoint, const std::string& encoding,
                     const std::string& item) {
        connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        const std::string snapshot = connection.value("SELECT pg_catalog.pg_export_snapshot()").value_or("");
        std::vector<Table> tables = tables_of(connection);
        read_sizes(connection, tables);
        std::ranges::sort(tables, std::greater<>{}, &Table::bytes);
        const CapturedTables captured(request_.expected);
        std::map<std::string, RowChecksum> sums;
        Workers workers(sessions_max, sessions_max);
        std::mutex mutex;  // of idle and sums
        std::vector<std::unique_ptr<Connection>> idle;
        const auto begun = [&] {
            auto out = std::make_unique<Connection>(request_.world, endpoint, Code::target_failed);
            prepare_session(*out, encoding, lock_timeout);
            out->run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT " +
                     quote_literal(snapshot));
            return out;
        };
        for (Table& table : tables) {
            const std::string path = item + "/" + encode_part(table.schema) + "/" + encode_part(table.name);
            if (!is_wanted(request_.only, path) || captured.excluded.contains(path)) continue;
            if (const auto columns = captured.columns.find(path); columns != captured.columns.end())
                table.columns = in_order_of(table.columns, *columns->second);
            out_.list.push_back({path, "columns", table.columns});
            sums[path];
            for (Part& part : parts_of(connection, table, path))
                workers.submit([&, part = std::move(part)] {
                    std::unique_ptr<Connection> session;
                    {
                        const std::lock_guard lock(mutex);
                        if (!idle.empty()) {
                            session = std::move(idle.back());
                            idle.pop_back();
                        }
                    }
                    if (!session) session = begun();
                    const RowChecksum sum = sum_of(*session, part);
                    const std::lock_guard lock(mutex);
                    sums[part.path].add(sum);
                    idle.push_back(std::move(session));
                });
        }
        workers.finish();
        for (const auto& [path, sum] : sums) {
            out_.list.push_back({path, "rows", fmt::format("{}", sum.rows())});
            out_.list.push_back({path, "checksum", sum.hex()});
        }
        connection.run("COMMIT");
    }

    static std::vector<Part> parts_of(Connection& connection, const Table& table, const std::string& path) {
        std::vector<Part> out;
        const std::uint64_t count = table.columns.empty() ? 1 : table.bytes / part_bytes;
        if (count > 1 && connection.server_version() >= first_with_ranges_of_pages) {
            const std::uint64_t pages = std::stoull(connection
                                                        .value("SELECT pg_catalog.pg_relation_size(" + table.oid +
                                                               ") / pg_catalog.current_setting('block_size')::bigint")
                                                        .value_or("0"));
            for (std::uint64_t i = 0; i < count; ++i)
                out.push_back({&table, path, pages * i / count, pages * (i + 1) / count});
            out.back().end_page.reset();
        } else {
            out.push_back({&table, path});
        }
        return out;
    }

    static RowChecksum sum_of(Connection& session, const Part& part) {
        session.begin_copy_out("COPY " + part.rows() + " TO STDOUT");
        RowChecksum sum;
        while (true) {
            const ByteView row = session.next_row();
            if (row.empty()) break;
            sum.add(row.first(row.size() - 1));
        }
        return sum;
    }

    const MeasureRequest& request_;
    const Endpoint endpoint_;
    Facts out_;
};

}  // namespace

Facts measure(const MeasureRequest& request) { return Measurement(request).take(); }

std::string query_value(World& world, const std::string& target, const std::string& text, Nanoseconds limit) {
    Endpoint endpoint = Endpoint::parse(target);
    if (endpoint.database().empty()) endpoint.set("dbname", "postgres");
    // The server ends the statement by itself, unless it is what hangs.
    Connection connection(world, endpoint, Code::target_failed, limit + one_second);
    connection.run(fmt::format("SET statement_timeout = {}", std::max<Nanoseconds>(limit / 1'000'000, 1)));
    return connection.value(text).value_or("");
}

}  // namespace holdfast::postgres
