#include "sources/command/command_source.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <mutex>

#include "base/error.h"
#include "base/redact.h"
#include "base/text.h"
#include "source/folder_rebuild.h"
#include "sources/command/output.h"

namespace holdfast::command {

namespace {

constexpr std::array options_table{
    SourceOption{"run", SourceOption::Type::list, "the command and its arguments; '-' alone is standard input"},
    SourceOption{"timeout", SourceOption::Type::duration, "how long the command may take, such as 30m"},
    SourceOption{"allow_empty", SourceOption::Type::flag, "a command that prints nothing is fine"},
};

class CommandData final : public ItemData {
public:
    explicit CommandData(std::shared_ptr<Output> output) : output_(std::move(output)) {}
    Piece read(MutableByteView into) override { return {output_->read(into), 0}; }

private:
    const std::shared_ptr<Output> output_;
};

class CommandCapture final : public Capture {
public:
    CommandCapture(World& world, std::string source, std::string item, OutputOptions options)
        : world_(world), source_(std::move(source)), item_(std::move(item)), options_(std::move(options)) {}

    bool next(Batch& batch) override {
        world_.stop.check();
        if (is_handed_out_) return false;
        is_handed_out_ = true;
        batch = Batch{};
        Item& item = batch.entries.emplace_back().item;
        item.path = item_;
        item.mode = 0600;
        item.uid = ::geteuid();
        item.gid = ::getegid();
        const Nanoseconds now = world_.clock.now();
        item.mtime_s = now / one_second - (now % one_second < 0 ? 1 : 0);
        item.mtime_ns = static_cast<std::uint32_t>(now - item.mtime_s * one_second);
        return true;
    }

    std::optional<Finding> complete(const Batch&, Item&) override { return std::nullopt; }

    // The command starts here: whoever only looks does not run it.
    Opened open(const Batch&, const Batch::Entry&) override {
        const std::lock_guard lock(mutex_);
        HF_ASSERT(!output_);
        try {
            output_ = std::make_shared<Output>(world_, options_);
        } catch (const Error& error) {
            throw Error{Code::source_failed, "{}", error.message()}.hint(
                "Correct the command of the source, or install it.");
        }
        return {std::make_unique<CommandData>(output_), std::nullopt};
    }

    CaptureSummary finish() override {
        const std::lock_guard lock(mutex_);
        if (!output_) return {};
        const std::string what = options_.run.front() == "-" ? "standard input" : options_.run.front();
        if (const auto failure = output_->failure())
            throw Error{Code::source_failed, "{} {}", what, *failure}
                .unharmed("nothing of it was stored as a snapshot")
                .hint(output_->is_empty() ? "If that is as it should be, say --allow-empty (allow_empty: true)."
                                          : "Run the command by itself to see why.");
        if (const std::string said = output_->stderr_tail(); !said.empty())
            world_.log.info(fmt::format("{} said: {}", what, printable(said)));
        return {};
    }

private:
    World& world_;
    const std::string source_;
    const std::string item_;
    const OutputOptions options_;
    bool is_handed_out_ = false;
    std::mutex mutex_;
    std::shared_ptr<Output> output_;  // guarded by mutex_
};

class CommandSource final : public Source {
public:
    CommandSource(std::string name, std::string item, OutputOptions options)
        : name_(std::move(name)), item_(std::move(item)), options_(std::move(options)) {}
    std::string name() const override { return name_; }
    std::string kind() const override { return "command"; }
    std::vector<std::string> describe() const override { return redacted(options_.run); }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override {
        return std::make_unique<CommandCapture>(request.world, name_, item_, options_);
    }

private:
    const std::string name_;
    const std::string item_;
    const OutputOptions options_;
};

const std::string* value_of(const SourceOptions& options, std::string_view name) {
    const auto found = options.find(name);
    return found == options.end() || found->second.empty() ? nullptr : &found->second.front();
}

std::unique_ptr<Source> make(const std::string& name, const SourceOptions& options) {
    OutputOptions output;
    if (const auto run = options.find("run"); run != options.end()) output.run = run->second;
    if (output.run.empty() || output.run.front().empty()) {
        throw Error{Code::config, "source {} has no command", name}.hint(
            "Name it: `run: [pg_dump, mydb]` in the configuration, or `command:NAME -- pg_dump mydb`.");
    }
    if (const std::string* timeout = value_of(options, "timeout")) {
        const auto duration = parse_duration(*timeout);
        if (!duration || *duration <= 0) {
            throw Error{Code::config, "source {}: timeout is no duration: {}", name, printable(*timeout)}.hint(
                "Write a number with a unit, such as 90s or 30m.");
        }
        output.timeout = std::chrono::nanoseconds(*duration);
    }
    if (const std::string* allow = value_of(options, "allow_empty")) output.allow_empty = *allow == "true";
    const std::string* argument = value_of(options, "argument");
    const std::string item = argument != nullptr ? *argument : name;
    if (item.empty() || item == "." || item == ".." || item.find('/') != std::string::npos ||
        item.find('\0') != std::string::npos) {
        throw Error{Code::config, "{} is no name for what a command prints", printable(item)}.hint(
            "Choose a name that can be a file's, such as `command:orders.sql`.");
    }
    return std::make_unique<CommandSource>(name, item, std::move(output));
}

}  // namespace
}  // namespace holdfast::command

namespace holdfast {

const SourceType command_source_type{
    .kind = "command",
    .scheme = "command",
    .help = "what a command prints when it exits 0, or standard input",
    .options = command::options_table,
    .make = command::make,
    .rebuild = rebuild_into_folder,
};

}  // namespace holdfast
