// testing/memory_source.h: a source and a target that are maps of path to bytes, for tests of the engine.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "base/bytes.h"
#include "source/source.h"

namespace holdfast::testing_support {

struct MemoryFile {
    std::string bytes;
    std::int64_t version = 1;      // another one makes it "changed"
    std::uint64_t hole_after = 0;  // a hole of this length behind the bytes
    std::uint64_t hard_link = 0;
    bool is_unreadable = false;
};
using MemoryTree = std::map<std::string, MemoryFile>;  // paths of files, "/a/b"; folders are implied

class MemorySource final : public Source {
public:
    explicit MemorySource(const MemoryTree& tree, std::string name = "memory") : tree_(tree), name_(std::move(name)) {}
    std::string name() const override { return name_; }
    std::string kind() const override { return "files"; }
    std::vector<std::string> describe() const override { return {"memory"}; }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override;
    std::uint64_t opened = 0;     // files that were read
    std::set<std::string> ahead;  // files that are given before their turn, too
    bool forgets_them = false;    // and never in their turn
    std::optional<Facts> facts;

private:
    const MemoryTree& tree_;
    std::string name_;
};

// What a restore gave back: files with holes as zeros.
class MemoryTarget final : public Rebuild {
public:
    Ticket begin_item(const Item& item) override;
    void write(const Ticket& ticket, std::uint64_t offset, ByteView bytes) override;
    void end_item(const Ticket& ticket) override;
    void abandon_item(const Ticket& ticket, const Finding& finding) override;
    Summary finish() override;
    bool sequential() const override { return is_sequential; }

    bool is_sequential = false;
    std::map<std::string, std::string> files;
    std::vector<Finding> abandoned;

private:
    std::mutex mutex_;
    std::vector<std::string> paths_;
};

// The same tree as MemoryTarget would hold it.
std::map<std::string, std::string> contents_of(const MemoryTree& tree);

}  // namespace holdfast::testing_support
