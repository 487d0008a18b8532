#include "ledger/database.h"

namespace holdfast::ledger {

std::int64_t Row::integer(std::size_t column) const {
    const Value& value = values_.at(column);
    if (const auto* const number = std::get_if<std::int64_t>(&value)) return *number;
    if (const auto* const number = std::get_if<double>(&value)) return static_cast<std::int64_t>(*number);
    const auto* const text = std::get_if<std::string>(&value);
    return text == nullptr ? 0 : std::strtoll(text->c_str(), nullptr, 10);
}

double Row::real(std::size_t column) const {
    const Value& value = values_.at(column);
    if (const auto* const number = std::get_if<double>(&value)) return *number;
    if (const auto* const text = std::get_if<std::string>(&value)) return std::strtod(text->c_str(), nullptr);
    return static_cast<double>(integer(column));
}

std::string Row::text(std::size_t column) const {
    const auto* const text = std::get_if<std::string>(&values_.at(column));
    return text == nullptr ? "" : *text;
}

Transaction::Transaction(Database& database) : database_(database) { database_.run("BEGIN"); }

Transaction::~Transaction() {
    if (!open_) return;
    try {
        database_.run("ROLLBACK");
    } catch (...) {  // NOLINT: what failed before is what counts; the server goes back by itself
    }
}

void Transaction::commit() {
    database_.run("COMMIT");
    open_ = false;
}

}  // namespace holdfast::ledger
