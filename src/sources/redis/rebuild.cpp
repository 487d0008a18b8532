#include "sources/redis/rebuild.h"

#include <charconv>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "clients/redis/endpoint.h"
#include "source/rebuild_gate.h"
#include "sources/redis/key_choice.h"
#include "sources/redis/key_target.h"
#include "sources/redis/names.h"
#include "sources/redis/options.h"
#include "sources/redis/record.h"
#include "sources/redis/replay.h"
#include "sources/redis/scratch.h"

namespace holdfast::redis {

namespace {

// Items come in turn, each from a thread of its own: a bucket's newest layer says what counts of those below.
class KeyRebuild final : public Rebuild, private RecordSink {
public:
    KeyRebuild(const RebuildRequest& request, std::unique_ptr<KeyTarget> target, KeyChoice choice)
        : world_(request.world),
          is_dry_run_(request.dry_run),
          selected_(selected_in(request.facts)),
          choice_(std::move(choice)),
          target_(std::move(target)) {}

    bool sequential() const override { return true; }

    Ticket begin_item(const Item& item) override {
        if (item.kind == ItemKind::folder) {
            std::uint64_t number = 0;
            const auto [end, problem] = std::from_chars(item.path.data(), item.path.data() + item.path.size(), number);
            if (problem != std::errc{} || end != item.path.data() + item.path.size()) unknown(item.path);
            if (!is_dry_run_) target_->add_database(number);
            return {0, false};
        }
        if (item.path != server_item && !is_setting(item.path) && !place_of(item.path)) unknown(item.path);
        if (is_dry_run_) return {0, false};
        const std::lock_guard lock(gate_.mutex);
        paths_.push_back(item.path);
        return {paths_.size() - 1, true};
    }

    void write(const Ticket& ticket, std::uint64_t, ByteView bytes) override {
        gate_.guarded([&] {
            take_turn(ticket.number);
            if (is_setting(paths_at(ticket.number)))
                setting_ += as_text(bytes);
            else
                reader_.feed(bytes);
        });
    }

    void end_item(const Ticket& ticket) override {
        gate_.guarded([&] {
            take_turn(ticket.number);
            reader_.end();
            if (const std::string path = paths_at(ticket.number); is_setting(path)) {
                target_->setting(path, std::exchange(setting_, {}));
                ++summary_.items_written;
            }
            end_turn();
        });
    }

    void abandon_item(const Ticket&, const Finding& finding) override {
        const std::lock_guard lock(gate_.mutex);
        // What the layers below say cannot be trusted without it.
        summary_.findings.push_back(finding);
        gate_.give_up();
    }

    std::unique_ptr<Replay> replay(const ReplayRequest& request) override {
        if (is_dry_run_) return replay_into_file(request, selected_, [](ByteView) {});
        end_keys();
        return target_->replay(request);
    }

    Summary finish() override {
        if (is_dry_run_) return std::move(summary_);
        if (!summary_.findings.empty())
            throw Error{Code::corrupt, "{} cannot be read: {}", summary_.findings.front().path,
                        summary_.findings.front().text};
        end_keys();
        for (Finding& finding : target_->finish()) summary_.findings.push_back(std::move(finding));
        summary_.instant = target_->instant();
        summary_.items_written = target_->written().value_or(summary_.items_written);
        summary_.items_unchanged = target_->left_alone();
        summary_.items_written -= std::min(summary_.items_written, summary_.items_unchanged);
        if (const std::string text = choice_.expired_text(); !text.empty()) world_.log.info(text);
        return std::move(summary_);
    }

private:
    [[noreturn]] static void unknown(const std::string& path) {
        throw Error{Code::corrupt, "the snapshot has an item that no Redis capture has: {}", printable(path)};
    }

    std::string paths_at(std::uint64_t number) {
        const std::lock_guard lock(gate_.mutex);
        return paths_[number];
    }

    void end_keys() {
        if (std::exchange(has_ended_, true)) return;
        target_->end_keys();
    }

    void take_turn(std::uint64_t number) {
        auto lock = gate_.wait([&] { return turn_ == number; });
        if (begun_ == number + 1) return;
        begun_ = number + 1;
        const auto place = place_of(paths_[number]);
        lock.unlock();
        if (!place) return;
        database_ = place->database;
        const std::string bucket = fmt::format("{}/{}", place->database, place->bucket);
        if (bucket == bucket_) return;
        bucket_ = bucket;
        seen_.clear();
    }

    void end_turn() {
        const std::lock_guard lock(gate_.mutex);
        ++turn_;
        gate_.changed();
    }

    void key(const RecordHead& head) override {
        is_taken_ = seen_.insert(key_id(as_bytes(head.name))).second;
        if (!is_taken_) return;
        std::int64_t expiry = head.expiry_ms;
        is_taken_ = choice_.wants_key(database_, head.name) && choice_.take_expiry(expiry);
        if (!is_taken_) return;
        target_->begin_key({database_, head.name, expiry, head.type}, head.value_bytes);
    }
    void value(ByteView raw) override {
        if (is_taken_) target_->value(raw);
    }
    void end_key(const RecordHead&) override {
        if (!is_taken_) return;
        target_->end_key();
        ++summary_.items_written;
    }
    void gone(const KeyId& id) override { seen_.insert(id); }
    void function(ByteView raw) override {
        if (choice_.wants(std::string(server_item))) target_->function(raw);
    }
    void module_aux(ByteView raw) override {
        if (choice_.wants(std::string(server_item))) target_->module_aux(raw);
    }
    void version(int number) override { target_->version(number); }

    World& world_;
    const bool is_dry_run_;
    const std::uint32_t selected_;
    KeyChoice choice_;
    const std::unique_ptr<KeyTarget> target_;
    // of whose turn it is
    RecordReader reader_{*this};
    std::string setting_;
    std::uint64_t database_ = 0;
    std::string bucket_;
    std::unordered_set<KeyId, IdHash> seen_;  // said by newer layers of this bucket
    bool is_taken_ = false;
    bool has_ended_ = false;
    Summary summary_;
    RebuildGate gate_{world_};
    // guarded by gate_.mutex
    std::vector<std::string> paths_;
    std::uint64_t turn_ = 0;
    std::uint64_t begun_ = 0;
};

}  // namespace

namespace {

// Of the instant that comes back; 0: not known.
std::int64_t milliseconds_of(const RebuildRequest& request, const RestoreOptions& options) {
    if (options.until) return *options.until / 1'000'000;
    std::int64_t out = 0;
    if (!request.facts) return out;
    if (const auto instant = request.facts->value("", "about instant"))
        std::from_chars(instant->data(), instant->data() + instant->size(), out);
    return out;
}

}  // namespace

int rdb_version_in(const std::optional<Facts>& facts) {
    int out = rdb_version_max;
    if (!facts) return out;
    if (const auto text = facts->value("", "about rdb version"))
        std::from_chars(text->data(), text->data() + text->size(), out);
    return out;
}

RestoreOptions restore_options(const SourceOptions& options) {
    RestoreOptions out;
    out.present = present_of(options);
    const std::string expired = option_text(options, "expired");
    if (expired == "keep")
        out.expired = Expired::keep;
    else if (expired == "shift")
        out.expired = Expired::shift;
    else if (!expired.empty() && expired != "drop")
        throw Error{Code::usage, "--expired is drop, keep or shift, not `{}`", expired};
    out.beside = option_text(options, "beside");
    if (const std::string until = option_text(options, "until"); !until.empty())
        std::from_chars(until.data(), until.data() + until.size(), out.until.emplace());
    return out;
}

std::unique_ptr<Rebuild> rebuild(const RebuildRequest& request) {
    const RestoreOptions options = restore_options(request.options);
    const bool into_server = is_url(request.target);
    KeyChoice choice(request.wants, options.expired, request.world.clock.now() / 1'000'000,
                     milliseconds_of(request, options));
    if (!into_server && option_text(request.options, "expired") != "drop") choice.keep_all_expiries();
    if (into_server && request.dry_run) return std::make_unique<KeyRebuild>(request, nullptr, choice);
    auto target = into_server ? server_target(request) : data_folder(request);
    // What a change acts on must be there with the expiry that it had, and be taken out or moved only after the last.
    const std::string expired = option_text(request.options, "expired");
    const bool can_follow = !into_server && !choice.is_part() && (expired.empty() || expired == "keep");
    if (!options.until || can_follow || request.dry_run)
        return std::make_unique<KeyRebuild>(request, std::move(target), choice);
    // The journal needs all keys with all expiries, as they were.
    KeyChoice all({}, Expired::drop, 0, 0);
    all.keep_all_expiries();
    return std::make_unique<KeyRebuild>(request, by_way_of_scratch(request, std::move(target), choice), all);
}

}  // namespace holdfast::redis
