#include "sources/postgres/row_diff.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "clients/postgres/connection.h"
#include "sources/postgres/catalog.h"
#include "sources/postgres/names.h"
#include "sources/postgres/row_checksum.h"

namespace holdfast::postgres {

namespace {

constexpr std::size_t buckets = 1 << 16;
constexpr std::size_t rows_held_max = 200'000;
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

struct Hash {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    bool operator==(const Hash&) const = default;
};

Hash hash_of(std::string_view text) {
    const auto [low, high] = RowChecksum::hash(as_bytes(text));
    return {low, high};
}

enum class Side : std::uint8_t { captured, live };

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

        read_both(live, table, [&](Side side, std::string_view row) { count(side, row); });
        choose_buckets();
        read_both(live, table, [&](Side side, std::string_view row) { keep(side, row); });
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

    std::size_t bucket_of(const std::string& key) const { return hash_of(key).low % buckets; }

    void count(Side side, std::string_view row) {
        Bucket& bucket = buckets_[bucket_of(key_of(row))];
        const Hash hash = hash_of(row);
        bucket.low += side == Side::captured ? hash.low : 0 - hash.low;
        bucket.high += side == Side::captured ? hash.high : 0 - hash.high;
        ++bucket.rows;
    }

    void choose_buckets() {
        std::size_t rows = 0;
        for (Bucket& bucket : buckets_) {
            if (bucket.low == 0 && bucket.high == 0) continue;
            rows += bucket.rows;
            bucket.is_chosen = rows <= 2 * rows_held_max || rows == bucket.rows;
            if (!bucket.is_chosen) has_more_ = true;
        }
    }

    void keep(Side side, std::string_view row) {
        std::string key = key_of(row);
        if (!buckets_[bucket_of(key)].is_chosen) return;
        const Hash hash = hash_of(row);
        if (side == Side::captured) {
            rows_.emplace(std::move(key), Row{hash, RowDifference::Kind::only_captured});
            return;
        }
        const auto [at, is_new] = rows_.try_emplace(std::move(key), Row{hash, RowDifference::Kind::only_live});
        if (is_new) return;
        if (at->second.hash == hash)
            rows_.erase(at);
        else
            at->second.kind = RowDifference::Kind::changed;
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
        // Whole numbers by their size, as people count.
        std::vector<const std::pair<const std::string, Row>*> sorted;
        for (const auto& each : rows_) sorted.push_back(&each);
        const bool are_numbers = std::ranges::all_of(rows_, [](const auto& each) {
            return std::ranges::all_of(each.first, [](char c) { return c >= '0' && c <= '9'; });
        });
        if (are_numbers) std::ranges::stable_sort(sorted, {}, [](const auto* each) { return each->first.size(); });
        RowDiff out;
        for (const auto* each : sorted) {
            if (out.list.size() == request_.differences_max) {
                has_more_ = true;
                break;
            }
            out.list.push_back({shown(each->first), each->second.kind});
        }
        out.has_more = has_more_;
        return out;
    }

    struct Bucket {
        std::uint64_t low = 0;  // captured minus live
        std::uint64_t high = 0;
        std::uint32_t rows = 0;
        bool is_chosen = false;
    };
    struct Row {
        Hash hash;
        RowDifference::Kind kind;
    };

    const RowDiffRequest& request_;
    std::vector<std::string> names_;  // of the columns
    std::vector<std::size_t> key_;    // which of them
    std::vector<Bucket> buckets_ = std::vector<Bucket>(buckets);
    std::map<std::string, Row> rows_;
    bool has_more_ = false;
};

}  // namespace

RowDiff diff_rows(const RowDiffRequest& request) {
    const Note note{"comparing the rows of {}", request.item};
    return Comparison(request).run();
}

}  // namespace holdfast::postgres
