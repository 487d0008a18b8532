#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "clients/redis/discover.h"
#include "sources/redis/crc64.h"
#include "sources/redis/key_target.h"
#include "sources/redis/names.h"
#include "sources/redis/options.h"
#include "sources/redis/own_place.h"
#include "sources/redis/target_lanes.h"
#include "sources/redis/waiting_keys.h"

namespace holdfast::redis {

namespace {

// RESTORE takes a payload as one argument, and an argument has at most proto-max-bulk-len bytes, 512 MiB: a string
// about as long goes by SET, in pieces.
constexpr std::uint64_t restore_bytes_max = 512ULL * 1024 * 1024 - 64;
constexpr std::size_t footer_bytes = 10;
constexpr int keys_at_once = 1000;
constexpr Nanoseconds look_every = one_second / 20;

// Up to this many bytes a value is in memory as a whole, and a string may go by SET.
constexpr std::uint64_t whole_bytes_max = 64 * 1024;

// Strings in one command.
constexpr std::size_t several_max = 32;
constexpr std::size_t several_bytes_max = 64 * 1024;

void append_number(Bytes& out, char mark, std::uint64_t number) {
    std::array<char, 24> text;
    text[0] = mark;
    char* const end = std::to_chars(text.data() + 1, text.data() + 22, number).ptr;
    end[0] = '\r';
    end[1] = '\n';
    append(out, as_bytes({text.data(), static_cast<std::size_t>(end + 2 - text.data())}));
}

void append_argument(Bytes& out, ByteView bytes) {
    append_number(out, '$', bytes.size());
    append(out, bytes);
    append(out, as_bytes("\r\n"));
}

// Whether SET has PXAT.
bool knows_pxat(const std::string& info) {
    const std::string version = info_value(info, "redis_version");
    int major = 0, minor = 0;
    const char* const end = version.data() + version.size();
    const auto [dot, problem] = std::from_chars(version.data(), end, major);
    if (problem == std::errc{} && dot != end) std::from_chars(dot + 1, end, minor);
    return major > 6 || (major == 6 && minor >= 2);
}

class ServerTarget final : public KeyTarget {
public:
    explicit ServerTarget(const RebuildRequest& request)
        : world_(request.world),
          options_(restore_options(request.options)),
          endpoint_(discover(request.world, Endpoint::parse(request.target), false, Code::target_failed)),
          is_part_(static_cast<bool>(request.wants)),
          has_functions_(request.facts && request.facts->value("server", "functions").value_or("0") != "0" &&
                         (!request.wants || request.wants(std::string(server_item)))),
          version_(rdb_version_in(request.facts)),
          lanes_(request.world, without_database(endpoint_),
                 [this](const std::string& name, const Reply& got, ByteView kept) { refused(name, got, kept); }) {
        // In a cluster, masters were looked for.
        if (!lanes_.is_cluster() && info_value(lanes_.any().ask({"INFO", "replication"}).text, "role") == "slave")
            throw Error{Code::target_failed, "the server at {} is a replica, which takes no writes", endpoint_.place()}
                .unharmed("nothing was written to the target")
                .hint("Name its master, or end the replication by REPLICAOF NO ONE.");
        warn_of_eviction();
        has_pxat_ = knows_pxat(lanes_.any().ask({"INFO", "server"}).text);
        const std::string captured = request.facts ? request.facts->value("", slots_fact).value_or("") : "";
        slots_ = captured.empty() ? ~Slots() : parse_slots(captured);
        if (options_.present == Present::drop && is_part_)
            throw Error{Code::usage, "--existing drop is for whole databases, not for some of their keys"}.hint(
                "--existing replace gives each key that is restored its captured value.");
        // The slots that are known are those of the base.
        if (options_.present == Present::drop && options_.until && lanes_.is_cluster())
            throw Error{Code::usage,
                        "--existing drop cannot be used with --at for a cluster: slots may have moved since the "
                        "snapshot, and keys of another part would be dropped"}
                .unharmed("nothing was changed at the target")
                .hint(
                    "Empty the cluster yourself (FLUSHALL on each master), then restore its parts without --existing.");
    }

    void add_database(std::uint64_t number) override {
        if (endpoint_.database && !databases_.empty())
            throw Error{Code::usage, "one database is given for several: {} and {}", databases_.front(), number}
                .unharmed("nothing was changed at the target")
                .hint("Name one of them by --include NUMBER, or a target without a database.");
        databases_.push_back(number);
        const std::uint64_t here = database_here(number);
        if (lanes_.is_cluster() && here != 0)
            throw Error{Code::usage, "a cluster has only database 0, not {}", here}
                .unharmed("nothing was changed at the target")
                .hint("One captured database goes there by --include NUMBER and a target that ends in /0.");
        lanes_.select(here);
        if (options_.present != Present::fail) return;
        const std::uint64_t keys = keys_there();
        if (keys == 0) return;
        if (!is_part_)
            throw Error{Code::target_failed, "database {} at {} has {} already", here, endpoint_.place(),
                        keys == 1 ? "a key" : fmt::format("{} keys", keys)}
                .unharmed("nothing was written to the target")
                .hint(
                    "--existing missing restores only keys that are not there, replace gives them their captured "
                    "values, drop empties the database first.");
        if (!waiting_) waiting_.emplace(world_);
    }

    void version(int number) override { version_ = number; }
    void function(ByteView raw) override {
        functions_.push_back(0xf5);
        append(functions_, raw);
    }
    void module_aux(ByteView) override { ++module_aux_; }

    void begin_key(const RdbKey& key, std::uint64_t value_bytes) override {
        if (key.type != rdb_type_string && value_bytes > restore_bytes_max) throw too_long(key.name);
        if (waiting_) {
            ask_for(key);
            waiting_->begin_key(key, value_bytes);
        } else {
            write_begin(key, value_bytes);
        }
    }

    void value(ByteView raw) override {
        if (waiting_)
            waiting_->value(raw);
        else
            write_value(raw);
    }

    void end_key() override {
        if (!waiting_) write_end();
    }

    void end_keys() override {
        if (waiting_) {
            lanes_.drain();
            WaitingKeys keys = std::move(*waiting_);
            waiting_.reset();
            write_all(keys);
        }
        begin_writing({});
        send_several();
        lanes_.drain();
        restore_unset();
        restore_functions();
    }

    std::uint64_t left_alone() const override { return left_alone_; }

    std::vector<Finding> finish() override {
        std::vector<Finding> out;
        if (module_aux_ > 0)
            out.push_back({"server", Finding::Kind::unsupported,
                           "what modules keep beside keys comes back only in a data folder"});
        return out;
    }

private:
    static Endpoint without_database(Endpoint endpoint) {
        endpoint.database.reset();
        return endpoint;
    }

    std::uint64_t database_here(std::uint64_t captured) const {
        return endpoint_.database ? static_cast<std::uint64_t>(*endpoint_.database) : captured;
    }

    void write_begin(const RdbKey& key, std::uint64_t value_bytes) {
        begin_writing(key.name);
        restore_unset();
        if (key.database != several_.database) send_several();
        lanes_.select(database_here(key.database));
        key_ = key;
        value_bytes_ = value_bytes;
        is_whole_ = value_bytes <= whole_bytes_max;
        whole_.clear();
        if (is_whole_) return;
        lanes_.begin(key.name, value_bytes);
        as_set_ = key.type == rdb_type_string && value_bytes > restore_bytes_max;
        sent_ = 0;
        const std::uint8_t type = key.type;
        crc_ = crc64(0, ByteView(&type, 1));
        if (as_set_) return;
        command_.clear();
        append_restore_head(command_);
        lanes_.put(command_);
    }

    void write_value(ByteView raw) {
        if (is_whole_) {
            append(whole_, raw);
        } else if (as_set_) {
            set_piece(raw);
        } else {
            crc_ = crc64(crc_, raw);
            lanes_.put(raw);
        }
    }

    void write_end() {
        if (is_whole_) {
            write_whole();
        } else if (as_set_) {
            end_set();
            lanes_.end();
        } else {
            command_.clear();
            append_restore_end(command_, crc_);
            lanes_.put(command_);
            lanes_.end();
        }
    }

    void write_whole() {
        const bool by_set = goes_by_set();
        if (by_set && may_set_several_ && key_.expiry_ms == no_expiry) return add_to_several();
        lanes_.begin(key_.name, whole_.size());
        command_.clear();
        if (by_set) {
            append_set();
            Bytes kept{alone};
            append_kept(kept);
            lanes_.keep(std::move(kept));
        } else {
            append_restore_head(command_);
            append(command_, whole_);
            // Over type and value, which lie one behind the other.
            append_restore_end(command_, crc64(0, ByteView(command_).last(1 + whole_.size())));
        }
        lanes_.put(command_);
        lanes_.end();
    }

    // One command for many strings costs a server less than one for each.
    void add_to_several() {
        if (several_.count == 0) {
            several_.first = key_.name;
            several_.database = key_.database;
            several_.kept.assign(1, among_several);
        }
        append_argument(several_.arguments, as_bytes(key_.name));
        append_argument(several_.arguments, plain_);
        append_kept(several_.kept);
        if (++several_.count == several_max || several_.arguments.size() >= several_bytes_max) send_several();
    }

    void send_several() {
        if (several_.count == 0) return;
        const bool fails = options_.present != Present::replace;
        command_.clear();
        append_number(command_, '*', 1 + 2 * several_.count);
        append_argument(command_, as_bytes(fails ? "MSETNX" : "MSET"));
        lanes_.begin(several_.first, command_.size() + several_.arguments.size());
        lanes_.put(command_);
        lanes_.put(several_.arguments);
        lanes_.keep(to_bytes(several_.kept));
        if (fails) lanes_.done_when_one();
        lanes_.end();
        several_.arguments.clear();
        several_.count = 0;
    }

    // Of a string that may have to be sent once more.
    void append_kept(Bytes& kept) const {
        ByteWriter out(kept);
        out.u64(key_.database);
        out.u64(static_cast<std::uint64_t>(key_.expiry_ms));
        out.u64(key_.name.size());
        out.raw(as_bytes(key_.name));
        out.u64(whole_.size());
        out.raw(whole_);
    }

    // SET costs a server less than RESTORE, which looks for damage and parses; who may not SET can still RESTORE. In a
    // cluster, each master may have accounts of its own.
    bool goes_by_set() {
        if (key_.type != rdb_type_string || lanes_.is_cluster() || may_set_ == false) return false;
        if (key_.expiry_ms != no_expiry && !has_pxat_) return false;
        if (!decode_string(whole_, whole_bytes_max, plain_)) return false;
        if (!may_set_) {
            // Is refused for its syntax where it is not for want of a right.
            lanes_.drain();
            const Reply got = lanes_.any().try_ask({"SET", key_.name, "", "NX", "XX"});
            may_set_ = got.is_error() && got.text.find("syntax") != std::string::npos;
        }
        return *may_set_;
    }

    void append_set() {
        const bool fails = options_.present != Present::replace;
        const bool expires = key_.expiry_ms != no_expiry;
        append_number(command_, '*', 3U + (fails ? 1U : 0U) + (expires ? 2U : 0U));
        append_argument(command_, as_bytes("SET"));
        append_argument(command_, as_bytes(key_.name));
        append_argument(command_, plain_);
        if (fails) append_argument(command_, as_bytes("NX"));
        if (!expires) return;
        append_argument(command_, as_bytes("PXAT"));
        append_argument(command_, as_bytes(std::to_string(key_.expiry_ms)));
    }

    // What SET may do with some keys only, and what came to nothing for another key's sake. It goes in smaller steps then.
    void restore_unset() {
        if (unset_.empty()) return;
        send_several();
        while (!unset_.empty()) {
            for (const Bytes& kept : std::exchange(unset_, {})) {
                ByteReader in(ByteView(kept).subspan(1), "keys that were sent");
                while (in.left() > 0) {
                    key_.database = in.u64();
                    key_.expiry_ms = static_cast<std::int64_t>(in.u64());
                    key_.name = as_text(in.raw(in.u64()));
                    key_.type = rdb_type_string;
                    whole_ = to_bytes(in.raw(in.u64()));
                    value_bytes_ = whole_.size();
                    lanes_.select(database_here(key_.database));
                    write_whole();
                }
            }
            lanes_.drain();
        }
    }

    void write_all(WaitingKeys& keys) {
        struct Sink final : RecordSink {
            explicit Sink(ServerTarget& to) : target(to) {}
            void key(const RecordHead& head) override {
                target.write_begin({database, head.name, head.expiry_ms, head.type}, head.value_bytes);
            }
            void value(ByteView raw) override { target.write_value(raw); }
            void end_key(const RecordHead&) override { target.write_end(); }
            ServerTarget& target;
            std::uint64_t database = 0;
        } sink(*this);
        keys.for_each_database([&](std::uint64_t database) -> RecordSink& {
            sink.database = database;
            return sink;
        });
    }

    // Is it there already? The answer comes to refused(), before anything is written.
    void ask_for(const RdbKey& key) {
        lanes_.select(database_here(key.database));
        lanes_.begin(key.name, 0);
        lanes_.put("*2\r\n$6\r\nEXISTS\r\n");
        argument(key.name);
        lanes_.end();
    }

    void warn_of_eviction() {
        const std::string info = lanes_.any().ask({"INFO", "memory"}).text;
        const std::string policy = info_value(info, "maxmemory_policy");
        if (info_value(info, "maxmemory") == "0" || policy.empty() || policy == "noeviction") return;
        world_.log.warning(fmt::format(
            "the server at {} evicts keys when its memory is full (maxmemory-policy {}), also while they are "
            "restored",
            endpoint_.place(), policy));
    }

    // Of the slots that were captured.
    std::uint64_t keys_there() {
        std::uint64_t out = 0;
        lanes_.for_each([&](Connection& master, const Slots& served) {
            if (slots_.all() || !lanes_.is_cluster()) {
                out += static_cast<std::uint64_t>(master.ask({"DBSIZE"}).number);
                return;
            }
            std::size_t asked = 0;
            for (std::size_t slot = 0; slot < slots_.size(); ++slot)
                if (slots_[slot] && served[slot]) {
                    master.put({"CLUSTER", "COUNTKEYSINSLOT", fmt::format("{}", slot)});
                    ++asked;
                }
            for (; asked > 0; --asked) out += static_cast<std::uint64_t>(master.reply().number);
        });
        return out;
    }

    void empty() {
        lanes_.for_each([&](Connection& master, const Slots& served) {
            if (slots_.all() || !lanes_.is_cluster()) {
                master.ask({"FLUSHDB", "ASYNC"});
                return;
            }
            for (std::size_t slot = 0; slot < slots_.size(); ++slot)
                if (slots_[slot] && served[slot]) empty_slot(master, slot);
        });
    }

    static void empty_slot(Connection& master, std::size_t slot) {
        while (true) {
            const Reply keys =
                master.ask({"CLUSTER", "GETKEYSINSLOT", fmt::format("{}", slot), fmt::format("{}", keys_at_once)});
            if (keys.list.empty()) return;
            std::vector<std::string> command{"UNLINK"};
            for (const Reply& key : keys.list) command.push_back(key.text);
            master.ask(command);
        }
    }

    // Once all databases were looked at, so that a refusal comes before the first change. `first`: the key; there may be
    // none.
    void begin_writing(const std::optional<std::string>& first) {
        if (std::exchange(has_begun_, true)) return;
        refuse_functions();
        if (options_.present != Present::drop) return;
        lanes_.for_each([&](Connection& master, const Slots& served) {
            if (first && (served & slots_).any()) try_restore(master, served, *first);
            if (has_functions_) try_function_restore(master);
        });
        for (const std::uint64_t number : databases_) {
            lanes_.select(database_here(number));
            empty();
        }
        wait_until_freed();
    }

    // Until then a server that is near its maxmemory takes nothing.
    void wait_until_freed() {
        lanes_.for_each([&](Connection& master, const Slots&) {
            const auto pending = [&] {
                return info_value(master.ask({"INFO", "memory"}).text, "lazyfree_pending_objects");
            };
            for (std::string left = pending(); !left.empty() && left != "0"; left = pending()) {
                world_.stop.check();
                world_.clock.sleep(look_every);
            }
        });
    }

    // They come last, and would be refused then.
    void refuse_functions() {
        if (options_.present != Present::fail || !has_functions_ || lanes_.is_cluster()) return;
        const Reply got = lanes_.any().try_ask({"FUNCTION", "LIST"});
        if (got.is_error() || got.list.empty()) return;
        throw Error{Code::target_failed, "the server at {} has functions already", endpoint_.place()}
            .unharmed("nothing was written to the target")
            .hint("--existing missing leaves them as they are; FUNCTION FLUSH removes them.");
    }

    // Version and rights are looked at before the value, and no value has this type: nothing is written.
    void try_restore(Connection& master, const Slots& served, const std::string& first) {
        std::string name = first;
        for (int i = 0; !served[static_cast<std::size_t>(slot_of(name))]; ++i) name = fmt::format("holdfast {}", i);
        constexpr std::uint8_t no_type = 0xff;
        Bytes payload{no_type};
        append(payload, dump_footer(crc64(0, payload), version_));
        const Reply got = master.try_ask({"RESTORE", name, "0", std::string(as_text(payload)), "REPLACE"});
        if (got.text.find("Bad data format") != std::string::npos) return;
        if (is_for_now(got)) return;
        if (is_too_new(got)) throw too_old().unharmed("nothing was changed at the target");
        refuse_before_change(master, got, "RESTORE");
    }

    // It looks at the payload once the account may ask.
    static void try_function_restore(Connection& master) {
        const Reply got = master.try_ask({"FUNCTION", "RESTORE", "no payload", "APPEND"});
        if (!is_too_new(got) && !is_for_now(got)) refuse_before_change(master, got, "FUNCTION RESTORE");
    }

    // What it is full of goes first; and a slot may be on its way.
    static bool is_for_now(const Reply& got) { return got.text.starts_with("OOM") || is_move(got); }

    [[noreturn]] static void refuse_before_change(const Connection& master, const Reply& got,
                                                  std::string_view command) {
        throw Error{Code::target_failed, "the server at {} refuses {}: {}", master.endpoint().place(), command,
                    printable(got.text)}
            .unharmed("nothing was changed at the target")
            .hint("An account of a target needs +restore and all keys, and +function where there are functions.");
    }

    static bool is_too_new(const Reply& got) {
        return got.text.find("DUMP payload version or checksum") != std::string::npos;
    }

    Error too_old() const {
        return Error{Code::target_failed, "the server at {} is too old for data of RDB version {}", endpoint_.place(),
                     version_}
            .hint("Restore into a server of the version that was captured, or a newer one.");
    }

    void append_restore_head(Bytes& out) const {
        append_number(out, '*', options_.present == Present::replace ? 6 : 5);
        append_argument(out, as_bytes("RESTORE"));
        append_argument(out, as_bytes(key_.name));
        append_argument(out, as_bytes(std::to_string(key_.expiry_ms)));
        append_number(out, '$', 1 + value_bytes_ + footer_bytes);
        out.push_back(key_.type);
    }

    void append_restore_end(Bytes& out, std::uint64_t crc) const {
        append(out, dump_footer(crc, version_));
        append(out, as_bytes("\r\n"));
        append_argument(out, as_bytes("ABSTTL"));
        if (options_.present == Present::replace) append_argument(out, as_bytes("REPLACE"));
    }

    // The value begins with its length in five bytes.
    void set_piece(ByteView raw) {
        for (; sent_ < 5 && !raw.empty(); raw = raw.subspan(1)) {
            if (sent_ == 0 && raw[0] != 0x80) throw too_long(key_.name);
            if (++sent_ < 5) continue;
            const bool fails = options_.present != Present::replace;
            const bool expires = key_.expiry_ms != no_expiry;
            lanes_.put(fmt::format("*{}\r\n$3\r\nSET\r\n", 3 + (fails ? 1 : 0) + (expires ? 2 : 0)));
            argument(key_.name);
            lanes_.put(fmt::format("${}\r\n", value_bytes_ - 5));
        }
        lanes_.put(raw);
    }

    void end_set() {
        lanes_.put("\r\n");
        if (options_.present != Present::replace) argument("NX");
        if (key_.expiry_ms == no_expiry) return;
        argument("PXAT");
        argument(fmt::format("{}", key_.expiry_ms));
    }

    static Error too_long(const std::string& name) {
        return Error{Code::target_failed, "the value of key {} is too long for RESTORE", printable(name)}.hint(
            "Restore into a folder, and start a server on it.");
    }

    void argument(std::string_view text) {
        lanes_.put(fmt::format("${}\r\n", text.size()));
        lanes_.put(text);
        lanes_.put("\r\n");
    }

    void refused(const std::string& name, const Reply& got, ByteView kept) {
        // Several are set or none is; whatever the reason, it is one key's, or this command's.
        if (!kept.empty() && kept[0] == among_several) {
            may_set_several_ = false;
            unset_.push_back(to_bytes(kept));
            return;
        }
        if (!kept.empty() && got.text.starts_with("NOPERM")) {
            may_set_ = false;
            unset_.push_back(to_bytes(kept));
            return;
        }
        if (got.kind == Reply::Kind::number)
            throw Error{Code::target_failed, "the key {} is at {} already", printable(name), endpoint_.place()}
                .unharmed("nothing was written to the target")
                .hint("--existing missing leaves such keys alone, replace gives them their captured values.");
        if (got.kind == Reply::Kind::nil || got.text.starts_with("BUSYKEY")) {
            if (options_.present == Present::missing) {
                ++left_alone_;
                return;
            }
            throw Error{Code::target_failed, "the key {} is at {} already", printable(name), endpoint_.place()}
                .unharmed("keys that are there already were left as they are")
                .hint("--existing missing leaves them alone, replace gives them their captured values.");
        }
        if (is_too_new(got)) throw too_old();
        if (got.text.find("Bad data format") != std::string::npos)
            throw Error{Code::target_failed, "the server at {} cannot read the value of key {}", endpoint_.place(),
                        printable(name)}
                .hint("A value of a module needs a server with the same module.");
        lanes_.any().fail(got, "key " + printable(name));
    }

    void restore_functions() {
        if (functions_.empty()) return;
        const auto footer = dump_footer(crc64(0, functions_), version_);
        append(functions_, footer);
        const char* const policy = options_.present == Present::drop      ? "FLUSH"
                                   : options_.present == Present::replace ? "REPLACE"
                                                                          : "APPEND";
        lanes_.for_each([&](Connection& master, const Slots&) {
            const Reply got = master.try_ask({"FUNCTION", "RESTORE", std::string(as_text(functions_)), policy});
            if (!got.is_error()) return;
            // Each master's snapshot has them.
            const bool may_be_there = options_.present == Present::missing || lanes_.is_cluster();
            if (may_be_there && got.text.find("already exists") != std::string::npos) {
                world_.log.info("the server has functions already; they were left as they are");
                return;
            }
            master.fail(got, "FUNCTION RESTORE");
        });
    }

    World& world_;
    const RestoreOptions options_;
    const Endpoint endpoint_;
    const bool is_part_;
    const bool has_functions_;
    int version_;
    TargetLanes lanes_;
    Slots slots_;  // of the keys that were captured
    std::vector<std::uint64_t> databases_;
    bool has_begun_ = false;
    std::optional<WaitingKeys> waiting_;  // until it is known that none of them is there
    Bytes functions_;
    std::uint64_t module_aux_ = 0;
    // Whether they went alone; of each key database, expiry, name, value as in the snapshot.
    static constexpr std::uint8_t alone = 0, among_several = 1;
    std::vector<Bytes> unset_;
    std::optional<bool> may_set_;
    bool may_set_several_ = true;
    struct {
        std::string first;  // name
        std::uint64_t database = 0;
        std::size_t count = 0;
        Bytes arguments;
        Bytes kept;
    } several_;  // strings that wait for more of them
    bool has_pxat_ = false;
    Bytes command_;
    Bytes plain_;
    RdbKey key_;
    bool is_whole_ = false;
    Bytes whole_;  // the value, unless it is long
    std::uint64_t value_bytes_ = 0;
    std::uint64_t crc_ = 0;
    bool as_set_ = false;
    unsigned sent_ = 0;
    std::uint64_t left_alone_ = 0;
};

}  // namespace

std::unique_ptr<KeyTarget> server_target(const RebuildRequest& request) {
    return std::make_unique<ServerTarget>(request);
}

}  // namespace holdfast::redis
