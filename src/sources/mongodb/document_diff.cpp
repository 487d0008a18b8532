#include "sources/mongodb/document_diff.h"

#include "base/error.h"
#include "source/keyed_diff.h"
#include "source/order_free_sum.h"
#include "sources/mongodb/catalog.h"
#include "sources/mongodb/id_order.h"
#include "sources/mongodb/instant.h"
#include "sources/mongodb/journal_replay.h"
#include "sources/mongodb/restore_options.h"

namespace holdfast::mongodb {

namespace {

using Each = std::function<void(KeyedDiff::Side, ByteView document)>;

// Sorted as servers sort; behind it {_id: …} itself, and its length, so that it can be shown.
std::string key_of(ByteView document) {
    const auto id = find(document, "_id");
    if (!id) throw Error{Code::target_failed, "a document has no _id"};
    const Bytes shown = Builder().add(*id).done();
    std::string out = order_key(*id) + std::string(as_text(shown));
    Bytes length;
    ByteWriter(length).u32(static_cast<std::uint32_t>(shown.size()));
    return out += as_text(length);
}

std::string shown(const std::string& key) {
    constexpr std::size_t length_bytes = sizeof(std::uint32_t);
    const ByteView bytes = as_bytes(key);
    const std::size_t length = ByteReader(bytes.last(length_bytes), "a key").u32();
    const std::string json = to_json(bytes.first(bytes.size() - length_bytes).last(length));
    const std::size_t begin = json.find_first_not_of(' ', json.find(':') + 1);
    const std::size_t last = json.find_last_not_of(' ', json.rfind('}') - 1);
    return "_id=" + json.substr(begin, last + 1 - begin);
}

class Comparison {
public:
    explicit Comparison(const RowDiffRequest& request)
        : request_(request),
          captured_(namespace_of(request.item)),
          client_(request.world, server_endpoint(request.target), Code::target_failed) {}

    RowDiff run() {
        Namespace live = captured_;
        if (const std::string named = client_.endpoint().database(); !named.empty()) live.database = named;
        if (request_.facts.value(request_.item, "type") == "timeseries")
            live.collection = "system.buckets." + live.collection;
        const Instant instant =
            Instant::choose(client_, Consistency::automatic, {.any = live, .bytes = 0, .log_begins = {}});
        const auto hashed = [](ByteView document) { return OrderFreeSum::hash(document); };
        read_both(live, instant, [&](auto side, ByteView each) { diff_.count(side, key_of(each), hashed(each)); });
        diff_.choose();
        read_both(live, instant, [&](auto side, ByteView each) { diff_.keep(side, key_of(each), hashed(each)); });
        RowDiff out{diff_.differences(), diff_.has_more(), ""};
        if (out.list.size() > request_.differences_max) {
            out.list.resize(request_.differences_max);
            out.has_more = true;
        }
        for (RowDifference& each : out.list) each.key = shown(each.key);
        return out;
    }

private:
    void read_both(const Namespace& live, const Instant& instant, const Each& each) {
        RecordCutter cutter;
        request_.read([&](ByteView bytes) {
            request_.world.stop.check();
            cutter.feed(bytes, [&](ByteView document) {
                each(KeyedDiff::Side::captured, document);
                return true;
            });
        });
        Builder query;
        query.text("find", live.collection);
        instant.add_to(query);
        Cursor cursor(client_, live.database, query.done(), {});
        while (true) {
            const ByteView document = cursor.next();
            if (document.empty()) return;
            each(KeyedDiff::Side::live, document);
        }
    }

    const RowDiffRequest& request_;
    const Namespace captured_;
    Client client_;
    KeyedDiff diff_;
};

}  // namespace

RowDiff diff_documents(const RowDiffRequest& request) {
    const Note note{"comparing the documents of {}", request.item};
    return Comparison(request).run();
}

}  // namespace holdfast::mongodb
