#include "sources/postgres/rebuild.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "source/folder_rebuild.h"
#include "source/rebuild_gate.h"
#include "sources/postgres/database_rebuild.h"
#include "sources/postgres/names.h"
#include "sources/postgres/own_place.h"

namespace holdfast::postgres {

namespace {

class ServerRebuild final : public Rebuild {
public:
    explicit ServerRebuild(const RebuildRequest& request)
        : world_(request.world),
          wants_(request.wants),
          snapshot_id_(request.snapshot_id),
          options_(restore_options(request.options)),
          endpoint_(Endpoint::parse(request.target)),
          is_dry_run_(request.dry_run) {
        if (!request.facts) return;
        source_identifier_ = request.facts->value("", "about system identifier").value_or("");
        has_source_address_ = has_address_of(request.facts->value("", "about address").value_or(""), endpoint_);
    }

    bool sequential() const override { return true; }

    Ticket begin_item(const Item& item) override {
        const std::uint64_t number = ++tickets_;
        if (item.kind == ItemKind::folder) {
            if (item.path.find('/') == std::string::npos) add_database(item.path);
            return {number, false};
        }
        if (is_dry_run_) return {number, false};
        auto target = std::make_unique<Target>();
        if (item.path == globals_item) {
            target->kind = Target::Kind::globals;
            const std::lock_guard lock(gate_.mutex);
            waits_for_globals_ = true;
        } else if (is_archive(item.path)) {
            target->kind = Target::Kind::archive;
            target->database = &database_of(item.path);
        } else {
            const std::vector<std::string> parts = parts_of(item.path);
            Database& database = database_of(item.path);
            wait_until_prepared(database);
            if (parts.size() != 3 || !database.rebuild->takes_rows(parts[1], parts[2])) return unchanged(number);
            target->kind = Target::Kind::table;
            target->database = &database;
            target->feed = database.rebuild->feed(parts[1], parts[2]);
        }
        const std::lock_guard lock(gate_.mutex);
        targets_.emplace(number, std::move(target));
        return {number, true};
    }

    void write(const Ticket& ticket, std::uint64_t offset, ByteView bytes) override {
        Target& target = find(ticket);
        gate_.guarded([&] {
            switch (target.kind) {
                case Target::Kind::globals:
                    append(target.text, bytes);
                    break;
                case Target::Kind::archive:
                    target.database->rebuild->write_archive(offset, bytes);
                    break;
                case Target::Kind::table:
                    target.feed->put(bytes);
                    break;
            }
        });
    }

    void end_item(const Ticket& ticket) override {
        Target& target = find(ticket);
        gate_.guarded([&] {
            switch (target.kind) {
                case Target::Kind::globals: {
                    const std::lock_guard lock(gate_.mutex);
                    globals_ = as_text(target.text);
                    waits_for_globals_ = false;
                    break;
                }
                case Target::Kind::archive: {
                    gate_.wait([&] { return !waits_for_globals_; });
                    target.database->rebuild->prepare(globals_);
                    const std::lock_guard lock(gate_.mutex);
                    target.database->is_prepared = true;
                    break;
                }
                case Target::Kind::table:
                    target.feed->end();
                    break;
            }
        });
        const std::lock_guard lock(gate_.mutex);
        targets_.erase(ticket.number);
        ++summary_.items_written;
        gate_.changed();
    }

    void abandon_item(const Ticket& ticket, const Finding& finding) override {
        const std::lock_guard lock(gate_.mutex);
        const auto at = targets_.find(ticket.number);
        if (at == targets_.end()) return;
        // Without its definitions nothing of a database can come back; without globals its roles may be there.
        if (at->second->kind == Target::Kind::archive) gate_.give_up();
        if (at->second->kind == Target::Kind::globals) waits_for_globals_ = false;
        targets_.erase(at);
        summary_.findings.push_back(finding);
        gate_.changed();
    }

    Summary finish() override {
        for (const auto& [item, database] : databases_) {
            if (is_dry_run_) continue;
            if (database->is_prepared) database->rebuild->finish();
            for (Finding& finding : database->rebuild->take_findings()) summary_.findings.push_back(std::move(finding));
        }
        return std::move(summary_);
    }

private:
    struct Database {
        std::unique_ptr<DatabaseRebuild> rebuild;
        bool is_prepared = false;  // guarded by gate_.mutex
    };
    struct Target {
        enum class Kind : std::uint8_t { globals, archive, table };
        Kind kind = Kind::table;
        Database* database = nullptr;
        Bytes text;
        std::unique_ptr<DatabaseRebuild::TableFeed> feed;
    };

    void add_database(const std::string& item) {
        const std::string captured = decode_part(item);
        const std::string given = endpoint_.database();
        if (!given.empty() && !databases_.empty())
            throw Error{Code::usage, "one name is given for several databases: {} and {}", databases_.begin()->first,
                        item}
                .unharmed("nothing was changed at the target")
                .hint("Name one of them by --include DATABASE, or a target without a database.");
        auto database = std::make_unique<Database>();
        if (!is_dry_run_)
            database->rebuild = std::make_unique<DatabaseRebuild>(
                world_, options_,
                DatabasePlan{captured, given.empty() ? captured : given, snapshot_id_, endpoint_, wants_,
                             source_identifier_, has_source_address_});
        databases_.emplace(item, std::move(database));
    }

    Database& database_of(const std::string& path) {
        const auto at = databases_.find(path.substr(0, path.find('/')));
        if (at == databases_.end()) throw Error{Code::corrupt, "{} comes without its database", path};
        return *at->second;
    }

    Target& find(const Ticket& ticket) {
        const std::lock_guard lock(gate_.mutex);
        return *targets_.at(ticket.number);
    }

    Ticket unchanged(std::uint64_t number) {
        const std::lock_guard lock(gate_.mutex);
        ++summary_.items_unchanged;
        return {number, false};
    }

    void wait_until_prepared(Database& database) {
        gate_.wait([&] { return database.is_prepared; });
    }

    World& world_;
    const std::function<bool(const std::string&)> wants_;
    const std::string snapshot_id_;
    const RestoreOptions options_;
    const Endpoint endpoint_;
    const bool is_dry_run_;
    std::string source_identifier_;
    bool has_source_address_ = false;
    std::uint64_t tickets_ = 0;
    std::map<std::string, std::unique_ptr<Database>> databases_;  // by item
    RebuildGate gate_{world_};
    // guarded by gate_.mutex
    std::map<std::uint64_t, std::unique_ptr<Target>> targets_;
    std::string globals_;
    bool waits_for_globals_ = false;
    Summary summary_;
};

}  // namespace

RestoreOptions restore_options(const SourceOptions& options) {
    RestoreOptions out;
    out.present = present_of(options);
    out.beside = option_text(options, "beside");
    const auto renames = [&](std::string_view name) {
        Renames pairs;
        for (const std::string& each : option_list(options, name)) {
            const std::size_t colon = each.find(':');
            if (colon == 0 || colon == std::string::npos || colon + 1 == each.size())
                throw Error{Code::usage, "--{} needs OLD:NEW, not `{}`", name, each};
            pairs.emplace_back(each.substr(0, colon), each.substr(colon + 1));
        }
        return pairs;
    };
    out.owners = renames("owner");
    out.schemas = renames("schema");
    out.no_owner = option_text(options, "no_owner") == "true";
    out.end_sessions = option_text(options, "end_sessions") == "true";
    out.into_source = option_text(options, "into_source") == "true";
    out.bin_dir = option_text(options, "bin_dir");
    return out;
}

std::unique_ptr<Rebuild> rebuild(const RebuildRequest& request) {
    if (!is_url(request.target)) return rebuild_into_folder(request);
    return std::make_unique<ServerRebuild>(request);
}

}  // namespace holdfast::postgres
