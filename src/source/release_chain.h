// source/release_chain.h: lets go of a chain of parents in a loop; each in the destructor of the one below would
// overflow the stack.
//
// Threads  any: what is let go of belongs to nobody else
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace holdfast {

// For the destructor of a T that owns the next of its chain. A destructor that runs inside hands its own on.
template <class T>
void release_chain(std::shared_ptr<T> next) {
    thread_local std::vector<std::shared_ptr<T>>* releasing = nullptr;
    if (releasing != nullptr) {
        releasing->push_back(std::move(next));
        return;
    }
    std::vector<std::shared_ptr<T>> waiting;
    releasing = &waiting;
    waiting.push_back(std::move(next));
    while (!waiting.empty()) {
        const std::shared_ptr<T> last = std::move(waiting.back());
        waiting.pop_back();
    }
    releasing = nullptr;
}

}  // namespace holdfast
