#include "sources/mongodb/journal_replay.h"

#include <algorithm>

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
    // The clock of a new primary may be behind that of the one before.
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
        end_deletes();
        return summary_;
    }

private:
    void look(const OplogEntry& entry) {
        if (entry.ts <= summary_.reached.position.at) return;
        summary_.reached = entry.moment("");
        ++summary_.records;
        if (entry.op == "d") return count_delete(entry, std::string(entry.ns));
        if (entry.op != "c") {
            if (entry.op != "n") end_deletes();
            return;
        }
        const auto first = Elements(entry.object).begin();
        if (first == Elements(entry.object).end()) return;
        const Namespace name{split_namespace(entry.ns).database, std::string(first->text().value_or(""))};
        if (first->name == "applyOps") {
            for (const Element& each : Elements(document_of(entry.object, "applyOps")))
                if (each.is_document() && text_of(each.value, "op") == "d")
                    count_delete(entry, text_of(each.value, "ns"));
            return;
        }
        end_deletes();
        if (first->name == "drop")
            tell(entry, "drop", item_path(name),
                 static_cast<std::uint64_t>(std::max<std::int64_t>(number_of(entry.object2, "numRecords"), 0)));
        else if (first->name == "dropDatabase")
            tell(entry, "drop", encode_database(name.database), 0);
        else if (first->name == "renameCollection" && find(entry.object, "dropTarget") &&
                 find(entry.object, "dropTarget")->type == BsonType::binary)
            tell(entry, "drop", item_path(split_namespace(text_of(entry.object, "to"))), 0);
    }

    void count_delete(const OplogEntry& entry, const std::string& ns) {
        if (deleted_.count > 0 && (deleted_ns_ != ns || entry.time - last_delete_ > deletes_apart_max)) end_deletes();
        if (deleted_.count == 0) {
            deleted_ns_ = ns;
            deleted_ = {entry.time, {"", entry.ts}, "delete", item_path(split_namespace(ns)), 0};
        }
        last_delete_ = entry.time;
        ++deleted_.count;
    }

    void end_deletes() {
        if (deleted_.count >= many_deletes) request_.each(deleted_);
        deleted_ = {};
    }

    void tell(const OplogEntry& entry, std::string what, std::string item, std::uint64_t count) {
        request_.each({entry.time, {"", entry.ts}, std::move(what), std::move(item), count});
    }

    const HistoryRequest request_;
    RecordCutter cutter_;
    Summary summary_;
    HistoryEvent deleted_;
    std::string deleted_ns_;
    Nanoseconds last_delete_ = 0;
};

}  // namespace

std::unique_ptr<Replay> history(const HistoryRequest& request) { return std::make_unique<History>(request); }

}  // namespace holdfast::mongodb
