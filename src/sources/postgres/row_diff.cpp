#include "sources/postgres/row_diff.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "clients/postgres/connection.h"
#include "source/keyed_diff.h"
#include "sources/postgres/catalog.h"
#include "sources/postgres/names.h"
#include "sources/postgres/row_checksum.h"

namespace holdfast::postgres {

namespace {

constexpr auto lock_timeout = "60s";

// "id, \"odd, name\"" as names.
std::vector<std::string> names_in(std::string_view list) {
    std::vector<std::string> out;
    std::string name;
    bool in_quotes = false;
    for (std::size_t i = 0; i < list.size(); ++i) {
        const char c = list[i];
        if (c == '"' && in_quotes && i + 1 < list.size() && list[i + 1] == '"') {
            name += list[++i];
        } else if (c == '"') {
            in_quotes = !in_quotes;
        } else if (!in_quotes && c == ',') {
            out.push_back(std::exchange(name, {}));
        } else if (in_quotes || c != ' ') {
            name += c;
        }
    }
    if (!name.empty()) out.push_back(std::move(name));
    return out;
}

// The lines of rows in the bytes of a captured table.
class CapturedRows {
public:
    explicit CapturedRows(std::function<void(std::string_view)> each) : each_(std::move(each)) {}

    void add(ByteView bytes) {
        while (!bytes.empty()) {
            const auto* const found = static_cast<const std::uint8_t*>(std::memchr(bytes.data(), '\n', bytes.size()));
            const std::size_t size = found == nullptr ? bytes.size() : static_cast<std::size_t>(found - bytes.data());
            held_ += as_text(bytes.first(size));
            if (found == nullptr) return;
            bytes = bytes.subspan(size + 1);
            if (is_head_) {
                // A quoted name may hold line breaks.
                if (std::ranges::count(held_, '"') % 2 != 0) {
                    held_ += '\n';
                    continue;
                }
                is_head_ = false;
            } else if (held_ != "\\.") {
                each_(held_);
            }
            held_.clear();
        }
    }

private:
    const std::function<void(std::string_view)> each_;
    std::string held_;
    bool is_head_ = true;
};

using Side = KeyedDiff::Side;

class Comparison {
public:
    explicit Comparison(const RowDiffRequest& request) : request_(request) {}

    RowDiff run() {
        const std::vector<std::string> parts = parts_of(request_.item);
        const auto columns = request_.facts.value(request_.item, "columns");
        if (parts.size() != 3 || !columns) return {{}, false, "its columns were not recorded"};
        Endpoint endpoint = Endpoint::parse(request_.target);
        if (endpoint.database().empty()) endpoint.set("dbname", parts[0]);
        Connection live(request_.world, endpoint, Code::target_failed);
        prepare_session(live, request_.facts.value(encode_part(parts[0]), "encoding").value_or(""), lock_timeout);
        live.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        Table table;
        table.schema = parts[1];
        table.name = parts[2];
        table.columns = *columns;
        names_ = names_in(*columns);
        if (const std::string problem = find_key(live, table); !problem.empty()) return {{}, false, problem};

        read_both(live, table, [&](Side side, std::string_view row) {
            diff_.count(side, key_of(row), RowChecksum::hash(as_bytes(row)));
        });
        diff_.choose();
        read_both(live, table, [&](Side side, std::string_view row) {
            diff_.keep(side, key_of(row), RowChecksum::hash(as_bytes(row)));
        });
        live.run("COMMIT");
        return finish();
    }

private:
    std::string find_key(Connection& live, const Table& table) {
        const Rows rows = live.query(fmt::format(
            "SELECT a.attname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND "
            "a.attnum = ANY (i.indkey) WHERE i.indrelid = {}::pg_catalog.regclass AND i.indisprimary ORDER BY a.attnum",
            quote_literal(table.qualified())));
        if (rows.size() == 0) return "it has no primary key";
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto at = std::ranges::find(names_, rows.at(i, 0));
            if (at == names_.end()) return "its primary key is not among the columns that were captured";
            key_.push_back(static_cast<std::size_t>(at - names_.begin()));
        }
        const Rows present =
            live.query(fmt::format("SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = "
                                   "{}::pg_catalog.regclass AND attnum > 0 AND NOT "
                                   "attisdropped",
                                   quote_literal(table.qualified())));
        for (const std::string& name : names_) {
            bool is_there = false;
            for (std::size_t i = 0; i < present.size(); ++i) is_there = is_there || present.at(i, 0) == name;
            if (!is_there) return fmt::format("column {} is gone", name);
        }
        return "";
    }

    void read_both(Connection& live, const Table& table, const std::function<void(Side, std::string_view)>& each) {
        CapturedRows rows([&](std::string_view row) { each(Side::captured, row); });
        request_.read([&](ByteView bytes) {
            request_.world.stop.check();
            rows.add(bytes);
        });
        live.begin_copy_out("COPY " + table.copied() + " TO STDOUT");
        while (true) {
            const ByteView row = live.next_row();
            if (row.empty()) break;
            each(Side::live, as_text(row.first(row.size() - 1)));
        }
    }

    // The fields of the key as they stand in the row, tabs between them.
    std::string key_of(std::string_view row) const {
        std::vector<std::string_view> fields;
        const std::size_t last = *std::ranges::max_element(key_);
        for (std::size_t begin = 0; fields.size() <= last;) {
            const std::size_t end = std::min(row.find('\t', begin), row.size());
            fields.push_back(row.substr(begin, end - begin));
            if (end == row.size()) break;
            begin = end + 1;
        }
        std::string out;
        for (const std::size_t each : key_) {
            if (each >= fields.size()) throw Error{Code::corrupt, "a row has fewer fields than columns"};
            out += (out.empty() && each == key_.front() ? "" : "\t") + std::string(fields[each]);
        }
        return out;
    }

    // "id=5, place='a b'"
    std::string shown(const std::string& key) const {
        std::vector<std::string> out;
        const std::vector<std::string> fields = split(key, '\t');
        for (std::size_t i = 0; i < key_.size() && i < fields.size(); ++i)
            out.push_back(names_[key_[i]] + "=" + fields[i]);
        return join(out, ", ");
    }

    RowDiff finish() {
        RowDiff out{diff_.differences(), diff_.has_more(), ""};
        // Whole numbers by their size, as people count.
        const bool are_numbers = std::ranges::all_of(out.list, [](const RowDifference& each) {
            return std::ranges::all_of(each.key, [](char c) { return c >= '0' && c <= '9'; });
        });
        if (are_numbers) std::ranges::stable_sort(out.list, {}, [](const auto& each) { return each.key.size(); });
        if (out.list.size() > request_.differences_max) {
            out.list.resize(request_.differences_max);
            out.has_more = true;
        }
        for (RowDifference& each : out.list) each.key = shown(each.key);
        return out;
    }

    const RowDiffRequest& request_;
    std::vector<std::string> names_;  // of the columns
    std::vector<std::size_t> key_;    // which of them
    KeyedDiff diff_;
};

}  // namespace

RowDiff diff_rows(const RowDiffRequest& request) {
    const Note note{"comparing the rows of {}", request.item};
    return Comparison(request).run();
}

}  // namespace holdfast::postgres
