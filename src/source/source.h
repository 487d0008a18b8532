// source/source.h: what a source of data promises: capture, and restore.
//
// Shape    Source::begin() freezes one capture; Capture::next() hands out its items in tree order, batch by batch;
//          contents are opened and read from worker threads. Source types are listed in app/registry.cpp only.
// Errors   source_failed ends a capture; an item that cannot be read is a Finding, and the capture goes on
// Threads  next() and finish() from one thread; complete() and open() from any, also at the same time
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/item.h"
#include "base/observation.h"
#include "base/world.h"
#include "source/facts.h"
#include "source/journal.h"

namespace holdfast {

// Something that went wrong with one item; the capture or restore went on without it.
struct Finding {
    enum class Kind : std::uint8_t { unreadable, vanished, changed, unsupported };
    std::string path;
    Kind kind = Kind::unreadable;
    std::string text;         // "permission denied"
    std::uint64_t items = 1;  // that have the same trouble; the path is that of the first
};
std::string_view name_of(Finding::Kind kind);

// Bytes [begin, end) of an item's content.
struct ByteRange {
    std::uint64_t begin = 0, end = 0;
    bool operator==(const ByteRange&) const = default;
};

// The bytes of one item, read once from start to end by one thread.
class ItemData {
public:
    struct RecordEnd {
        std::size_t at = 0;      // in the buffer
        std::size_t bytes = 0;   // of the record, which may have begun in an earlier piece
        std::uint64_t hash = 0;  // of them
    };
    struct Piece {
        std::size_t bytes = 0;        // this many were put into the buffer…
        std::uint64_t hole = 0;       // …or, when bytes is 0, a hole of this length follows…
        std::uint64_t same = 0;       // …or as many bytes as lie at same_from of the earlier content; all 0: the end
        std::uint64_t same_from = 0;  // only after Capture::open_changed()
        std::span<const RecordEnd> records = {};  // that end in these bytes; valid until the next read()
        bool is_broken = false;                   // this item cannot be read on: it is left out, and verdict() says why
    };
    virtual ~ItemData() = default;
    // Fills `into` as far as it can (short only before a hole or the end). Throws source_failed when the capture is void.
    virtual Piece read(MutableByteView into) = 0;
    // Its bytes are records, and chunks end where records do.
    virtual bool has_records() const { return false; }
    // After the end: a finding when the item changed while it was read (its bytes are kept all the same, and the
    // size that was in fact read is what counts), or could not be read to its end.
    virtual std::optional<Finding> verdict() { return std::nullopt; }
};

// Items of one folder, or a part of them, in tree order.
struct Batch {
    struct Entry {
        Item item;  // without attributes, user, group, link: complete() adds them when they are wanted
        // What tells "unchanged" without reading (size, times to the nanosecond, inode, owner, mode …);
        // empty: never known as unchanged.
        std::string version;
        std::uint64_t expected_bytes = 0;  // of the content, a guess for planning
        // The version of an earlier capture of which the source knows where its bytes lie; empty: none.
        std::string based_on = {};
    };
    std::string folder;  // the folder whose items these are
    std::vector<Entry> entries;
    std::shared_ptr<void> handle;  // the source's own (an open folder)
    // Before their turn: files to be stored now, which come again, under the same names, in a later batch; they are not
    // opened again then.
    bool is_ahead = false;
};

struct CaptureSummary {
    std::vector<Finding> findings;
    std::optional<Facts> facts = {};
    std::vector<std::string> left_out = {};  // on purpose, though nothing in the items says so
    // Of a source that can be followed: the moment that the snapshot stands for, from which its journal goes on.
    std::optional<Moment> moment = {};
    // A server gave no instant that all items are of: each is by itself as it was when it was read.
    bool several_instants = false;
};

class Capture {
public:
    virtual ~Capture() = default;
    // True where a server waits until all that it sends is taken: what stores meanwhile leaves the processor to both.
    virtual bool keeps_a_server_waiting() const { return false; }
    // False at the end. A folder may come in several batches; batches come in tree order, but for those that are ahead.
    virtual bool next(Batch& batch) = 0;
    // Adds what an unchanged item does not need. A finding when the item has vanished or is unreadable; it is
    // then left out of the snapshot.
    virtual std::optional<Finding> complete(const Batch& batch, Item& item) = 0;
    struct Opened {
        std::unique_ptr<ItemData> data;  // or
        std::optional<Finding> finding;  // why it cannot be read; it is left out of the snapshot
    };
    virtual Opened open(const Batch& batch, const Batch::Entry& entry) = 0;
    // As open(), where the repository has the version that the entry is based on: what lies in `kept` of it, ranges in
    // order, need not be read again (Piece::same).
    virtual Opened open_changed(const Batch& batch, const Batch::Entry& entry, std::vector<ByteRange> kept) {
        (void)kept;
        return open(batch, entry);
    }
    // After the last batch and all reads: throws source_failed when the capture as a whole is void (a command that
    // did not exit 0, no path of the source exists), so that nothing is committed.
    virtual CaptureSummary finish() = 0;
};

struct CaptureRequest {
    World& world;
};

// How to treat what already lies at the target.
enum class Existing : std::uint8_t {
    refuse,     // a target that is not empty is refused
    in_place,   // write only what differs
    overwrite,  // replace what is in the way
};

// Values of a source's options: lists as they are, text and numbers as one element, flags "true" or "false".
using SourceOptions = std::map<std::string, std::vector<std::string>, std::less<>>;

struct RebuildRequest {
    World& world;
    std::string target;  // a folder, or the URL of a server
    Existing existing = Existing::refuse;
    // In captured folders, of what was not restored: whether the item of this path goes. Empty: nothing does. It must
    // spare what the snapshot has and this restore leaves out, and what the capture left out.
    std::function<bool(const std::string& path)> may_delete = {};
    bool sync = true;  // one syncfs at the end
    bool dry_run = false;
    // By snapshot, selection and strip an interrupted restore is known and taken up again.
    std::string snapshot_id;
    std::string selection = {};  // what of it was asked for, in words; empty: all
    std::string strip;           // this folder's contents go to the target itself; empty: full paths below the target
    SourceOptions options = {};  // of the source type's restore_options
    std::optional<Facts> facts = {};                          // of the snapshot
    std::function<bool(const std::string& path)> wants = {};  // items that were asked for; empty: all
};

// Receives items and bytes of a restore and makes them real.
class Rebuild {
public:
    virtual ~Rebuild() = default;
    struct Ticket {
        std::uint64_t number = 0;
        bool wants_content = false;  // false: nothing to write (no content, or already there)
    };
    // True: the bytes of each item come in order from one thread, though several items may be under way at once.
    virtual bool sequential() const { return false; }
    // In tree order, one thread. Makes folders at once, files on their first write or at end_item().
    virtual Ticket begin_item(const Item& item) = 0;
    // From any thread, in any order, ranges never overlap; holes are simply not written.
    virtual void write(const Ticket& ticket, std::uint64_t offset, ByteView bytes) = 0;
    // After the last write of an item, from any thread: its metadata is set, its descriptor closed.
    virtual void end_item(const Ticket& ticket) = 0;
    // An item whose bytes cannot be had: what was made of it is removed, what was there before is not; the finding is
    // recorded.
    virtual void abandon_item(const Ticket& ticket, const Finding& finding) = 0;
    // Records of one table or collection of a server, before what a journal makes of them.
    struct Records {
        std::string name;  // at the target
        std::uint64_t added = 0, replaced = 0, left = 0;
    };
    struct Summary {
        std::uint64_t items_written = 0;
        std::uint64_t items_unchanged = 0;
        std::uint64_t items_deleted = 0;
        std::vector<Finding> findings;
        std::vector<Records> records = {};  // of servers that count them
        // What a journal, or the capture's own oplog, made of it, where that is known; measure() finds the same.
        std::optional<Facts> instant = {};
    };
    // Between the last item and finish(): goes on with the source's journal. Null: this target takes none.
    virtual std::unique_ptr<Replay> replay(const ReplayRequest&) { return nullptr; }
    virtual Summary finish() = 0;  // folders' times, deletions, syncfs
};

class Source {
public:
    virtual ~Source() = default;
    virtual std::string name() const = 0;                   // "orders-db", or "files:/etc@host" when ad hoc
    virtual std::string kind() const = 0;                   // "files"
    virtual std::vector<std::string> describe() const = 0;  // what is captured: paths, command line without secrets
    virtual std::unique_ptr<Capture> begin(const CaptureRequest& request) = 0;
    // Null: this kind has no change log. Throws source_failed when this one has none (with the hint how to get it).
    virtual std::unique_ptr<Follower> follow(const FollowRequest&) { return nullptr; }
};

struct MeasureRequest {
    World& world;
    std::string target;             // URL of a server
    Facts expected;                 // of the snapshot that was restored there: says what to look at
    std::vector<std::string> only;  // item paths; empty: all
    // What is within items, where patterns mean that; empty: all.
    std::function<bool(const std::string& path)> wants = {};
    SourceOptions options = {};  // of the source type's restore_options
};

class Sandbox;

// A server that exists for a proof only: started in a sandbox, filled by a restore, looked at, gone with its object.
class ThrowawayServer {
public:
    virtual ~ThrowawayServer() = default;
    virtual std::string target() const = 0;                  // the URL for rebuild, measure and query
    virtual std::vector<CheckLine> own_checks() = 0;         // what the system's own checkers say of the restored data
    virtual std::vector<std::string> isolation() const = 0;  // the kinds that it has (sandbox/isolation.h)
    virtual std::string log_tail() const = 0;                // what it said last, for messages
};

// A configured source, and what is declared of it.
struct ExamineRequest {
    World& world;
    SourceOptions options;  // references resolved
    bool is_followed = false;
    std::optional<Nanoseconds> rpo = {};  // no more than this may be lost
};

struct ServerRequest {
    Sandbox& sandbox;
    std::optional<Facts> facts;  // of the snapshot
    SourceOptions options;       // of the source where it is configured
};

// A dump that another program made, loaded into a sandbox so that it is captured like any source.
struct ImportRequest {
    Sandbox& sandbox;  // outlives the source
    std::string path;
    std::string name;       // of the source that the snapshot is of
    SourceOptions options;  // of the source type's import_options, and of the source where it is configured
    std::function<void(std::uint64_t bytes)> on_bytes;  // so much more of it was read
};

// Rows of one item that differ from those of the same name at a server.
struct RowDifference {
    enum class Kind : std::uint8_t { only_captured, only_live, changed };
    std::string key;  // "id=5"
    Kind kind{};
};
struct RowDiffRequest {
    World& world;
    std::string target;  // URL of the server
    std::string item;
    Facts facts;  // of the snapshot
    std::size_t differences_max = 0;
    std::function<void(const std::function<void(ByteView)>&)> read;  // the captured bytes; may be called again
};
struct RowDiff {
    std::vector<RowDifference> list;
    bool has_more = false;  // than are listed
    std::string problem;    // why rows cannot be told apart; empty: they can
};

// Is a target the very place that was captured?
struct OwnPlaceRequest {
    World& world;
    std::string target;                  // a folder, or the URL of a server
    Facts facts;                         // of the snapshot; may be empty
    std::vector<std::string> described;  // Source::describe(), then and now
};

// What was restored beside takes the place of what is in use, or that is taken back.
struct SwapRequest {
    World& world;
    std::string target;     // URL of a server
    SourceOptions options;  // of the source type's restore_options
    Facts facts;            // of the snapshot; may be empty when going back
    bool back = false;
};

// Turns items of a snapshot, read in tree order, into one stream that the system's own programs read.
class Export {
public:
    virtual ~Export() = default;
    virtual void begin_item(const std::string& path) = 0;
    virtual void write(ByteView bytes) = 0;
    virtual void end_item() = 0;
    virtual void finish() = 0;
};
struct ExportRequest {
    World& world;
    std::string format;              // one of the source type's export_formats
    std::vector<std::string> items;  // paths of all files that will come
    Facts facts;
    std::function<void(ByteView)> write;
    // Of formats that are folders: what is written next is in this file. `allowed`: it may get packed by gzip and `.gz`.
    enum class Packing : std::uint8_t { never, allowed };
    std::function<void(const std::string& name, Packing packing)> begin_file = {};
    SourceOptions options = {};  // of the source type's restore_options
};

// One option of a source type, as it stands in the configuration (with underscores) and on the command line.
struct SourceOption {
    enum class Type : std::uint8_t {
        text,
        list,
        flag,
        size,
        duration,
        reference,  // a text, or env:NAME, file:PATH or exec:COMMAND that gives it; not on the command line
        secret,     // such a reference only
    };
    std::string_view name;  // "exclude_larger"
    Type type;
    std::string_view help;
};

struct SourceType {
    std::string_view kind;    // "files"
    std::string_view scheme;  // ad hoc: "files:/etc"
    std::string_view help;
    std::span<const SourceOption> options;
    // From configuration or an ad hoc argument (the text after "scheme:" is option "argument"); throws config.
    std::unique_ptr<Source> (*make)(const std::string& name, const SourceOptions& options);
    // Restores snapshots of this kind into a target.
    std::unique_ptr<Rebuild> (*rebuild)(const RebuildRequest& request);
    std::string_view other_scheme = {};  // "postgresql" means "postgres"
    // What follows is for servers; null where a kind has none.
    std::span<const SourceOption> restore_options = {};
    // Counts and hashes what is at `target` as a capture does; throws target_failed.
    Facts (*measure)(const MeasureRequest& request) = nullptr;
    // The first column of the first row that a query gives, as text; throws target_failed.
    std::string (*query)(World& world, const std::string& target, const std::string& text, Nanoseconds limit) = nullptr;
    // True when restoring items of the top folder `top` into a server needs the item `path` too.
    bool (*comes_along)(std::string_view path, std::string_view top) = nullptr;
    // Starts a throwaway server of the right version; source_failed (with the package to install) when there is none.
    std::unique_ptr<ThrowawayServer> (*server)(const ServerRequest& request) = nullptr;
    // Says what was renamed, one line each; throws target_failed, and nothing is renamed then.
    std::vector<std::string> (*swap)(const SwapRequest& request) = nullptr;
    // Why a fact cannot be equal after a restore with these options; empty: it can. `expected`: null when it was only
    // found at the target.
    std::string (*not_comparable)(const Fact& found, const Fact* expected, const SourceOptions& options) = nullptr;
    // The format of a dump of this kind ("custom"); empty: it is none.
    std::string (*dump_format)(const std::string& path) = nullptr;
    std::span<const SourceOption> import_options = {};
    // Throws source_failed when any of the dump cannot be loaded.
    std::unique_ptr<Source> (*load_dump)(const ImportRequest& request) = nullptr;
    // Where the source is, as a target of measure and diff_rows, from its options with references resolved. May hold a
    // password.
    std::string (*live_place)(const SourceOptions& options) = nullptr;
    RowDiff (*diff_rows)(const RowDiffRequest& request) = nullptr;
    // Items that a path or glob stands for besides those that it names: partitions of a table.
    std::vector<std::string> (*stands_for)(const Facts& facts, const std::string& pattern) = nullptr;
    // Why it is; empty: it is not, as far as can be told.
    std::string (*is_own_place)(const OwnPlaceRequest& request) = nullptr;
    std::span<const std::string_view> export_formats = {};
    std::span<const std::string_view> export_folder_formats = {};  // those of them that are folders
    std::unique_ptr<Export> (*export_as)(const ExportRequest& request) = nullptr;
    bool has_journal = false;  // Source::follow() and Rebuild::replay() exist
    // Looks through a journal for what destroys much.
    std::unique_ptr<Replay> (*history)(const HistoryRequest& request) = nullptr;
    // A folder as target becomes what the system's own server starts on, which measure() reads, too; and a pattern means
    // what is within items: RebuildRequest::wants chooses.
    bool own_folder_form = false;
    // What of the source's own settings endangers it; what cannot be asked is `not_tested`.
    Observations (*examine)(const ExamineRequest& request) = nullptr;
};

}  // namespace holdfast
