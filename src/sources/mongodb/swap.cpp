#include "sources/mongodb/swap.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "source/aside_name.h"
#include "sources/mongodb/catalog.h"
#include "sources/mongodb/restore_options.h"
#include "sources/mongodb/writing.h"

namespace holdfast::mongodb {

namespace {

class Swap {
public:
    explicit Swap(const SwapRequest& request)
        : request_(request),
          options_(restore_options(request.options)),
          endpoint_(server_endpoint(request.target)),
          name_(name_in_use()),
          client_(request.world, endpoint_, Code::target_failed, true) {}

    std::vector<std::string> forward() {
        if (options_.beside.empty())
            throw Error{Code::usage, "--swap needs --beside NAME, the database that takes the place"};
        if (!has(options_.beside))
            throw Error{Code::target_failed, "there is no database {} at {}", options_.beside, endpoint_.shown()}
                .unharmed("nothing was renamed");
        std::vector<std::string> out;
        if (has(name_)) rename(name_, aside("before"), out);
        rename(options_.beside, name_, out);
        return out;
    }

    std::vector<std::string> back() {
        const std::string before = aside_prefix(name_, "before");
        std::string newest;
        for (const std::string& each : list_databases(client_))
            if (each.starts_with(before)) newest = std::max(newest, each);
        if (newest.empty())
            throw Error{Code::target_failed, "there is no database {}… to go back to at {}", before, endpoint_.shown()}
                .unharmed("nothing was renamed");
        std::vector<std::string> out;
        if (has(name_)) rename(name_, aside("after"), out);
        rename(newest, name_, out);
        return out;
    }

private:
    std::string aside(std::string_view word) const { return aside_name(name_, word, request_.world.clock.now()); }

    std::string name_in_use() const {
        if (!endpoint_.database().empty()) return endpoint_.database();
        std::string only;
        for (const Fact& fact : request_.facts.list) {
            if (fact.item.empty()) continue;
            const std::string database = database_of(fact.item);
            if (!only.empty() && only != database)
                throw Error{Code::usage, "the snapshot holds several databases: {} and {}", only, database}.hint(
                    "Name the one in use: mongodb://HOST/DATABASE.");
            only = database;
        }
        if (only.empty()) throw Error{Code::usage, "name the database in use: mongodb://HOST/DATABASE"};
        return only;
    }

    bool has(const std::string& database) { return std::ranges::count(list_databases(client_), database) > 0; }

    void rename(const std::string& from, const std::string& to, std::vector<std::string>& done) {
        std::vector<Collection> collections = list_collections(client_, from);
        // Views say what they are of by name, and follow those.
        std::ranges::stable_sort(collections, {}, [](const Collection& each) { return each.is_view(); });
        for (const Collection& each : collections) {
            try {
                rename(each, to, done);
            } catch (Error& error) {
                error.set_unharmed(done.empty() ? "nothing was renamed" : "renamed so far: " + join(done, "; "));
                throw;
            }
        }
        // Some servers keep a database whose last collection went.
        if (list_collections(client_, from).empty()) (void)client_.run(from, command("dropDatabase", 1));
    }

    void rename(const Collection& collection, const std::string& to, std::vector<std::string>& done) {
        const Namespace target{to, collection.name.collection};
        const auto tell = [&] { done.push_back(fmt::format("{} -> {}", collection.name.text(), target.text())); };
        if (!collection.is_view() && collection.type != "timeseries") {
            const Reply reply = client_.ask(
                "admin", Builder().text("renameCollection", collection.name.text()).text("to", target.text()).done());
            if (reply.ok() || reply.is_unconfirmed) tell();
            if (reply.ok()) return;
            if (reply.code != server_code::not_implemented) client_.fail(reply, "renaming " + collection.name.text());
        }
        copy(collection, target);
        (void)client_.run(collection.name.database, command("drop", collection.name.collection));
        tell();
    }

    // For servers and kinds of collections that cannot be renamed.
    void copy(const Collection& collection, const Namespace& target) {
        (void)client_.run(target.database, create_command(collection, target.collection));
        if (collection.is_view()) return;
        Client reader(request_.world, endpoint_, Code::target_failed, true);
        Cursor cursor(reader, collection.name.database, Builder().text("find", collection.stored_name()).done(), {});
        Collection there = collection;
        there.name = target;
        DocumentWriter writer(client_, {target.database, there.stored_name()}, DocumentWriter::Mode::insert,
                              collection.is_capped());
        while (true) {
            const ByteView document = cursor.next();
            if (document.empty()) break;
            writer.add(document);
        }
        writer.flush();
        if (!collection.indexes.empty())
            (void)client_.run(target.database, create_indexes_command(target.collection, collection.indexes));
    }

    const SwapRequest& request_;
    const RestoreOptions options_;
    const Endpoint endpoint_;
    const std::string name_;
    Client client_;
};

}  // namespace

std::vector<std::string> swap(const SwapRequest& request) {
    Swap swap(request);
    return request.back ? swap.back() : swap.forward();
}

}  // namespace holdfast::mongodb
