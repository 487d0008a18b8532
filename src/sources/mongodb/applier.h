// sources/mongodb/applier.h: applies entries of an oplog, of every kind, by what they mean and not by applyOps.
//
// Shape    changes of documents gather by collection and _id until a command or a full buffer comes; then they are one
//          write a document. A collection is known by its UUID where entries have one, so that entries from before a
//          rename or of an earlier collection of the same name find what they mean
// Errors   corrupt: a kind of entry that is not known stops it (nothing is skipped); as the target's
// Threads  one owner
// Limits   pending_bytes_max of changes; a transaction that is not yet committed is in memory
// I1  applying entries again from any point gives the same documents
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "sources/mongodb/catalog.h"
#include "sources/mongodb/oplog.h"

namespace holdfast::mongodb {

// What is changed. Names are those of the source.
class ReplayTarget {
public:
    virtual ~ReplayTarget() = default;
    virtual bool takes(const Namespace& name) = 0;
    // Documents by their ids ({_id: …}), those that are there, in any order.
    virtual std::vector<Bytes> fetch(const Namespace& name, const std::vector<Bytes>& ids) = 0;
    // First all of `removed`, then all of `documents`, which replace or are new; none twice.
    virtual void write(const Namespace& name, const std::vector<Bytes>& removed,
                       const std::vector<Bytes>& documents) = 0;
    virtual bool has(const Namespace& name) = 0;
    virtual void create(const Collection& collection) = 0;
    virtual void drop(const Namespace& name) = 0;
    virtual void rename(const Namespace& from, const Namespace& to) = 0;  // what has the name `to` goes
    virtual void modify(const Namespace& name, ByteView command) = 0;     // collMod, convertToCapped
    virtual void add_index(const Namespace& name, ByteView index) = 0;
    virtual void drop_index(const Namespace& name, const std::string& index) = 0;
};

class Applier {
public:
    // `known`: what the base holds.
    Applier(ReplayTarget& target, const std::vector<Collection>& known);
    void apply(const OplogEntry& entry);
    void flush();
    std::uint64_t applied() const { return applied_; }

private:
    struct Change {
        enum class Kind : std::uint8_t { whole, removed, updated } kind{};
        Bytes id;                    // {_id: …}
        Bytes document;              // of `whole`
        std::vector<Bytes> updates;  // of `updated`, to a document that is not known yet
    };
    struct Pending {
        std::vector<Change> changes;                          // in the order in which the ids came
        std::unordered_map<std::string, std::size_t> places;  // by the bytes of _id
    };
    static constexpr std::size_t pending_bytes_max = 24 * 1024 * 1024;
    static constexpr std::size_t pending_changes_max = 50'000;

    void apply_operation(const OplogEntry& entry);
    void change(const OplogEntry& entry);
    Change& change_of(const Namespace& name, const Element& id);
    void flush(const Namespace& name, Pending& pending);
    void resolve(const Namespace& name, Pending& pending);
    void apply_command(const OplogEntry& entry);
    void apply_many(const OplogEntry& entry);
    void end_transaction(const OplogEntry& entry, bool commit);
    void create(const OplogEntry& entry, const Namespace& name);
    void rename(const OplogEntry& entry);
    // The name under which the entry's collection is known now; nothing when it is an earlier one that is gone.
    std::optional<Namespace> current(const OplogEntry& entry, const Namespace& said) const;
    void note(const OplogEntry& entry, const Namespace& name);
    void forget(const Namespace& name);

    ReplayTarget& target_;
    std::map<std::string, Namespace> by_uuid_;
    std::map<Namespace, std::string> uuids_;
    std::map<Namespace, Pending> pending_;
    std::map<std::string, std::vector<Bytes>> transactions_;  // their applyOps, until they end
    std::size_t pending_bytes_ = 0, pending_changes_ = 0;
    std::uint64_t applied_ = 0;
};

}  // namespace holdfast::mongodb
