// What a bucket is set to, and what this key may do in it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "clients/s3/client.h"
#include "clients/s3/xml.h"
#include "stores/s3/s3_store.h"

namespace holdfast {

namespace {

using s3::xml_elements;
using s3::xml_text;

constexpr Nanoseconds clock_off_max = 60 * one_second;
constexpr Nanoseconds clock_off_refused = 15 * 60 * one_second;  // requests are not accepted beyond it
constexpr std::array<std::string_view, 2> thawed{"GLACIER", "DEEP_ARCHIVE"};

Observation failed(const std::string& what, const Error& error) {
    return {what, Severity::error, error.message(), error.hint()};
}

// No object of ours has a tag.
bool is_about_tags(std::string_view rule) { return rule.find("<Tag>") != std::string_view::npos; }

// A rule is about a part of what begins with its prefix; the repository is all that begins with ours.
bool concerns(std::string_view rule, const std::string& prefix) {
    const std::string of_rule = xml_text(rule, "Prefix").value_or("");
    return xml_text(rule, "Status") == "Enabled" && !is_about_tags(rule) &&
           (of_rule.starts_with(prefix) || prefix.starts_with(of_rule));
}

class Examiner {
public:
    Examiner(s3::S3Client& client, std::string prefix, const ExaminePlan& plan)
        : client_(client), prefix_(std::move(prefix)), plan_(plan) {}

    Observations all() {
        if (!reach()) return std::move(out_);
        clock();
        list();
        put();
        const bool keeps_versions = versioning();
        remove(keeps_versions);
        encryption();
        lock();
        lifecycle(keeps_versions);
        replication();
        return std::move(out_);
    }

private:
    void say(std::string what, Severity severity, std::string text, std::string fix = {}) {
        out_.push_back({std::move(what), severity, std::move(text), std::move(fix)});
    }

    bool reach() {
        try {
            const auto config = client_.get(prefix_ + "config");
            if (config) {
                say("read", Severity::good, fmt::format("{} answers, objects can be read", client_.place().endpoint));
                client_.head(prefix_ + "config");
            } else {
                say("read", Severity::error, "there is no repository below this prefix",
                    "Check bucket and prefix, or make one with `init`.");
            }
            return true;
        } catch (const Error& error) {
            out_.push_back(failed("read", error));
            return false;
        }
    }

    void clock() {
        const auto ahead = client_.clock_ahead();
        if (!ahead) return say("clock", Severity::not_tested, "the store does not tell its time");
        const Nanoseconds off = std::abs(*ahead);
        const std::string text = off <= clock_off_max
                                     ? "this machine's clock and the store's agree"
                                     : fmt::format("this machine's clock is {} {} the store's", human_duration(off),
                                                   *ahead > 0 ? "behind" : "ahead of");
        say("clock",
            off <= clock_off_max       ? Severity::good
            : off <= clock_off_refused ? Severity::warning
                                       : Severity::error,
            text, off <= clock_off_max ? "" : "Set this machine's clock (NTP); requests are signed with its time.");
    }

    void list() {
        try {
            s3::Pairs from;
            client_.list_page(prefix_ + "keys/", from);
            say("list", Severity::good, "objects can be listed");
        } catch (const Error& error) {
            out_.push_back(failed("list", error));
        }
    }

    // The same bytes once more: a store that overwrites them does no harm, and has shown that it does.
    void put() {
        if (plan_.own_object.empty())
            return say("put", Severity::not_tested, "this key has written nothing yet that could be tried again",
                       "Run `doctor` again after its first backup.");
        try {
            const auto own = client_.get(prefix_ + plan_.own_object);
            if (!own) return say("put", Severity::not_tested, fmt::format("{} is gone", plan_.own_object));
            if (client_.put(prefix_ + plan_.own_object, *own, {.if_absent = true}) == s3::S3Client::Put::exists)
                say_who_overwrites(*own);
            else
                say("put", Severity::error, "the store overwrites what is there, although it is told not to",
                    "Everything rests on `If-None-Match: *`; move the repository to a store that keeps it.");
        } catch (const Error& error) {
            out_.push_back(failed("put", error));
        }
    }

    // Who removes by his role could do as much harm without it.
    void say_who_overwrites(ByteView own) {
        if (plan_.removes == false &&
            is_allowed([&] { client_.put(prefix_ + plan_.own_object, own, {.if_absent = false}); }))
            return say("put", Severity::warning, "this key may also overwrite, when it asks for no condition",
                       policy_fix("Where the store does not know the condition, keep versions."));
        say("put", Severity::good, "objects can be put, and none that is there is overwritten");
    }

    void remove(bool keeps_versions) {
        if (!plan_.removes) return;
        if (keeps_versions)
            return say("remove", Severity::not_tested, "trying would leave a marker in a bucket with versions");
        const auto try_it = [&] { client_.remove(prefix_ + "data/" + std::string(64, '0')); };  // no pack has that name
        if (plan_.removes == false) {
            if (is_allowed(try_it))
                return say("remove", Severity::warning, "this key may remove objects, which its role never does",
                           policy_fix("Else whoever steals it takes the backups away."));
            return say("remove", Severity::good, "this key removes nothing, and may not");
        }
        try {
            try_it();
            say("remove", Severity::good, "objects can be removed");
        } catch (const Error& error) {
            out_.push_back(failed("remove", error));
        }
    }

    template <class Call>
    static bool is_allowed(const Call& call) {
        try {
            call();
        } catch (const Error& error) {
            if (error.code() == Code::denied) return false;
            throw;
        }
        return true;
    }
    static std::string policy_fix(std::string_view more) {
        return fmt::format("Give it the policy that `holdfast deploy s3-policy --role …` prints. {}", more);
    }

    // Nothing: it is off, or cannot be told, which is said then.
    std::optional<std::string> setting(const std::string& what, const std::string& query, std::string_view action) {
        is_known_ = true;
        try {
            return client_.bucket_setting(query, action);
        } catch (const Error& error) {
            is_known_ = false;
            if (error.code() == Code::denied)
                say(what, Severity::not_tested, fmt::format("this key lacks {}", action),
                    fmt::format("Allow {} on {}, or ask with a key that has it.", action, client_.place().bucket));
            else
                say(what, Severity::not_tested, fmt::format("the store does not tell: {}", error.message()));
            return std::nullopt;
        }
    }

    bool versioning() {
        const auto xml = setting("versioning", "versioning", "s3:GetBucketVersioning");
        if (!is_known_) return false;
        const std::string status = xml ? xml_text(*xml, "Status").value_or("") : "";
        if (status == "Suspended")
            say("versioning", Severity::warning, "versions are suspended: what is removed is gone, old versions stay",
                "Switch it on, with a lifecycle rule that expires noncurrent versions.");
        else
            say("versioning", Severity::good,
                status == "Enabled" ? "what is removed stays for a while as an old version"
                                    : "off: what is removed is gone");
        return status == "Enabled";
    }

    void encryption() {
        const auto xml = setting("encryption", "encryption", "s3:GetEncryptionConfiguration");
        if (!is_known_) return;
        const std::string wanted = client_.place().encryption;
        const std::string found = xml ? xml_text(*xml, "SSEAlgorithm").value_or("") : "";
        if (!wanted.empty())
            say("encryption", Severity::good, fmt::format("`encryption: {}` is sent with every object", wanted));
        else
            say("encryption", Severity::good,
                found.empty() ? "none by the store; what is stored is encrypted anyway"
                              : fmt::format("the bucket encrypts with {}", found));
    }

    void lock() {
        const auto xml = setting("lock", "object-lock", "s3:GetBucketObjectLockConfiguration");
        if (!is_known_) return;
        const std::string mode = xml ? xml_text(*xml, "Mode").value_or("") : "";
        if (!mode.empty())
            say("lock", Severity::warning,
                fmt::format("new objects are locked ({}) for {} {}", mode,
                            xml_text(*xml, "Days").value_or(xml_text(*xml, "Years").value_or("?")),
                            xml_text(*xml, "Days") ? "days" : "years"),
                "`prune` frees no space before; expire noncurrent versions by a lifecycle rule.");
        else
            say("lock", Severity::good, xml ? "possible, none by default" : "off");
    }

    void lifecycle(bool keeps_versions) {
        const auto xml = setting("lifecycle", "lifecycle", "s3:GetLifecycleConfiguration");
        if (!is_known_) return;
        bool is_fine = true, expires_versions = false;
        for (const std::string_view rule : xml ? xml_elements(*xml, "Rule") : std::vector<std::string_view>{}) {
            if (!concerns(rule, prefix_)) continue;
            const std::string id = xml_text(rule, "ID").value_or("without a name");
            expires_versions = expires_versions || xml_text(rule, "NoncurrentVersionExpiration").has_value();
            if (expires_objects(rule)) {
                is_fine = false;
                say("lifecycle", Severity::error, fmt::format("rule {} removes backups by their age", id),
                    "Remove the rule: old packs are in use by new snapshots. `forget` and `prune` keep the space.");
            }
            for (const std::string_view move : xml_elements(rule, "Transition")) {
                const std::string to = xml_text(move, "StorageClass").value_or("");
                if (std::ranges::find(thawed, to) == thawed.end()) continue;
                is_fine = false;
                say("lifecycle", Severity::error,
                    fmt::format("rule {} moves backups to {}, where nothing can be read", id, to),
                    "Remove the rule: old packs are in use by new snapshots.");
            }
        }
        if (keeps_versions && !expires_versions)
            say("lifecycle", Severity::warning,
                "no rule expires old versions: what `prune` removes takes its space for ever",
                "Add a rule with NoncurrentVersionExpiration after as long as you want to be able to undo.");
        else if (is_fine)
            say("lifecycle", Severity::good, "no rule removes or moves what the repository needs");
    }

    // <Expiration> may be about delete markers only.
    static bool expires_objects(std::string_view rule) {
        const std::vector<std::string_view> found = xml_elements(rule, "Expiration");
        return std::ranges::any_of(
            found, [](std::string_view each) { return xml_text(each, "Days") || xml_text(each, "Date"); });
    }

    void replication() {
        const auto xml = setting("replication", "replication", "s3:GetReplicationConfiguration");
        if (!is_known_) return;
        const auto to = xml ? xml_text(*xml, "Bucket") : std::nullopt;
        say("replication", Severity::good,
            to ? fmt::format("the bucket is replicated to {}; what is damaged here is there, too", *to) : "off");
    }

    s3::S3Client& client_;
    const std::string prefix_;
    const ExaminePlan& plan_;
    Observations out_;
    bool is_known_ = false;
};

}  // namespace

Observations S3Store::examine(const ExaminePlan& plan) { return Examiner(*client_, prefix_, plan).all(); }

}  // namespace holdfast
