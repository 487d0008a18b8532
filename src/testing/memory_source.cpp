#include "testing/memory_source.h"

#include <unistd.h>

#include <algorithm>

namespace holdfast::testing_support {

namespace {

class MemoryData final : public ItemData {
public:
    explicit MemoryData(const MemoryFile& file) : file_(file) {}
    Piece read(MutableByteView into) override {
        if (at_ < file_.bytes.size()) {
            const std::size_t now = std::min(into.size(), file_.bytes.size() - at_);
            std::memcpy(into.data(), file_.bytes.data() + at_, now);
            at_ += now;
            return {now, 0};
        }
        return {0, std::exchange(hole_left_, 0)};
    }

private:
    const MemoryFile& file_;
    std::size_t at_ = 0;
    std::uint64_t hole_left_ = file_.hole_after;
};

class MemoryCapture final : public Capture {
public:
    MemoryCapture(const MemoryTree& tree, MemorySource& source)
        : tree_(tree), opened_(source.opened), facts_(source.facts) {
        std::map<std::string, Batch::Entry> entries;  // by tree key
        const auto add = [&](const std::string& path, ItemKind kind, const MemoryFile* file) {
            Batch::Entry entry;
            entry.item.path = path;
            entry.item.kind = kind;
            entry.item.mode = kind == ItemKind::folder ? 0755 : 0644;
            entry.item.uid = ::geteuid();
            entry.item.gid = ::getegid();
            entry.item.mtime_s = file == nullptr ? 0 : file->version;
            entry.item.size = file == nullptr ? 0 : file->bytes.size() + file->hole_after;
            entry.item.hard_link = file == nullptr ? 0 : file->hard_link;
            entry.expected_bytes = entry.item.size;
            entry.version = std::to_string(entry.item.mtime_s) + " " + std::to_string(entry.item.size);
            entries.emplace(tree_key(path), std::move(entry));
        };
        for (const auto& [path, file] : tree) {
            add(path, ItemKind::file, &file);
            for (std::string_view folder = split_path(path).first; !folder.empty(); folder = split_path(folder).first)
                add(std::string(folder), ItemKind::folder, nullptr);
        }
        for (const std::string& path : source.ahead)
            batches_.push_back({std::string(split_path(path).first), {entries.at(tree_key(path))}, nullptr, true});
        if (source.forgets_them)
            for (const std::string& path : source.ahead) entries.erase(tree_key(path));
        for (auto& [key, entry] : entries) {
            const std::string folder(split_path(entry.item.path).first);
            if (batches_.empty() || batches_.back().is_ahead || batches_.back().folder != folder)
                batches_.push_back({folder, {}, nullptr});
            batches_.back().entries.push_back(std::move(entry));
        }
    }
    bool next(Batch& batch) override {
        if (at_ == batches_.size()) return false;
        batch = batches_[at_++];
        return true;
    }
    std::optional<Finding> complete(const Batch&, Item&) override { return std::nullopt; }
    Opened open(const Batch&, const Batch::Entry& entry) override {
        const std::lock_guard lock(mutex_);
        ++opened_;
        if (tree_.at(entry.item.path).is_unreadable)
            return {nullptr, Finding{entry.item.path, Finding::Kind::unreadable, "input/output error"}};
        return {std::make_unique<MemoryData>(tree_.at(entry.item.path)), std::nullopt};
    }
    CaptureSummary finish() override { return {{}, facts_}; }

private:
    const MemoryTree& tree_;
    std::uint64_t& opened_;
    const std::optional<Facts> facts_;
    std::mutex mutex_;
    std::vector<Batch> batches_;
    std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Capture> MemorySource::begin(const CaptureRequest&) {
    return std::make_unique<MemoryCapture>(tree_, *this);
}

Rebuild::Ticket MemoryTarget::begin_item(const Item& item) {
    const std::lock_guard lock(mutex_);
    paths_.push_back(item.path);
    if (item.kind == ItemKind::file) files[item.path].resize(item.size, '\0');
    return {paths_.size() - 1, item.kind == ItemKind::file};
}

void MemoryTarget::write(const Ticket& ticket, std::uint64_t offset, ByteView bytes) {
    const std::lock_guard lock(mutex_);
    files.at(paths_[ticket.number]).replace(offset, bytes.size(), as_text(bytes));
}

void MemoryTarget::end_item(const Ticket&) {}

void MemoryTarget::abandon_item(const Ticket& ticket, const Finding& finding) {
    const std::lock_guard lock(mutex_);
    files.erase(paths_[ticket.number]);
    abandoned.push_back(finding);
}

Rebuild::Summary MemoryTarget::finish() {
    Summary summary;
    summary.items_written = paths_.size();
    return summary;
}

std::map<std::string, std::string> contents_of(const MemoryTree& tree) {
    std::map<std::string, std::string> out;
    for (const auto& [path, file] : tree) out[path] = file.bytes + std::string(file.hole_after, '\0');
    return out;
}

}  // namespace holdfast::testing_support
