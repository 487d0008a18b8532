#include "clients/mongodb/client.h"

#include <mongoc/mongoc.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/text.h"

namespace holdfast::mongodb {

namespace {

constexpr std::int32_t error_api_by_domain = 2;
constexpr std::int32_t select_milliseconds = 10'000;
constexpr std::int32_t source_wait_milliseconds = 5 * 60 * 1000;
constexpr std::int32_t target_wait_milliseconds = 6 * 60 * 60 * 1000;  // an index is built within one command

// One for the process; libmongoc says on standard error what it also gives as errors.
void start_library() {
    static const bool started = [] {
        mongoc_init();
        mongoc_log_set_handler([](mongoc_log_level_t, const char*, const char*, void*) {}, nullptr);
        return true;
    }();
    (void)started;
}

class View {
public:
    explicit View(ByteView document) {
        if (!bson_init_static(&view_, document.data(), document.size()))
            throw Error{Code::corrupt, "this is no BSON: its length is another"};
    }
    const bson_t* get() const { return &view_; }

private:
    bson_t view_;
};

struct Answer {
    bson_t reply = BSON_INITIALIZER;
    bson_error_t error{};
    Answer() = default;
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;
    ~Answer() { bson_destroy(&reply); }
    Bytes document() const { return to_bytes({bson_get_data(&reply), reply.len}); }
    // The answer is empty then.
    Received taken() {
        std::uint32_t size = 0;
        std::uint8_t* const bytes = bson_destroy_with_steal(&reply, true, &size);
        bson_init(&reply);
        return {bytes, size, bson_free};
    }
};

// What takes a write concern, of what a target is asked for.
bool is_write(ByteView command) {
    constexpr std::array<std::string_view, 10> writes{
        "insert", "update",       "delete",           "create",  "createIndexes",
        "drop",   "dropDatabase", "renameCollection", "collMod", "convertToCapped"};
    return std::ranges::find(writes, Elements(command).begin()->name) != writes.end();
}

struct FreeConcern {
    void operator()(mongoc_write_concern_t* concern) const { mongoc_write_concern_destroy(concern); }
};

// As the address says it, else what an election does not take back. Restores wait for answers whatever it says.
Bytes write_concern(const mongoc_client_t* client, bool is_set) {
    const std::unique_ptr<mongoc_write_concern_t, FreeConcern> concern(
        mongoc_write_concern_copy(mongoc_client_get_write_concern(client)));
    if (!mongoc_write_concern_is_acknowledged(concern.get()))
        mongoc_write_concern_set_w(concern.get(), MONGOC_WRITE_CONCERN_W_DEFAULT);
    if (is_set && mongoc_write_concern_get_w(concern.get()) == MONGOC_WRITE_CONCERN_W_DEFAULT)
        mongoc_write_concern_set_w(concern.get(), MONGOC_WRITE_CONCERN_W_MAJORITY);
    bson_t holder = BSON_INITIALIZER;
    mongoc_write_concern_append(concern.get(), &holder);
    Bytes out = to_bytes(document_of({bson_get_data(&holder), holder.len}, "writeConcern"));
    bson_destroy(&holder);
    return Elements(out).begin() == Elements(out).end() ? Bytes() : out;
}

// Of "not authorized on shop to execute command { find: "orders", …" what was not granted: "`find` on `shop`".
std::string lacking_privilege(const std::string& message) {
    constexpr std::string_view where = "not authorized on ", what = " to execute command { ";
    const std::size_t database = message.find(where);
    const std::size_t command = message.find(what);
    if (database == std::string::npos || command == std::string::npos) return "";
    const std::size_t begin = database + where.size(), verb = command + what.size();
    return fmt::format("The user may not `{}` on `{}`. ", message.substr(verb, message.find(':', verb) - verb),
                       message.substr(begin, command - begin));
}

std::string hint_for(std::int64_t code, const std::string& message) {
    switch (code) {
        case server_code::unauthorized:
            return lacking_privilege(message) +
                   "Give the user the role that it lacks: `backup` on `admin` to capture, `restore` on `admin` (or "
                   "`readWrite` and `dbAdmin` on the database) to restore, `clusterMonitor` for the rest.";
        case server_code::authentication_failed:
            return "Look at user, password and auth_source (the database where the user is known; mostly `admin`).";
        case server_code::snapshot_too_old:
            return "The server keeps its past for too short a time: take `consistency: oplog`, or raise "
                   "minSnapshotHistoryWindowInSeconds.";
        case server_code::cursor_not_found:
            return "The server ended the reading (a restart, an election, or it took too long); try again.";
        case server_code::write_concern_failed:
        case server_code::unknown_write_concern:
        case server_code::unsatisfiable_write_concern:
            return "It is written, and fewer members of the set have confirmed it than `w` in the target's address "
                   "says (without it: most of them). See that they are up, or say another `w`.";
        default:
            break;
    }
    if (message.find("not master") != std::string::npos || message.find("not primary") != std::string::npos)
        return "Give all servers of the set and its name: `mongodb://a,b,c/?replicaSet=NAME`.";
    return "";
}

}  // namespace

struct Client::Handle {
    mongoc_client_t* client = nullptr;
    mongoc_client_session_t* session = nullptr;
    const mongoc_read_prefs_t* preference = nullptr;  // the client's; null: of the primary, which takes writes
    std::uint32_t server = 0;
    ~Handle() {
        if (session != nullptr) mongoc_client_session_destroy(session);
        if (client != nullptr) mongoc_client_destroy(client);
    }
};

Client::Client(World& world, const Endpoint& endpoint, Code failure, bool for_writes)
    : world_(world), endpoint_(endpoint), failure_(failure), handle_(std::make_unique<Handle>()) {
    start_library();
    connect(for_writes);
}

Client::~Client() = default;

void Client::connect(bool for_writes) {
    bson_error_t problem{};
    mongoc_uri_t* const uri = mongoc_uri_new_with_error(endpoint_.uri().c_str(), &problem);
    if (uri == nullptr) throw Error{Code::config, "this is no address of a MongoDB server"};
    const auto unless_said = [&](const char* name, std::int32_t value) {
        if (!mongoc_uri_has_option(uri, name)) mongoc_uri_set_option_as_int32(uri, name, value);
    };
    unless_said(MONGOC_URI_SERVERSELECTIONTIMEOUTMS, select_milliseconds);
    unless_said(MONGOC_URI_CONNECTTIMEOUTMS, select_milliseconds);
    unless_said(MONGOC_URI_SOCKETTIMEOUTMS,
                failure_ == Code::target_failed ? target_wait_milliseconds : source_wait_milliseconds);
    if (!mongoc_uri_has_option(uri, MONGOC_URI_APPNAME)) mongoc_uri_set_appname(uri, "holdfast");
    handle_->client = mongoc_client_new_from_uri_with_error(uri, &problem);
    mongoc_uri_destroy(uri);
    if (handle_->client == nullptr) fail_to_connect(&problem.message[0], problem.domain, problem.code);
    mongoc_client_set_error_api(handle_->client, error_api_by_domain);

    if (!for_writes) handle_->preference = mongoc_client_get_read_prefs(handle_->client);
    mongoc_server_description_t* const chosen =
        mongoc_client_select_server(handle_->client, for_writes, handle_->preference, &problem);
    if (chosen == nullptr) fail_to_connect(&problem.message[0], problem.domain, problem.code);
    handle_->server = mongoc_server_description_id(chosen);
    server_ = mongoc_server_description_host(chosen)->host_and_port;
    const bson_t* const said = mongoc_server_description_hello_response(chosen);
    hello_ = to_bytes({bson_get_data(said), said->len});
    mongoc_server_description_destroy(chosen);
    if (failure_ == Code::target_failed)
        write_concern_ = write_concern(handle_->client, !text_of(hello_, "setName").empty());

    // Cursors stay within the session that began them.
    mongoc_session_opt_t* const options = mongoc_session_opts_new();
    mongoc_session_opts_set_causal_consistency(options, false);
    handle_->session = mongoc_client_start_session(handle_->client, options, &problem);  // null: the server has none
    mongoc_session_opts_destroy(options);
}

void Client::fail_to_connect(const std::string& message, std::uint32_t domain, std::uint32_t code) const {
    if (domain == MONGOC_ERROR_CLIENT && code == MONGOC_ERROR_CLIENT_AUTHENTICATE)
        throw Error{failure_, "{}: the user is not let in: {}", endpoint_.shown(), printable(message)}.hint(
            hint_for(server_code::authentication_failed, message));
    throw Error{failure_, "cannot reach {}: {}", endpoint_.shown(), printable(message)}.hint(
        "Look at host and port, at the name of the set (replicaSet=) and at TLS (tls=, tlsCAFile=).");
}

Reply Client::ask(const std::string& database, ByteView command) {
    Received received;
    Reply out = receive(database, command, received);
    out.document = to_bytes(received.view());
    return out;
}

Reply Client::receive(const std::string& database, ByteView command, Received& into) {
    world_.stop.check();
    Answer answer;
    bson_t options = BSON_INITIALIZER;
    BSON_APPEND_INT32(&options, "serverId", static_cast<std::int32_t>(handle_->server));
    bson_error_t problem{};
    if (handle_->session != nullptr && !mongoc_client_session_append(handle_->session, &options, &problem)) {
        bson_destroy(&options);
        throw Error{failure_, "{}: {}", endpoint_.shown(), printable(&problem.message[0])};
    }
    if (!write_concern_.empty() && is_write(command))
        bson_append_document(&options, "writeConcern", -1, View(write_concern_).get());
    bson_destroy(&answer.reply);
    const View view(command);
    // A secondary answers only who says that one may.
    const bool ok = mongoc_client_command_with_opts(handle_->client, database.c_str(), view.get(), handle_->preference,
                                                    &options, &answer.reply, &answer.error);
    bson_destroy(&options);
    into = answer.taken();
    Reply out;
    const bool is_done = ok || answer.error.domain == MONGOC_ERROR_WRITE_CONCERN;
    if (const auto concern = find(into.view(), "writeConcernError"); is_done && concern && concern->is_document()) {
        out.is_unconfirmed = true;
        out.code = number_of(concern->value, "code", server_code::write_concern_failed);
        out.message = printable(text_of(concern->value, "errmsg"));
        return out;
    }
    if (ok) return out;
    out.message = printable(&answer.error.message[0]);
    if (answer.error.domain == MONGOC_ERROR_SERVER || find(into.view(), "codeName")) {
        out.code = number_of(into.view(), "code", answer.error.code);
        if (out.code == 0) out.code = -1;
        return out;
    }
    if (answer.error.domain == MONGOC_ERROR_CLIENT && answer.error.code == MONGOC_ERROR_CLIENT_AUTHENTICATE)
        fail_to_connect(out.message, answer.error.domain, answer.error.code);
    throw Error{failure_, "the connection to {} failed: {}", endpoint_.shown(), out.message}.hint(
        "Look at the server's log; when it is there again, try again.");
}

Bytes Client::run(const std::string& database, ByteView command) {
    Reply reply = ask(database, command);
    if (!reply.ok()) {
        const std::string name(Elements(command).begin()->name);
        fail(reply, name);
    }
    return std::move(reply.document);
}

void Client::fail(const Reply& reply, std::string_view doing) const {
    const bool is_full = reply.code == server_code::out_of_disk_space ||
                         reply.message.find("No space left") != std::string::npos ||
                         reply.message.find("disk is full") != std::string::npos;
    throw Error{is_full && failure_ == Code::target_failed ? Code::no_space : failure_, "{}: {}: {}", endpoint_.shown(),
                doing, reply.message}
        .hint(hint_for(reply.code, reply.message));
}

std::string Client::server_version() { return text_of(run("admin", command("buildInfo", 1)), "version"); }

Cursor::Cursor(Client& client, std::string database, Bytes command, const Options& options)
    : client_(client), database_(std::move(database)), options_(options) {
    Builder builder;
    for (const Element& each : Elements(command)) builder.add(each);
    const bool is_find = Elements(command).begin()->name == "find";
    if (is_find)
        builder.i32("batchSize", options.first_batch);
    else
        builder.document("cursor", Builder().i32("batchSize", options.first_batch).done());
    asked_ = options.first_batch;
    const Bytes asked = builder.done();
    Received received;
    const Reply reply = client_.receive(database_, asked, received);
    if (!reply.ok()) client_.fail(reply, Elements(asked).begin()->name);
    take(std::move(received), "firstBatch");
}

Cursor::~Cursor() {
    if (id_ == 0) return;
    try {
        Builder kill;
        kill.text("killCursors", collection_);
        const std::size_t begun = kill.begin("cursors", BsonType::array);
        kill.i64("0", id_);
        kill.end(begun);
        (void)client_.ask(database_, kill.done());
    } catch (const Error&) {
        // The server ends it by itself, too.
    }
}

void Cursor::take(Received reply, std::string_view batch) {
    reply_ = std::move(reply);
    const ByteView cursor = document_of(reply_.view(), "cursor");
    id_ = number_of(cursor, "id");
    if (const auto time = find(cursor, "atClusterTime")) at_cluster_time_ = time->timestamp();
    const std::string name = text_of(cursor, "ns");
    if (const std::size_t dot = name.find('.'); dot != std::string::npos) collection_ = name.substr(dot + 1);
    const ByteView documents = document_of(cursor, batch);
    at_ = Elements(documents).begin();
    end_ = Elements(documents).end();
    batch_bytes_ = documents.size();
    batch_documents_ = 0;
}

ByteView Cursor::next() {
    while (at_ == end_)
        if (!more()) return {};
    const ByteView out = at_->value;
    if (!at_->is_document()) throw Error{client_.failure(), "the server's answer holds no documents"};
    ++at_;
    ++batch_documents_;
    return out;
}

bool Cursor::more() {
    if (id_ == 0) return false;
    if (batch_documents_ > 0) {
        const std::size_t each = std::max<std::size_t>(batch_bytes_ / batch_documents_, 1);
        asked_ = static_cast<std::int32_t>(std::clamp<std::size_t>(options_.batch_bytes / each, 1, 1'000'000));
    }
    Builder get;
    get.i64("getMore", id_).text("collection", collection_).i32("batchSize", asked_);
    if (options_.await) get.i64("maxTimeMS", *options_.await);
    at_ = end_ = {};
    reply_ = {};  // not two batches at once
    Received received;
    const Reply reply = client_.receive(database_, get.done(), received);
    if (!reply.ok()) {
        id_ = 0;
        client_.fail(reply, "reading " + database_ + "." + collection_);
    }
    take(std::move(received), "nextBatch");
    // A tailable cursor's empty batch is the server's "nothing yet".
    return at_ != end_ || (!options_.await && id_ != 0);
}

ClientPool::Lease ClientPool::lease() {
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            std::unique_ptr<Client> client = std::move(idle_.back());
            idle_.pop_back();
            return {*this, std::move(client)};
        }
    }
    return {*this, std::make_unique<Client>(world_, endpoint_, failure_, failure_ == Code::target_failed)};
}

void ClientPool::give_back(std::unique_ptr<Client> client) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(client));
}

Bytes command(std::string_view name, std::string_view value) { return Builder().text(name, value).done(); }
Bytes command(std::string_view name, std::int32_t value) { return Builder().i32(name, value).done(); }

}  // namespace holdfast::mongodb
