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

Nanoseconds allowed_from(const policy::Job& job, Nanoseconds time) {
    return job.allowed_hours ? policy::next_allowed(*job.allowed_hours, job.timezone, time) : time;
}

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
      last_steady_(world.clock.steady()),
      here_since_(last_now_) {}

Scheduler::Known* Scheduler::known(const std::string& job) {
    const auto found = jobs_.find(job);
    return found == jobs_.end() ? nullptr : &found->second;
}

void Scheduler::set_jobs(std::vector<policy::Job> jobs) {
    const Nanoseconds now = world_.clock.now();
    const bool first = jobs_.empty();
    // The ledger first: when it fails, all stays as it was.
    const auto last_due = ledger_.last_due();
    const std::vector<Run> waiting = ledger_.waiting();
    for (const Run& run : waiting)
        if (known(run.job) != nullptr && std::ranges::find(jobs, run.job, &policy::Job::name) == jobs.end())
            ledger_.drop_due(run.id);  // of a job that we knew; one that we never did is another scheduler's
    std::map<std::string, Known> before = std::exchange(jobs_, {});
    due_ = {};
    waiting_.clear();
    for (policy::Job& job : jobs) {
        const std::string name = job.name;
        const auto old = before.find(name);
        Known& mine = jobs_[name];
        if (old != before.end()) {
            mine = std::move(old->second);
        } else if (job.schedule) {
            // A job that never ran has missed nothing; what a clock in the future left behind says nothing.
            const auto last = last_due.find(name);
            mine.considered = first && last != last_due.end() ? std::min(last->second, now) : now;
        }
        mine.job = std::move(job);
    }
    for (const Run& run : waiting) {
        Known* const mine = known(run.job);
        if (mine == nullptr) continue;
        if (mine->job.schedule) mine->considered = std::max(mine->considered, std::min(run.due, now));
        waiting_.emplace(run.id, run);
    }
    after_others_.clear();
    for (auto& [name, mine] : jobs_) {
        plan_next(mine);
        if (!mine.job.schedule && !mine.job.after.empty()) after_others_.push_back(name);
    }
    look_at_ = 0;
}

void Scheduler::plan_next(Known& known) {
    if (!known.job.schedule) return;
    if (const auto next = known.job.schedule->next(known.considered)) due_.push({*next, known.job.name});
}

Nanoseconds Scheduler::step() {
    notice_clock();
    try {
        do_what_is_due();
    } catch (...) {
        // While the ledger was away nobody else could renew his lease either.
        look_at_ = world_.clock.steady() + look_every;
        end_overlong();
        throw;
    }
    end_overlong();

    const Nanoseconds now = world_.clock.now();
    Nanoseconds wake = now + look_every;
    if (stopping_ || !over_.empty()) wake = now + one_second;
    if (stopping_) return wake;
    if (!due_.empty()) wake = std::min(wake, due_.top().time);
    for (const auto& [id, each] : waiting_)
        wake = std::min(wake, each.start_at > now ? each.start_at : now + one_second);
    for (const auto& [id, each] : running_)
        for (const Nanoseconds at : {each.deadline, each.kill_at})
            if (at > 0) wake = std::min(wake, now + std::max<Nanoseconds>(at - world_.clock.steady(), 0));
    return wake;
}

void Scheduler::do_what_is_due() {
    take_ended();
    look_around();
    if (stopping_) return;
    take_due();
    start_waiting();
}

// Due times are the wall's. When somebody has set it back, they are planned anew from there: what ran already is known to
// the ledger. When it went ahead, what lies between was missed.
void Scheduler::notice_clock() {
    const Nanoseconds now = world_.clock.now(), steady = world_.clock.steady();
    const Nanoseconds jump = (now - last_now_) - (steady - last_steady_);
    if (now - last_now_ > punctual) here_since_ = now;
    last_now_ = now;
    last_steady_ = steady;
    if (std::abs(jump) < jump_min) return;
    world_.log.warning(
        fmt::format("the clock was set {} by {}", jump < 0 ? "back" : "forward", human_duration(std::abs(jump))));
    if (jump > 0) return;
    here_since_ = std::min(here_since_, now);
    due_ = {};
    for (auto& [name, each] : jobs_) {
        each.considered = std::min(each.considered, now);
        each.begun = std::min(each.begun, now);
        plan_next(each);
    }
}

void Scheduler::take_ended() {
    for (Executor::Ended& ended : executor_.ended())
        if (running_.contains(ended.run)) over_.push_back({.run = ended.run, .error = std::move(ended.complaint)});
    for (; !over_.empty(); over_.pop_front()) {
        settle(over_.front());
        running_.erase(over_.front().run);
    }
}

void Scheduler::settle(const Over& over) {
    auto run = ledger_.find(over.run);
    if (!run) return;
    if (!has_ended(run->state)) {
        run->state = over.state;
        run->ended = world_.clock.now();
        run->code = std::string(info_of(over.code).slug);
        run->error = over.error.empty() ? "its process ended without saying how" : over.error;
        ledger_.end(*run);
    }
    const std::string& why = running_.at(over.run).why;
    if (!why.empty() && !is_success(run->state)) ledger_.explain(run->id, why);
    after_end(*run);
}

void Scheduler::look_around() {
    const Nanoseconds steady = world_.clock.steady();
    if (steady < look_at_) return;
    watch_others();
    for (auto& [name, mine] : jobs_) {
        if (mine.looked) continue;
        // It may have ended while no daemon was there.
        if (const auto last = ledger_.last(name); last && has_ended(last->state)) after_end(*last);
        mine.looked = true;
    }
    std::map<std::string, Run> waiting;
    for (const Run& run : ledger_.waiting())
        if (known(run.job) != nullptr) waiting.emplace(run.id, run);
    waiting_ = std::move(waiting);
    add_those_after_others();
    look_at_ = steady + look_every;
}

// Runs that another scheduler, a daemon before this one or somebody by hand has started.
void Scheduler::watch_others() {
    for (const Run& run : ledger_.end_abandoned(options_.is_alive)) {
        world_.log.warning(fmt::format("run {} of {} was interrupted: its process is gone", run.id, run.job));
        elsewhere_.insert(run.id);
    }
    std::set<std::string> going;
    for (const Run& run : ledger_.running())
        if (known(run.job) != nullptr) going.insert(run.id);
    elsewhere_.insert(going.begin(), going.end());
    std::erase_if(elsewhere_, [&](const std::string& id) {
        if (running_.contains(id)) return true;
        if (going.contains(id)) return false;
        if (const auto run = ledger_.find(id)) after_end(*run);
        return true;
    });
}

// To ask twice what comes after one end does no harm: the ledger knows what is due already.
void Scheduler::after_end(const Run& run) {
    Known* const mine = known(run.job);
    if (mine == nullptr) return;
    if (is_success(run.state)) return add_those_after_others();
    const bool was_told_to_end = run.stop || run.code == info_of(Code::cancelled).slug;
    if (run.scheduled && run.state != RunState::skipped && !was_told_to_end) retry(*mine, run);
}

void Scheduler::retry(Known& known, const Run& failed) {
    const policy::Retries& retries = known.job.retries;
    if (failed.attempt > static_cast<int>(retries.count)) return;
    Run next = new_run(known, failed.due);
    next.attempt = failed.attempt + 1;
    next.start_at = std::min(failed.ended, world_.clock.now()) + policy::pause_after(retries, failed.attempt);
    world_.log.info(fmt::format("{} is tried again at {}", known.job.name, rfc3339_seconds(next.start_at)));
    add(known, std::move(next));
}

// A job without a schedule is due when all that it comes after have succeeded since it was due last, wherever they ran.
void Scheduler::add_those_after_others() {
    for (const std::string& name : after_others_) {
        Known& mine = jobs_.at(name);
        if (const auto last = ledger_.last(name); last && last->due <= world_.clock.now())
            mine.considered = std::max(mine.considered, last->due);
        std::vector<Nanoseconds> successes;
        for (const std::string& before : mine.job.after)
            if (const auto last = ledger_.last_success(before); last && last->ended > mine.considered)
                successes.push_back(last->ended);
        if (successes.size() < mine.job.after.size()) continue;
        const Nanoseconds due = std::ranges::max(successes);
        if (mine.job.catch_up != policy::CatchUp::none || due >= here_since_) add_due_time(mine, due);
        mine.considered = due;
    }
}

void Scheduler::take_due() {
    const Nanoseconds now = world_.clock.now();
    while (!due_.empty() && due_.top().time <= now) {
        Known& mine = jobs_.at(due_.top().job);
        for (const Nanoseconds due : due_times(mine)) {
            add_due_time(mine, due);
            mine.considered = due;
        }
        mine.considered = now;
        due_.pop();
        plan_next(mine);
    }
}

// Those of its times since it was considered last that its policy wants to run.
std::vector<Nanoseconds> Scheduler::due_times(const Known& known) const {
    const Nanoseconds now = world_.clock.now();
    const policy::Schedule& schedule = *known.job.schedule;
    const auto newest = newest_due(schedule, known.considered, now);
    if (!newest) return {};
    if (known.job.catch_up == policy::CatchUp::all) {
        std::vector<Nanoseconds> missed;
        for (auto due = schedule.next(known.considered); due && *due <= now; due = schedule.next(*due)) {
            missed.push_back(*due);
            if (missed.size() > missed_max) missed.erase(missed.begin());
        }
        return missed;
    }
    if (known.job.catch_up == policy::CatchUp::once || *newest >= here_since_ - punctual) return {*newest};
    world_.log.warning(
        fmt::format("{} was due at {} and is not caught up on", known.job.name, rfc3339_seconds(*newest)));
    return {};
}

Run Scheduler::new_run(const Known& known, Nanoseconds due) const {
    Run out;
    out.id = ledger::new_run_id(world_.random);
    out.job = known.job.name;
    out.verb = policy::kind_of(known.job.task);
    out.repository = known.job.repository;
    out.host = options_.host;
    out.due = out.start_at = due;
    out.scheduled = true;
    return out;
}

void Scheduler::add_due_time(Known& known, Nanoseconds due) {
    Run run = new_run(known, due);
    run.start_at = due + policy::jitter_of(known.job.name, known.job.jitter_max);
    add(known, std::move(run));
}

void Scheduler::add(Known& known, Run run) {
    const Nanoseconds wanted = std::max(run.start_at, world_.clock.now());
    if (const Nanoseconds allowed = allowed_from(known.job, wanted); allowed > wanted) run.start_at = allowed;
    if (const auto waits = ledger_.add_due(run)) waiting_.insert_or_assign(waits->id, *waits);
}

void Scheduler::start_waiting() {
    busy_.reset();
    drop_pointless_retries();
    for (const Run& run : ready()) try_to_start(*known(run.job), run);
}

// A later run makes retries of an earlier one pointless.
void Scheduler::drop_pointless_retries() {
    std::vector<Run> pointless;
    for (const auto& [id, run] : waiting_) {
        const Known& mine = *known(run.job);
        if (run.attempt > 1 && run.due < mine.begun && mine.job.catch_up != policy::CatchUp::all)
            pointless.push_back(run);
    }
    for (const Run& run : pointless) drop(run);
}

// Those whose time has come, the most critical first, then in order. Of several of one job the latest is enough, unless
// it runs all of them.
std::vector<Run> Scheduler::ready() {
    std::vector<Run> out;
    std::map<std::string, Nanoseconds> latest;
    for (const auto& [id, run] : waiting_) {
        if (run.start_at > world_.clock.now()) continue;
        out.push_back(run);
        latest[run.job] = std::max(latest[run.job], run.due);
    }
    std::erase_if(out, [&](const Run& run) {
        const policy::Job& job = known(run.job)->job;
        const bool is_enough = job.catch_up != policy::CatchUp::all && job.concurrency != policy::Concurrency::allow;
        if (!is_enough || run.due == latest[run.job]) return false;
        run.attempt > 1 ? drop(run) : skip(run, "it had to wait until the next was due");
        return true;
    });
    std::ranges::stable_sort(
        out, {}, [&](const Run& run) { return std::tuple(known(run.job)->job.criticality, run.due, run.attempt); });
    return out;
}

bool Scheduler::must_wait(const Known& known) {
    if (running() >= options_.running_max) return true;
    if (known.job.limits.load_max && options_.load() > *known.job.limits.load_max) return true;
    if (known.job.after.empty()) return false;
    if (!busy_) busy_ = ledger_.busy_jobs();
    return std::ranges::any_of(known.job.after, [&](const std::string& before) { return busy_->contains(before); });
}

void Scheduler::try_to_start(Known& known, const Run& run) {
    using enum policy::Concurrency;
    const Nanoseconds now = world_.clock.now();
    if (const Nanoseconds allowed = allowed_from(known.job, now); allowed > now) {
        ledger_.postpone(run.id, allowed);
        waiting_.at(run.id).start_at = allowed;
        return;
    }
    if (must_wait(known)) return;
    const bool alone = known.job.concurrency != allow;
    switch (ledger_.claim(run, options_.holder, options_.lease, alone)) {
        case ledger::Claim::taken:
            waiting_.erase(run.id);
            return;
        case ledger::Claim::busy:
            if (known.job.concurrency == replace) return make_way(run.job);
            if (run.attempt > 1 || known.job.catch_up == policy::CatchUp::all) return;
            return skip(run, "the run before it had not ended");
        case ledger::Claim::claimed:
            waiting_.erase(run.id);
            return begin(known, run);
    }
}

void Scheduler::begin(Known& known, const Run& run) {
    known.begun = std::max(known.begun, run.due);
    Running running;
    running.run = run;
    if (known.job.timeout) running.deadline = world_.clock.steady() + *known.job.timeout;
    running_.emplace(run.id, std::move(running));
    try {
        executor_.start(known.job, run);
    } catch (const Error& error) {
        world_.log.warning(fmt::format("{} could not be started: {}", run.job, error.message()));
        over_.push_back({run.id, RunState::failed, error.code(), error.message()});
    }
}

// Ends the job's run for the next one, wherever it runs.
void Scheduler::make_way(const std::string& job) {
    for (auto& [id, each] : running_)
        if (each.run.job == job) ask_to_stop(each, "replaced by the next run of the job");
    for (const Run& run : ledger_.running())
        if (run.job == job && !run.stop) ledger_.request_stop(run.id);
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
    waiting_.erase(run.id);
}

void Scheduler::drop(const Run& run) {
    ledger_.drop_due(run.id);
    waiting_.erase(run.id);
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
