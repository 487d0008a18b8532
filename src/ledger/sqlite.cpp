#include <sqlite3.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "ledger/database.h"

namespace holdfast::ledger {

namespace {

constexpr int busy_wait_ms_max = 10'000;

struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close(handle); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

class Sqlite final : public Database {
public:
    explicit Sqlite(std::string path) : path_(std::move(path)) {
        const auto folder = std::filesystem::path(path_).parent_path();
        std::error_code failure;
        if (!folder.empty()) std::filesystem::create_directories(folder, failure);
        if (failure)
            throw Error{errno_code(failure.value(), Code::failed), "the ledger's folder {} cannot be made: {}",
                        folder.string(), failure.message()};
        // What could not be opened has to be closed, too.
        sqlite3* opened = nullptr;
        const int result = sqlite3_open_v2(path_.c_str(), &opened,
                                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
        handle_.reset(opened);
        check(result);
        sqlite3_extended_result_codes(handle_.get(), 1);
        sqlite3_busy_timeout(handle_.get(), busy_wait_ms_max);
        const Rows mode = run("PRAGMA journal_mode = WAL", {});
        if (mode.empty() || mode[0].text(0) != "wal")
            throw Error{Code::failed,
                        "the ledger {} cannot be written by several processes at a time: WAL mode is refused", path_}
                .hint("Put it on a local disk; for several machines use PostgreSQL: `ledger: postgres://…`.");
        run("PRAGMA synchronous = NORMAL", {});
    }
    Rows run(std::string_view sql, std::span<const Value> parameters) override {
        // A transaction that reads before it writes could not write any more once somebody else has written.
        sqlite3_stmt* const statement = prepared(sql == "BEGIN" ? "BEGIN IMMEDIATE" : std::string(sql));
        for (std::size_t i = 0; i < parameters.size(); ++i) bind(statement, i + 1, parameters[i]);
        Rows out;
        int result = SQLITE_OK;
        while ((result = sqlite3_step(statement)) == SQLITE_ROW) out.push_back(row_of(statement));
        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
        if (result != SQLITE_DONE) check(result);
        return out;
    }

    std::string name() const override { return path_; }
    void lock(std::string_view /*key*/) override {}  // BEGIN IMMEDIATE has locked everything

private:
    sqlite3_stmt* prepared(const std::string& sql) {
        const auto found = statements_.find(sql);
        if (found != statements_.end()) return found->second.get();
        sqlite3_stmt* statement = nullptr;
        check(sqlite3_prepare_v2(handle_.get(), sql.c_str(), static_cast<int>(sql.size()), &statement, nullptr));
        return statements_.emplace(sql, statement).first->second.get();
    }

    static void bind(sqlite3_stmt* statement, std::size_t number, const Value& value) {
        const std::string name = "$" + std::to_string(number);
        const int index = sqlite3_bind_parameter_index(statement, name.c_str());
        if (index == 0) return;  // a parameter that this statement does not use
        if (const auto* const whole = std::get_if<std::int64_t>(&value))
            sqlite3_bind_int64(statement, index, *whole);
        else if (const auto* const real = std::get_if<double>(&value))
            sqlite3_bind_double(statement, index, *real);
        else if (const auto* const text = std::get_if<std::string>(&value))
            sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
        else
            sqlite3_bind_null(statement, index);
    }

    static Row row_of(sqlite3_stmt* statement) {
        std::vector<Value> values;
        for (int column = 0; column < sqlite3_column_count(statement); ++column) {
            switch (sqlite3_column_type(statement, column)) {
                case SQLITE_INTEGER:
                    values.emplace_back(std::int64_t{sqlite3_column_int64(statement, column)});
                    break;
                case SQLITE_FLOAT:
                    values.emplace_back(sqlite3_column_double(statement, column));
                    break;
                case SQLITE_NULL:
                    values.emplace_back(std::monostate{});
                    break;
                default:
                    values.emplace_back(
                        std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, column)),
                                    static_cast<std::size_t>(sqlite3_column_bytes(statement, column))));
            }
        }
        return Row(std::move(values));
    }

    void check(int result) const {
        constexpr int primary = 0xff;
        constexpr const char* free_space = "Free space on its disk.";
        const std::string why = handle_ == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(handle_.get());
        const auto error = [&](Code code, const char* what) {
            return Error{code, "the ledger {} {}: {}", path_, what, why};
        };
        switch (result & primary) {
            case SQLITE_OK:
                return;
            case SQLITE_CORRUPT:
            case SQLITE_NOTADB:
                throw error(Code::corrupt, "is damaged")
                    .unharmed("backups and their records are in the repositories")
                    .hint("Move the file away; `holdfast ledger rebuild` makes a new one from the repositories.");
            case SQLITE_BUSY:
            case SQLITE_LOCKED:
                throw error(Code::busy, "is held by another process")
                    .hint("See who has it open: `fuser` names the process. No run is started twice meanwhile.");
            case SQLITE_FULL:
                throw error(Code::no_space, "cannot be written").hint(free_space);
            case SQLITE_CANTOPEN:
            case SQLITE_READONLY:
            case SQLITE_PERM:
            case SQLITE_AUTH:
                throw error(Code::denied, "cannot be opened for writing")
                    .hint("The user that runs holdfast needs to write the file and its folder.");
            case SQLITE_IOERR: {
                const int number = handle_ == nullptr ? 0 : sqlite3_system_errno(handle_.get());
                const Code code = errno_code(number, Code::failed);
                if (code == Code::no_space) throw error(code, "cannot be written").hint(free_space);
                throw error(code, "cannot be read or written");
            }
            default:
                throw error(Code::failed, "answers with an error");
        }
    }

    const std::string path_;
    std::unique_ptr<sqlite3, Close> handle_;
    std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, Close>> statements_;  // end before the handle
};

}  // namespace

std::unique_ptr<Database> open_sqlite(const std::string& path) { return std::make_unique<Sqlite>(path); }

}  // namespace holdfast::ledger
