// ledger/database.h: the little that the ledger asks of SQLite or PostgreSQL, so that one schema and one suite fit both.
//
// Shape    run("UPDATE runs SET state = $1 WHERE id = $2 RETURNING id", {…}); SQL that both understand, no `$` but of
//          parameters
// Errors   corrupt, busy (held by somebody else for too long), no_space, denied, unreachable, failed; each names the
//          ledger and what to do
// Threads  one at a time
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/world.h"

namespace holdfast::ledger {

using Value = std::variant<std::monostate, std::int64_t, double, std::string>;

class Row {
public:
    explicit Row(std::vector<Value> values) : values_(std::move(values)) {}
    bool is_null(std::size_t column) const { return std::holds_alternative<std::monostate>(values_[column]); }
    // null: 0 and ""
    std::int64_t integer(std::size_t column) const;
    double real(std::size_t column) const;
    std::string text(std::size_t column) const;

private:
    std::vector<Value> values_;
};
using Rows = std::vector<Row>;

class Database {
public:
    virtual ~Database() = default;
    virtual Rows run(std::string_view sql, std::span<const Value> parameters) = 0;
    Rows run(std::string_view sql, std::initializer_list<Value> parameters = {}) {
        return run(sql, std::span(parameters.begin(), parameters.size()));
    }
    virtual std::string name() const = 0;  // for messages, without a password
    // Where several hosts share it: its own time, as their clocks may differ. Nothing: all who use it have one clock.
    virtual std::optional<Nanoseconds> shared_now() const { return std::nullopt; }
    // Until the transaction ends, nobody else gets the lock of this key.
    virtual void lock(std::string_view key) = 0;
};

// All or nothing; goes back unless commit() was reached.
class Transaction {
public:
    explicit Transaction(Database& database);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void commit();

private:
    Database& database_;
    bool open_ = true;
};

std::unique_ptr<Database> open_sqlite(const std::string& path);
std::unique_ptr<Database> open_postgres(const std::string& url, World& world);

}  // namespace holdfast::ledger
