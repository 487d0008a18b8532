#include "sources/files/walker.h"

#include <algorithm>

#include "base/error.h"

namespace holdfast::files {

namespace {

std::size_t bytes_of(const Batch& batch) {
    std::size_t bytes = sizeof(Batch) + batch.folder.size();
    for (const Batch::Entry& entry : batch.entries)
        bytes += sizeof entry + entry.item.path.size() + entry.version.size();
    return bytes;
}

}  // namespace

Walker::Walker(Folder::Pointer slash, const Root& top, const WalkOptions& options, LinkNumbers& links,
               Findings& findings)
    : options_(options), lister_(slash->cache(), options, links, findings), workers_(options.threads, options.threads) {
    const Place place{std::move(slash), &top, {}};
    Step& first = steps_.emplace_back();
    first.state = Step::State::finished;
    ahead_steps_ = 1;
    first.batch = lister_.slash(place);
    steps_.emplace_back().place = place;
    for (std::size_t i = 0; i < options.threads; ++i) workers_.submit([this] { work(); });
}

Walker::~Walker() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    work_.notify_all();
}

bool Walker::next(Batch& batch) {
    lister_.spare().give_back(std::move(batch.entries));
    std::unique_lock lock(mutex_);
    while (!failed_) {
        if (steps_.empty()) {
            ending_ = true;
            work_.notify_all();
            return false;
        }
        const auto step = expand(steps_.begin());
        if (step == steps_.end()) continue;
        if (step->state != Step::State::finished) {
            if (idle_ > 0 && step->state == Step::State::waiting) work_.notify_all();
            finished_.wait(lock, [&] { return failed_ || step->state == Step::State::finished; });
            continue;
        }
        batch = std::move(step->batch);
        ahead_bytes_ -= step->bytes;
        --ahead_steps_;
        Steps done;
        done.splice(done.begin(), steps_, step);
        // Waking a thread for each batch costs more than the batch: only when there is room for several.
        const bool has_room = ahead_bytes_ < ahead_bytes_max / 2 && ahead_steps_ < ahead_steps_max / 2;
        if (idle_ > 0 && has_room) work_.notify_all();
        if (batch.entries.empty()) continue;
        return true;
    }
    lock.unlock();
    workers_.finish();
    throw Error{Code::internal, "a walk ended without its error"};
}

void Walker::work() {
    // However this ends, next() must not wait for it.
    struct End {
        Walker& walker;
        bool well = false;
        ~End() {
            const std::lock_guard lock(walker.mutex_);
            if (!well) walker.failed_ = walker.ending_ = true;
            walker.finished_.notify_all();
            walker.work_.notify_all();
        }
    } end{*this};
    std::unique_lock lock(mutex_);
    while (!ending_) {
        const auto step = pick();
        if (step == steps_.end()) {
            ++idle_;
            work_.wait(lock);
            --idle_;
            continue;
        }
        step->state = Step::State::taken;
        ++ahead_steps_;
        lock.unlock();
        Lister::Found found;
        if (step->kind == Step::Kind::folder)
            found = lister_.list(step->place);
        else
            found.batch = lister_.piece(*step->large, step->first, step->end);
        const std::size_t bytes = bytes_of(found.batch);
        lock.lock();
        step->bytes = bytes;
        install(step, std::move(found));
    }
    lock.unlock();
    end.well = true;
}

// The first step that nobody has taken, if it is not too far ahead.
Walker::Steps::iterator Walker::pick() {
    std::size_t steps_before = 0;
    std::size_t bytes_before = 0;
    for (auto step = steps_.begin(); step != steps_.end(); ++step) {
        step = expand(step);
        if (step == steps_.end()) return step;
        if (step->state == Step::State::waiting) {
            const bool has_room = ahead_bytes_ < ahead_bytes_max && steps_before < ahead_steps_max;
            const bool is_near = bytes_before < near_bytes_max && steps_before < near_steps_max;
            return has_room || is_near ? step : steps_.end();
        }
        ++steps_before;
        bytes_before += step->bytes;
    }
    return steps_.end();
}

// Makes the next step of "more pieces" or "more folders" before it, and gives that; ends those that have no
// more.
Walker::Steps::iterator Walker::expand(Steps::iterator step) {
    while (step != steps_.end()) {
        if (step->kind == Step::Kind::more_pieces && step->first < step->end) {
            const auto piece = steps_.emplace(step);
            piece->kind = Step::Kind::piece;
            piece->large = step->large;
            piece->first = step->first;
            piece->end = std::min(step->end, step->first + options_.batch_entries_max);
            step->first = piece->end;
            return piece;
        }
        if (step->kind == Step::Kind::more_folders && step->folders->next < step->folders->names.size()) {
            SubFolders& more = *step->folders;
            std::string name = more.names.c_str() + more.next;
            more.next += name.size() + 1;
            const auto folder = steps_.emplace(step);
            Place& place = folder->place;
            if (more.parent.root != nullptr)
                if (const auto root = more.parent.root->children.find(name); root != more.parent.root->children.end())
                    place.root = root->second.get();
            const bool leads_on = place.root != nullptr && !place.root->whole;
            place.folder = Folder::below(more.parent.folder, std::move(name),
                                         leads_on ? Folder::Access::follow : Folder::Access::read);
            if (place.root == nullptr || !place.root->given) place.device = more.parent.device;
            return folder;
        }
        if (step->kind != Step::Kind::more_pieces && step->kind != Step::Kind::more_folders) return step;
        step = steps_.erase(step);
    }
    return step;
}

void Walker::install(Steps::iterator step, Lister::Found found) {
    const auto after = std::next(step);
    if (found.large) {
        const auto pieces = steps_.emplace(after);
        pieces->kind = Step::Kind::more_pieces;
        pieces->end = found.large->listing.size();
        pieces->large = std::move(found.large);
    }
    if (found.folders && !found.folders->names.empty()) {
        const auto folders = steps_.emplace(after);
        folders->kind = Step::Kind::more_folders;
        folders->folders = std::move(found.folders);
    }
    step->batch = std::move(found.batch);
    step->place.folder.reset();
    step->large.reset();
    step->state = Step::State::finished;
    ahead_bytes_ += step->bytes;
    if (step == steps_.begin()) finished_.notify_one();
    if (idle_ > 0) work_.notify_all();
}

}  // namespace holdfast::files
