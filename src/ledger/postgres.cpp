#include <array>
#include <charconv>

#include "base/error.h"
#include "clients/postgres/connection.h"
#include "ledger/database.h"

namespace holdfast::ledger {

namespace {

std::string literal_of(const Value& value) {
    if (const auto* const whole = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *whole);
    if (const auto* const real = std::get_if<double>(&value)) return fmt::format("{}", *real);
    if (const auto* const text = std::get_if<std::string>(&value)) return postgres::quote_literal(*text);
    return "NULL";
}

// `$2` by the second value.
std::string filled(std::string_view sql, std::span<const Value> parameters) {
    std::string out;
    for (std::size_t at = 0; at < sql.size();) {
        if (sql[at] != '$') {
            out += sql[at++];
            continue;
        }
        std::size_t number = 0;
        const auto [end, failure] = std::from_chars(sql.data() + at + 1, sql.data() + sql.size(), number);
        HF_ASSERT(failure == std::errc{} && number >= 1 && number <= parameters.size());
        out += literal_of(parameters[number - 1]);
        at = static_cast<std::size_t>(end - sql.data());
    }
    return out;
}

class Postgres final : public Database {
public:
    Postgres(const std::string& url, World& world) : world_(world), endpoint_(postgres::Endpoint::parse(url)) {
        connect();
    }

    Rows run(std::string_view sql, std::span<const Value> parameters) override {
        const std::string whole = filled(sql, parameters);
        try {
            if (!connection_->is_alive() && !in_transaction_) connect();
            const postgres::Rows rows = connection_->query(whole);
            in_transaction_ = sql == "BEGIN" || (in_transaction_ && sql != "COMMIT" && sql != "ROLLBACK");
            return rows_of(rows);
        } catch (Error& error) {
            if (sql == "ROLLBACK" || !connection_->is_alive()) in_transaction_ = false;
            error.set_unharmed("backups and their records are in the repositories");
            throw;
        }
    }

    std::string name() const override { return endpoint_.shown(); }
    std::optional<Nanoseconds> shared_now() const override { return ahead_ + world_.clock.steady(); }

    void lock(std::string_view key) override {
        const std::array<Value, 1> parameters{Value("holdfast " + std::string(key))};
        run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", parameters);
    }

private:
    void connect() {
        connection_ = std::make_unique<postgres::Connection>(world_, endpoint_, Code::unreachable);
        connection_->run("SET client_min_messages = warning");
        constexpr Nanoseconds microsecond = one_second / 1'000'000;
        const std::string now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        ahead_ = rows_of(connection_->query(now)).at(0).integer(0) * microsecond - world_.clock.steady();
    }

    static Rows rows_of(const postgres::Rows& rows) {
        Rows out;
        for (std::size_t row = 0; row < rows.size(); ++row) {
            std::vector<Value> values;
            for (std::size_t column = 0; column < rows.columns(); ++column) {
                if (rows.is_null(row, column))
                    values.emplace_back(std::monostate{});
                else
                    values.emplace_back(rows.text(row, column));
            }
            out.emplace_back(std::move(values));
        }
        return out;
    }

    World& world_;
    const postgres::Endpoint endpoint_;
    std::unique_ptr<postgres::Connection> connection_;
    bool in_transaction_ = false;
    Nanoseconds ahead_ = 0;  // the server's clock, of our steady one
};

}  // namespace

std::unique_ptr<Database> open_postgres(const std::string& url, World& world) {
    return std::make_unique<Postgres>(url, world);
}

}  // namespace holdfast::ledger
