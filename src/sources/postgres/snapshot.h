// sources/postgres/snapshot.h: one database as it is at one moment, and sessions that see it so.
//
// Errors   source_failed: what cannot be read, locked, or is gone
// Threads  lease() and give_back() from any; the rest from one
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sources/postgres/catalog.h"
#include "sources/postgres/options.h"

namespace holdfast::postgres {

class DatabaseSnapshot {
public:
    DatabaseSnapshot(World& world, const CaptureOptions& options, const std::string& database);

    const std::string& database() const { return database_; }
    const std::string& id() const { return id_; }  // of pg_export_snapshot()
    const Endpoint& endpoint() const { return endpoint_; }
    const std::vector<Table>& tables() const { return tables_; }
    const Facts& facts() const { return facts_; }
    const std::vector<Finding>& findings() const { return findings_; }
    int server_version() const { return coordinator_.server_version(); }

    // A session in the midst of a COPY.
    class Lease {
    public:
        Lease(DatabaseSnapshot& owner, std::unique_ptr<Connection> own, std::unique_lock<std::mutex> coordinator)
            : owner_(owner), own_(std::move(own)), coordinator_(std::move(coordinator)) {}
        Connection& connection() { return own_ ? *own_ : owner_.coordinator_; }
        void give_back();  // after the end of the COPY; else the session is closed
    private:
        DatabaseSnapshot& owner_;
        std::unique_ptr<Connection> own_;
        std::unique_lock<std::mutex> coordinator_;
    };
    std::unique_ptr<Lease> copy_out(const Table& table);
    // So many tables will be read; after the last one no session is kept but that of the view.
    void expect(std::size_t tables) { to_read_ = tables; }

    // Throws when the view was lost meanwhile, so that not all of it can be trusted.
    void end();

private:
    void freeze();
    bool lock_tables();
    bool rows_are_those_of_the_view();
    void check_privileges();
    void check_large_objects();
    void look_for_subscriptions();
    [[noreturn]] void say_who_locks();
    std::unique_ptr<Connection> session();

    World& world_;
    const CaptureOptions& options_;
    const std::string database_;
    const Endpoint endpoint_;
    Connection coordinator_;
    std::string id_;
    std::vector<Table> tables_;
    Facts facts_;
    std::vector<Finding> findings_;
    std::mutex coordinator_mutex_;
    std::mutex idle_mutex_;
    // guarded by idle_mutex_
    std::vector<std::unique_ptr<Connection>> idle_;
    std::size_t to_read_ = 0;  // tables whose reading has not begun
};

}  // namespace holdfast::postgres
