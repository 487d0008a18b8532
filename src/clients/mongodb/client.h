// clients/mongodb/client.h: one connection to one MongoDB server, for commands and cursors of raw BSON.
//
// Errors   the code that the caller chose (source_failed, target_failed), with what the server said and what to do;
//          no_space when it says so; cancelled, terminated. What was written and not confirmed is refused, too
// Threads  one owner; cursors belong to their client's thread
// Limits   a reply is in memory: up to 16 MB and a document
// Source   libmongoc for addresses, servers, TLS and authentication; commands and cursors are our own documents
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/world.h"
#include "clients/mongodb/bson.h"
#include "clients/mongodb/endpoint.h"

namespace holdfast::mongodb {

// What the server answered; `code` is 0 when it did what was asked.
struct Reply {
    Bytes document;
    std::int64_t code = 0;
    std::string message = {};
    bool is_unconfirmed = false;  // it was done, but not by as many members of the set as was asked for
    bool ok() const { return code == 0 && !is_unconfirmed; }
};

// What a server answered, where libmongoc has put it: batches of megabytes are not copied.
class Received {
public:
    Received() = default;
    Received(std::uint8_t* bytes, std::size_t size, void (*free)(void*)) : bytes_(bytes, free), size_(size) {}
    ByteView view() const { return {bytes_.get(), size_}; }

private:
    std::unique_ptr<std::uint8_t, void (*)(void*)> bytes_{nullptr, nullptr};
    std::size_t size_ = 0;
};

namespace server_code {
constexpr std::int64_t unauthorized = 13, authentication_failed = 18, namespace_not_found = 26, index_not_found = 27,
                       cursor_not_found = 43, namespace_exists = 48, command_not_found = 59, capped_position_lost = 136,
                       not_implemented = 238, snapshot_too_old = 239, out_of_disk_space = 14031, duplicate_key = 11000,
                       illegal_operation = 20, no_such_database = 60, write_concern_failed = 64,
                       unknown_write_concern = 79, unsatisfiable_write_concern = 100;
}

class Client {
public:
    // Connects at once; `for_writes`: to the primary.
    Client(World& world, const Endpoint& endpoint, Code failure, bool for_writes = false);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    // Throws when the connection fails; what the server refuses is a reply.
    Reply ask(const std::string& database, ByteView command);
    // As ask(), with the answer in `into` and not in the reply.
    Reply receive(const std::string& database, ByteView command, Received& into);
    // Throws for both.
    Bytes run(const std::string& database, ByteView command);
    [[noreturn]] void fail(const Reply& reply, std::string_view doing) const;

    const std::string& server() const { return server_; }  // "db1:27017"
    const Bytes& hello() const { return hello_; }
    std::string server_version();
    const Endpoint& endpoint() const { return endpoint_; }
    World& world() const { return world_; }
    Code failure() const { return failure_; }

private:
    struct Handle;
    void connect(bool for_writes);
    [[noreturn]] void fail_to_connect(const std::string& message, std::uint32_t domain, std::uint32_t code) const;

    World& world_;
    const Endpoint endpoint_;
    const Code failure_;
    std::unique_ptr<Handle> handle_;
    std::string server_;
    Bytes hello_;
    Bytes write_concern_;  // of what a target is told to write; empty: the server's own
};

// What a find, an aggregate or a list gives, document by document.
class Cursor {
public:
    struct Options {
        std::int32_t first_batch = 1000;  // documents
        // Of later batches, about. libbson doubles what it holds them in, and from 8 MB on malloc() maps and unmaps each
        // by itself (main()), which costs more than reading it.
        std::size_t batch_bytes = 3 * 1024 * 1024;
        std::optional<std::int64_t> await = {};  // milliseconds that the server waits for more, of a tailable cursor
    };
    // `command` gives a cursor; its batch size is set here.
    Cursor(Client& client, std::string database, Bytes command, const Options& options);
    ~Cursor();
    Cursor(const Cursor&) = delete;
    Cursor& operator=(const Cursor&) = delete;

    // Valid until the next call; empty at the end, or, of a tailable cursor, when nothing came in time.
    ByteView next();
    bool is_open() const { return id_ != 0; }  // of a tailable cursor: it can give more later
    std::optional<std::uint64_t> at_cluster_time() const { return at_cluster_time_; }

private:
    void take(Received reply, std::string_view batch);
    bool more();

    Client& client_;
    const std::string database_;
    const Options options_;
    std::string collection_;
    std::int64_t id_ = 0;
    Received reply_;
    Elements::Iterator at_, end_;
    std::size_t batch_documents_ = 0, batch_bytes_ = 0;
    std::int32_t asked_ = 0;
    std::optional<std::uint64_t> at_cluster_time_;
};

// Clients to one server, lent to threads.
class ClientPool {
public:
    ClientPool(World& world, Endpoint endpoint, Code failure)
        : world_(world), endpoint_(std::move(endpoint)), failure_(failure) {}

    class Lease {
    public:
        Lease(ClientPool& pool, std::unique_ptr<Client> client) : pool_(&pool), client_(std::move(client)) {}
        Lease(Lease&&) = default;
        Lease& operator=(Lease&&) = delete;
        ~Lease() {
            if (client_) pool_->give_back(std::move(client_));
        }
        Client& operator*() const { return *client_; }
        Client* operator->() const { return client_.get(); }

    private:
        ClientPool* pool_;
        std::unique_ptr<Client> client_;
    };
    Lease lease();
    const Endpoint& endpoint() const { return endpoint_; }
    World& world() const { return world_; }
    Code failure() const { return failure_; }

private:
    void give_back(std::unique_ptr<Client> client);

    World& world_;
    const Endpoint endpoint_;
    const Code failure_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Client>> idle_;  // guarded by mutex_
};

Bytes command(std::string_view name, std::string_view value);  // {name: value}
Bytes command(std::string_view name, std::int32_t value);

}  // namespace holdfast::mongodb
