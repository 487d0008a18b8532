#include "service/scheduler.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::service {

namespace {

using ledger::Run;
using ledger::RunState;

constexpr Nanoseconds punctual = 60 * one_second;  // what is later than this was missed
constexpr Nanoseconds look_every = 30 * one_second;
constexpr Nanoseconds jump_min = 60 * one_second;
constexpr std::size_t missed_max = 100;  // of a job that catches up on all

bool is_success(RunState state) { return state == RunState::done || state == RunState::partial; }

}  // namespace

std::optional<Nanoseconds> newest_due(const policy::Schedule& schedule, Nanoseconds after, Nanoseconds now) {
    constexpr Nanoseconds hour = 3600 * one_second;
    // From near to far, so that a long time without a daemon is not walked through minute by minute.
    for (const Nanoseconds back : {hour, 25 * hour, 24 * 32 * hour, now - after}) {
        std::optional<Nanoseconds> newest;
        auto due = schedule.next(std::max(after, now - back));
        for (; due && *due <= now; due = schedule.next(*due)) newest = due;
        if (newest) return newest;
    }
    return std::nullopt;
}

Scheduler::Scheduler(World& world, ledger::Ledger& ledger, Executor& executor, SchedulerOptions options)
    : world_(world),
      ledger_(ledger),
      executor_(executor),
      options_(std::move(options)),
      last_now_(world.clock.now()),
      last_steady_(world.clock.steady()) {}

Scheduler::Known* Scheduler::known(const std::string& job) {
    const auto found = jobs_.find(job);
    return found == jobs_.end() ? nullptr : &found->second;
}

void Scheduler::set_jobs(std::vector<policy::Job> jobs) {
    const Nanoseconds now = world_.clock.now();
    const bool first = jobs_.empty();
    const auto last_due = ledger_.last_due();
    std::map<std::string, Known> before = std::exchange(jobs_, {});
    due_ = {};
    waiting_.clear();
    for (policy::Job& job : jobs) {
        const std::string name = job.name;
        const auto old = before.find(name);
        Known& mine = jobs_[name];
        mine.job = std::move(job);
        if (old != before.end()) {
            mine.considered = old->second.considered;
            mine.succeeded = old->second.succeeded;
        } else {
            // A job that never ran has missed nothing; what a clock in the future left behind says nothing.
            const auto last = last_due.find(name);
            mine.considered = first && last != last_due.end() ? std::min(last->second, now) : now;
        }
    }
    for (const auto& [id, each] : running_)
        if (Known* const mine = known(each.run.job)) ++mine->running;
    for (const Run& run : ledger_.waiting()) {
        Known* const mine = known(run.job);
        if (mine == nullptr) {
            ledger_.drop_due(run.id);
            continue;
        }
        ++mine->waiting;
        mine->considered = std::max(mine->considered, std::min(run.due, now));
        waiting_.emplace(run.start_at, run);
    }
    for (auto& [name, mine] : jobs_) plan_next(mine);
}

void Scheduler::plan_next(Known& known) {
    if (!known.job.schedule) return;
    if (const auto next = known.job.schedule->next(known.considered)) due_.push({*next, known.job.name});
}

Nanoseconds Scheduler::step() {
    notice_clock();
    take_ended();
    look_for_abandoned();
    if (!stopping_) {
        take_due();
        start_waiting();
    }
    end_overlong();

    const Nanoseconds now = world_.clock.now();
    Nanoseconds wake = now + look_every;
    if (stopping_) return std::min(wake, now + one_second);
    if (!due_.empty()) wake = std::min(wake, due_.top().time);
    if (!waiting_.empty()) wake = std::min(wake, std::max(waiting_.begin()->first, now + one_second));
    for (const auto& [id, each] : running_)
        for (const Nanoseconds at : {each.deadline, each.kill_at})
            if (at > 0) wake = std::min(wake, now + std::max<Nanoseconds>(at - world_.clock.steady(), 0));
    return wake;
}

// Due times are the wall's. When somebody has set it back, they are planned anew from there: what ran already is known to
// the ledger. When it went ahead, what lies between was missed.
void Scheduler::notice_clock() {
    const Nanoseconds now = world_.clock.now(), steady = world_.clock.steady();
    const Nanoseconds jump = (now - last_now_) - (steady - last_steady_);
    last_now_ = now;
    last_steady_ = steady;
    if (std::abs(jump) < jump_min) return;
    world_.log.warning(
        fmt::format("the clock was set {} by {}", jump < 0 ? "back" : "forward", human_duration(std::abs(jump))));
    if (jump > 0) return;
    due_ = {};
    for (auto& [name, each] : jobs_) {
        each.considered = std::min(each.considered, now);
        plan_next(each);
    }
}

void Scheduler::look_for_abandoned() {
    const Nanoseconds steady = world_.clock.steady();
    if (steady < abandoned_at_) return;
    abandoned_at_ = steady + look_every;
    for (const Run& run : ledger_.end_abandoned(options_.is_alive)) {
        world_.log.warning(fmt::format("run {} of {} was interrupted: its process is gone", run.id, run.job));
        if (running_.contains(run.id)) continue;  // the executor will say so
        after_end(run, true);
    }
}

void Scheduler::take_ended() {
    for (const Executor::Ended& ended : executor_.ended()) {
        const auto found = running_.find(ended.run);
        if (found == running_.end()) continue;
        const Running running = std::move(found->second);
        running_.erase(found);
        if (Known* const mine = known(running.run.job)) --mine->running;
        auto run = ledger_.find(running.run.id);
        if (!run) continue;
        if (!has_ended(run->state)) {
            run->state = RunState::interrupted;
            run->ended = world_.clock.now();
            run->code = std::string(info_of(Code::terminated).slug);
            run->error = ended.complaint.empty() ? "its process ended without saying how" : ended.complaint;
            ledger_.end(*run);
        }
        if (!running.why.empty() && !is_success(run->state)) {
            run->error = running.why;
            ledger_.explain(run->id, running.why);
        }
        after_end(*run, running.retry && run->code != info_of(Code::cancelled).slug);
    }
}

void Scheduler::after_end(const Run& run, bool may_retry) {
    Known* const mine = known(run.job);
    if (mine == nullptr) return;
    if (is_success(run.state)) {
        tell_followers_of(run.job);
    } else if (may_retry) {
        retry(*mine, run);
    }
}

void Scheduler::retry(Known& known, const Run& failed) {
    const policy::Retries& retries = known.job.retries;
    if (failed.attempt > static_cast<int>(retries.count)) return;
    constexpr int doublings_max = 16;
    Run next = new_run(known, failed.due);
    next.attempt = failed.attempt + 1;
    next.start_at = world_.clock.now() + (retries.backoff << std::min(failed.attempt - 1, doublings_max));
    world_.log.info(fmt::format("{} is tried again at {}", known.job.name, rfc3339_seconds(next.start_at)));
    add(known, std::move(next));
}

// A job without a schedule runs when all that it comes after have succeeded.
void Scheduler::tell_followers_of(const std::string& job) {
    for (auto& [name, each] : jobs_) {
        if (each.job.schedule || std::ranges::find(each.job.after, job) == each.job.after.end()) continue;
        each.succeeded.insert(job);
        if (each.succeeded.size() < each.job.after.size()) continue;
        each.succeeded.clear();
        add_due_time(each, world_.clock.now());
    }
}

void Scheduler::take_due() {
    const Nanoseconds now = world_.clock.now();
    while (!due_.empty() && due_.top().time <= now) {
        Known& mine = jobs_.at(due_.top().job);
        due_.pop();
        const policy::Schedule& schedule = *mine.job.schedule;
        const auto newest = newest_due(schedule, mine.considered, now);
        if (newest && mine.job.catch_up == policy::CatchUp::all) {
            std::vector<Nanoseconds> missed;
            for (auto due = schedule.next(mine.considered); due && *due <= now; due = schedule.next(*due)) {
                missed.push_back(*due);
                if (missed.size() > missed_max) missed.erase(missed.begin());
            }
            for (const Nanoseconds due : missed) add_due_time(mine, due);
        } else if (newest && (mine.job.catch_up == policy::CatchUp::once || now - *newest <= punctual)) {
            add_due_time(mine, *newest);
        } else if (newest) {
            world_.log.warning(
                fmt::format("{} was due at {} and is not caught up on", mine.job.name, rfc3339_seconds(*newest)));
        }
        mine.considered = now;
        plan_next(mine);
    }
}

Run Scheduler::new_run(const Known& known, Nanoseconds due) const {
    Run out;
    out.id = ledger::new_run_id(world_.random);
    out.job = known.job.name;
    out.verb = policy::kind_of(known.job.task);
    out.repository = known.job.repository;
    out.host = options_.host;
    out.due = out.start_at = due;
    return out;
}

void Scheduler::add_due_time(Known& known, Nanoseconds due) {
    Run run = new_run(known, due);
    run.start_at = due + policy::jitter_of(known.job.name, known.job.jitter_max);
    add(known, std::move(run));
}

void Scheduler::add(Known& known, Run run) {
    const Nanoseconds now = world_.clock.now();
    const Nanoseconds wanted = std::max(run.start_at, now);
    if (known.job.allowed_hours) {
        const Nanoseconds allowed = policy::next_allowed(*known.job.allowed_hours, known.job.timezone, wanted);
        if (allowed > wanted) run.start_at = allowed;
    }
    // What starts later is remembered over a restart.
    if (run.start_at > now && !ledger_.add_due(run)) return;
    ++known.waiting;
    waiting_.emplace(run.start_at, std::move(run));
}

void Scheduler::start_waiting() {
    const Nanoseconds now = world_.clock.now();
    // What starts or ends here may let others start, but in the next step: the list is gone through once.
    std::vector<Run> ready;
    for (auto each = waiting_.begin(); each != waiting_.end() && each->first <= now; ++each)
        ready.push_back(each->second);
    std::ranges::stable_sort(ready, {}, [](const Run& run) { return std::tie(run.due, run.attempt); });
    std::set<std::string> settled;
    for (const Run& run : ready) {
        Known* const mine = known(run.job);
        if (mine == nullptr || try_to_start(*mine, run) == Attempted::later) continue;
        settled.insert(run.id);
    }
    for (auto each = waiting_.begin(); each != waiting_.end() && each->first <= now;) {
        if (!settled.contains(each->second.id)) {
            ++each;
            continue;
        }
        if (Known* const mine = known(each->second.job)) --mine->waiting;
        each = waiting_.erase(each);
    }
}

bool Scheduler::must_wait(const Known& known) const {
    if (running_.size() >= options_.running_max) return true;
    if (known.job.limits.load_max && options_.load() > *known.job.limits.load_max) return true;
    return std::ranges::any_of(known.job.after, [&](const std::string& before) {
        const auto found = jobs_.find(before);
        return found != jobs_.end() && (found->second.waiting > 0 || found->second.running > 0);
    });
}

Scheduler::Attempted Scheduler::try_to_start(Known& known, const Run& run) {
    using enum policy::Concurrency;
    if (must_wait(known)) return Attempted::later;
    if (known.running > 0 && known.job.concurrency == replace) {
        for (auto& [id, each] : running_)
            if (each.run.job == run.job) {
                each.retry = false;
                ask_to_stop(each, "replaced by the next run of the job");
            }
        return Attempted::later;
    }
    const bool alone = known.job.concurrency != allow;
    switch (ledger_.claim(run, options_.holder, options_.lease, alone)) {
        case ledger::Claim::taken:
            return Attempted::gone;
        case ledger::Claim::busy:
            if (known.job.concurrency == replace || run.attempt > 1 || known.job.catch_up == policy::CatchUp::all)
                return Attempted::later;
            skip(run, "the run before it had not ended");
            return Attempted::gone;
        case ledger::Claim::claimed:
            break;
    }
    begin(known, run);
    return Attempted::started;
}

void Scheduler::begin(Known& known, const Run& run) {
    if (known.job.catch_up != policy::CatchUp::all) supersede(known, run);
    Running running;
    running.run = run;
    if (known.job.timeout) running.deadline = world_.clock.steady() + *known.job.timeout;
    ++known.running;
    running_.emplace(run.id, std::move(running));
    try {
        executor_.start(known.job, run);
    } catch (const Error& error) {
        running_.erase(run.id);
        --known.running;
        Run failed = run;
        failed.state = RunState::failed;
        failed.ended = world_.clock.now();
        failed.code = std::string(info_of(error.code()).slug);
        failed.error = error.message();
        ledger_.end(failed);
        world_.log.warning(fmt::format("{} could not be started: {}", run.job, error.message()));
        retry(known, failed);
    }
}

// A later run makes retries of an earlier one pointless.
void Scheduler::supersede(const Known& known, const Run& by) {
    for (auto& [start, each] : waiting_) {
        if (each.job != known.job.name || each.due >= by.due || each.attempt == 1) continue;
        ledger_.drop_due(each.id);
        each.start_at = 0;
    }
    for (auto each = waiting_.begin(); each != waiting_.end();) {
        if (each->second.start_at != 0 || each->second.job != known.job.name || each->second.attempt == 1) {
            ++each;
            continue;
        }
        if (Known* const mine = this->known(each->second.job)) --mine->waiting;
        each = waiting_.erase(each);
    }
}

void Scheduler::skip(const Run& run, const std::string& why) {
    world_.log.warning(fmt::format("{} was due at {} and is skipped: {}", run.job, rfc3339_seconds(run.due), why));
    ledger_.drop_due(run.id);
    Run skipped = run;
    skipped.state = RunState::skipped;
    skipped.ended = world_.clock.now();
    skipped.code = std::string(info_of(Code::busy).slug);
    skipped.error = why;
    ledger_.add_ended(skipped);
}

void Scheduler::end_overlong() {
    const Nanoseconds steady = world_.clock.steady();
    for (auto& [id, each] : running_) {
        if (each.kill_at > 0 && steady >= each.kill_at) {
            executor_.stop(id, Executor::Urgency::at_once);
            each.kill_at = steady + options_.stop_wait;
        } else if (each.kill_at == 0 && each.deadline > 0 && steady >= each.deadline) {
            const Known* const mine = known(each.run.job);
            ask_to_stop(each,
                        fmt::format("it took longer than its timeout of {}",
                                    human_duration(mine != nullptr && mine->job.timeout ? *mine->job.timeout : 0)));
        }
    }
}

void Scheduler::ask_to_stop(Running& running, const std::string& why) {
    if (running.kill_at > 0) return;
    running.why = why;
    running.deadline = 0;
    running.kill_at = world_.clock.steady() + options_.stop_wait;
    executor_.stop(running.run.id, Executor::Urgency::politely);
}

void Scheduler::stop() {
    stopping_ = true;
    for (auto& [id, each] : running_) ask_to_stop(each, "the daemon was stopped");
}

}  // namespace holdfast::service
