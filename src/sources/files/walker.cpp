#include "sources/files/walker.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/item.h"
#include "sources/files/file_clock.h"

namespace holdfast::files {

namespace {

constexpr std::string_view cache_tag = "CACHEDIR.TAG";
constexpr std::string_view cache_signature = "Signature: 8a477f597d28d172789f06886806bc55";

bool has_cache_signature(FdCache& cache, int folder) {
    const OpenedFd tag = open_in(cache, folder, cache_tag.data(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    std::array<char, cache_signature.size()> begin{};
    return tag && ::read(tag.fd.get(), begin.data(), begin.size()) == ssize_t{begin.size()} &&
           std::string_view(begin.data(), begin.size()) == cache_signature;
}

std::size_t bytes_of(const Batch& batch) {
    std::size_t bytes = sizeof(Batch) + batch.folder.size();
    for (const Batch::Entry& entry : batch.entries)
        bytes += sizeof entry + entry.item.path.size() + entry.version.size();
    return bytes;
}

}  // namespace

std::uint32_t treatment_by(const WalkOptions& options) {
    std::uint32_t hash = options.exclude_caches ? 2166136261U : 0;
    for (const std::string& name : options.exclude_if_present) {
        for (const char c : name + "/") hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }
    return hash & ~treatment_partial;
}

std::optional<std::string> tag_in(FdCache& cache, int folder, const WalkOptions& options) {
    Stat stat;
    for (const std::string& name : options.exclude_if_present) {
        if (stat_at(folder, name.c_str(), stat) == 0) return name;
    }
    if (options.exclude_caches && has_cache_signature(cache, folder)) return std::string(cache_tag);
    return std::nullopt;
}

Walker::Walker(Folder::Pointer slash, const Root& top, const WalkOptions& options, LinkNumbers& links,
               Findings& findings)
    : cache_(slash->cache()),
      options_(options),
      links_(links),
      findings_(findings),
      treatment_(treatment_by(options)),
      workers_(options.threads, options.threads) {
    Stat stat;
    const Folder::Open open = slash->open();
    if (const int error = stat_at(open.get(), ".", stat); error != 0)
        throw Error{Code::source_failed, "cannot stat /: {}", errno_text(error)};
    Step& first = steps_.emplace_back();
    first.state = Step::State::finished;
    ahead_steps_ = 1;
    first.batch.handle = slash;
    fill_entry(first.batch.entries.emplace_back(), "", "/", stat, top.whole ? treatment_ : treatment_partial, links_);
    if (top.whole) ++roots_found_;
    Step& second = steps_.emplace_back();
    second.folder = std::move(slash);
    second.root = &top;
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
    std::vector<Batch::Entry> used = std::move(batch.entries);
    std::unique_lock lock(mutex_);
    if (used.size() > spare_.size()) std::swap(used, spare_);
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
        Found found;
        if (step->kind == Step::Kind::folder) {
            found = list_folder(*step);
        } else if (const Folder::Open open = step->large->folder->open()) {
            found.batch.handle = step->large->folder;
            stat_entries(*step->large, step->first, step->end, open.get(), found.batch, nullptr);
        } else {
            findings_.add(finding_of(step->large->path, open.error));
        }
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
            if (more.root != nullptr) folder->root = more.root->children.find(name)->second.get();
            const bool leads_on = folder->root != nullptr && !folder->root->whole;
            folder->folder =
                Folder::below(more.parent, std::move(name), leads_on ? Folder::Access::follow : Folder::Access::read);
            folder->device = more.device;
            return folder;
        }
        if (step->kind != Step::Kind::more_pieces && step->kind != Step::Kind::more_folders) return step;
        step = steps_.erase(step);
    }
    return step;
}

void Walker::install(Steps::iterator step, Found found) {
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
    step->folder.reset();
    step->large.reset();
    step->state = Step::State::finished;
    ahead_bytes_ += step->bytes;
    if (step == steps_.begin()) finished_.notify_one();
    if (idle_ > 0) work_.notify_all();
}

Walker::Found Walker::list_folder(const Step& step) {
    Found found;
    const Folder::Open open = step.folder->open();
    if (!open) {
        findings_.add(finding_of(step.folder->path(), open.error));
        return found;
    }
    if (step.root != nullptr && !step.root->whole) return list_named(step, open.get());
    auto large = std::make_shared<Large>();
    large->folder = step.folder;
    large->path = step.folder->path();
    large->device = step.device;
    if (options_.one_file_system) {
        Stat stat;
        if (stat_open(open.get(), stat) != 0) return found;
        if (!large->device) large->device = device_of(stat);
        if (*large->device != device_of(stat)) return found;
    }
    if (const int error = large->listing.list(open.get()); error != 0) findings_.add(finding_of(large->path, error));
    filter(large->listing, large->path, open.get());
    large->listing.sort();
    found.folders = std::make_unique<SubFolders>();
    found.folders->parent = step.folder;
    found.folders->device = large->device;
    if (large->listing.size() <= options_.batch_entries_max) {
        found.batch.handle = step.folder;
        stat_entries(*large, 0, large->listing.size(), open.get(), found.batch, found.folders.get());
        return found;
    }
    sort_out_sub_folders(*large, open.get(), *found.folders);
    found.large = std::move(large);
    return found;
}

// A folder that only leads to paths of the source.
Walker::Found Walker::list_named(const Step& step, int folder) {
    Found found;
    found.batch.handle = step.folder;
    found.batch.folder = step.folder->path();
    found.folders = std::make_unique<SubFolders>();
    found.folders->parent = step.folder;
    found.folders->root = step.root;
    for (const auto& [name, root] : step.root->children) {
        Stat stat;
        const int error =
            root->whole ? stat_at(folder, name.c_str(), stat) : stat_following(folder, name.c_str(), stat);
        if (error != 0) {
            findings_.add(finding_of(join_path(found.batch.folder, name), error));
            continue;
        }
        if (root->whole) ++roots_found_;
        const std::uint32_t treatment = !is_folder(stat) ? 0 : root->whole ? treatment_ : treatment_partial;
        fill_entry(found.batch.entries.emplace_back(), found.batch.folder, name, stat, treatment, links_);
        if (is_folder(stat)) found.folders->add(name);
    }
    return found;
}

// Takes out what the options leave out by name.
void Walker::filter(Listing& listing, const std::string& path, int folder) {
    if (options_.exclude_caches || !options_.exclude_if_present.empty()) {
        const bool may_have =
            (options_.exclude_caches && listing.has(cache_tag)) ||
            std::ranges::any_of(options_.exclude_if_present, [&](const auto& name) { return listing.has(name); });
        const auto tag = may_have ? tag_in(cache_, folder, options_) : std::nullopt;
        if (tag) listing.keep_if([&](std::string_view name, std::uint8_t) { return name == *tag; });
    }
    if (options_.excludes.empty()) return;
    Excludes::InFolder excludes(options_.excludes, path);
    if (excludes.empty()) return;
    listing.keep_if([&](std::string_view name, std::uint8_t type) {
        Stat stat;
        const bool folder_type =
            type == DT_DIR || (type == DT_UNKNOWN && stat_at(folder, name.data(), stat) == 0 && is_folder(stat));
        return !excludes.leaves_out(name, folder_type);
    });
}

void Walker::sort_out_sub_folders(Large& large, int folder, SubFolders& folders) {
    for (std::size_t i = 0; i < large.listing.size(); ++i) {
        Stat stat;
        const std::uint8_t type = large.listing.type(i);
        const char* name = large.listing.name(i);
        if (type == DT_DIR || (type == DT_UNKNOWN && stat_at(folder, name, stat) == 0 && is_folder(stat)))
            folders.add(name);
    }
}

void Walker::stat_entries(const Large& large, std::size_t first, std::size_t end, int folder, Batch& batch,
                          SubFolders* folders) {
    batch.folder = large.path;
    batch.entries = take_spare();
    batch.entries.reserve(end - first);
    std::size_t used = 0;
    const auto next_entry = [&]() -> Batch::Entry& {
        return used < batch.entries.size() ? batch.entries[used++] : (++used, batch.entries.emplace_back());
    };
    const timespec since = now_of_file_times();
    statx_timestamp newest{};
    std::vector<std::pair<std::size_t, const char*>> fresh;
    for (std::size_t i = first; i < end; ++i) {
        const char* name = large.listing.name(i);
        Stat stat;
        if (const int error = stat_at(folder, name, stat); error != 0) {
            findings_.add(finding_of(join_path(large.path, name), error));
            continue;
        }
        if (options_.exclude_larger && is_file(stat) && stat.stx_size > *options_.exclude_larger) continue;
        if (is_fresh(stat, since)) {
            fresh.emplace_back(used, name);
            if (is_before(newest, {stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec})) newest = stat.stx_ctime;
        }
        set_entry(next_entry(), large, name, stat);
        if (folders != nullptr && is_folder(stat)) folders->add(name);
    }
    batch.entries.resize(used);
    if (fresh.empty()) return;
    const bool waited = wait_until_past(newest);
    const timespec now = now_of_file_times();
    for (const auto& [index, name] : fresh) {
        Stat stat;
        if (stat_at(folder, name, stat) != 0) continue;  // it will be missed when it is read
        Batch::Entry& entry = batch.entries[index];
        set_entry(entry, large, name, stat);
        if (waited && is_fresh(stat, now)) entry.version.clear();
    }
}

std::vector<Batch::Entry> Walker::take_spare() {
    const std::lock_guard lock(mutex_);
    return std::move(spare_);
}

void Walker::set_entry(Batch::Entry& entry, const Large& large, const char* name, const Stat& stat) {
    std::uint32_t treatment = 0;
    if (is_folder(stat)) {
        treatment = treatment_;
        if (large.device && *large.device != device_of(stat)) treatment |= treatment_partial;
    }
    fill_entry(entry, large.path, name, stat, treatment, links_);
}

}  // namespace holdfast::files
