// app/s3_policy.h: the least that a role needs of a bucket, as a policy of AWS.
//
// Shape    pure: what is asked for in, a policy document out
// Errors   usage for what is no bucket, prefix or role
// I1       nobody may put an object that is there; nobody but who collects may remove one
// Source   doc/guide/roles.md; docs.aws.amazon.com, "Enforce conditional writes on Amazon S3 buckets"
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "app/json.h"

namespace holdfast::app {

inline constexpr std::array<std::string_view, 5> s3_policy_roles{"writer", "reader", "maintainer", "full",
                                                                 "replicator"};

struct S3PolicyPlan {
    std::string role;  // of s3_policy_roles
    std::string bucket;
    std::string prefix = {};     // of the repository in the bucket
    std::string key = {};        // id of the writer's key: it writes into no other's log
    std::string principal = {};  // makes it a bucket's policy; empty: one that is attached to a user or role
    std::string kms_key = {};    // ARN of the key of `encryption: aws:kms`
    bool for_minio = false;      // whose policies know neither s3:if-none-match nor …IfExists
};
Json s3_policy(const S3PolicyPlan& plan);

}  // namespace holdfast::app
