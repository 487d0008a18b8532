// sources/mongodb/target.h: the server that databases are restored into: which collection goes where, what is there, what is
// made when.
//
// Shape    prepare() of each database → documents → changes of the oplog → finish(): indexes, views, users
// Errors   target_failed, no_space, usage
// Threads  prepare(), add_users(), writer(), wrote() and DocumentWriters, each its own, from any; the rest from one
// I1  what would be refused is looked for in a whole database before anything of it is made
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/workers.h"
#include "sources/mongodb/applier.h"
#include "sources/mongodb/restore_options.h"
#include "sources/mongodb/ttl_pause.h"
#include "sources/mongodb/writing.h"

namespace holdfast::mongodb {

struct TargetPlan {
    Endpoint endpoint;
    RestoreOptions options;
    std::function<bool(const std::string&)> wants;  // item paths; empty: all
    std::string line;                               // of the server that was captured
    std::string version;                            // of it
};

class RestoreTarget final : public ReplayTarget {
public:
    RestoreTarget(World& world, TargetPlan plan);
    ~RestoreTarget() override;
    RestoreTarget(const RestoreTarget&) = delete;
    RestoreTarget& operator=(const RestoreTarget&) = delete;

    // One name for a URL's database and more than one captured is refused.
    void name_databases(const std::vector<std::string>& captured);
    void prepare(const std::string& database, std::vector<Collection> collections);
    // Null: nothing is written to this one.
    struct Writer {
        ClientPool::Lease lease;
        DocumentWriter documents;
        Namespace name;
    };
    std::unique_ptr<Writer> writer(const Namespace& captured);
    void wrote(const Namespace& captured, const Written& written);
    const std::vector<Collection>& known() const { return known_; }  // of what was prepared
    void add_users(std::string_view item, ByteView documents);
    std::vector<Finding> finish();

    bool takes(const Namespace& name) override;
    std::vector<Bytes> fetch(const Namespace& name, const std::vector<Bytes>& ids) override;
    void write(const Namespace& name, const std::vector<Bytes>& removed, const std::vector<Bytes>& documents) override;
    bool has(const Namespace& name) override;
    void create(const Collection& collection) override;
    void drop(const Namespace& name) override;
    void rename(const Namespace& from, const Namespace& to) override;
    void modify(const Namespace& name, ByteView command) override;
    void add_index(const Namespace& name, ByteView index) override;
    void drop_index(const Namespace& name, const std::string& index) override;

private:
    struct Made {
        Collection collection;  // its indexes are those that it gets in the end
        DocumentWriter::Mode mode = DocumentWriter::Mode::insert;
        bool is_merged = false;  // it was there before
        Written written;
    };
    Namespace mapped(const Namespace& captured) const;
    // Where documents are written: with a query not yet where they belong, for it is asked of what they are in the end.
    Namespace working(const Namespace& captured) const;
    void refuse_query_of_many(const Collection& collection);
    void choose_by_query(Made& made);
    void refuse_older(Client& client) const;
    void refuse_the_source(const std::string& database);
    void make_in(Client& client, const Collection& collection, const Namespace& name);
    void build_indexes(const Made& made);
    void say_what_was_written(const Made& made) const;
    void restore_users(Client& client);
    void tell_of_canaries(Client& client) const;

    World& world_;
    const TargetPlan plan_;
    ClientPool pool_;
    std::string only_database_;           // of the URL
    std::mutex preparing_;                // one database after the other
    std::vector<std::string> databases_;  // that were captured
    std::vector<Collection> known_;
    std::optional<bool> is_source_;
    TtlPause ttl_{pool_};
    std::mutex mutex_;
    std::map<Namespace, Made> made_;    // by captured name; its map is guarded by mutex_
    std::optional<Namespace> queried_;  // captured name of the collection that a query is asked of, until it was
    std::map<std::string, Bytes> users_;
    std::vector<Finding> findings_;
    Workers workers_{2, 8};
};

}  // namespace holdfast::mongodb
