#include "sources/postgres/capture.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "clients/postgres/tools.h"
#include "source/item_list.h"
#include "source/line_data.h"
#include "source/untold_facts.h"
#include "sources/postgres/archive_facts.h"
#include "sources/postgres/globals.h"
#include "sources/postgres/names.h"
#include "sources/postgres/row_checksum.h"
#include "sources/postgres/server.h"
#include "sources/postgres/snapshot.h"

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t archive_bytes_guess = 32 * 1024 * 1024;

// Facts come from the threads that read.
class FactBook {
public:
    void add(std::vector<Fact> facts) {
        const std::lock_guard lock(mutex_);
        facts_.list.insert(facts_.list.end(), std::make_move_iterator(facts.begin()),
                           std::make_move_iterator(facts.end()));
    }
    Facts take() {
        const std::lock_guard lock(mutex_);
        facts_.basis = "same-view";
        facts_.sort();
        return std::move(facts_);
    }

private:
    std::mutex mutex_;
    Facts facts_;  // guarded by mutex_
};

class TextData final : public ItemData {
public:
    explicit TextData(std::string text) : text_(std::move(text)) {}
    Piece read(MutableByteView into) override {
        const std::size_t bytes = std::min(into.size(), text_.size() - at_);
        std::memcpy(into.data(), text_.data() + at_, bytes);
        at_ += bytes;
        return {bytes, 0};
    }

private:
    const std::string text_;
    std::size_t at_ = 0;
};

// A table's rows as a statement that any psql reads: COPY … FROM stdin; lines; \.
class TableData final : public LineData {
public:
    TableData(DatabaseSnapshot& database, const Table& table, std::string path, FactBook& book)
        : lease_(database.copy_out(table)), table_(table), path_(std::move(path)), book_(book) {
        head_ = "COPY " + table.copied() + " FROM stdin;\n";
        pending_ = as_bytes(head_);
    }

    Piece read(MutableByteView into) override {
        std::size_t done = 0;
        while (done < into.size()) {
            if (pending_.empty() && !next()) break;
            const std::size_t bytes = std::min(pending_.size(), into.size() - done);
            std::memcpy(into.data() + done, pending_.data(), bytes);
            pending_ = pending_.subspan(bytes);
            done += bytes;
        }
        return {done, 0};
    }

private:
    bool next() {
        if (is_over_) return false;
        const ByteView row = lease_->connection().next_row();
        if (!row.empty()) {
            sum_.add(row.first(row.size() - 1));
            pending_ = row;
            return true;
        }
        is_over_ = true;
        lease_->give_back();
        book_.add({{path_, "rows", fmt::format("{}", sum_.rows())},
                   {path_, "checksum", sum_.hex()},
                   {path_, "columns", table_.columns}});
        pending_ = as_bytes("\\.\n");
        return true;
    }

    std::unique_ptr<DatabaseSnapshot::Lease> lease_;
    const Table& table_;
    const std::string path_;
    FactBook& book_;
    std::string head_;
    ByteView pending_;
    RowChecksum sum_;
    bool is_over_ = false;
};

// What pg_dump prints gives facts on its way.
class ArchiveData final : public ItemData {
public:
    ArchiveData(World& world, const DatabaseSnapshot& database, std::vector<std::string> argv, FactBook& book)
        : tool_(world, database.endpoint(), std::move(argv), Code::source_failed),
          facts_(encode_part(database.database())),
          book_(book) {}

    Piece read(MutableByteView into) override {
        std::size_t done = 0;
        while (done < into.size() && !is_over_) {
            const std::size_t got = tool_.read(into.subspan(done));
            if (got == 0) end();
            facts_.put(into.subspan(done, got));
            done += got;
        }
        return {done, 0};
    }

private:
    void end() {
        is_over_ = true;
        tool_.finish();
        book_.add(facts_.of_toc());
        book_.add(facts_.of_data());
    }

    Tool tool_;
    ArchiveFacts facts_;
    FactBook& book_;
    bool is_over_ = false;
};

struct Place {
    enum class Kind : std::uint8_t { globals, archive, table };
    Kind kind = Kind::globals;
    DatabaseSnapshot* database = nullptr;
    const Table* table = nullptr;
};

class PostgresCapture final : public Capture {
public:
    PostgresCapture(World& world, const CaptureOptions& options) : world_(world), options_(options) {
        Connection asked(world, endpoint_for_lists(options_.endpoint), Code::source_failed);
        switch_off_timeouts(asked);
        tools_ = find_tools(asked.server_major(), options_.bin_dir, Code::source_failed);
        say_if_too_new(asked.server_major());
        book_.add({{"", "about pg_dump version", std::to_string(tools_.major)},
                   {"", "about server version", asked.value("SHOW server_version").value_or("")},
                   {"", "about system identifier", system_identifier(asked)},
                   {"", "about address", options_.endpoint.shown()},
                   untold("", "globals", "roles, memberships, settings and tablespaces are not compared")});
        say_if_not_provable(asked.server_major());
        globals_ = read_globals(world_, asked, tools_);
        say_what_is_half_dropped(half_dropped_databases_of(asked));
        for (const std::string& name : chosen(databases_of(asked))) {
            databases_.push_back(std::make_unique<DatabaseSnapshot>(world, options_, name));
            book_.add(databases_.back()->facts().list);
        }
        list_items();
    }

    bool next(Batch& batch) override {
        world_.stop.check();
        return items_.next(batch);
    }

    std::optional<Finding> complete(const Batch&, Item&) override { return std::nullopt; }

    Opened open(const Batch&, const Batch::Entry& entry) override {
        const auto& listed = items_.at(entry.item.path);
        const Note note{"reading {}", listed.path};
        switch (listed.place.kind) {
            case Place::Kind::globals:
                return {std::make_unique<TextData>(globals_), std::nullopt};
            case Place::Kind::archive:
                return {std::make_unique<ArchiveData>(world_, *listed.place.database,
                                                      dump_command(*listed.place.database), book_),
                        std::nullopt};
            case Place::Kind::table:
                return {std::make_unique<TableData>(*listed.place.database, *listed.place.table, listed.path, book_),
                        std::nullopt};
        }
        throw Error{Code::internal, "{} has no content", listed.path};
    }

    CaptureSummary finish() override {
        CaptureSummary out;
        for (const auto& database : databases_) {
            database->end();
            out.findings.insert(out.findings.end(), database->findings().begin(), database->findings().end());
        }
        out.facts = book_.take();
        return out;
    }

private:
    // Better known now than when a proof is asked for.
    void say_if_not_provable(int major) const {
        try {
            find_server(major, options_.bin_dir, Fit::exact);
        } catch (const Error& error) {
            world_.log.warning(
                fmt::format("a proof on this machine will be NOT TESTED: {}. {}", error.message(), error.hint()));
        }
    }

    void say_what_is_half_dropped(const std::vector<std::string>& names) const {
        for (const std::string& name : names)
            if (wants(name))
                world_.log.warning(
                    fmt::format("database {} was half dropped, nothing can be read of it: it is left out. "
                                "DROP DATABASE {}; drops the rest.",
                                printable(name), quote_name(name)));
    }

    void say_if_too_new(int major) const {
        if (!tools_.sets_what_is_unknown_to(major)) return;
        world_.log.warning(
            fmt::format("PostgreSQL {} is read by pg_dump {}, whose archives only a pg_restore of 17 or newer "
                        "reads. Install the package postgresql-client-{}.",
                        major, tools_.major, major));
    }

    bool wants(const std::string& name) const {
        const bool is_meant =
            options_.databases.empty() || std::ranges::any_of(options_.databases, [&](const auto& each) {
                return each == name || glob_match(each, name);
            });
        return is_meant && !is_excluded(encode_part(name));
    }

    std::vector<std::string> chosen(const std::vector<std::string>& present) {
        std::vector<std::string> out;
        for (const std::string& name : present)
            if (wants(name)) out.push_back(name);
        for (const std::string& each : options_.databases)
            if (!has_glob(each) && std::ranges::find(present, each) == present.end())
                throw Error{Code::source_failed, "{}: there is no database {}", options_.endpoint.shown(), each}.hint(
                    fmt::format("The server has: {}.", join(present, ", ")));
        if (out.empty()) throw Error{Code::source_failed, "{}: no database is chosen", options_.endpoint.shown()};
        return out;
    }

    bool is_excluded(const std::string& path) const {
        return std::ranges::any_of(options_.exclude, [&](const std::string& pattern) {
            return is_within(path, pattern) || glob_match(pattern, path);
        });
    }

    void list_items() {
        items_.add(std::string(globals_item), {Place::Kind::globals}, globals_.size());
        for (const auto& database : databases_) {
            const std::string folder = encode_part(database->database());
            items_.add_folder(folder);
            items_.add(folder + "/" + std::string(archive_name), {Place::Kind::archive, database.get()},
                       archive_bytes_guess);
            std::size_t to_read = 0;
            for (const Table& table : database->tables()) {
                std::string path = item_path(database->database(), table.schema, table.name);
                if (is_excluded(path)) {
                    book_.add({untold(path, "rows", "excluded")});
                    continue;
                }
                items_.add_folder(folder + "/" + encode_part(table.schema));
                items_.add(std::move(path), {Place::Kind::table, database.get(), &table}, table.bytes);
                ++to_read;
            }
            database->expect(to_read);
        }
    }

    // All that is not rows of tables: definitions, sequences, large objects, what extensions keep.
    std::vector<std::string> dump_command(const DatabaseSnapshot& database) const {
        std::vector<std::string> out{tools_.path("pg_dump"), "--format=custom", "--compress=0",
                                     "--snapshot=" + database.id(), "--lock-wait-timeout=" + options_.lock_timeout};
        for (const Table& table : database.tables()) out.push_back("--exclude-table-data=" + table.qualified());
        return out;
    }

    World& world_;
    const CaptureOptions options_;
    Tools tools_;
    std::string globals_;
    FactBook book_;
    std::vector<std::unique_ptr<DatabaseSnapshot>> databases_;
    ItemList<Place> items_;
};

}  // namespace

std::unique_ptr<Capture> begin_capture(World& world, const CaptureOptions& options) {
    return std::make_unique<PostgresCapture>(world, options);
}

}  // namespace holdfast::postgres
