// sources/redis/staged_capture.h: a capture of which nothing is remembered: keys are stored while more of them come.
//
// Shape    each stage (sources/redis/stages.h) makes a layer of each bucket, ahead; when all have come they are listed in
//          order. A key comes once, so no layer hides what another says
// Errors   those of reading come from next()
// Threads  as Capture says
// Limits   24 bytes a key in a spool; about 1 kB a layer here and in the engine, until all are listed
#pragma once

#include "sources/redis/key_capture.h"
#include "sources/redis/stages.h"

namespace holdfast::redis {

// So many that Stages::count_max of them are all.
std::uint64_t stage_bytes_for(const RdbOrigin& origin);

class StagedCapture final : public KeyCapture {
public:
    // A stage has `stage_bytes` of records or more.
    StagedCapture(World& world, RdbOrigin origin, RdbInput::Read read, std::uint64_t stage_bytes);
    bool keeps_a_server_waiting() const override { return true; }
    bool next(Batch& batch) override;

protected:
    Remembered add_bucket(Batch& batch, std::uint64_t database, std::size_t bucket) override;
    std::unique_ptr<ItemData> open_layer(const Batch& batch, std::size_t entry) override;

private:
    // One layer of one bucket, and where its rows are kept.
    struct Part {
        Layer layer;
        std::uint32_t rows = 0;
        std::uint64_t at = 0;
    };
    using Buckets = std::vector<std::vector<Part>>;
    struct Ahead;
    bool next_ahead(Batch& batch);
    void add_ahead(Batch& batch, std::uint64_t database, std::size_t bucket);

    Stages stages_;  // before stage_, which is given back to it
    Spool rows_;
    std::map<std::uint64_t, Buckets, ByText> parts_;
    std::shared_ptr<const KeySpool> stage_;
    std::vector<std::uint64_t> databases_;  // of the stage that are still to come
    std::size_t bucket_ = 0;
    std::uint32_t number_ = 0;  // of the stage's layers
    bool is_read_ = false;
};

}  // namespace holdfast::redis
