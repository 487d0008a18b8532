// testing/memory_log.h: a source with a change log, for tests of journals: lines that are added to one file.
//
// Shape    MemoryLog log; log.add("a"); LoggedSource source(log); the captured file "/state" holds all lines so far
// Threads  all members from any thread
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "source/source.h"
#include "testing/memory_source.h"

namespace holdfast::testing_support {

class MemoryLog {
public:
    explicit MemoryLog(const Clock& clock) : clock_(clock) {}
    void add(const std::string& line);
    void drop_before(std::uint64_t number);     // the server forgets
    void start_again(const std::string& line);  // another history, with what it has so far
    Moment end() const;
    std::string state(Nanoseconds until) const;  // what "/state" holds at that instant

    struct Line {
        std::uint64_t number = 0;
        Nanoseconds time = 0;
        std::string text;
    };
    std::string line_id() const;
    std::uint64_t first_kept() const;
    std::vector<Line> from(std::uint64_t number, std::size_t count_max) const;

private:
    const Clock& clock_;
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::string line_ = "first";
    std::vector<Line> lines_;
    std::uint64_t first_kept_ = 0;
};

class LoggedSource final : public Source {
public:
    explicit LoggedSource(MemoryLog& log, std::string name = "logged") : log_(log), name_(std::move(name)) {}
    std::string name() const override { return name_; }
    std::string kind() const override { return "logged"; }
    std::vector<std::string> describe() const override { return {"memory"}; }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override;
    std::unique_ptr<Follower> follow(const FollowRequest& request) override;

    std::size_t cut_every = 0;                 // pieces end within a record after so many bytes; 0: never
    std::size_t fail_after = ~std::size_t{0};  // pieces, then the connection is lost once
    bool bring_base = false;                   // the follower comes with the content, as Redis does

private:
    MemoryLog& log_;
    const std::string name_;
};

class LoggedTarget final : public Rebuild {
public:
    Ticket begin_item(const Item& item) override { return files_.begin_item(item); }
    void write(const Ticket& ticket, std::uint64_t offset, ByteView bytes) override {
        files_.write(ticket, offset, bytes);
    }
    void end_item(const Ticket& ticket) override { files_.end_item(ticket); }
    void abandon_item(const Ticket& ticket, const Finding& finding) override { files_.abandon_item(ticket, finding); }
    std::unique_ptr<Replay> replay(const ReplayRequest& request) override;
    Summary finish() override { return files_.finish(); }
    std::string& state() { return files_.files["/state"]; }

private:
    MemoryTarget files_;
};

}  // namespace holdfast::testing_support
