#include <algorithm>
#include <filesystem>
#include <set>

#include "app/command.h"
#include "app/context.h"
#include "app/deployed.h"
#include "app/json.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

struct KubernetesChoice {
    std::string image;
    std::string name_space = "default";
    std::string secret = "holdfast";
    std::vector<std::string> claims;  // "NAME:FOLDER"
    std::string to;
};

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
      podFailurePolicy:
        rules:
          - action: FailJob
            onExitCodes: {{containerName: holdfast, operator: In, values: [{done_in_part}]}}
{timeout}      template:
        metadata:
          labels: {{app.kubernetes.io/name: holdfast, app.kubernetes.io/component: {kind}}}
        spec:
          restartPolicy: Never
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
{mounts}          volumes:
            - {{name: config, configMap: {{name: holdfast}}}}
            - {{name: state, emptyDir: {{}}}}
            - {{name: cache, emptyDir: {{}}}}
            - {{name: tmp, emptyDir: {{}}}}
{volumes})";

// A volume that is there already.
struct Claim {
    std::string name;
    std::string folder;
};

std::vector<Claim> claims_of(const KubernetesChoice& choice) {
    std::vector<Claim> out;
    for (const std::string& each : choice.claims) {
        const std::size_t colon = each.find(':');
        if (colon == 0 || colon == std::string::npos || each.substr(colon + 1, 1) != "/")
            throw Error{Code::usage, "`--claim {}` is no NAME:FOLDER", each}.hint(
                "Write the claim's name and where it is to be seen, as `backups:/backups`.");
        std::string folder = std::filesystem::path(each.substr(colon + 1)).lexically_normal();
        while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
        out.push_back({each.substr(0, colon), std::move(folder)});
    }
    return out;
}

// A pod has no folders of the machine: what the jobs read and write there needs a volume.
void warn_of_missing_volumes(Context& context, const std::vector<Claim>& claims) {
    std::set<std::string> told;
    const auto is_mounted = [&](const std::string& path) {
        return std::ranges::any_of(claims, [&](const Claim& each) { return is_within(path, each.folder); });
    };
    const auto look_at = [&](const std::string& path, const std::string& whose) {
        if (!path.starts_with('/') || is_mounted(path) || !told.insert(whose + path).second) return;
        context.out.warn(
            fmt::format("{} is the folder {}, which a pod does not have: mount a volume there with `--claim NAME:{}`",
                        whose, path, path));
    };
    const Config& config = context.config();
    for (const RepositoryConfig& each : config.repositories) look_at(each.url, fmt::format("repository {}", each.name));
    for (const SourceConfig& each : config.sources) {
        const auto paths = each.options.find("paths");
        if (paths == each.options.end()) continue;
        for (const std::string& path : paths->second) look_at(path, fmt::format("what source {} reads", each.name));
    }
    for (const policy::Job& job : config.jobs)
        if (const auto* const task = std::get_if<policy::ExportTask>(&job.task))
            look_at(task->to.substr(0, task->to.find("/{")), fmt::format("where job {} exports to", job.name));
}

// With another ledger of its own each pod would forget what it could not leave in the repository.
void warn_of_own_ledgers(Context& context) {
    if (context.config().service.ledger.starts_with("sqlite:"))
        context.out.warn(
            "each pod keeps a ledger of its own, which goes with it: a run whose repository cannot be reached leaves "
            "its record nowhere; `service: {ledger: \"env:LEDGER_URL\"}` names a PostgreSQL that all share");
}

int deploy_kubernetes(Context& context, const KubernetesChoice& choice) {
    const std::string config = needed_config(context);
    std::vector<DeployedFile> files{
        {"configmap.yaml",
         fmt::format("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: holdfast\n  namespace: {}\ndata:\n  "
                     "holdfast.yaml: |\n{}",
                     choice.name_space, indented(read_config(config), 4))}};
    warn_of_jobs_without_schedule(context);
    const std::vector<Claim> claims = claims_of(choice);
    warn_of_missing_volumes(context, claims);
    warn_of_own_ledgers(context);
    std::string mounts, volumes;
    for (std::size_t i = 0; i < claims.size(); ++i) {
        mounts +=
            fmt::format("                - {{name: claim-{}, mountPath: {}}}\n", i, Json(claims[i].folder).dump());
        volumes += fmt::format("            - {{name: claim-{}, persistentVolumeClaim: {{claimName: {}}}}}\n", i,
                               Json(claims[i].name).dump());
    }
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
                         fmt::arg("done_in_part", info_of(Code::partial).exit_status), fmt::arg("image", choice.image),
                         fmt::arg("job", job.name), fmt::arg("secret", choice.secret), fmt::arg("mounts", mounts),
                         fmt::arg("volumes", volumes))});
    }
    write_out(context, files, choice.to, "---\n# {}\n");
    return 0;
}

}  // namespace

Command deploy_kubernetes_command() {
    const auto choice = std::make_shared<KubernetesChoice>();
    Command out;
    out.name = "deploy kubernetes";
    out.part = Part::housekeeping;
    out.summary = "print the CronJobs that run the jobs of the configuration";
    out.details =
        "A ConfigMap with the configuration and a CronJob for every job, named as the job: not root, with a read-only "
        "root, without capabilities, with its passphrase and whatever `env:` references need from the Secret. Folders "
        "that jobs read or write need a volume: --claim.\n"
        "Their runs leave their records in the repository; a ledger of the fleet is `ledger: \"env:LEDGER_URL\"`.";
    out.examples = {
        {"holdfast deploy kubernetes --image registry.example.org/holdfast:1.0 | kubectl apply -f -", "all of it"},
        {"holdfast deploy kubernetes --image holdfast:1.0 --namespace shop --to deploy/", "as files"},
        {"holdfast deploy kubernetes --image holdfast:1.0 --claim backups:/backups", "with a repository in a volume"}};
    out.options.value(choice->image, "--image", "IMAGE", "the container image").required = true;
    out.options.value(choice->name_space, "--namespace", "NAME", "where they run (default `default`)");
    out.options.value(choice->secret, "--secret", "NAME",
                      "the Secret with HOLDFAST_PASSWORD and others (default `holdfast`)");
    out.options.list(choice->claims, "--claim", "NAME:FOLDER", "mount this PersistentVolumeClaim there (repeatable)");
    out.options.value(choice->to, "--to", "FOLDER", "write files there").offers = Option::Offers::folders;
    out.run = [choice](Context& context) { return deploy_kubernetes(context, *choice); };
    return out;
}

}  // namespace holdfast::app
