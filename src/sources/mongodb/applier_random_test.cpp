// Random documents and random logs, against a server in memory that knows nothing of the code under test.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <set>
#include <variant>

#include "sources/mongodb/diff.h"
#include "sources/mongodb/replay_model.h"

namespace holdfast::mongodb {
namespace {

using Random = std::mt19937_64;

// More of it when HOLDFAST_SCALE says so.
std::uint64_t scale() {
    const char* const scale = std::getenv("HOLDFAST_SCALE");
    return scale == nullptr ? 1 : std::max<std::uint64_t>(std::strtoull(scale, nullptr, 10), 1);
}

std::size_t below(Random& random, std::size_t end) { return random() % end; }

struct Value;
using List = std::vector<Value>;
using Fields = std::vector<std::pair<std::string, Value>>;
struct Value {
    std::variant<int, std::string, List, Fields> is;
    bool operator==(const Value& other) const { return is == other.is; }
    const List* list() const { return std::get_if<List>(&is); }
    const Fields* fields() const { return std::get_if<Fields>(&is); }
};

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

std::string text_of(const Fields& fields);
std::string text_of(const Value& value) {
    if (const auto* number = std::get_if<int>(&value.is)) return std::to_string(*number);
    if (const auto* text = std::get_if<std::string>(&value.is)) return quoted(*text);
    if (value.fields() != nullptr) return text_of(*value.fields());
    std::string out;
    for (const Value& each : *value.list()) out += (out.empty() ? "" : ", ") + text_of(each);
    return "[" + out + "]";
}
std::string text_of(const Fields& fields) {
    std::string out;
    for (const auto& [name, value] : fields) out += (out.empty() ? "" : ", ") + quoted(name) + ": " + text_of(value);
    return "{" + out + "}";
}

const Value* field(const Fields& fields, const std::string& name) {
    for (const auto& [each, value] : fields)
        if (each == name) return &value;
    return nullptr;
}

Fields random_fields(Random& random, std::size_t depth);
Value random_value(Random& random, std::size_t depth) {
    switch (below(random, depth == 0 ? 2 : 4)) {
        case 0:
            return {static_cast<int>(below(random, 5))};
        case 1:
            return {std::string(1 + below(random, 3), 'x')};
        case 2: {
            List out;
            for (std::size_t i = below(random, 5); i > 0; --i) out.push_back(random_value(random, depth - 1));
            return {out};
        }
        default:
            return {random_fields(random, depth - 1)};
    }
}
Fields random_fields(Random& random, std::size_t depth) {
    std::vector<std::string> names{"a", "l", "u", "u0", "d.e", ""};
    std::ranges::shuffle(names, random);
    names.resize(below(random, names.size()));
    Fields out;
    for (const std::string& name : names) out.emplace_back(name, random_value(random, depth));
    return out;
}

// Something like it, so that there is something to go into.
Value changed(Random& random, const Value& value, std::size_t depth) {
    if (depth == 0 || below(random, 6) == 0) return random_value(random, depth);
    if (const List* list = value.list()) {
        List out;
        for (const Value& each : *list) out.push_back(below(random, 2) == 0 ? each : changed(random, each, depth - 1));
        if (below(random, 3) == 0 && !out.empty()) out.pop_back();
        if (below(random, 3) == 0) out.push_back(random_value(random, depth - 1));
        return {out};
    }
    if (const Fields* fields = value.fields()) {
        Fields out;
        for (const auto& [name, each] : *fields)
            if (below(random, 5) != 0)
                out.emplace_back(name, below(random, 2) == 0 ? each : changed(random, each, depth - 1));
        for (const auto& [name, each] : random_fields(random, depth - 1))
            if (field(out, name) == nullptr) out.emplace_back(name, each);
        if (below(random, 8) == 0) std::ranges::shuffle(out, random);
        return {out};
    }
    return random_value(random, depth);
}

// The document that makes B of A, as MongoDB says it: what stays in its place comes first, the rest goes to the end.
Fields diff_of(Random& random, const Fields& a, const Fields& b);
Fields diff_of(Random& random, const List& a, const List& b);

std::optional<Fields> inside(Random& random, const Value& a, const Value& b) {
    if (below(random, 4) == 0) return std::nullopt;  // a value says it, too
    if (a.fields() != nullptr && b.fields() != nullptr) return diff_of(random, *a.fields(), *b.fields());
    if (a.list() != nullptr && b.list() != nullptr) return diff_of(random, *a.list(), *b.list());
    return std::nullopt;
}

Fields diff_of(Random& random, const Fields& a, const Fields& b) {
    Fields removed, values, appended, out, within;
    for (const auto& [name, value] : a)
        if (field(b, name) == nullptr) removed.emplace_back(name, Value{0});
    std::size_t at = 0;
    bool in_place = true;
    for (const auto& [name, value] : b) {
        std::size_t there = at;
        while (there < a.size() && a[there].first != name) ++there;
        in_place = in_place && there < a.size();
        if (!in_place) {
            appended.emplace_back(name, value);
            continue;
        }
        at = there + 1;
        if (a[there].second == value) continue;
        if (auto deeper = inside(random, a[there].second, value))
            within.emplace_back("s" + name, Value{std::move(*deeper)});
        else
            values.emplace_back(name, value);
    }
    if (!removed.empty()) out.emplace_back("d", Value{removed});
    if (!values.empty()) out.emplace_back("u", Value{values});
    if (!appended.empty()) out.emplace_back("i", Value{appended});
    out.insert(out.end(), within.begin(), within.end());
    return out;
}

Fields diff_of(Random& random, const List& a, const List& b) {
    Fields out{{"a", Value{1}}};  // `true` in the text that becomes of it
    if (b.size() < a.size()) out.emplace_back("l", Value{static_cast<int>(b.size())});
    for (std::size_t i = 0; i < b.size(); ++i) {
        if (i < a.size() && a[i] == b[i]) continue;
        const auto deeper = i < a.size() ? inside(random, a[i], b[i]) : std::nullopt;
        out.emplace_back((deeper ? "s" : "u") + std::to_string(i), deeper ? Value{*deeper} : b[i]);
    }
    return out;
}

Bytes bson_of_diff(const Fields& diff);
// As from_json(), with `a: true` where a diff is of an array.
Bytes bson_of_diff(const Fields& diff) {
    Builder out;
    const bool is_of_array = !diff.empty() && diff.front().first == "a";
    for (const auto& [name, value] : diff) {
        if (is_of_array && name == "a") {
            out.boolean("a", true);
        } else if (name.front() == 's') {
            out.document(name, bson_of_diff(*value.fields()));
        } else {
            const Bytes holder = from_json(text_of(Fields{{"v", value}}));
            out.add(name, *find(holder, "v"));
        }
    }
    return out.done();
}

std::string json(const Fields& fields) { return to_json(from_json(text_of(fields))); }

TEST(MongoRandom, ADiffMakesOneDocumentOfAnotherOnceAndTwice) {
    Random random(7);
    for (int i = 0; i < 3000; ++i) {
        const Fields a = random_fields(random, 4);
        const Value after = changed(random, {a}, 4);
        if (after.fields() == nullptr) continue;
        const Fields diff = diff_of(random, a, *after.fields());
        const Bytes bson = bson_of_diff(diff);
        const Bytes once = apply_diff(from_json(text_of(a)), bson);
        ASSERT_EQ(to_json(once), json(*after.fields())) << i << "\n" << text_of(a) << "\n" << to_json(bson);
        ASSERT_EQ(to_json(apply_diff(once, bson)), to_json(once)) << i << "\n" << to_json(bson);
    }
}

Bytes with_binary(const std::string& name, std::uint8_t type, const std::string& bytes,
                  std::optional<int> offset = {}) {
    Bytes value;
    ByteWriter writer(value);
    writer.u32(static_cast<std::uint32_t>(bytes.size()));
    writer.u8(type);
    writer.raw(as_bytes(bytes));
    Builder out;
    if (offset) out.i32("o", *offset);
    return out.value(name, BsonType::binary, value).done();
}

// A server appends to the columns of a bucket, each time from somewhere before their end on, and at times makes one anew.
TEST(MongoRandom, ChangesOfColumnsEndTheSameFromAnyPointOnAnyLaterState) {
    for (std::uint64_t seed = 1; seed <= 50 * scale(); ++seed) {
        Random random(seed);
        const auto noise = [&] {
            std::string out(below(random, 9), ' ');
            for (char& each : out) each = static_cast<char>(random());
            return out;
        };
        std::vector<std::string> states{noise()};
        std::vector<Bytes> log;
        for (int i = 0; i < 12; ++i) {
            const std::string added = noise();
            if (below(random, 6) == 0) {
                log.push_back(Builder().document("u", with_binary("x", 7, added)).done());
                states.push_back(added);
                continue;
            }
            const std::size_t offset = below(random, states.back().size() + 1);
            const Bytes change = with_binary("d", 0, added, static_cast<int>(offset));
            log.push_back(Builder().document("b", Builder().document("x", change).done()).done());
            states.push_back(states.back().substr(0, offset) + added);
        }
        for (std::size_t base = 0; base < states.size(); ++base)
            for (std::size_t from = 0; from <= base; ++from) {
                Bytes document = with_binary("x", 7, states[base]);
                for (std::size_t i = from; i < log.size(); ++i) document = apply_diff(document, log[i]);
                ASSERT_EQ(document, with_binary("x", 7, states.back())) << seed << " " << base << " " << from;
            }
    }
}

// A server: what it holds, and what it says of each change in its oplog.
class Server {
public:
    struct Collection {
        int uuid = 0;
        bool capped = false;
        std::map<int, Fields> documents;
        std::set<std::string> indexes;
        bool operator==(const Collection&) const = default;
    };
    struct State {
        std::map<std::string, Collection> collections;
        std::map<std::string, std::string> views;
    };
    struct Entry {
        Bytes bytes;
        State after;
        bool is_quiet = true;  // no transaction is half in the log
    };

    explicit Server(Random& random) : random_(random) {}

    void step() {
        switch (below(random_, 15)) {
            case 0:
                return create();
            case 1:
                return drop();
            case 2:
                return rename();
            case 3:
                return index();
            case 4:
                return empty();
            case 5:
                return view();
            case 6:
                return transaction();
            case 7:
                return several();
            default:
                if (const auto change = random_change(state_)) {
                    say(change->op, change->ns, change->o, change->more);
                    done();
                }
        }
    }
    const std::vector<Entry>& log() const { return log_; }

private:
    struct Change {
        std::string op, ns;
        Bytes o, more;
    };

    static Bytes uuid_of(int number) {
        Bytes out(16, 0);
        out[0] = static_cast<std::uint8_t>(number);
        out[1] = static_cast<std::uint8_t>(number >> 8);
        return out;
    }
    static void add_uuid(Builder& out, int number) {
        Bytes binary;
        ByteWriter writer(binary);
        writer.u32(16);
        writer.u8(4);
        writer.raw(uuid_of(number));
        out.value("ui", BsonType::binary, binary);
    }

    void say(const std::string& op, const std::string& ns, const Bytes& o, const Bytes& more, bool is_quiet = true) {
        Builder out;
        out.text("op", op).text("ns", ns).timestamp("ts", (1000ULL << 32) + ++number_).i64("t", 1).document("o", o);
        for (const Element& each : Elements(more)) out.add(each);
        log_.push_back({out.done(), {}, is_quiet});
    }
    // The change that was said is made.
    void done() { log_.back().after = state_; }

    Bytes with_uuid(int uuid) const {
        Builder out;
        add_uuid(out, uuid);
        return out.done();
    }

    std::string new_name() { return std::string(1, static_cast<char>('a' + below(random_, 5))); }
    std::string any(const State& state) {
        if (state.collections.empty()) return "";
        auto at = state.collections.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(below(random_, state.collections.size())));
        return at->first;
    }

    void create() {
        const std::string name = new_name();
        if (state_.collections.contains(name) || state_.views.contains(name)) return;
        Collection& made = state_.collections[name];
        made.uuid = ++uuid_;
        made.capped = below(random_, 4) == 0;
        Builder o;
        o.text("create", name);
        if (made.capped) o.boolean("capped", true).i32("size", 9999);
        say("c", "shop.$cmd", o.done(), with_uuid(made.uuid));
        done();
    }

    void drop() {
        const std::string name = any(state_);
        if (name.empty()) return;
        say("c", "shop.$cmd", Builder().text("drop", name).done(), with_uuid(state_.collections.at(name).uuid));
        state_.collections.erase(name);
        done();
    }

    void rename() {
        const std::string from = any(state_), to = new_name();
        if (from.empty() || from == to || state_.views.contains(to)) return;
        Builder o;
        o.text("renameCollection", "shop." + from).text("to", "shop." + to);
        if (const auto target = state_.collections.find(to); target != state_.collections.end()) {
            Bytes binary;
            ByteWriter writer(binary);
            writer.u32(16);
            writer.u8(4);
            writer.raw(uuid_of(target->second.uuid));
            o.value("dropTarget", BsonType::binary, binary);
        }
        say("c", "shop.$cmd", o.done(), with_uuid(state_.collections.at(from).uuid));
        Collection moved = state_.collections.at(from);
        state_.collections.erase(from);
        state_.collections[to] = std::move(moved);
        done();
    }

    void index() {
        const std::string name = any(state_), index = "i" + std::to_string(below(random_, 3));
        if (name.empty()) return;
        Collection& collection = state_.collections.at(name);
        if (collection.indexes.contains(index)) {
            say("c", "shop.$cmd", Builder().text("dropIndexes", name).text("index", index).done(),
                with_uuid(collection.uuid));
            collection.indexes.erase(index);
        } else if (below(random_, 2) == 0) {
            say("c", "shop.$cmd", Builder().text("createIndexes", name).text("name", index).done(),
                with_uuid(collection.uuid));
            collection.indexes.insert(index);
        } else {
            say("c", "shop.$cmd",
                Builder()
                    .text("commitIndexBuild", name)
                    .array("indexes", std::vector<Bytes>{Builder().text("name", index).done()})
                    .done(),
                with_uuid(collection.uuid));
            collection.indexes.insert(index);
        }
        done();
    }

    void empty() {
        const std::string name = any(state_);
        if (name.empty() || !state_.collections.at(name).capped) return;
        say("c", "shop.$cmd", Builder().text("emptycapped", name).done(), with_uuid(state_.collections.at(name).uuid));
        state_.collections.at(name).documents.clear();
        done();
    }

    void view() {
        const std::string name = new_name(), on = "v" + std::to_string(below(random_, 9));
        if (state_.collections.contains(name)) return;
        const Bytes id = Builder().text("_id", "shop." + name).done();
        Builder more;
        add_uuid(more, 999);
        const bool is_there = state_.views.contains(name);
        const Bytes definition = Builder().text("_id", "shop." + name).text("viewOn", on).done();
        if (is_there && below(random_, 3) == 0) {
            say("d", "shop.system.views", id, more.done());
            state_.views.erase(name);
        } else if (is_there) {
            const bool is_whole = below(random_, 2) == 0;
            const Bytes diff =
                Builder()
                    .i32("$v", 2)
                    .document("diff", Builder().document("u", Builder().text("viewOn", on).done()).done())
                    .done();
            more.document("o2", id);
            say("u", "shop.system.views", is_whole ? definition : diff, more.done());
            state_.views[name] = on;
        } else {
            say("i", "shop.system.views", definition, more.done());
            state_.views[name] = on;
        }
        done();
    }

    std::optional<Change> random_change(State& state) {
        const std::string name = any(state);
        if (name.empty()) return std::nullopt;
        Collection& collection = state.collections.at(name);
        const int id = static_cast<int>(below(random_, 6));
        Change out{"", "shop." + name, {}, {}};
        Builder more;
        add_uuid(more, collection.uuid);
        const auto there = collection.documents.find(id);
        if (there == collection.documents.end()) {
            out.op = "i";
            Fields made = random_fields(random_, 2);
            made.insert(made.begin(), {"_id", Value{id}});
            out.o = from_json(text_of(made));
            collection.documents[id] = made;
        } else if (!collection.capped && below(random_, 4) == 0) {
            out.op = "d";
            out.o = Builder().i32("_id", id).done();
            collection.documents.erase(there);
        } else {
            out.op = "u";
            more.document("o2", Builder().i32("_id", id).done());
            update(there->second, out);
        }
        out.more = more.done();
        return out;
    }

    void update(Fields& document, Change& out) {
        const int id = std::get<int>(document.front().second.is);
        Fields next = random_fields(random_, 2);
        next.insert(next.begin(), {"_id", Value{id}});
        if (below(random_, 3) == 0) {
            out.o = from_json(text_of(next));
        } else if (!has_modifiers_) {
            out.o = Builder().i32("$v", 2).document("diff", bson_of_diff(diff_of(random_, document, next))).done();
        } else {
            next = document;
            out.o = modified(next);
        }
        document = next;
    }

    // By {$set} or {$unset}, at the top or one level deeper.
    Bytes modified(Fields& document) {
        const auto one_of = [](Fields& fields, const std::string& name) -> Value* {
            for (auto& [each, value] : fields)
                if (each == name) return &value;
            return nullptr;
        };
        const auto set = [&](Fields& fields, const std::string& name, const Value& value) {
            if (Value* const there = one_of(fields, name))
                *there = value;
            else
                fields.emplace_back(name, value);
        };
        const auto said = [](const std::string& modifier, const std::string& name, const Value& value) {
            return Builder().i32("$v", 1).document(modifier, from_json(text_of(Fields{{name, value}}))).done();
        };
        const Value value = random_value(random_, 1);
        const std::string name = below(random_, 2) == 0 ? "x" : "y";
        switch (below(random_, 5)) {
            case 0:
                std::erase_if(document, [](const auto& each) { return each.first == "set"; });
                return said("$unset", "set", Value{1});
            case 1:
                if (Value* const inner = one_of(document, "inner"))
                    std::erase_if(std::get<Fields>(inner->is), [&](const auto& each) { return each.first == name; });
                return said("$unset", "inner." + name, Value{1});
            case 2: {
                if (one_of(document, "inner") == nullptr) document.emplace_back("inner", Value{Fields{}});
                set(std::get<Fields>(one_of(document, "inner")->is), name, value);
                return said("$set", "inner." + name, value);
            }
            default:
                set(document, "set", value);
                return said("$set", "set", value);
        }
    }

    // What one command inserted, in one entry, as newer servers write it; no transaction, though it names a session.
    void several() {
        const std::string name = any(state_);
        if (name.empty()) return;
        Collection& collection = state_.collections.at(name);
        std::vector<Bytes> operations;
        for (int id = 0; id < 6; ++id) {
            if (collection.documents.contains(id) || below(random_, 2) == 0) continue;
            Fields made = random_fields(random_, 2);
            made.insert(made.begin(), {"_id", Value{id}});
            Builder operation;
            operation.text("op", "i").text("ns", "shop." + name).document("o", from_json(text_of(made)));
            add_uuid(operation, collection.uuid);
            operations.push_back(operation.done());
            collection.documents[id] = std::move(made);
        }
        if (operations.empty()) return;
        Builder more;
        more.document("lsid", Builder().i32("id", 2).done()).i64("txnNumber", ++transactions_).i32("multiOpType", 1);
        say("c", "admin.$cmd", Builder().array("applyOps", operations).done(), more.done());
        done();
    }

    // In one entry or in several, committed, prepared or aborted.
    void transaction() {
        const bool is_aborted = below(random_, 4) == 0, is_prepared = is_aborted || below(random_, 3) == 0;
        const std::size_t parts = 1 + below(random_, 3);
        State after = state_;
        Builder session;
        session.document("lsid", Builder().i32("id", 1).done()).i64("txnNumber", ++transactions_);
        const Bytes numbers = session.done();
        for (std::size_t part = 0; part < parts; ++part) {
            std::vector<Bytes> operations;
            for (std::size_t i = below(random_, 4); i > 0; --i) {
                const auto change = random_change(after);
                if (!change) continue;
                Builder operation;
                operation.text("op", change->op).text("ns", change->ns).document("o", change->o);
                for (const Element& each : Elements(change->more)) operation.add(each);
                operations.push_back(operation.done());
            }
            const bool is_last = part + 1 == parts;
            Builder o;
            o.array("applyOps", operations);
            if (!is_last) o.boolean("partialTxn", true);
            if (is_last && is_prepared) o.boolean("prepare", true);
            say("c", "admin.$cmd", o.done(), with_previous(numbers, part > 0), is_last && !is_prepared);
            if (is_last && !is_prepared) state_ = after;
            done();
        }
        if (!is_prepared) return;
        say("c", "admin.$cmd", Builder().i32(is_aborted ? "abortTransaction" : "commitTransaction", 1).done(),
            with_previous(numbers, true));
        if (!is_aborted) state_ = after;
        done();
    }

    static Bytes with_previous(const Bytes& numbers, bool has_previous) {
        Builder out;
        for (const Element& each : Elements(numbers)) out.add(each);
        out.document("prevOpTime", Builder().timestamp("ts", has_previous ? 5 : 0).done());
        return out.done();
    }

    Random& random_;
    // A server writes one form of updates or the other: both in one log give fields in another order, by MongoDB's rules.
    const bool has_modifiers_ = below(random_, 3) == 0;
    State state_;
    std::vector<Entry> log_;
    std::uint32_t number_ = 0;
    int uuid_ = 0;
    std::int64_t transactions_ = 0;
};

// What a capture finds there, and lists.
std::vector<Collection> put(const Server::State& state, ReplayModel& model) {
    std::vector<Collection> known;
    for (const auto& [name, held] : state.collections) {
        Collection& each = known.emplace_back();
        each.name = {"shop", name};
        each.type = "collection";
        each.uuid = Bytes(16, 0);
        each.uuid[0] = static_cast<std::uint8_t>(held.uuid);
        each.uuid[1] = static_cast<std::uint8_t>(held.uuid >> 8);
        auto& documents = model.documents["shop." + name];
        for (const auto& [id, document] : held.documents)
            documents[to_json(Builder().i32("_id", id).done())] = json(document);
        if (!held.indexes.empty()) model.indexes["shop." + name].assign(held.indexes.begin(), held.indexes.end());
    }
    for (const auto& [name, on] : state.views) {
        Collection& each = known.emplace_back();
        each.name = {"shop", name};
        each.type = "view";
        each.options = Builder().text("viewOn", on).done();
        model.views["shop." + name] = to_json(each.options);
    }
    return known;
}

void expect_equal(ReplayModel& found, ReplayModel& expected, const std::string& where) {
    ASSERT_EQ(found.documents, expected.documents) << where;
    for (auto& [name, list] : found.indexes) std::ranges::sort(list);
    ASSERT_EQ(found.indexes, expected.indexes) << where;
    ASSERT_EQ(found.views, expected.views) << where;
}

// What a capture says of it.
Facts facts_of(const ReplayModel& model) {
    Facts out;
    for (const auto& [name, documents] : model.documents) {
        OrderFreeSum sum;
        for (const auto& [id, document] : documents) sum.add(from_json(document));
        const std::string item = item_path(split_namespace(name));
        out.list.push_back({item, "documents", std::to_string(sum.count())});
        out.list.push_back({item, "content", sum.hex()});
    }
    return out;
}

void expect_counted(const Tally& tally, const ReplayModel& expected, const std::string& where) {
    std::vector<Fact> found;
    for (const auto& [name, documents] : expected.documents)
        for (Fact& fact : tally.facts(split_namespace(name))) found.push_back(std::move(fact));
    ASSERT_EQ(found, facts_of(expected).list) << where;
}

TEST(MongoRandom, ALogOfEveryKindEndsTheSameFromAnyPointOnAnyLaterState) {
    for (std::uint64_t seed = 1; seed <= 20 * scale(); ++seed) {
        Random random(seed);
        Server server(random);
        while (server.log().size() < 70) server.step();
        const auto& log = server.log();
        std::size_t end = log.size() - 1;
        while (!log[end].is_quiet) --end;
        ReplayModel expected;
        put(log[end].after, expected);
        // The base holds what was after entry k; it is applied from entry j on.
        for (std::size_t k = 0; k <= end; ++k) {
            for (std::size_t j = 0; j <= k + 1; ++j) {
                if ((j > 0 && !log[j - 1].is_quiet) || (j + k) % 3 != seed % 3) continue;
                ReplayModel found;
                Tally tally;
                const std::vector<Collection> known = put(log[k].after, found);
                for (const Collection& each : known)
                    if (!each.is_view()) tally.begin(each.name, facts_of(found));
                Applier applier(found, known, &tally);
                for (std::size_t i = j; i <= end; ++i) {
                    // In the middle of a transaction its parts are of before the base, and its changes are not.
                    if (i == k + 1) applier.pass_base();
                    applier.apply(parse_entry(log[i].bytes));
                }
                applier.flush();
                const std::string where = fmt::format("seed {}, base after {}, from {}", seed, k, j);
                expect_equal(found, expected, where);
                expect_counted(tally, expected, where);
                if (!HasFatalFailure()) continue;
                for (std::size_t i = j; i <= end; ++i) std::cerr << i << " " << to_json(log[i].bytes) << "\n";
                return;
            }
        }
    }
}

}  // namespace
}  // namespace holdfast::mongodb
