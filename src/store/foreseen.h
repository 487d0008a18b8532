// store/foreseen.h: a remote store that begins to read what it is told will be read.
//
// Shape    foresee() passes names on ahead; the first read() or find() of each takes what came, later ones ask anew.
//          forget() ends that: what was not asked for by then is given up
// Errors   of the request, where it is taken
// Threads  as store.h
// I1  an answer is at most as old as the foresee() that asked for it, and none outlives forget()
#pragma once

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/workers.h"
#include "store/decorator.h"

namespace holdfast {

class ForeseenStore final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;

    void foresee(const Foreseen& soon) override;
    void forget();

    std::optional<Bytes> read(std::string_view name) override;
    std::optional<ObjectInfo> find(std::string_view name) override;

private:
    template <class Answer>
    struct Soon {
        std::shared_ptr<std::atomic<bool>> is_wanted;
        std::future<std::optional<Answer>> answer;
    };
    template <class Answer>
    using Answers = std::map<std::string, Soon<Answer>, std::less<>>;

    template <class Answer, class Ask>
    void ask(Answers<Answer>& answers, const std::vector<std::string>& names, const Ask& ask);
    template <class Answer, class Ask>
    std::optional<Answer> taken(Answers<Answer>& answers, std::string_view name, const Ask& ask);

    std::mutex mutex_;
    // guarded by mutex_
    Answers<Bytes> reads_;
    Answers<ObjectInfo> finds_;
    std::optional<Workers> workers_;  // ends first
};

// What is foreseen meanwhile is forgotten at its end.
class Foresight {
public:
    explicit Foresight(ForeseenStore& store) : store_(store) {}
    ~Foresight() { store_.forget(); }
    Foresight(const Foresight&) = delete;
    Foresight& operator=(const Foresight&) = delete;

private:
    ForeseenStore& store_;
};

}  // namespace holdfast
