// sources/mongodb/target.h: the server that databases are restored into: which collection goes where, what is there, what is
// made when.
//
// Shape    prepare() of each database → documents → changes of the oplog → finish(): what was staged, indexes, views, users.
//          Staged: documents gather in NAME_holdfast_staged, where changes and queries find them as they were, and get to
//          where they belong in finish()
// Errors   target_failed, no_space, usage
// Threads  prepare(), add_users(), writer(), wrote(), abandon(), fetch(), write() and DocumentWriters, each its own, from
//          any; the rest from one
// I1  what would be refused is looked for in a whole database before anything of it is made
// I2  the oplog's changes meet documents of the restore only, never those that were there before
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sources/mongodb/applier.h"
#include "sources/mongodb/restore_options.h"
#include "sources/mongodb/scope.h"
#include "sources/mongodb/ttl_pause.h"
#include "sources/mongodb/writing.h"

namespace holdfast::mongodb {

struct TargetPlan {
    Endpoint endpoint;
    RestoreOptions options;
    std::function<bool(const std::string&)> wants;  // item paths; empty: all
    std::string line;                               // of the server that was captured
    std::string version;                            // its feature version; where it did not say, its own
    std::optional<Scope> scope;                     // of the source; none: the databases that were captured
    bool replays = false;                           // changes of the oplog come behind the documents
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
    // Its documents cannot be had: what was made of it goes in the end, and the journal adds nothing to it.
    void abandon(const Namespace& captured);
    const std::vector<Collection>& known() const { return known_; }  // of what was prepared
    void add_users(std::string_view item, ByteView documents);
    std::vector<Finding> finish();
    std::vector<Rebuild::Records> records() const;  // after finish()
    // After finish(): what collections there are, and how they are defined, as journal and snapshot say.
    std::vector<Fact> facts(const Tally& tally) const;

    bool takes(const Namespace& name) override;
    Order ready(const Namespace& name) override;
    void fetch(const Namespace& name, const std::vector<Bytes>& ids,
               const std::function<void(ByteView)>& each) override;
    void write(const Namespace& name, const std::vector<Bytes>& removed, const std::vector<Bytes>& documents) override;
    bool has(const Namespace& name) override;
    void create(const Collection& collection) override;
    void drop(const Namespace& name) override;
    void empty(const Namespace& name) override;
    void rename(const Namespace& from, const Namespace& to) override;
    void modify(const Namespace& name, ByteView command) override;
    void add_index(const Namespace& name, ByteView index) override;
    void drop_index(const Namespace& name, const std::string& index) override;

private:
    struct Made {
        Collection collection;  // its indexes are those that it gets in the end
        DocumentWriter::Mode mode = DocumentWriter::Mode::insert;
        bool is_merged = false;  // with what was there before, which stays
        bool is_staged = false;
        std::optional<Written> written;                // of the snapshot
        std::string unknown_options, unknown_indexes;  // why `collection` may not say what the server makes of them
    };
    Namespace mapped(const Namespace& captured) const;
    Namespace staged(const Collection& collection) const;
    Namespace working(const Made& made) const;  // where the collection is until finish()
    Namespace stored(const Made& made) const;   // and its documents
    bool is_asked_for(const Namespace& name) const;
    void refuse_query_of_many(const Collection& collection);
    // What becomes of what has its name at the target, of a collection that the base did not have.
    void settle(Client& client, Made& made);
    void arrive(const Collection& collection);
    void put_in_place(Made& made);
    void drop_staged(const Collection& collection);
    void drop_abandoned();
    void make_view(Client& client, const Made& made);
    void refuse_older(Client& client) const;
    void refuse_the_source(const std::string& database);
    void make_in(Client& client, const Collection& collection, const Namespace& name);
    void build_indexes(const Made& made);
    void restore_users(Client& client);
    void tell_of_refused(std::string item, const Written& written);
    void tell_of_canaries(Client& client) const;

    World& world_;
    const TargetPlan plan_;
    ClientPool pool_;
    std::string only_database_;           // of the URL
    std::mutex preparing_;                // one database after the other
    std::vector<std::string> databases_;  // that were captured
    std::vector<Collection> known_;
    std::optional<bool> is_source_;
    TtlPause ttl_{pool_};  // until the target itself goes, which is when it was compared
    std::mutex mutex_;
    std::map<Namespace, Made> made_;    // by captured name; its map is guarded by mutex_
    std::set<Namespace> abandoned_;     // guarded by mutex_
    std::set<Namespace> lost_;          // of them, those that are gone
    std::set<Namespace> gone_;          // were made in their place, and went with the journal
    std::optional<Namespace> queried_;  // captured name of the collection that a query is asked of
    std::set<std::string> told_of_;     // databases that nobody knows whether they are the source's
    std::map<std::string, Bytes> users_;
    std::vector<Finding> findings_;
};

}  // namespace holdfast::mongodb
