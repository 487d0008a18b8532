#include "sources/postgres/snapshot.h"

#include "base/error.h"
#include "sources/postgres/names.h"

namespace holdfast::postgres {

namespace {

constexpr int freeze_attempts = 5;
constexpr std::size_t tables_per_lock = 200;
constexpr auto reader_lock_timeout = "2s";

constexpr std::string_view lock_not_available = "55P03";
constexpr std::string_view undefined_table = "42P01";

}  // namespace

DatabaseSnapshot::DatabaseSnapshot(World& world, const CaptureOptions& options, const std::string& database)
    : world_(world),
      options_(options),
      database_(database),
      endpoint_(options.endpoint.with_database(database)),
      coordinator_(world, endpoint_, Code::source_failed) {
    freeze();
    look_for_subscriptions();
    add_database_facts(coordinator_, encode_part(database_), facts_);
    add_partition_facts(coordinator_, encode_part(database_), facts_);
    add_untold_facts(coordinator_, encode_part(database_), facts_);
}

// A table that is dropped or emptied between the view and its lock is no failure: the view is taken anew.
void DatabaseSnapshot::freeze() {
    for (int attempt = 1;; ++attempt) {
        prepare_session(coordinator_, "", options_.lock_timeout);
        coordinator_.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        id_ = coordinator_.value("SELECT pg_catalog.pg_export_snapshot()").value_or("");
        tables_ = tables_of(coordinator_);
        check_privileges();
        if (lock_tables() && rows_are_those_of_the_view()) break;
        if (attempt == freeze_attempts)
            throw Error{Code::source_failed,
                        "{}: tables are dropped, truncated or rewritten faster than they can be locked",
                        endpoint_.shown()}
                .unharmed("nothing of it was stored as a snapshot")
                .hint("Run it again when nothing does that to so many of its tables.");
        coordinator_.run("ROLLBACK");
    }
    read_sizes(coordinator_, tables_);
}

void DatabaseSnapshot::check_privileges() {
    const Rows rows = coordinator_.query(
        "SELECT pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname), c.relkind = 'S', "
        " pg_catalog.has_schema_privilege(n.oid, 'USAGE'), pg_catalog.quote_ident(current_user) "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> "
        "'information_schema' "
        " AND (NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') OR NOT CASE WHEN c.relkind = 'S' "
        "  THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT') ELSE pg_catalog.has_table_privilege(c.oid, "
        "'SELECT') "
        "END) ORDER BY 1, 2");
    if (rows.size() == 0) return check_large_objects();
    const std::string schema = rows.text(0, 0), user = rows.text(0, 4);
    const std::string name = schema + "." + rows.text(0, 1);
    const bool is_sequence = rows.is_true(0, 2);
    std::string grant =
        rows.is_true(0, 3) ? fmt::format("GRANT SELECT ON {} {} TO {};", is_sequence ? "SEQUENCE" : "TABLE", name, user)
                           : fmt::format("GRANT USAGE ON SCHEMA {} TO {};", schema, user);
    const std::string all = coordinator_.server_version() >= 140000
                                ? fmt::format("GRANT pg_read_all_data TO {};", user)
                                : fmt::format("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {};", schema, user);
    throw Error{Code::source_failed,
                "{}: role {} may not read {} {}{}",
                endpoint_.shown(),
                user,
                is_sequence ? "sequence" : "table",
                name,
                rows.size() > 1 ? fmt::format(" and {} more", rows.size() - 1) : ""}
        .unharmed("nothing of it was stored as a snapshot")
        .hint(fmt::format("Type, as the owner: {}  For all of them, as a superuser: {}", grant, all));
}

// pg_read_all_data does not cover them, and pg_dump would find out in the midst.
void DatabaseSnapshot::check_large_objects() {
    const Rows rows = coordinator_.query(
        "SELECT o.oid, pg_catalog.quote_ident(current_user) FROM pg_catalog.pg_largeobject_metadata o "
        "WHERE NOT pg_catalog.current_setting('lo_compat_privileges')::pg_catalog.bool "
        " AND NOT pg_catalog.pg_has_role(o.lomowner, 'USAGE') AND NOT EXISTS (SELECT FROM "
        " pg_catalog.aclexplode(o.lomacl) a WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR "
        " pg_catalog.pg_has_role(a.grantee, 'USAGE'))) ORDER BY 1");
    if (rows.size() == 0) return;
    const std::string object = rows.text(0, 0), user = rows.text(0, 1);
    throw Error{Code::source_failed,
                "{}: role {} may not read large object {}{}",
                endpoint_.shown(),
                user,
                object,
                rows.size() > 1 ? fmt::format(" and {} more", rows.size() - 1) : ""}
        .unharmed("nothing of it was stored as a snapshot")
        .hint(fmt::format(
            "Type, as the owner: GRANT SELECT ON LARGE OBJECT {} TO {};  For all of them capture as a superuser.",
            object, user));
}

// pg_dump leaves them out unless a superuser runs it.
void DatabaseSnapshot::look_for_subscriptions() {
    if (coordinator_.server_version() < 100000) return;
    const std::string count =
        coordinator_
            .value(
                "SELECT pg_catalog.count(*) FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON "
                "d.oid = s.subdbid WHERE d.datname = pg_catalog.current_database() AND "
                "pg_catalog.current_setting('is_superuser') <> 'on'")
            .value_or("0");
    if (count == "0") return;
    findings_.push_back({encode_part(database_), Finding::Kind::unsupported,
                         fmt::format("its subscriptions ({}) are left out: only a superuser may read them", count)});
}

bool DatabaseSnapshot::lock_tables() {
    std::string list;
    std::size_t count = 0;
    const auto lock = [&] {
        if (list.empty()) return;
        coordinator_.run("LOCK TABLE " + list + " IN ACCESS SHARE MODE");
        list.clear();
        count = 0;
    };
    try {
        for (const Table& table : tables_) {
            list += (list.empty() ? "ONLY " : ", ONLY ") + table.qualified();
            if (++count == tables_per_lock) lock();
        }
        lock();
    } catch (const Error&) {
        if (coordinator_.sqlstate() == undefined_table) return false;
        if (coordinator_.sqlstate() == lock_not_available) say_who_locks();
        throw;
    }
    return true;
}

// To a view from before a TRUNCATE or a rewriting ALTER TABLE the table is empty. A query reads the catalogue as the view
// has it, the function as it is now, and with the locks it stays so.
bool DatabaseSnapshot::rows_are_those_of_the_view() {
    return coordinator_.value("SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid = ANY (" + oids_of(tables_) +
                              ") AND c.relkind = 'r' AND c.relfilenode <> 0 AND c.relfilenode IS DISTINCT FROM "
                              "pg_catalog.pg_relation_filenode(c.oid) LIMIT 1") == std::nullopt;
}

void DatabaseSnapshot::say_who_locks() {
    coordinator_.run("ROLLBACK");
    const Rows rows = coordinator_.query(
        "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), l.pid, "
        "pg_catalog.left(a.query, "
        "100) FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid WHERE l.mode = 'AccessExclusiveLock' AND l.granted "
        " AND c.relkind = 'r' AND l.pid <> pg_catalog.pg_backend_pid() AND l.database = "
        "(SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())");
    const std::string table = rows.size() == 0 ? "one of its tables" : "table " + rows.text(0, 0);
    const std::string who =
        rows.size() == 0 ? "" : fmt::format(": session {} holds it (`{}`)", rows.at(0, 1), rows.at(0, 2));
    throw Error{Code::source_failed,   "{}: the lock on {} did not come within {}{}",
                endpoint_.shown(),     table,
                options_.lock_timeout, who}
        .unharmed("nothing of it was stored as a snapshot")
        .hint("Wait until that session is done, or allow more time by `lock_timeout`.");
}

std::unique_ptr<Connection> DatabaseSnapshot::session() {
    {
        const std::lock_guard lock(idle_mutex_);
        if (to_read_ > 0) --to_read_;
        if (!idle_.empty()) {
            auto out = std::move(idle_.back());
            idle_.pop_back();
            return out;
        }
    }
    auto out = std::make_unique<Connection>(world_, endpoint_, Code::source_failed);
    prepare_session(*out, "", reader_lock_timeout);
    out->run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT " + quote_literal(id_));
    return out;
}

std::unique_ptr<DatabaseSnapshot::Lease> DatabaseSnapshot::copy_out(const Table& table) {
    const std::string statement = "COPY " + table.copied() + " TO STDOUT";
    auto own = session();
    try {
        own->begin_copy_out(statement);
        return std::make_unique<Lease>(*this, std::move(own), std::unique_lock<std::mutex>());
    } catch (const Error& error) {
        if (own->sqlstate() == "42501" && error.message().find("row-level security") != std::string::npos)
            throw Error{Code::source_failed, "{}", error.message()}.hint(
                fmt::format("Type, as a superuser: ALTER ROLE {} BYPASSRLS;",
                            own->endpoint().get("user").empty() ? "NAME" : quote_name(own->endpoint().get("user"))));
        if (own->sqlstate() != lock_not_available) throw;
    }
    // An ALTER waits behind the coordinator's lock, and new sessions behind the ALTER; the coordinator need not wait.
    std::unique_lock lock(coordinator_mutex_);
    coordinator_.begin_copy_out(statement);
    return std::make_unique<Lease>(*this, nullptr, std::move(lock));
}

void DatabaseSnapshot::Lease::give_back() {
    if (own_) {
        const std::lock_guard lock(owner_.idle_mutex_);
        if (owner_.to_read_ > 0)
            owner_.idle_.push_back(std::move(own_));
        else
            owner_.idle_.clear();
        own_.reset();
    } else if (coordinator_) {
        coordinator_.unlock();
    }
}

void DatabaseSnapshot::end() {
    const std::lock_guard lock(coordinator_mutex_);
    coordinator_.run("COMMIT");
    const std::lock_guard idle(idle_mutex_);
    idle_.clear();
}

}  // namespace holdfast::postgres
