#include "sources/redis/rebuild.h"

#include <charconv>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "clients/redis/endpoint.h"
#include "source/rebuild_gate.h"
#include "sources/redis/key_target.h"
#include "sources/redis/names.h"
#include "sources/redis/options.h"
#include "sources/redis/record.h"

namespace holdfast::redis {

namespace {

// Items come in turn, each from a thread of its own: a bucket's newest layer says what counts of those below.
class KeyRebuild final : public Rebuild, private RecordSink {
public:
    KeyRebuild(const RebuildRequest& request, std::unique_ptr<KeyTarget> target, Expired expired)
        : world_(request.world),
          wants_(request.wants),
          is_dry_run_(request.dry_run),
          expired_(expired),
          target_(std::move(target)) {
        now_ms_ = world_.clock.now() / 1'000'000;
        if (!request.facts) return;
        if (const auto instant = request.facts->value("", "about instant"))
            std::from_chars(instant->data(), instant->data() + instant->size(), captured_ms_);
    }

    bool sequential() const override { return true; }

    Ticket begin_item(const Item& item) override {
        if (item.kind == ItemKind::folder) {
            std::uint64_t number = 0;
            const auto [end, problem] = std::from_chars(item.path.data(), item.path.data() + item.path.size(), number);
            if (problem != std::errc{} || end != item.path.data() + item.path.size()) unknown(item.path);
            if (!is_dry_run_) target_->add_database(number);
            return {0, false};
        }
        if (item.path != server_item && !place_of(item.path)) unknown(item.path);
        if (is_dry_run_) return {0, false};
        const std::lock_guard lock(gate_.mutex);
        paths_.push_back(item.path);
        return {paths_.size() - 1, true};
    }

    void write(const Ticket& ticket, std::uint64_t, ByteView bytes) override {
        gate_.guarded([&] {
            take_turn(ticket.number);
            reader_.feed(bytes);
        });
    }

    void end_item(const Ticket& ticket) override {
        gate_.guarded([&] {
            take_turn(ticket.number);
            reader_.end();
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
        if (is_dry_run_ || wants_) return nullptr;
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
        summary_.items_unchanged = target_->left_alone();
        summary_.items_written -= std::min(summary_.items_written, summary_.items_unchanged);
        if (expired_keys_ > 0)
            world_.log.info(fmt::format("{} whose time has come since the capture {}",
                                        expired_keys_ == 1 ? "a key" : fmt::format("{} keys", expired_keys_),
                                        expired_ == Expired::keep ? "came back without an expiry" : "were left out"));
        return std::move(summary_);
    }

private:
    [[noreturn]] static void unknown(const std::string& path) {
        throw Error{Code::corrupt, "the snapshot has an item that no Redis capture has: {}", printable(path)};
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
        if (wants_ && !wants_(key_path(database_, head.name))) {
            is_taken_ = false;
            return;
        }
        std::int64_t expiry = head.expiry_ms;
        if (expiry != no_expiry && expired_ == Expired::shift && captured_ms_ != 0)
            expiry += std::max<std::int64_t>(0, now_ms_ - captured_ms_);
        if (expiry != no_expiry && expiry <= now_ms_ && !keeps_all_expiries_) {
            ++expired_keys_;
            if (expired_ == Expired::drop) {
                is_taken_ = false;
                return;
            }
            expiry = no_expiry;
        }
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
        if (!wants_ || wants_(std::string(server_item))) target_->function(raw);
    }
    void module_aux(ByteView raw) override {
        if (!wants_ || wants_(std::string(server_item))) target_->module_aux(raw);
    }
    void version(int number) override { target_->version(number); }

public:
    // A data folder can hold keys whose time has come; the server drops them when they are touched.
    void keep_all_expiries() { keeps_all_expiries_ = true; }

private:
    World& world_;
    const std::function<bool(const std::string&)> wants_;
    const bool is_dry_run_;
    const Expired expired_;
    bool keeps_all_expiries_ = false;
    std::int64_t now_ms_ = 0;
    std::int64_t captured_ms_ = 0;
    const std::unique_ptr<KeyTarget> target_;
    // of whose turn it is
    RecordReader reader_{*this};
    std::uint64_t database_ = 0;
    std::string bucket_;
    std::unordered_set<KeyId, IdHash> seen_;  // said by newer layers of this bucket
    bool is_taken_ = false;
    bool has_ended_ = false;
    std::uint64_t expired_keys_ = 0;
    Summary summary_;
    RebuildGate gate_{world_};
    // guarded by gate_.mutex
    std::vector<std::string> paths_;
    std::uint64_t turn_ = 0;
    std::uint64_t begun_ = 0;
};

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
    return out;
}

std::unique_ptr<Rebuild> rebuild(const RebuildRequest& request) {
    const RestoreOptions options = restore_options(request.options);
    if (is_url(request.target))
        return std::make_unique<KeyRebuild>(request, request.dry_run ? nullptr : server_target(request),
                                            options.expired);
    auto out = std::make_unique<KeyRebuild>(request, data_folder(request), options.expired);
    if (option_text(request.options, "expired") != "drop") out->keep_all_expiries();
    return out;
}

}  // namespace holdfast::redis
