#include "app/recorder.h"

#include <csignal>

#include "app/holder.h"
#include "app/run_notes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

constexpr std::chrono::seconds renew_every{2};
constexpr Nanoseconds wait_max = 120 * one_second;  // for a ledger that cannot be reached

}  // namespace

void ask_patiently(const World& world, const std::function<void()>& ask) {
    const Nanoseconds give_up_at = world.clock.steady() + wait_max;
    for (Nanoseconds wait = one_second / 4;; wait = std::min(2 * wait, 5 * one_second)) {
        try {
            return ask();
        } catch (const Error& failure) {
            const bool may_pass = failure.code() == Code::busy || failure.code() == Code::unreachable;
            if (!may_pass || world.stop.requested() || world.clock.steady() >= give_up_at) throw;
        }
        world.clock.sleep(wait);
    }
}

ledger::Place ledger_place(Context& context) {
    std::string url = context.config().service.ledger;
    if (auto reference = parse_reference(url)) {
        reference->where = "`ledger` of `service`";
        url = context.secrets.text_of(*reference);
    }
    return {std::move(url)};
}

std::unique_ptr<ledger::Ledger> open_ledger(Context& context) {
    return ledger::Ledger::open(ledger_place(context), context.world);
}

Recorder::Recorder(Context& context, std::shared_ptr<ledger::Ledger> ledger, ledger::Run run)
    : context_(context), ledger_(std::move(ledger)), run_(std::move(run)) {
    context_.recorder = this;
    context_.out.copy_to([this](std::string_view text) {
        const std::lock_guard lock(mutex_);
        log_ += text;
    });
    thread_ = std::jthread([this](const std::stop_token& token) { keep_up(token); });
}

Recorder::~Recorder() {
    if (!ended_)
        end(ledger::RunState::interrupted, std::string(info_of(Code::internal).slug), "it ended without saying how");
    context_.recorder = nullptr;
}

void Recorder::add(ledger::Outcome outcome) {
    if (outcome.component.empty())
        if (const SourceConfig* const source = context_.config().source(outcome.source))
            outcome.component = source->kind;
    run_.outcomes.push_back(std::move(outcome));
}

void Recorder::write_log() {
    const std::string text = [this] {
        const std::lock_guard lock(mutex_);
        return std::exchange(log_, "");
    }();
    try {
        ledger_->append_log(run_.id, text);
    } catch (...) {
        const std::lock_guard lock(mutex_);
        log_.insert(0, text);
        throw;
    }
}

void Recorder::keep_up(const std::stop_token& token) {
    bool warned = false;
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, token, renew_every, [&] { return token.stop_requested(); })) {
        lock.unlock();
        try {
            const Output::Sample now = context_.out.watched();
            if (!ledger_->renew(run_.id, lease, {now.what, now.items, now.items_total, now.bytes, now.bytes_total}))
                context_.world.stop.request(SIGTERM);
            write_log();
            warned = false;
        } catch (const Error& error) {
            if (!std::exchange(warned, true))
                context_.out.warn(fmt::format("the ledger does not take the run's progress: {}", error.message()));
        }
        lock.lock();
    }
}

void Recorder::end(ledger::RunState state, const std::string& code, const std::string& error) {
    ended_ = true;
    if (thread_.joinable()) {
        thread_.request_stop();
        thread_.join();
    }
    run_.state = state;
    run_.ended = context_.world.clock.now();
    run_.code = code;
    run_.error = error;
    run_.progress = {};
    try {
        // Else a run that was done would be called interrupted, and be done again.
        ask_patiently(context_.world, [&] {
            write_log();
            ledger_->end(run_);
        });
    } catch (const Error& failure) {
        context_.out.warn(fmt::format("the ledger does not take how the run ended: {}", failure.message()));
    }
    context_.out.copy_to({});
    if (code != info_of(Code::unreachable).slug)
        leave_run_notes(context_, *ledger_, context_.config().repository_named(run_.repository));
}

void record(Context& context, ledger::Outcome outcome) {
    if (context.recorder != nullptr) context.recorder->add(std::move(outcome));
}

ledger::RunState state_of_exit(int exit) {
    if (exit == 0) return ledger::RunState::done;
    return exit == info_of(Code::partial).exit_status ? ledger::RunState::partial : ledger::RunState::failed;
}

namespace {

std::unique_ptr<Recorder> begin_by_hand(Context& context, const std::string& verb) {
    if (context.recorder != nullptr) return nullptr;
    try {
        if (!context.config().records_runs()) return nullptr;
        std::shared_ptr<ledger::Ledger> ledger = open_ledger(context);
        ledger::Run run;
        run.id = ledger::new_run_id(context.world.random);
        run.verb = verb;
        run.due = run.start_at = context.world.clock.now();
        run.host = current_host_name();
        run.repository = context.repository_name();
        ledger->claim(run, holder_of_this_process(), Recorder::lease, false);
        return std::make_unique<Recorder>(context, std::move(ledger), std::move(run));
    } catch (const Error& error) {
        context.out.warn(fmt::format("this run is not recorded: {}", error.message()));
        return nullptr;
    }
}

}  // namespace

int recorded_by_hand(Context& context, const std::string& verb, const std::function<int()>& work) {
    const std::unique_ptr<Recorder> recorder = begin_by_hand(context, verb);
    if (recorder == nullptr) return work();
    try {
        const int exit = work();
        std::string code, text;
        for (const ledger::Outcome& each : recorder->run().outcomes)
            if (text.empty() && !each.error.empty()) {
                code = each.result;
                text = each.error;
            }
        recorder->end(state_of_exit(exit), code, text);
        return exit;
    } catch (...) {
        const Error error = as_error(std::current_exception());
        recorder->end(state_of_exit(error.exit_status()), std::string(info_of(error.code()).slug), error.message());
        throw;
    }
}

}  // namespace holdfast::app
