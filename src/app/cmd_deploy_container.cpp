#include "app/command.h"
#include "app/context.h"
#include "app/deployed.h"

namespace holdfast::app {

namespace {

constexpr std::string_view containerfile = R"(FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates tzdata \
    libcurl4 libdate-tz3 libfmt9 libfuse3-3 libhiredis0.14 libipsec-mb1 libmongoc-1.0-0 libpq5 libsodium23 libspdlog1.10 \
    libsqlite3-0 libssl3 libyaml-cpp0.7 libzstd1 postgresql-client redis-tools && rm -rf /var/lib/apt/lists/*
COPY holdfast /usr/local/bin/holdfast
COPY --chmod=755 entrypoint.sh /entrypoint.sh
ENV XDG_STATE_HOME=/var/lib/holdfast XDG_CACHE_HOME=/var/cache/holdfast
RUN install -d -o 65532 -g 65532 /var/lib/holdfast /var/cache/holdfast
USER 65532:65532
ENTRYPOINT ["/entrypoint.sh"]
)";

constexpr std::string_view entry_point = R"(#!/bin/sh
# What the container does. With arguments: holdfast ARGUMENTS. Without: the databases of MONGODB_URI are backed up into the
# repository at BACKUP_BUCKET (a bucket, a URL or a folder) and BACKUP_PATH; what is older than RETENTION_DAYS goes,
# never the last. The repository's passphrase is HOLDFAST_PASSWORD.
set -eu
[ $# -eq 0 ] || exec holdfast "$@"
: "${MONGODB_URI:?is not set: the server to back up}" "${BACKUP_BUCKET:?is not set: where to}"
path=${BACKUP_PATH:-}
path=${path%%\$(*} # one repository holds all days: a date in its path would store everything anew every day
path=${path%/}
case $BACKUP_BUCKET in
    */*) HOLDFAST_REPO=$BACKUP_BUCKET${path:+/$path} ;;
    *) HOLDFAST_REPO=s3://$BACKUP_BUCKET${path:+/$path} ;;
esac
export HOLDFAST_REPO
holdfast --no-input snapshots > /dev/null 2>&1 || holdfast --no-input init
holdfast --no-input backup "$MONGODB_URI" --name mongodb --host "${HOLDFAST_HOST:-kubernetes}"
holdfast --no-input forget --source mongodb --keep-within "${RETENTION_DAYS:-30}d" --keep-last 1 --prune
)";

int deploy_container(Context& context, const std::string& folder) {
    write_out(context,
              {{"Containerfile", std::string(containerfile), false}, {"entrypoint.sh", std::string(entry_point), true}},
              folder, "# ---- {}\n");
    if (!folder.empty())
        context.out.say("then: cp \"$(command -v holdfast)\" " + folder + " && podman build " + folder);
    return 0;
}

}  // namespace

Command deploy_container_command() {
    const auto folder = std::make_shared<std::string>();
    Command out;
    out.name = "deploy container";
    out.part = Part::housekeeping;
    out.summary = "print what a container image is built of, and its entry point";
    out.details =
        "A Containerfile and an entry point. With arguments the entry point runs `holdfast ARGUMENTS`, as the CronJobs "
        "of "
        "`deploy kubernetes` do; without any it takes MONGODB_URI, BACKUP_BUCKET, BACKUP_PATH and RETENTION_DAYS from "
        "the "
        "environment, so that it stands in for a script that is called by a CronJob of one's own.";
    out.examples = {{"holdfast deploy container --to image/", "both files"}};
    out.options.value(*folder, "--to", "FOLDER", "write the files there").offers = Option::Offers::folders;
    out.run = [folder](Context& context) { return deploy_container(context, *folder); };
    return out;
}

}  // namespace holdfast::app
