#include <filesystem>

#include "app/command.h"
#include "app/context.h"
#include "app/deployed.h"
#include "app/s3_policy.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

struct SystemdChoice {
    std::string to;
    std::string user = "root";
    std::string program = "/usr/local/bin/holdfast";
    bool timers = false;
};

struct KubernetesChoice {
    std::string image;
    std::string name_space = "default";
    std::string secret = "holdfast";
    std::string to;
};

std::string needed_config(Context& context) {
    const auto path = context.config_path();
    if (!path)
        throw Error{Code::usage, "`deploy` needs a configuration file"}.hint(
            "Name it with `-c FILE`; its jobs are deployed.");
    return std::filesystem::absolute(*path).lexically_normal();
}

// Whatever runs one job at a time knows no order between them.
void warn_of_jobs_without_schedule(Context& context) {
    for (const policy::Job& job : context.config().jobs)
        if (!job.schedule && !job.after.empty())
            context.out.warn(
                fmt::format("job {} runs after {}, which only `serve` does: it is left out; give it a "
                            "`schedule` of its own",
                            job.name, join(job.after, ", ")));
}

// What a job asks for and only `serve` does: nothing of it is left out without a word.
void warn_of_what_only_serve_does(Context& context, const policy::Job& job, std::vector<std::string> more) {
    if (job.allowed_hours) more.emplace_back("allowed_hours");
    if (job.limits.load_max) more.emplace_back("limits: {load}");
    if (!more.empty()) context.out.warn(fmt::format("job {}: only `serve` keeps `{}`", job.name, join(more, "`, `")));
}

// So long all attempts may take that are made of one due time, with the pauses in between.
Nanoseconds attempts_take_max(const policy::Job& job, Nanoseconds attempt, Nanoseconds pause) {
    return attempt * (job.retries.count + 1) + pause * job.retries.count;
}

// What a word of ExecStart= needs so that systemd takes it as it is.
std::string systemd_word(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '%' || c == '$') out += c;
        out += c;
    }
    return out + "\"";
}

// Reads everything, as it backs it up; writes only its own state.
constexpr std::string_view systemd_service = R"([Unit]
Description=holdfast: {what}
Documentation=man:holdfast(1)
Wants=network-online.target
After=network-online.target
{unit}
[Service]
Type={type}
User={user}
ExecStart={command}
{more}StateDirectory=holdfast
CacheDirectory=holdfast
Environment=XDG_STATE_HOME=%S XDG_CACHE_HOME=%C
UMask=0077
Nice=10
IOSchedulingClass=idle
NoNewPrivileges=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectClock=yes
RestrictRealtime=yes
LockPersonality=yes
)";

constexpr std::string_view daemon_more = R"(ExecReload=/bin/kill -HUP $MAINPID
NotifyAccess=main
WatchdogSec=120
Restart=on-failure
RestartSec=10
KillMode=mixed
TimeoutStopSec=90
)";

std::vector<DeployedFile> systemd_daemon(const SystemdChoice& choice, const std::string& config) {
    const std::string command = fmt::format("{} -c {} --no-input serve", choice.program, systemd_word(config));
    return {{"holdfast.service",
             fmt::format(fmt::runtime(systemd_service), fmt::arg("what", "scheduled backups and their proof"),
                         fmt::arg("unit", ""), fmt::arg("type", "notify"), fmt::arg("user", choice.user),
                         fmt::arg("command", command), fmt::arg("more", daemon_more)) +
                 "\n[Install]\nWantedBy=multi-user.target\n"}};
}

std::vector<DeployedFile> systemd_timers(Context& context, const SystemdChoice& choice, const std::string& config) {
    std::vector<DeployedFile> out;
    warn_of_jobs_without_schedule(context);
    for (const policy::Job& job : context.config().jobs) {
        if (!job.schedule) continue;
        const std::string unit = "holdfast-" + job.name;
        const std::string command =
            fmt::format("{} -c {} --no-input run {}", choice.program, systemd_word(config), systemd_word(job.name));
        std::string more =
            job.timeout ? fmt::format("TimeoutStartSec={}\n", *job.timeout / one_second) : "TimeoutStartSec=infinity\n";
        std::string limit;
        if (job.retries.count > 0) {
            constexpr Nanoseconds hour = 3600 * one_second;  // the next due time is to be free again
            limit = fmt::format("StartLimitIntervalSec={}\nStartLimitBurst={}\n",
                                attempts_take_max(job, job.timeout.value_or(hour), job.retries.backoff) / one_second,
                                job.retries.count + 1);
            more += fmt::format("Restart=on-failure\nRestartSec={}\nRestartPreventExitStatus={}\n",
                                job.retries.backoff / one_second, info_of(Code::partial).exit_status);
        }
        std::vector<std::string> only_served;
        if (job.concurrency != policy::Concurrency::forbid) only_served.emplace_back("concurrency");
        if (job.catch_up == policy::CatchUp::all) only_served.emplace_back("catch_up: all");
        warn_of_what_only_serve_does(context, job, std::move(only_served));
        out.push_back({unit + ".service",
                       fmt::format(fmt::runtime(systemd_service), fmt::arg("what", "job " + job.name),
                                   fmt::arg("unit", limit), fmt::arg("type", "oneshot"), fmt::arg("user", choice.user),
                                   fmt::arg("command", command), fmt::arg("more", more))});
        std::string timer = fmt::format("[Unit]\nDescription=holdfast: when job {} is due\n\n[Timer]\n", job.name);
        for (const std::string& line : job.schedule->on_calendar()) timer += "OnCalendar=" + line + "\n";
        if (job.jitter_max > 0)
            timer += fmt::format("RandomizedDelaySec={}\nFixedRandomDelay=true\n", job.jitter_max / one_second);
        timer += fmt::format("AccuracySec=1s\nPersistent={}\n\n[Install]\nWantedBy=timers.target\n",
                             job.catch_up == policy::CatchUp::none ? "false" : "true");
        out.push_back({unit + ".timer", timer});
    }
    return out;
}

int deploy_systemd(Context& context, const SystemdChoice& choice) {
    const std::string config = needed_config(context);
    const auto files = choice.timers ? systemd_timers(context, choice, config) : systemd_daemon(choice, config);
    write_out(context, files, choice.to, "# {}\n");
    if (!choice.to.empty())
        context.out.say("then: systemctl daemon-reload && systemctl enable --now " +
                        (choice.timers ? std::string("holdfast-JOB.timer") : std::string("holdfast.service")));
    return 0;
}

// A name of Kubernetes: lower case letters, digits and `-`.
std::string kubernetes_name(const std::string& name) {
    constexpr std::size_t length_max = 52;  // of a CronJob, as its Jobs get a suffix
    std::string out;
    for (const char c : name) {
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        out += (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ? lower : '-';
    }
    if (out.size() > length_max)
        throw Error{Code::usage, "job {} has a name of {} characters; a CronJob takes {}", name, out.size(),
                    length_max};
    return out;
}

std::string indented(const std::string& text, std::size_t by) {
    std::string out;
    for (const std::string& line : split(text, '\n')) out += line.empty() ? "\n" : std::string(by, ' ') + line + "\n";
    return out;
}

std::string_view policy_of(policy::Concurrency concurrency) {
    return concurrency == policy::Concurrency::allow     ? "Allow"
           : concurrency == policy::Concurrency::replace ? "Replace"
                                                         : "Forbid";
}

constexpr std::string_view cron_job = R"(apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
  namespace: {namespace}
  labels: {{app.kubernetes.io/name: holdfast, app.kubernetes.io/component: {kind}}}
spec:
  schedule: "{schedule}"
  timeZone: "{zone}"
  concurrencyPolicy: {concurrency}
  startingDeadlineSeconds: {deadline}
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: {retries}
{timeout}      template:
        metadata:
          labels: {{app.kubernetes.io/name: holdfast, app.kubernetes.io/component: {kind}}}
        spec:
          restartPolicy: OnFailure
          automountServiceAccountToken: false
          securityContext:
            runAsNonRoot: true
            runAsUser: 65532
            runAsGroup: 65532
            fsGroup: 65532
            seccompProfile: {{type: RuntimeDefault}}
          containers:
            - name: holdfast
              image: {image}
              args: ["-c", "/etc/holdfast/holdfast.yaml", "--no-input", "run", "{job}"]
              envFrom:
                - secretRef: {{name: {secret}}}
              env:
                - {{name: XDG_STATE_HOME, value: /var/lib/holdfast}}
                - {{name: XDG_CACHE_HOME, value: /var/cache/holdfast}}
                - name: HOLDFAST_PASSWORD
                  valueFrom: {{secretKeyRef: {{name: {secret}, key: HOLDFAST_PASSWORD}}}}
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities: {{drop: [ALL]}}
              resources:
                requests: {{cpu: 250m, memory: 256Mi}}
                limits: {{memory: 1Gi}}
              volumeMounts:
                - {{name: config, mountPath: /etc/holdfast, readOnly: true}}
                - {{name: state, mountPath: /var/lib/holdfast}}
                - {{name: cache, mountPath: /var/cache/holdfast}}
                - {{name: tmp, mountPath: /tmp}}
          volumes:
            - {{name: config, configMap: {{name: holdfast}}}}
            - {{name: state, emptyDir: {{}}}}
            - {{name: cache, emptyDir: {{}}}}
            - {{name: tmp, emptyDir: {{}}}}
)";

int deploy_kubernetes(Context& context, const KubernetesChoice& choice) {
    const std::string config = needed_config(context);
    std::vector<DeployedFile> files{
        {"configmap.yaml",
         fmt::format("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: holdfast\n  namespace: {}\ndata:\n  "
                     "holdfast.yaml: |\n{}",
                     choice.name_space, indented(read_config(config), 4))}};
    warn_of_jobs_without_schedule(context);
    for (const policy::Job& job : context.config().jobs) {
        if (!job.schedule) continue;
        if (!job.schedule->is_plain())
            throw Error{Code::usage, "job {} has the schedule `{}`, which a CronJob does not understand", job.name,
                        job.schedule->text()}
                .hint("`#` and `L` work with `serve`; run it as a Deployment, or write a plain schedule.");
        constexpr Nanoseconds hour = 3600 * one_second;
        constexpr Nanoseconds pause_max = 360 * one_second;  // that a cluster makes between attempts
        const std::string timeout = job.timeout
                                        ? fmt::format("      activeDeadlineSeconds: {}\n",
                                                      attempts_take_max(job, *job.timeout, pause_max) / one_second)
                                        : "";
        std::vector<std::string> only_served;
        if (job.jitter_max > 0) only_served.emplace_back("jitter");
        if (job.catch_up == policy::CatchUp::all) only_served.emplace_back("catch_up: all");
        warn_of_what_only_serve_does(context, job, std::move(only_served));
        files.push_back(
            {"cronjob-" + kubernetes_name(job.name) + ".yaml",
             fmt::format(fmt::runtime(cron_job), fmt::arg("name", kubernetes_name(job.name)),
                         fmt::arg("namespace", choice.name_space), fmt::arg("kind", policy::kind_of(job.task)),
                         fmt::arg("schedule", job.schedule->five_fields()),
                         fmt::arg("zone", job.schedule->zone_name() == "UTC" ? "Etc/UTC" : job.schedule->zone_name()),
                         fmt::arg("concurrency", policy_of(job.concurrency)),
                         fmt::arg("deadline", job.catch_up == policy::CatchUp::none ? 60 : 4 * hour / one_second),
                         fmt::arg("retries", job.retries.count), fmt::arg("timeout", timeout),
                         fmt::arg("image", choice.image), fmt::arg("job", job.name),
                         fmt::arg("secret", choice.secret))});
    }
    write_out(context, files, choice.to, "---\n# {}\n");
    return 0;
}

}  // namespace

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
    out.options.value(plan->role, "--role", "ROLE", "writer, reader, maintainer, full or replicator").required = true;
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

Command deploy_systemd_command() {
    const auto choice = std::make_shared<SystemdChoice>();
    Command out;
    out.name = "deploy systemd";
    out.part = Part::housekeeping;
    out.summary = "print the systemd units that run the jobs of the configuration";
    out.details =
        "One service that runs `serve`, restarts it and watches over it; or, with --timers, a timer and a service for "
        "every job, without a daemon.";
    out.examples = {{"holdfast -c /etc/holdfast/holdfast.yaml deploy systemd --to /etc/systemd/system", "install it"},
                    {"holdfast deploy systemd --timers", "see the timers"}};
    out.options.value(choice->to, "--to", "FOLDER", "write the units there").offers = Option::Offers::folders;
    out.options.value(choice->user, "--user", "USER", "who runs it (default root, who may read everything)");
    out.options.value(choice->program, "--program", "FILE", "where holdfast is (default /usr/local/bin/holdfast)");
    out.options.flag(choice->timers, "--timers", "a timer for every job instead of a daemon");
    out.run = [choice](Context& context) { return deploy_systemd(context, *choice); };
    return out;
}

Command deploy_kubernetes_command() {
    const auto choice = std::make_shared<KubernetesChoice>();
    Command out;
    out.name = "deploy kubernetes";
    out.part = Part::housekeeping;
    out.summary = "print the CronJobs that run the jobs of the configuration";
    out.details =
        "A ConfigMap with the configuration and a CronJob for every job, named as the job: not root, with a read-only "
        "root, without capabilities, with its passphrase and whatever `env:` references need from the Secret.\n"
        "Their runs leave their records in the repository; a ledger of the fleet is `ledger: \"env:LEDGER_URL\"`.";
    out.examples = {
        {"holdfast deploy kubernetes --image registry.example.org/holdfast:1.0 | kubectl apply -f -", "all of it"},
        {"holdfast deploy kubernetes --image holdfast:1.0 --namespace shop --to deploy/", "as files"}};
    out.options.value(choice->image, "--image", "IMAGE", "the container image").required = true;
    out.options.value(choice->name_space, "--namespace", "NAME", "where they run (default `default`)");
    out.options.value(choice->secret, "--secret", "NAME",
                      "the Secret with HOLDFAST_PASSWORD and others (default `holdfast`)");
    out.options.value(choice->to, "--to", "FOLDER", "write files there").offers = Option::Offers::folders;
    out.run = [choice](Context& context) { return deploy_kubernetes(context, *choice); };
    return out;
}

}  // namespace holdfast::app
