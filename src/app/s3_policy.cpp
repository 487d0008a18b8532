#include "app/s3_policy.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "repo/names.h"
#include "store/store.h"

namespace holdfast::app {

namespace {

namespace names = repo::names;
using Names = std::vector<std::string>;

// Of one repository; "log/" stands for all below it.
struct Grant {
    std::string_view role;
    Names reads, puts, removes, lists;
    bool looks_at_bucket = false;  // its settings, for `doctor`
    bool reads_versions = false;   // for `check`
};

const Names& everything() {
    static const Names all{names::config,       names::keys,        names::data,    names::meta,
                           names::state,        names::log,         names::index,   names::notes,
                           names::attestations, names::collections, names::journal, names::replica};
    return all;
}

// Writers read no contents and no trees: these are sealed anyhow, and what is not given out cannot be kept.
const std::array<Grant, 5>& grants() {
    static const std::array<Grant, 5> all{
        Grant{.role = "writer",
              .reads = {names::config, names::keys, names::state, names::log, names::index, names::notes,
                        names::attestations, names::collections, names::journal, names::replica},
              .puts = {names::data, names::meta, names::state, names::log, names::index, names::notes, names::journal},
              .removes = {},
              .lists = {names::keys, names::notes, names::journal}},
        Grant{.role = "reader",
              .reads = everything(),
              .puts = {names::notes, names::attestations},
              .removes = {},
              .lists = everything(),
              .reads_versions = true},
        Grant{.role = "maintainer",
              .reads = everything(),
              .puts = {names::data, names::meta, names::state, names::log, names::index, names::notes,
                       names::collections, names::journal},
              .removes = {names::data, names::meta, names::state, names::journal},
              .lists = everything(),
              .looks_at_bucket = true},
        Grant{.role = "full",
              .reads = everything(),
              .puts =
                  [] {
                      Names out = everything();
                      out.push_back(names::probes);
                      return out;
                  }(),
              .removes = {names::keys, names::data, names::meta, names::state, names::journal, names::probes},
              .lists = everything(),
              .looks_at_bucket = true,
              .reads_versions = true},
        Grant{.role = "replicator", .reads = everything(), .puts = everything(), .removes = {}, .lists = everything()}};
    return all;
}

const Grant& grant_of(const std::string& role) {
    const auto at = std::ranges::find(grants(), role, &Grant::role);
    if (at == grants().end())
        throw Error{Code::usage, "there is no role {}", role}.hint(
            "The roles are writer, reader, maintainer, full and replicator.");
    return *at;
}

void check(const S3PolicyPlan& plan) {
    const auto is_bucket_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    };
    if (plan.bucket.size() < 3 || plan.bucket.size() > 63 || !std::ranges::all_of(plan.bucket, is_bucket_letter))
        throw Error{Code::usage, "`{}` is no name of a bucket", plan.bucket};
    if (!plan.prefix.empty() && !is_object_name(plan.prefix))
        throw Error{Code::usage, "`{}` is no prefix of a repository", plan.prefix}.hint(
            "It is what follows the bucket in `s3://BUCKET/PREFIX`.");
    if (!plan.key.empty() && plan.role != "writer") throw Error{Code::usage, "--key is for the role writer"};
    constexpr std::string_view hex = "0123456789abcdef";
    if (plan.key.find_first_not_of(hex) != std::string::npos || (!plan.key.empty() && plan.key.size() < 12))
        throw Error{Code::usage, "`{}` is no id of a key", plan.key}.hint("`holdfast key list` shows them.");
}

class Policy {
public:
    explicit Policy(const S3PolicyPlan& plan) : plan_(plan) {}

    void allow(const char* id, const Json& actions, const Json& resources, const Json& condition = nullptr) {
        Json statement{{"Sid", id}, {"Effect", "Allow"}, {"Action", actions}, {"Resource", resources}};
        if (!plan_.principal.empty()) statement["Principal"] = {{"AWS", plan_.principal}};
        if (!condition.is_null()) statement["Condition"] = condition;
        statements_.push_back(std::move(statement));
    }
    // Overrules what any other policy allows; in a bucket's policy to everybody.
    void deny(const char* id, const Json& actions, const Json& resources, const Json& condition) {
        Json statement{
            {"Sid", id}, {"Effect", "Deny"}, {"Action", actions}, {"Resource", resources}, {"Condition", condition}};
        if (!plan_.principal.empty()) statement["Principal"] = "*";
        statements_.push_back(std::move(statement));
    }
    Json objects(const Names& kinds) const {
        Json out = Json::array();
        for (const std::string& kind : kinds) out.push_back(bucket() + "/" + pattern(kind));
        return out;
    }
    std::string pattern(const std::string& kind) const {
        const std::string below = plan_.prefix.empty() ? kind : plan_.prefix + "/" + kind;
        return kind.ends_with('/') ? below + "*" : below;
    }
    std::string bucket() const { return "arn:aws:s3:::" + plan_.bucket; }
    Json document() && { return {{"Version", "2012-10-17"}, {"Statement", std::move(statements_)}}; }

private:
    const S3PolicyPlan& plan_;
    Json statements_ = Json::array();
};

}  // namespace

Json s3_policy(const S3PolicyPlan& plan) {
    check(plan);
    const Grant& grant = grant_of(plan.role);
    Policy policy(plan);
    policy.allow("Read",
                 grant.reads_versions ? Json::array({"s3:GetObject", "s3:GetObjectVersion"}) : Json("s3:GetObject"),
                 policy.objects(grant.reads));
    Json lists = Json::array();
    for (const std::string& kind : grant.lists) lists.push_back(policy.pattern(kind));
    // Whoever may list learns that an object is absent by 404, others get 403, and there no prefix is given.
    // (MinIO says 404 to all who may read.)
    policy.allow("List", "s3:ListBucket", policy.bucket(),
                 {{plan.for_minio ? "StringLike" : "StringLikeIfExists", {{"s3:prefix", lists}}}});
    Json puts = policy.objects(grant.puts);
    if (!plan.key.empty())
        for (Json& each : puts)
            if (each == policy.bucket() + "/" + policy.pattern(names::log))
                each = policy.bucket() + "/" + policy.pattern(names::log + plan.key) + "*";
    if (plan.for_minio) {
        policy.allow("Put", "s3:PutObject", puts);
    } else {
        policy.allow("PutWhatIsAbsent", "s3:PutObject", puts, {{"Null", {{"s3:if-none-match", "false"}}}});
        policy.deny("NeverWriteOver", "s3:PutObject", policy.objects(grant_of("full").puts),
                    {{"Null", {{"s3:if-none-match", "true"}}}});
    }
    if (!grant.removes.empty()) policy.allow("Remove", "s3:DeleteObject", policy.objects(grant.removes));
    if (grant.looks_at_bucket)
        policy.allow("LookAtTheBucket",
                     Json::array({"s3:GetBucketVersioning", "s3:GetEncryptionConfiguration",
                                  "s3:GetBucketObjectLockConfiguration", "s3:GetLifecycleConfiguration",
                                  "s3:GetReplicationConfiguration"}),
                     policy.bucket());
    if (grant.reads_versions)
        policy.allow("ListVersions",
                     grant.looks_at_bucket ? Json("s3:ListBucketVersions")  // and what it looks at is allowed above
                                           : Json::array({"s3:GetBucketVersioning", "s3:ListBucketVersions"}),
                     policy.bucket());
    if (!plan.kms_key.empty())
        policy.allow("UseItsKey", Json::array({"kms:GenerateDataKey", "kms:Decrypt"}), plan.kms_key);
    return std::move(policy).document();
}

}  // namespace holdfast::app
