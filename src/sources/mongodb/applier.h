// sources/mongodb/applier.h: applies entries of an oplog, of every kind, by what they mean and not by applyOps.
//
// Shape    changes of documents gather by collection and _id until a command or a full buffer comes; then they are one
//          write a document, all collections at once. A collection is known by its UUID where entries have one, so that
//          entries from before a rename or of an earlier collection of the same name find what they mean. Time series go by
//          the name that users see, not by that of their buckets
// Errors   corrupt: a kind of entry that is not known stops it (nothing is skipped); as the target's
// Threads  one owner; the target's documents are fetched and written by threads of its own
// Limits   pending_bytes_max of changes; of what they make, a thread, written_bytes and a document; of transactions that are
//          not yet committed transaction_bytes_max in memory, the rest in a temporary file
// I1  applying entries again from any point gives the same documents
#pragma once

#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/workers.h"
#include "sources/mongodb/catalog.h"
#include "sources/mongodb/oplog.h"
#include "sources/mongodb/spool.h"
#include "sources/mongodb/tally.h"

namespace holdfast::mongodb {

// What is changed. Names are those of the source.
class ReplayTarget {
public:
    virtual ~ReplayTarget() = default;
    virtual bool takes(const Namespace& name) = 0;
    // From here on the collection is there, and documents come.
    enum class Order : std::uint8_t { any, kept };
    virtual Order ready(const Namespace& name) = 0;
    // From any thread, while the owner waits, who may write() meanwhile. Documents by their ids ({_id: …}), those that
    // are there, in any order, one by one.
    virtual void fetch(const Namespace& name, const std::vector<Bytes>& ids,
                       const std::function<void(ByteView)>& each) = 0;
    // From any thread, while the owner waits: first all of `removed`, then all of `documents`, which replace or are new;
    // none twice, also not by another call meanwhile.
    virtual void write(const Namespace& name, const std::vector<Bytes>& removed,
                       const std::vector<Bytes>& documents) = 0;
    virtual bool has(const Namespace& name) = 0;
    virtual void create(const Collection& collection) = 0;  // a view also in place of itself
    virtual void drop(const Namespace& name) = 0;
    virtual void empty(const Namespace& name) = 0;                        // of a capped one all documents go
    virtual void rename(const Namespace& from, const Namespace& to) = 0;  // what has the name `to` goes
    virtual void modify(const Namespace& name, ByteView command) = 0;     // collMod, convertToCapped
    virtual void add_index(const Namespace& name, ByteView index) = 0;
    virtual void drop_index(const Namespace& name, const std::string& index) = 0;
};

class Applier {
public:
    // `known`: what the base holds. A tally costs a look at documents that are removed or replaced.
    Applier(ReplayTarget& target, const std::vector<Collection>& known, Tally* tally = nullptr);
    void apply(const OplogEntry& entry);
    // Of what the base holds already: only that transactions which are not over at the base have begun.
    void remember(const OplogEntry& entry);
    // Nothing that is applied from here on is in the base already.
    void pass_base() { is_past_base_ = true; }
    void flush();
    std::uint64_t applied() const { return applied_; }

private:
    struct Change {
        enum class Kind : std::uint8_t { whole, removed, updated } kind{};
        enum class Before : std::uint8_t { unknown, absent, present } before{};  // as the oplog says
        Bytes id;                                                                // {_id: …}
        Bytes document;                                                          // of `whole`
        std::vector<Bytes> updates;  // of `updated`, to a document that is not known yet
    };
    struct Pending {
        std::vector<Change> changes;                          // in the order in which the ids came
        std::unordered_map<std::string, std::size_t> places;  // by the bytes of _id
    };
    static constexpr std::size_t pending_bytes_max = 24 * 1024 * 1024;
    static constexpr std::size_t pending_changes_max = 50'000;
    static constexpr std::size_t transaction_bytes_max = 24 * 1024 * 1024;

    // An entry of a transaction that is not over.
    struct Part {
        Bytes object;  // or
        std::optional<ByteRange> in_spool;
    };

    void apply_operation(const OplogEntry& entry);
    void change(const OplogEntry& entry);
    void change_view(const OplogEntry& entry);
    Change& change_of(const Namespace& name, const Element& id, bool is_insert);
    void write(const Namespace& name, std::span<Change> changes);
    class Batch;
    class Finder;
    void sum_up_earlier(const Namespace& name, std::span<Change> changes, TallyChange& tally);
    void resolve(const Namespace& name, std::span<Change> changes, Batch& batch, TallyChange& tally);
    void apply_command(const OplogEntry& entry);
    void apply_to(const Namespace& name, const OplogEntry& entry, bool is_of_buckets);
    void apply_many(const OplogEntry& entry);
    void apply_list(ByteView object, const OplogEntry& entry);
    void keep_part(const OplogEntry& entry, const std::string& transaction);
    void apply_parts(const std::string& transaction, const OplogEntry& entry);
    void forget_parts(const std::string& transaction);
    void create(const OplogEntry& entry, const Namespace& said);
    void drop(const Namespace& name);
    void rename(const OplogEntry& entry);
    // The name under which the entry's collection is known now; nothing when it is an earlier one that is gone.
    std::optional<Namespace> current(const OplogEntry& entry, const Namespace& said) const;
    void note(const OplogEntry& entry, const Namespace& name);
    void forget(const Namespace& name);

    ReplayTarget& target_;
    Tally* const tally_;
    bool is_past_base_ = false;
    std::map<std::string, Namespace> by_uuid_;
    std::map<Namespace, std::string> uuids_;
    std::set<std::string> base_uuids_;
    std::map<Namespace, Bytes> views_;        // as system.views has them
    std::map<Namespace, Bytes> time_series_;  // their options
    std::map<Namespace, Pending> pending_;
    // Their applyOps by time stamp, until they end.
    std::map<std::string, std::map<std::uint64_t, Part>> transactions_;
    std::size_t transaction_bytes_ = 0;  // of them in memory
    Spool spool_;                        // and the others
    std::size_t pending_bytes_ = 0, pending_changes_ = 0;
    std::uint64_t applied_ = 0;
    Workers workers_{2, 8};  // last: joined first
};

}  // namespace holdfast::mongodb
