#include "app/command.h"
#include "app/context.h"
#include "app/deployed.h"
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

}  // namespace

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

}  // namespace holdfast::app
