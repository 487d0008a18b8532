// sources/postgres/database_rebuild.h: brings one database back into a server.
//
// Shape    archive → checks, roles, definitions (prepare) → rows by COPY, several tables at once → sequences, large
//          objects, indexes, constraints (finish)
// Errors   target_failed; no_space; usage for a target that is the source itself
// Threads  put() and what belongs to it for each table from one thread, several tables at once; the rest from one
// I1  what must be there (extensions, locale, tools) is looked for before anything is dropped, and what is there and
//     stays before a drop is committed
// I2  until finish() the database's comment says that it is not complete; its own one stands in the second line
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "clients/postgres/tools.h"
#include "sources/postgres/catalog.h"
#include "sources/postgres/restore_options.h"
#include "sources/postgres/toc_select.h"

namespace holdfast::postgres {

struct DatabasePlan {
    std::string captured;  // name of the database in the snapshot
    std::string name;      // its name at the target
    std::string snapshot_id;
    Endpoint endpoint;                              // of the target server
    std::function<bool(const std::string&)> wants;  // item paths; empty: all
    std::string source_identifier;                  // of the server that it was captured from; empty: not known
    bool has_source_address = false;                // the endpoint is called as that server was
};

class DatabaseRebuild {
public:
    DatabaseRebuild(World& world, const RestoreOptions& options, DatabasePlan plan);
    ~DatabaseRebuild();

    void write_archive(std::uint64_t offset, ByteView bytes);
    // Once the archive is there. `globals`: empty: no roles are made.
    void prepare(const std::string& globals);

    bool takes_rows(const std::string& schema, const std::string& table) const;
    class TableFeed {
    public:
        virtual ~TableFeed() = default;
        virtual void put(ByteView bytes) = 0;
        virtual void end() = 0;
    };
    std::unique_ptr<TableFeed> feed(const std::string& schema, const std::string& table);

    void finish();
    std::vector<Finding> take_findings() { return std::move(findings_); }

private:
    class Feed;
    using Place = std::pair<std::string, std::string>;

    void look_at_target();
    void refuse_the_source();
    void check_extensions();
    void look_for_tablespaces();
    void select();
    void refuse_what_is_there();
    void make_roles(const std::string& globals);
    void map_owners();
    void map_schemas();
    std::string schema_here(const std::string& captured) const;
    void restore_archive(const std::string& database, const std::string& section, const Selected& selected,
                         const std::vector<std::string>& more);
    void build_indexes(const std::string& schema, const std::string& table);
    void make_database();
    void create(const std::string& name);
    void drop_database();
    void make_room();
    void drop_what_is_replaced();
    void drop_large_objects();
    void leave_out_what_is_there();
    void leave_out_large_objects();
    void leave_out_what_extensions_keep();
    void mark(const std::string& text);
    void restore_section(const std::string& section, const Selected& selected,
                         const std::vector<std::string>& more = {});
    bool may_exist() const { return was_present_ && !was_made_; }
    bool is_asked_for(const TocEntry& entry) const;
    void use_archive(ByteView bytes);
    void replace_head(ByteView head);
    void note_tables();
    void restore_database_properties();
    Connection& admin();
    Connection& target();
    void close();
    std::unique_ptr<Connection> session();

    World& world_;
    const RestoreOptions options_;
    const DatabasePlan plan_;
    const std::string item_;
    TemporaryFolder folder_;
    Fd archive_;
    Endpoint admin_endpoint_;  // not of the database that may be dropped
    std::optional<Connection> admin_;
    std::optional<Connection> target_;
    Tools tools_;
    bool is_before_tools_ = false;  // the server does not know what they set
    Toc toc_;
    std::vector<TocEntry> of_database_;
    std::mutex selected_mutex_;
    Selected selected_;  // while tables get their rows guarded by selected_mutex_
    std::atomic<int> lists_{0};
    bool has_roles_ = false;
    bool no_tablespaces_ = false;  // some are not here, so none is used
    bool is_mapped_ = false;       // the archive holds what was selected, under the names that it gets here
    bool is_part_ = false;
    bool was_present_ = false;
    bool was_made_ = false;
    bool was_empty_ = false;
    bool is_incomplete_ = false;  // an earlier restore was interrupted
    std::string comment_;         // that the database had
    std::set<Place> tables_;      // that get rows
    std::vector<Finding> findings_;
    std::mutex idle_mutex_;
    // guarded by idle_mutex_
    std::vector<std::unique_ptr<Connection>> idle_;
    std::size_t feeds_ = 0;
};

}  // namespace holdfast::postgres
