#include "sources/redis/export.h"

#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "sources/redis/names.h"
#include "sources/redis/record.h"

namespace holdfast::redis {

namespace {

class RdbExport final : public Export, private RecordSink {
public:
    explicit RdbExport(const ExportRequest& request) : writer_(request.write) {}

    void begin_item(const std::string& path) override {
        is_passed_over_ = is_setting(path);
        if (path == server_item || is_passed_over_) return;
        const auto place = place_of(path);
        if (!place)
            throw Error{Code::corrupt, "the snapshot has an item that no Redis capture has: {}", printable(path)};
        if (place->database == database_ && place->bucket == bucket_) return;
        database_ = place->database;
        bucket_ = place->bucket;
        seen_.clear();
    }
    void write(ByteView bytes) override {
        if (!is_passed_over_) reader_.feed(bytes);
    }
    void end_item() override { reader_.end(); }
    void finish() override {
        begin();
        writer_.end();
    }

private:
    void begin() {
        if (std::exchange(has_begun_, true)) return;
        writer_.begin(version_);
        writer_.aux("redis-bits", "64");
    }
    void version(int number) override { version_ = number; }
    void function(ByteView raw) override {
        begin();
        writer_.function(raw);
    }
    void module_aux(ByteView raw) override {
        begin();
        writer_.module_aux(raw);
    }
    void key(const RecordHead& head) override {
        is_taken_ = seen_.insert(key_id(as_bytes(head.name))).second;
        if (!is_taken_) return;
        begin();
        writer_.begin_key({database_, head.name, head.expiry_ms, head.type});
    }
    void value(ByteView raw) override {
        if (is_taken_) writer_.value(raw);
    }
    void gone(const KeyId& id) override { seen_.insert(id); }

    RdbWriter writer_;
    RecordReader reader_{*this};
    bool has_begun_ = false;
    bool is_passed_over_ = false;
    int version_ = rdb_version_max;
    std::uint64_t database_ = 0;
    std::string bucket_;
    std::unordered_set<KeyId, IdHash> seen_;  // said by newer layers of this bucket
    bool is_taken_ = false;
};

}  // namespace

std::unique_ptr<Export> export_as(const ExportRequest& request) { return std::make_unique<RdbExport>(request); }

}  // namespace holdfast::redis
