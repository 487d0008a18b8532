#include "app/origins.h"

#include <algorithm>
#include <limits>

#include "base/stopped.h"
#include "base/text.h"
#include "engine/replicate.h"
#include "repo/keys.h"
#include "repo/names.h"
#include "repo/replica.h"

namespace holdfast::app {

namespace {

constexpr Nanoseconds measuring_patience = 3 * one_second;
constexpr int measurements = 3;  // the first one also connects
constexpr Nanoseconds no_answer = std::numeric_limits<Nanoseconds>::max();

// All that hold the same snapshots, by the configuration.
std::vector<std::string> copies_of(const Config& config, const std::string& name) {
    const RepositoryConfig* const asked = config.repository(name);
    std::vector<std::string> out;
    if (asked == nullptr) return out;
    for (const RepositoryConfig& each : config.repositories) {
        const bool is_copy = each.replica_of == name || asked->replica_of == each.name ||
                             (!asked->replica_of.empty() && each.replica_of == asked->replica_of);
        if (each.name != name && is_copy) out.push_back(each.name);
    }
    return out;
}

// Trouble of the repository, not of who asks.
bool may_be_better_elsewhere(const Error& error) {
    switch (error.code()) {
        case Code::unreachable:
        case Code::corrupt:
        case Code::no_repository:
        case Code::rolled_back:
        case Code::not_found:
            return true;
        default:
            return false;
    }
}

}  // namespace

Origins::Origins(Context& context, OriginsPlan plan) : context_(context), plan_(std::move(plan)) {
    RepositoryChoice asked = context.choose_repository(context.globals.repository);
    asked_name_ = asked.name;
    others_ = copies_of(context.config(), asked.name);
    left_.push_back({.choice = std::move(asked), .is_asked = true});
    for (const std::string& name : others_) left_.push_back({.choice = context.choose_repository(name)});
    for (Candidate& each : left_) each.is_local = !is_bucket(each.choice.place);
}

Origin Origins::next() {
    if (!std::exchange(has_begun_, true)) {
        if (others_.empty()) {
            left_.clear();
            return {asked_name_, context_.open_repository(), plan_.wanted};
        }
        look_into_the_asked();
    }
    while (!left_.empty()) {
        bring_the_nearest_to_the_front();
        const Candidate candidate = std::move(left_.front());
        left_.pop_front();
        Origin out;
        try {
            out = open(candidate);
        } catch (const Error& error) {
            if (is_stop(error.code())) throw;
            if (candidate.is_asked)
                failure_ = error;
            else
                context_.out.warn(
                    fmt::format("{} cannot be restored from: {}", candidate.choice.name, error.message()));
            continue;
        }
        if (!candidate.is_asked) {
            refuse_older(out);
            say_why(candidate, out);
        }
        return out;
    }
    throw Error{*failure_};
}

bool Origins::go_on_after(const Error& error, const Origin& from, bool is_damaged) {
    if (left_.empty()) return false;
    bool is_of_origin = error.code() == Code::corrupt && is_damaged;
    if (error.code() == Code::unreachable) {
        try {
            is_of_origin = !from.repository->store().find(repo::names::config);
        } catch (const Error& again) {
            is_of_origin = !is_stop(again.code());
        }
    }
    if (!is_of_origin) return false;
    if (plan_.begins_once) throw with_hint(error);
    if (from.name == asked_name_) failure_ = error;
    context_.out.warn(fmt::format("{}: {}; going on from another copy", from.name, error.message()));
    return true;
}

// It says which snapshot is meant, whoever gives it then.
void Origins::look_into_the_asked() {
    try {
        asked_ = context_.open_repository();
        asked_->keys().require(repo::Right::read, "restore");
        const Selected selected = select_snapshot(asked_->snapshots(), plan_.wanted, context_.world.clock.now());
        remarks_ = selected.remarks;
        chosen_ = Wanted{selected.snapshot->id.hex() + (selected.path.empty() ? "" : ":" + selected.path), {}, {}};
    } catch (const Error& error) {
        if (!may_be_better_elsewhere(error)) throw;
        failure_ = error;
        asked_.reset();
        left_.pop_front();
    }
}

void Origins::bring_the_nearest_to_the_front() {
    const auto is_local = [](const Candidate& each) { return each.is_local; };
    // The journal that leads to an instant may go further there than in any copy.
    if (left_.front().is_asked && plan_.wanted.at) return;
    if (std::ranges::none_of(left_, is_local) && left_.size() > 1) {
        for (Candidate& each : left_) {
            if (each.answer) continue;
            each.answer = no_answer;
            try {
                const auto store = context_.open_store_of(each.choice, measuring_patience);
                for (int i = 0; i < measurements; ++i) {
                    const Nanoseconds began = context_.world.clock.steady();
                    store->find(repo::names::config);
                    each.answer = std::min(*each.answer, context_.world.clock.steady() - began);
                }
            } catch (const Error& error) {
                if (is_stop(error.code())) throw;
                context_.world.log.info(fmt::format("{} does not answer: {}", each.choice.name, error.message()));
            }
        }
    }
    // Where two are alike, that of -r is taken every time.
    const auto distance = [](const Candidate& each) {
        if (each.is_local || !each.answer) return Nanoseconds{0};
        return each.is_asked || *each.answer == no_answer ? *each.answer : *each.answer + *each.answer / 4;
    };
    std::ranges::stable_sort(left_, [&](const Candidate& a, const Candidate& b) {
        return a.is_local != b.is_local ? a.is_local : distance(a) < distance(b);
    });
}

Origin Origins::open(const Candidate& candidate) {
    Origin out{candidate.choice.name, nullptr, chosen_ && !plan_.wanted.at ? *chosen_ : plan_.wanted};
    if (candidate.is_asked) {
        out.repository = std::move(asked_);
        out.wanted = plan_.wanted;
        if (!plan_.begins_once) return out;
    } else {
        out.repository = context_.open_repository(candidate.choice,
                                                  candidate.choice.unlock ? SecretPlaces{} : context_.usual_places());
    }
    const repo::Snapshot& found = selected_in(out);
    if (!engine::not_there(*out.repository, {found.id}).empty())
        throw Error{Code::corrupt, "snapshot {} is not whole there", found.id.short_hex()}.hint(
            "`holdfast check` says what is missing, `holdfast repair --from` brings it back.");
    return out;
}

const repo::Snapshot& Origins::selected_in(const Origin& origin) const {
    return *select_snapshot(origin.repository->snapshots(), origin.wanted, context_.world.clock.now()).snapshot;
}

// `latest` of a copy may be older than what is in the target; whoever named the snapshot knows what he gets.
void Origins::refuse_older(const Origin& origin) const {
    if (chosen_ || !plan_.writes_over) return;
    const std::string word = plan_.wanted.text.substr(0, plan_.wanted.text.find(':'));
    if (word.empty() || !selected_in(origin).id.hex().starts_with(word)) throw with_hint(*failure_);
}

void Origins::say_why(const Candidate& candidate, const Origin& origin) const {
    const bool has_answered = candidate.answer && *candidate.answer != no_answer;
    const std::string why = failure_ ? fmt::format("{} cannot be used: {}", asked_name_, failure_->message())
                            : candidate.is_local ? "it is a folder of this machine"
                            : has_answered       ? fmt::format("it answers in {}", human_duration(*candidate.answer))
                                                 : "it is what is left";
    context_.out.say(fmt::format("restoring from {}: {}", origin.name, why));
    if (failure_ && origin.repository->is_replica())
        context_.out.say(fmt::format("{} is as of {}", origin.name, rfc3339(origin.repository->replica()->time)));
    for (const std::string& remark : remarks_) context_.out.say(remark);
}

Error Origins::with_hint(Error error) const {
    return std::move(error).hint(
        fmt::format("`--from {}` restores from {}.", others_.front(),
                    others_.size() == 1 ? "the copy there"
                                        : "a copy; there is also " + join({others_.begin() + 1, others_.end()}, ", ")));
}

}  // namespace holdfast::app
