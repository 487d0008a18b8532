#include "sources/mongodb/rebuild.h"

#include <map>
#include <set>

#include "base/error.h"
#include "base/item.h"
#include "source/folder_rebuild.h"
#include "source/rebuild_gate.h"
#include "sources/mongodb/capture.h"
#include "sources/mongodb/instant.h"
#include "sources/mongodb/journal_replay.h"
#include "sources/mongodb/spool.h"
#include "sources/mongodb/target.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t oplog_piece_bytes = 4 * 1024 * 1024;

class ServerRebuild final : public Rebuild {
public:
    explicit ServerRebuild(const RebuildRequest& request) : world_(request.world), is_dry_run_(request.dry_run) {
        TargetPlan plan{.endpoint = server_endpoint(request.target),
                        .options = restore_options(request.options),
                        .wants = request.wants,
                        .line = "",
                        .version = "",
                        .scope = {},
                        .replays = true};
        if (request.facts) {
            captured_ = *request.facts;
            const auto fact = [&](std::string_view name) { return request.facts->value("", name).value_or(""); };
            plan.line = fact("about line");
            plan.version = fact("about feature version");
            if (plan.version.empty()) plan.version = fact("about server version");
            if (const auto scope = request.facts->value("", scope_fact)) plan.scope = Scope::parse(*scope);
            // A dump with an oplog is one of a whole server.
            if (plan.line.empty() && !plan.scope) plan.scope = Scope();
            if (plan.options.with_users && request.facts->value("", users_fact))
                summary_.findings.push_back(
                    {std::string(users_item), Finding::Kind::unreadable,
                     "users and roles were not captured: " + *request.facts->value("", users_fact)});
            plan.replays = request.options.contains("until") || fact("about consistency") == consistent_by_oplog;
        }
        if (!is_dry_run_) target_ = std::make_unique<RestoreTarget>(world_, std::move(plan));
    }

    bool sequential() const override { return true; }

    Ticket begin_item(const Item& item) override {
        const std::uint64_t number = ++tickets_;
        if (is_dry_run_ || item.kind == ItemKind::folder) return {number, false};
        auto open = std::make_unique<Open>();
        open->path = item.path;
        if (item.path == users_item || item.path == roles_item) {
            open->kind = Open::Kind::users;
        } else if (is_metadata(item.path)) {
            open->kind = Open::Kind::metadata;
            databases_.push_back(database_of(item.path));
            target_->name_databases(databases_);
            const std::lock_guard lock(gate_.mutex);
            waited_for_.insert(database_of(item.path));
        } else if (item.path == oplog_item) {
            open->kind = Open::Kind::oplog;
        } else {
            const Namespace name = namespace_of(item.path);
            gate_.wait([&] { return !waited_for_.contains(name.database); });
            open->kind = Open::Kind::collection;
            open->name = name;
            open->writer = target_->writer(name);
            if (!open->writer) return unchanged(number);
        }
        const std::lock_guard lock(gate_.mutex);
        open_.emplace(number, std::move(open));
        return {number, true};
    }

    void write(const Ticket& ticket, std::uint64_t, ByteView bytes) override {
        Open& open = find(ticket);
        gate_.guarded([&] {
            switch (open.kind) {
                case Open::Kind::users:
                case Open::Kind::metadata:
                    append(open.bytes, bytes);
                    break;
                case Open::Kind::oplog:
                    spool_.append(bytes);
                    break;
                case Open::Kind::collection:
                    open.cutter.feed(bytes, [&](ByteView document) {
                        open.writer->documents.add(document);
                        open.taken += document.size();
                        return true;
                    });
                    open.given += bytes.size();
                    break;
            }
        });
    }

    void end_item(const Ticket& ticket) override {
        Open& open = find(ticket);
        gate_.guarded([&] { finish_item(open); });
        const std::lock_guard lock(gate_.mutex);
        if (open.kind == Open::Kind::metadata) waited_for_.erase(database_of(open.path));
        open_.erase(ticket.number);
        ++summary_.items_written;
        gate_.changed();
    }

    void abandon_item(const Ticket& ticket, const Finding& finding) override {
        const std::lock_guard lock(gate_.mutex);
        const auto at = open_.find(ticket.number);
        if (at == open_.end()) return;
        // Nobody knows how to make collections without it.
        if (at->second->kind == Open::Kind::metadata) gate_.give_up();
        if (at->second->kind == Open::Kind::oplog) is_oplog_lost_ = true;
        if (at->second->kind == Open::Kind::collection) target_->abandon(at->second->name);
        open_.erase(at);
        summary_.findings.push_back(finding);
        gate_.changed();
    }

    std::unique_ptr<Replay> replay(const ReplayRequest& request) override {
        if (is_dry_run_) return nullptr;
        applier().pass_base();
        return std::make_unique<JournalReplay>(applier(), request);
    }

    Summary finish() override {
        if (!is_dry_run_) {
            applier().flush();
            for (Finding& each : target_->finish()) summary_.findings.push_back(std::move(each));
            summary_.records = target_->records();
            summary_.instant = Facts{captured_.basis, target_->facts(tally_)};
            summary_.instant->sort();
        }
        return std::move(summary_);
    }

private:
    struct Open {
        enum class Kind : std::uint8_t { users, metadata, collection, oplog } kind{};
        std::string path;
        Bytes bytes;
        Namespace name;
        std::unique_ptr<RestoreTarget::Writer> writer;
        RecordCutter cutter;
        std::uint64_t given = 0, taken = 0;
    };

    void finish_item(Open& open) {
        switch (open.kind) {
            case Open::Kind::users:
                target_->add_users(open.path, open.bytes);
                break;
            case Open::Kind::metadata: {
                const std::string database = database_of(open.path);
                target_->prepare(database, decode_metadata(database, open.bytes));
                break;
            }
            case Open::Kind::collection:
                if (open.given != open.taken) throw Error{Code::corrupt, "{} ends within a document", open.path};
                open.writer->documents.flush();
                target_->wrote(open.name, open.writer->documents.written());
                break;
            case Open::Kind::oplog:
                break;
        }
    }

    // With what the collections changed while they were captured.
    Applier& applier() {
        if (applier_) return *applier_;
        if (is_oplog_lost_)
            throw Error{Code::corrupt,
                        "the oplog of the capture is damaged in the repository, so its collections are of "
                        "different instants"};
        for (const Collection& each : target_->known())
            if (!each.is_view()) tally_.begin(each.name, captured_);
        applier_ = std::make_unique<Applier>(*target_, target_->known(), &tally_);
        RecordCutter cutter;
        Bytes buffer(oplog_piece_bytes);
        for (std::uint64_t at = 0; at < spool_.bytes();) {
            const std::size_t got = spool_.read(at, buffer);
            if (got == 0) throw Error{Code::failed, "the oplog's temporary file has lost bytes"};
            cutter.feed(ByteView(buffer).first(got), [&](ByteView record) {
                world_.stop.check();
                applier_->apply(parse_entry(record));
                return true;
            });
            at += got;
        }
        return *applier_;
    }

    Open& find(const Ticket& ticket) {
        const std::lock_guard lock(gate_.mutex);
        return *open_.at(ticket.number);
    }

    Ticket unchanged(std::uint64_t number) {
        const std::lock_guard lock(gate_.mutex);
        ++summary_.items_unchanged;
        return {number, false};
    }

    World& world_;
    const bool is_dry_run_;
    Facts captured_;
    std::uint64_t tickets_ = 0;
    std::vector<std::string> databases_;
    std::unique_ptr<RestoreTarget> target_;
    Spool spool_;  // the oplog of the capture, until all documents are there
    Tally tally_;
    std::unique_ptr<Applier> applier_;
    RebuildGate gate_{world_};
    // guarded by gate_.mutex
    std::map<std::uint64_t, std::unique_ptr<Open>> open_;
    std::set<std::string> waited_for_;
    bool is_oplog_lost_ = false;
    Summary summary_;
};

}  // namespace

std::unique_ptr<Rebuild> rebuild(const RebuildRequest& request) {
    if (!is_url(request.target)) return rebuild_into_folder(request);
    return std::make_unique<ServerRebuild>(request);
}

}  // namespace holdfast::mongodb
