#include "store/foreseen.h"

#include <limits>

#include "store/read_many.h"

namespace holdfast {

void ForeseenStore::foresee(const Foreseen& soon) {
    if (!traits().is_remote) return;
    const std::lock_guard lock(mutex_);
    if (!workers_) workers_.emplace(requests_at_once, std::numeric_limits<std::size_t>::max());
    ask(reads_, soon.read, [this](const std::string& name) { return inner().read(name); });
    ask(finds_, soon.found, [this](const std::string& name) { return inner().find(name); });
}

template <class Answer, class Ask>
void ForeseenStore::ask(Answers<Answer>& answers, const std::vector<std::string>& names, const Ask& ask) {
    for (const std::string& name : names) {
        if (answers.contains(name)) continue;
        const auto is_wanted = std::make_shared<std::atomic<bool>>(true);
        const auto task = std::make_shared<std::packaged_task<std::optional<Answer>()>>(
            [ask, name, is_wanted] { return *is_wanted ? ask(name) : std::nullopt; });
        answers.emplace(name, Soon<Answer>{is_wanted, task->get_future()});
        workers_->submit([task] { (*task)(); });
    }
}

void ForeseenStore::forget() {
    const std::lock_guard lock(mutex_);
    for (auto& [name, soon] : reads_) *soon.is_wanted = false;
    for (auto& [name, soon] : finds_) *soon.is_wanted = false;
    reads_.clear();
    finds_.clear();
}

template <class Answer, class Ask>
std::optional<Answer> ForeseenStore::taken(Answers<Answer>& answers, std::string_view name, const Ask& ask) {
    std::future<std::optional<Answer>> answer;
    {
        const std::lock_guard lock(mutex_);
        if (const auto at = answers.find(name); at != answers.end()) {
            answer = std::move(at->second.answer);
            answers.erase(at);
        }
    }
    return answer.valid() ? answer.get() : ask();
}

std::optional<Bytes> ForeseenStore::read(std::string_view name) {
    return taken(reads_, name, [&] { return inner().read(name); });
}

std::optional<ObjectInfo> ForeseenStore::find(std::string_view name) {
    return taken(finds_, name, [&] { return inner().find(name); });
}

}  // namespace holdfast
