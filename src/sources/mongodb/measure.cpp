#include "sources/mongodb/measure.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/item.h"
#include "base/workers.h"
#include "source/order_free_sum.h"
#include "source/untold_facts.h"
#include "sources/mongodb/reading.h"
#include "sources/mongodb/restore_options.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t readers = 2;

class Measuring {
public:
    explicit Measuring(const MeasureRequest& request)
        : request_(request), pool_(request.world, server_endpoint(request.target), Code::target_failed) {}

    Facts run() {
        const std::string renamed = pool_.endpoint().database();
        std::set<std::string> databases;
        for (const Fact& fact : request_.expected.list)
            if (!fact.item.empty() && !is_within(fact.item, oplog_folder)) databases.insert(database_of(fact.item));
        std::vector<Collection> collections;
        std::vector<std::string> names;  // as captured, of each
        {
            const auto client = pool_.lease();
            for (const std::string& captured : databases)
                for (Collection& each : list_collections(*client, renamed.empty() ? captured : renamed)) {
                    const std::string item = item_path({captured, each.name.collection});
                    if (!is_wanted(item)) continue;
                    names.push_back(item);
                    collections.push_back(std::move(each));
                }
        }
        for (std::size_t i = 0; i < collections.size(); ++i) {
            for (Fact& fact : facts_of(collections[i])) add({names[i], fact.name, fact.value});
            if (!collections[i].is_view() && (is_known(names[i], "documents") || is_known(names[i], "content")))
                workers_.submit([this, &collection = collections[i], &name = names[i]] { count(collection, name); });
        }
        workers_.finish();
        out_.basis = request_.expected.basis;
        out_.sort();
        return std::move(out_);
    }

private:
    bool is_wanted(const std::string& item) const {
        return request_.only.empty() ||
               std::ranges::any_of(request_.only, [&](const auto& path) { return is_within(item, path); });
    }

    // What the capture could not count at one instant is called otherwise there, and is not counted here; nor what nobody
    // knows of an instant.
    bool is_known(const std::string& item, const std::string& name) const {
        return !request_.expected.value(item, "about " + name) && !why_untold(request_.expected, item, name);
    }

    void add(Fact fact) {
        if (!is_known(fact.item, fact.name)) return;
        const std::lock_guard lock(mutex_);
        out_.list.push_back(std::move(fact));
    }

    void count(const Collection& collection, const std::string& name) {
        const auto client = pool_.lease();
        OrderFreeSum sum;
        Cursor cursor(*client, collection.name.database, Builder().text("find", collection.stored_name()).done(), {});
        while (true) {
            const ByteView document = cursor.next();
            if (document.empty()) break;
            sum.add(document);
        }
        add({name, "documents", std::to_string(sum.count())});
        add({name, "content", sum.hex()});
    }

    const MeasureRequest& request_;
    ClientPool pool_;
    std::mutex mutex_;
    Facts out_;  // guarded by mutex_ while workers run
    Workers workers_{readers, 64};
};

std::string value_text(const Element& element) {
    if (const auto text = element.text()) return std::string(*text);
    if (element.type == BsonType::boolean) return element.is_true() ? "true" : "false";
    if (const auto number = element.number(); number && element.type != BsonType::f64) return std::to_string(*number);
    if (element.type == BsonType::f64) {
        double number = 0;
        std::memcpy(&number, element.value.data(), sizeof number);
        return fmt::format("{}", number);
    }
    if (element.is_document()) return to_json(element.value);
    const std::string json = to_json(Builder().add("v", element).done());
    return json.substr(json.find(':') + 2, json.rfind('}') - json.find(':') - 3);
}

// Of {cursor: {firstBatch: [{first: …}]}} the first value, of {n: 5} this, of others the first that is not `ok`.
std::string first_value(ByteView reply) {
    if (const auto cursor = find(reply, "cursor"); cursor && cursor->is_document()) {
        const ByteView batch = document_of(cursor->value, "firstBatch");
        const auto row = Elements(batch).begin();
        if (row == Elements(batch).end() || !row->is_document()) return "";
        const auto value = Elements(row->value).begin();
        return value == Elements(row->value).end() ? "" : value_text(*value);
    }
    if (const auto count = find(reply, "n")) return value_text(*count);
    for (const Element& each : Elements(reply))
        if (each.name != "ok" && !each.name.starts_with('$') && each.name != "operationTime") return value_text(each);
    return "";
}

}  // namespace

Facts measure(const MeasureRequest& request) { return Measuring(request).run(); }

std::string query_value(World& world, const std::string& target, const std::string& text, Nanoseconds limit) {
    Endpoint endpoint = server_endpoint(target);
    constexpr Nanoseconds millisecond = one_second / 1000;
    const Bytes asked = from_json(text);
    Builder builder;
    for (const Element& each : Elements(asked)) builder.add(each);
    if (!find(asked, "maxTimeMS")) builder.i64("maxTimeMS", std::max<std::int64_t>(limit / millisecond, 1));
    const std::string database = endpoint.database().empty() ? "admin" : endpoint.database();
    Client client(world, endpoint, Code::target_failed);
    return first_value(client.run(database, builder.done()));
}

}  // namespace holdfast::mongodb
