// sources/mongodb/journal_replay.h: a journal of oplog entries, record by record, up to the moment that is wanted.
//
// Errors   corrupt for what is no journal; as the Applier's
// Threads  one owner
// Source   doc/format/mongodb.md, "Journal"
#pragma once

#include <functional>
#include <memory>

#include "source/source.h"
#include "sources/mongodb/applier.h"

namespace holdfast::mongodb {

// Whole documents out of pieces.
class RecordCutter {
public:
    void reset() { rest_.clear(); }
    // Stops when `each` gives false, and gives false then.
    bool feed(ByteView bytes, const std::function<bool(ByteView)>& each);

private:
    Bytes rest_;
};

class JournalReplay final : public Replay {
public:
    JournalReplay(Applier& applier, const ReplayRequest& request);
    void begin_lane() override { cutter_.reset(); }
    bool feed(ByteView bytes) override;
    Summary finish() override;

private:
    bool take(ByteView record);

    Applier& applier_;
    const ReplayRequest request_;
    RecordCutter cutter_;
    Summary summary_;
    bool is_over_ = false;
};

// Drops, dropDatabase, and many deletes of one collection, each soon after the one before.
std::unique_ptr<Replay> history(const HistoryRequest& request);

}  // namespace holdfast::mongodb
