#include "app/command.h"
#include "app/context.h"
#include "app/s3_policy.h"

namespace holdfast::app {

Command deploy_s3_policy_command() {
    const auto plan = std::make_shared<S3PolicyPlan>();
    Command out;
    out.name = "deploy s3-policy";
    out.part = Part::housekeeping;
    out.summary = "print the least bucket policy for a role";
    out.details =
        "What the holder of a key of that role needs of the bucket, and nothing else: only who forgets and prunes "
        "removes, "
        "nobody overwrites, a writer reads no contents. A `replicator` fills a copy.\n"
        "Without --principal it is a policy for a user or role; with it one for the bucket. --key keeps a writer out "
        "of the "
        "logs of others.";
    out.examples = {{"holdfast deploy s3-policy --role writer --bucket backups-eu --prefix platform --key 3f2a91c0d5e7",
                     "for the machine with that key"},
                    {"holdfast deploy s3-policy --role maintainer --bucket backups-eu --principal "
                     "arn:aws:iam::123456789012:role/prune > policy.json",
                     "for `aws s3api put-bucket-policy`"}};
    out.options.one_of(plan->role, "--role", "ROLE", s3_policy_roles, "writer, reader, maintainer, full or replicator")
        .required = true;
    out.options.value(plan->bucket, "--bucket", "NAME", "the bucket").required = true;
    out.options.value(plan->prefix, "--prefix", "PREFIX", "of the repository in the bucket");
    out.options.value(plan->key, "--key", "ID", "of a writer's key, from `key list`");
    out.options.value(plan->principal, "--principal", "ARN", "who; makes it a policy of the bucket");
    out.options.value(plan->kms_key, "--kms-key", "ARN", "of `encryption: aws:kms`");
    out.options.flag(plan->for_minio, "--minio",
                     "without what MinIO's policies do not know, such as `s3:if-none-match`");
    out.run = [plan](Context& context) {
        S3PolicyPlan tidy = *plan;
        while (tidy.prefix.ends_with('/')) tidy.prefix.pop_back();
        const Json policy = s3_policy(tidy);
        if (context.out.is_json())
            context.out.record({{"schema", "holdfast.deploy/1"}, {"role", tidy.role}, {"policy", policy}});
        else
            context.out.line(policy.dump(2));
        return 0;
    };
    return out;
}

}  // namespace holdfast::app
