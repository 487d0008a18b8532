#include "sources/mongodb/journal_replay.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "sources/mongodb/names.h"

namespace holdfast::mongodb {

bool RecordCutter::feed(ByteView bytes, const std::function<bool(ByteView)>& each) {
    // What is whole within the piece is looked at in place.
    while (!rest_.empty() && !bytes.empty()) {
        const auto length = document_bytes(rest_);
        const std::size_t wanted = length ? *length - rest_.size() : sizeof(std::uint32_t) - rest_.size();
        const std::size_t taken = std::min(wanted, bytes.size());
        append(rest_, bytes.first(taken));
        bytes = bytes.subspan(taken);
        if (!length || taken < wanted) continue;
        const Bytes record = std::move(rest_);
        rest_ = Bytes();
        if (!each(record)) return false;
    }
    Documents documents(bytes);
    while (const auto record = documents.next())
        if (!each(*record)) return false;
    if (rest_.empty()) append(rest_, documents.rest());
    return true;
}

JournalReplay::JournalReplay(Applier& applier, const ReplayRequest& request) : applier_(applier), request_(request) {
    summary_.reached = request.from;
}

bool JournalReplay::feed(ByteView bytes) {
    if (is_over_) return false;
    is_over_ = !cutter_.feed(bytes, [this](ByteView record) { return take(record); });
    return !is_over_;
}

bool JournalReplay::take(ByteView record) {
    const OplogEntry entry = parse_entry(record);
    if (entry.ts <= summary_.reached.position.at) {  // it is in already
        applier_.remember(entry);
        return true;
    }
    if (request_.until_before && entry.ts >= request_.until_before->at) return false;
    // A follower ends its window where clocks went back by more than a second.
    const Nanoseconds time = std::max(entry.time, summary_.reached.time);
    if (request_.until && time > *request_.until) return false;
    applier_.apply(entry);
    ++summary_.records;
    summary_.reached = {{request_.from.position.line, entry.ts}, time};
    return true;
}

Replay::Summary JournalReplay::finish() {
    applier_.flush();
    return summary_;
}

namespace {

constexpr std::uint64_t many_deletes = 100;
constexpr Nanoseconds deletes_apart_max = one_second;

class History final : public Replay {
public:
    explicit History(const HistoryRequest& request) : request_(request) {}
    void begin_lane() override { cutter_.reset(); }
    bool feed(ByteView bytes) override {
        return cutter_.feed(bytes, [this](ByteView record) {
            look(parse_entry(record));
            return true;
        });
    }
    Summary finish() override {
        end_deletes([](const auto&, const Deletes&) { return true; });
        return summary_;
    }

private:
    struct Deletes {
        HistoryEvent event;
        Nanoseconds last = 0;
    };

    void look(const OplogEntry& entry) {
        if (entry.ts <= summary_.reached.position.at) return;
        summary_.reached = entry.moment("");
        ++summary_.records;
        end_deletes([&](const auto&, const Deletes& each) { return entry.time - each.last > deletes_apart_max; });
        if (entry.op == "d") return count_delete(entry, std::string(entry.ns));
        if (entry.op != "c") return;
        const auto first = Elements(entry.object).begin();
        if (first == Elements(entry.object).end()) return;
        const Namespace name{split_namespace(entry.ns).database, std::string(first->text().value_or(""))};
        if (first->name == "applyOps") {
            for (const Element& each : Elements(document_of(entry.object, "applyOps")))
                if (each.is_document() && text_of(each.value, "op") == "d")
                    count_delete(entry, text_of(each.value, "ns"));
            return;
        }
        end_deletes([&](const auto& ns, const Deletes&) {
            return first->name == "dropDatabase" ? split_namespace(ns).database == name.database : ns == name.text();
        });
        if (first->name == "drop")
            tell(entry, "drop", item_path(name),
                 static_cast<std::uint64_t>(std::max<std::int64_t>(number_of(entry.object2, "numRecords"), 0)));
        else if (first->name == "dropDatabase")
            tell(entry, "drop", encode_database(name.database), 0);
        else if (first->name == "renameCollection" && drops_target(entry))
            tell(entry, "drop", item_path(split_namespace(text_of(entry.object, "to"))), 0);
    }

    // The UUID of what goes; earlier servers say only that something does.
    static bool drops_target(const OplogEntry& entry) {
        const auto dropped = find(entry.object, "dropTarget");
        return dropped && (dropped->binary() || dropped->is_true());
    }

    // Between the deletes of one namespace come entries of all others.
    void count_delete(const OplogEntry& entry, const std::string& ns) {
        const auto [at, is_new] = deletes_.try_emplace(ns);
        if (is_new) at->second.event = {entry.time, {"", entry.ts}, "delete", item_path(split_namespace(ns)), 0};
        at->second.last = entry.time;
        ++at->second.event.count;
    }

    void end_deletes(const std::function<bool(const std::string& ns, const Deletes&)>& are_over) {
        std::erase_if(deletes_, [&](const auto& each) {
            if (!are_over(each.first, each.second)) return false;
            if (each.second.event.count >= many_deletes) request_.each(each.second.event);
            return true;
        });
    }

    void tell(const OplogEntry& entry, std::string what, std::string item, std::uint64_t count) {
        request_.each({entry.time, {"", entry.ts}, std::move(what), std::move(item), count});
    }

    const HistoryRequest request_;
    RecordCutter cutter_;
    Summary summary_;
    std::map<std::string, Deletes> deletes_;  // by namespace: those that may go on
};

}  // namespace

std::unique_ptr<Replay> history(const HistoryRequest& request) { return std::make_unique<History>(request); }

}  // namespace holdfast::mongodb
