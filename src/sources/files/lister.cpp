#include "sources/files/lister.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/item.h"

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

std::optional<std::string> tag_in(FdCache& cache, int folder, const WalkOptions& options) {
    Stat stat;
    for (const std::string& name : options.exclude_if_present) {
        if (stat_at(folder, name.c_str(), stat) == 0) return name;
    }
    if (options.exclude_caches && has_cache_signature(cache, folder)) return std::string(cache_tag);
    return std::nullopt;
}

// Takes out what the options leave out by name. True when a tag file said so.
bool filter(FdCache& cache, int folder, const std::string& path, const WalkOptions& options, Listing& listing) {
    const bool may_have_tag =
        (options.exclude_caches && listing.has(cache_tag)) ||
        std::ranges::any_of(options.exclude_if_present, [&](const auto& name) { return listing.has(name); });
    const auto tag = may_have_tag ? tag_in(cache, folder, options) : std::nullopt;
    if (tag) listing.keep_if([&](std::string_view name, std::uint8_t) { return name == *tag; });
    Excludes::InFolder excludes(options.excludes, path);
    if (excludes.empty()) return tag.has_value();
    listing.keep_if([&](std::string_view name, std::uint8_t type) {
        Stat stat;
        const bool folder_type =
            type == DT_DIR || (type == DT_UNKNOWN && stat_at(folder, name.data(), stat) == 0 && is_folder(stat));
        return !excludes.leaves_out(name, folder_type);
    });
    return tag.has_value();
}

bool is_given(const Root* root, std::string_view name) {
    if (root == nullptr) return false;
    const auto child = root->children.find(name);
    return child != root->children.end() && child->second->given;
}

}  // namespace

std::uint32_t treatment_by(const WalkOptions& options) {
    std::uint32_t hash = options.exclude_caches ? 2166136261U : 0;
    for (const std::string& name : options.exclude_if_present) {
        for (const char c : name + "/") hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }
    hash ^= options.excludes.hash();
    return hash & ~treatment_partial;
}

bool treats_folders(const WalkOptions& options) {
    return options.exclude_caches || !options.exclude_if_present.empty() || !options.excludes.empty();
}

bool leaves_out_names(FdCache& cache, int folder, const std::string& path, const WalkOptions& options) {
    if (!treats_folders(options)) return false;
    Listing listing;
    if (listing.list(folder) != 0) return true;
    const std::size_t names = listing.size();
    // Of a tag file, what is put beside it later is meant as well.
    return filter(cache, folder, path, options, listing) || listing.size() < names;
}

Batch Lister::slash(const Place& slash) {
    Stat stat;
    const Folder::Open open = slash.folder->open();
    if (const int error = stat_at(open.get(), ".", stat); error != 0)
        throw Error{Code::source_failed, "cannot stat /: {}", errno_text(error)};
    Batch batch;
    batch.handle = slash.folder;
    const bool whole = slash.root->whole;
    fill_entry(batch.entries.emplace_back(), "", "/", stat, whole ? treatment_ : treatment_partial, links_);
    if (whole) ++roots_found_;
    return batch;
}

Lister::Found Lister::list(const Place& place) {
    Found found;
    const Folder::Open open = place.folder->open();
    if (!open) {
        findings_.add(finding_of(place.folder->path(), open.error));
        return found;
    }
    if (place.root != nullptr && !place.root->whole) return list_named(place, open.get());
    auto large = std::make_shared<LargeFolder>();
    large->folder = place.folder;
    large->path = place.folder->path();
    large->root = place.root;
    large->device = place.device;
    if (options_.one_file_system) {
        Stat stat;
        if (const int error = stat_open(open.get(), stat); error != 0) {
            findings_.add(finding_of(large->path, error));
            return found;
        }
        if (!large->device) large->device = device_of(stat);
        const bool ends_here = *large->device != device_of(stat);
        if (ends_here && place.root != nullptr && !place.root->children.empty()) return list_named(place, open.get());
        if (ends_here) return found;
    }
    if (const int error = large->listing.list(open.get()); error != 0) findings_.add(finding_of(large->path, error));
    filter(cache_, open.get(), large->path, options_, large->listing);
    large->listing.sort();
    found.folders = std::make_unique<SubFolders>();
    found.folders->parent = {place.folder, place.root, large->device};
    if (large->listing.size() <= options_.batch_entries_max) {
        found.batch.handle = place.folder;
        stat_entries(*large, 0, large->listing.size(), open.get(), found.batch, found.folders.get());
        return found;
    }
    sort_out_sub_folders(*large, open.get(), *found.folders);
    found.large = std::move(large);
    return found;
}

// A folder that only leads to paths of the source.
Lister::Found Lister::list_named(const Place& place, int folder) {
    Found found;
    found.batch.handle = place.folder;
    found.batch.folder = place.folder->path();
    found.folders = std::make_unique<SubFolders>();
    found.folders->parent = {place.folder, place.root, place.device};
    for (const auto& [name, root] : place.root->children) {
        Stat stat;
        Batch::Entry entry;
        if (const int error = stat_named(folder, name, *root, found.batch.folder, entry, stat); error != 0) {
            findings_.add(finding_of(join_path(found.batch.folder, name), error));
            continue;
        }
        if (root->given) ++roots_found_;
        if (is_folder(stat)) found.folders->add(name);
        found.batch.entries.push_back(std::move(entry));
    }
    return found;
}

// An errno, 0 for success.
int Lister::stat_named(int folder, const std::string& name, const Root& root, const std::string& above,
                       Batch::Entry& entry, Stat& stat) {
    const auto look = [&] {
        return root.whole ? stat_at(folder, name.c_str(), stat) : stat_following(folder, name.c_str(), stat);
    };
    int error = look();
    if (error == 0 && is_fresh(stat, options_.now())) {
        wait_until_past(stat.stx_ctime, options_.now);
        error = look();
    }
    if (error != 0) return error;
    const std::uint32_t treatment = !is_folder(stat) ? 0 : root.given ? treatment_ : treatment_partial;
    fill_entry(entry, above, name, stat, treatment, links_);
    if (is_fresh(stat, options_.now())) entry.version.clear();
    return 0;
}

void Lister::sort_out_sub_folders(const LargeFolder& large, int folder, SubFolders& folders) {
    for (std::size_t i = 0; i < large.listing.size(); ++i) {
        Stat stat;
        const std::uint8_t type = large.listing.type(i);
        const char* name = large.listing.name(i);
        if (type == DT_DIR || (type == DT_UNKNOWN && stat_at(folder, name, stat) == 0 && is_folder(stat)))
            folders.add(name);
    }
}

void Lister::stat_entries(const LargeFolder& large, std::size_t first, std::size_t end, int folder, Batch& batch,
                          SubFolders* folders) {
    batch.folder = large.path;
    batch.entries = spare_.take();
    batch.entries.reserve(end - first);
    std::size_t used = 0;
    const auto next_entry = [&]() -> Batch::Entry& {
        return used < batch.entries.size() ? batch.entries[used++] : (++used, batch.entries.emplace_back());
    };
    const timespec since = options_.now();
    statx_timestamp newest{};
    std::vector<std::pair<std::size_t, const char*>> fresh;
    for (std::size_t i = first; i < end; ++i) {
        const char* name = large.listing.name(i);
        Stat stat;
        if (const int error = stat_at(folder, name, stat); error != 0) {
            findings_.add(finding_of(join_path(large.path, name), error));
            continue;
        }
        if (options_.exclude_larger && is_file(stat) && stat.stx_size > *options_.exclude_larger) {
            const std::lock_guard lock(mutex_);
            left_out_.push_back(join_path(large.path, name));
            continue;
        }
        if (is_fresh(stat, since)) {
            fresh.emplace_back(used, name);
            if (is_before(newest, {stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec})) newest = stat.stx_ctime;
        }
        set_entry(next_entry(), large, name, stat);
        if (folders != nullptr && is_folder(stat)) folders->add(name);
    }
    batch.entries.resize(used);
    if (fresh.empty()) return;
    wait_until_past(newest, options_.now);
    const timespec now = options_.now();
    for (const auto& [index, name] : fresh) {
        Stat stat;
        if (stat_at(folder, name, stat) != 0) continue;  // it will be missed when it is read
        Batch::Entry& entry = batch.entries[index];
        set_entry(entry, large, name, stat);
        if (is_fresh(stat, now)) entry.version.clear();  // also when its stamp is too far ahead to wait for
    }
}

std::vector<std::string> Lister::take_left_out() {
    const std::lock_guard lock(mutex_);
    return std::move(left_out_);
}

Batch Lister::piece(const LargeFolder& large, std::size_t first, std::size_t end) {
    Batch batch;
    if (const Folder::Open open = large.folder->open()) {
        batch.handle = large.folder;
        stat_entries(large, first, end, open.get(), batch, nullptr);
    } else {
        findings_.add(finding_of(large.path, open.error));
    }
    return batch;
}

void Lister::set_entry(Batch::Entry& entry, const LargeFolder& large, const char* name, const Stat& stat) {
    std::uint32_t treatment = 0;
    if (is_folder(stat)) {
        treatment = treatment_;
        if (large.device && *large.device != device_of(stat) && !is_given(large.root, name))
            treatment |= treatment_partial;
    }
    fill_entry(entry, large.path, name, stat, treatment, links_);
}

}  // namespace holdfast::files
