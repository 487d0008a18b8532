#include <sys/stat.h>

#include <csignal>
#include <cstdlib>

#include "app/child_executor.h"
#include "app/command.h"
#include "app/context.h"
#include "app/followers.h"
#include "app/holder.h"
#include "app/recorder.h"
#include "app/registry.h"
#include "app/service_manager.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "service/scheduler.h"

namespace holdfast::app {

namespace {

constexpr Nanoseconds nap_max = one_second / 4;  // how soon a signal or an ended child is noticed
constexpr Nanoseconds look_at_file_every = 2 * one_second;
constexpr Nanoseconds stop_wait = 30 * one_second;

struct ServeChoice {
    std::uint32_t parallel = 4;
};

std::atomic<bool> reload_wanted{false};  // set by SIGHUP

// Tells one content of a file from another without reading it.
struct FileStamp {
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t changed = 0;
    bool operator==(const FileStamp&) const = default;
};

FileStamp stamp_of(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return {};
    return {status.st_ino, status.st_size, status.st_mtim.tv_sec * one_second + status.st_mtim.tv_nsec};
}

double machine_load() {
    double load = 0;
    return ::getloadavg(&load, 1) == 1 ? load : 0;
}

class Daemon {
public:
    Daemon(Context& context, const std::string& path, std::uint32_t parallel)
        : context_(context),
          world_(context.world),
          in_use_(path, context.secrets),
          ledger_(open_ledger(context)),
          executor_(in_use_),
          followers_(world_, *ledger_, in_use_),
          scheduler_(world_, *ledger_, executor_,
                     {.host = current_host_name(),
                      .holder = holder_of_this_process(),
                      .running_max = parallel,
                      .stop_wait = stop_wait,
                      .is_alive = is_holder_alive,
                      .load = machine_load}) {}

    void run() {
        load();
        std::signal(SIGHUP, [](int) { reload_wanted = true; });
        notify_service_manager("READY=1");
        context_.out.say(fmt::format("serving {} and {}; the ledger is {}", counted(jobs_, "job", "jobs"),
                                     counted(followers_.count(), "follower", "followers"), ledger_->name()));
        while (!is_over()) {
            const Nanoseconds wake = step();
            notify_service_manager("WATCHDOG=1");
            world_.clock.sleep(std::clamp(wake - world_.clock.now(), one_second / 100, nap_max));
        }
        context_.out.say("stopped; nothing runs any more");
    }

private:
    bool is_over() const { return stopping_ && scheduler_.is_idle() && followers_.is_idle(); }

    Nanoseconds step() {
        if (world_.stop.requested() && !std::exchange(stopping_, true)) begin_to_stop();
        if (!stopping_) reload_if_wanted();
        try {
            followers_.step();
            const Nanoseconds wake = scheduler_.step();
            trouble_.clear();
            return wake;
        } catch (const Error& error) {
            // The ledger may be away for a while; what is due then is caught up on.
            if (std::exchange(trouble_, error.message()) != error.message()) context_.out.error(error);
            return world_.clock.now() + one_second;
        }
    }

    void begin_to_stop() {
        notify_service_manager("STOPPING=1");
        context_.out.say(fmt::format("stopping; {} to end", counted(scheduler_.running(), "run is", "runs are")));
        scheduler_.stop();
        followers_.stop();
    }

    // Children work by what is in use here, so its text is kept for them.
    void load() {
        stamp_ = stamp_of(in_use_.path());
        const std::string text = read_config(in_use_.path());
        const Config config = checked_config(text, in_use_.path(), source_types());
        scheduler_.set_jobs(config.jobs);
        in_use_.set(text);
        followers_.set_followed(config);
        jobs_ = config.jobs.size();
    }

    void reload_if_wanted() {
        const Nanoseconds now = world_.clock.steady();
        const bool asked = reload_wanted.exchange(false);
        if (!asked && now < look_at) return;
        look_at = now + look_at_file_every;
        if (!asked && stamp_of(in_use_.path()) == stamp_) return;
        try {
            load();
            context_.out.say(fmt::format("the configuration {} was read again", in_use_.path()));
        } catch (Error& error) {
            if (error.code() != Code::config) stamp_ = {};  // the ledger may be away for a while
            error.set_unharmed("the configuration from before stays in use");
            context_.out.error(error);
        }
    }

    Context& context_;
    World& world_;
    ConfigInUse in_use_;
    const std::unique_ptr<ledger::Ledger> ledger_;
    ChildExecutor executor_;
    Followers followers_;
    service::Scheduler scheduler_;
    FileStamp stamp_;
    std::size_t jobs_ = 0;
    Nanoseconds look_at = 0;
    bool stopping_ = false;
    std::string trouble_;
};

int run_serve(Context& context, const ServeChoice& choice) {
    const auto path = context.config_path();
    if (!path)
        throw Error{Code::usage, "`serve` needs a configuration file"}.hint(
            "Name it with `-c FILE`; jobs and sources are in it.");
    Daemon(context, *path, std::max<std::uint32_t>(choice.parallel, 1)).run();
    return 0;
}

}  // namespace

Command serve_command() {
    const auto choice = std::make_shared<ServeChoice>();
    Command out;
    out.name = "serve";
    out.part = Part::run;
    out.summary = "run the jobs when they are due, and follow what is to be followed";
    out.details =
        "Each run is a process of its own. What was due while nothing ran is caught up on as `catch_up` says; a run "
        "whose "
        "process died is shown as interrupted and tried again. Several daemons may share a ledger: no run starts "
        "twice.\n"
        "The configuration is read again on SIGHUP and when the file changes; what runs goes on. SIGTERM and Ctrl-C "
        "ask "
        "the runs to end and wait half a minute for them.";
    out.examples = {{"holdfast serve", "until it is stopped"},
                    {"holdfast deploy systemd", "the unit that runs it"},
                    {"holdfast jobs", "what is due when"}};
    out.options.number(choice->parallel, "--parallel", "N", "so many runs at a time (default 4)");
    out.run = [choice](Context& context) { return run_serve(context, *choice); };
    return out;
}

}  // namespace holdfast::app
