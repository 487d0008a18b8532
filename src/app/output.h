// app/output.h: the one door to standard output and standard error.
//
// Shape    data goes to standard output, all else to standard error; a progress line stays at the bottom
// Errors   finish() throws failed when standard output could not take everything
// Threads  any
#pragma once

#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "app/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/world.h"
#include "engine/progress.h"

namespace holdfast::app {

enum class Style : std::uint8_t { people, json };

class Output {
public:
    Style style = Style::people;
    bool quiet = false;
    bool verbose = false;

    bool is_json() const { return style == Style::json; }
    bool for_people() const { return style == Style::people; }

    // Data: a line for people, or one JSON object on a line.
    void line(std::string_view text);
    void record(const Json& object) { line(text_of(object)); }
    void bytes(ByteView data);

    // For people, on standard error; not with -q or --json.
    void say(std::string_view text);
    void warn(std::string_view text);
    void error(const Error& error);

    // The line that changes, at the bottom of a terminal; "" takes it away.
    void progress(std::string_view text);
    bool stderr_is_terminal() const;
    bool stdout_is_terminal() const;
    std::size_t terminal_columns() const;

    // Everything that goes to standard error, without the progress line, also goes there.
    void copy_to(std::function<void(std::string_view)> other) { other_ = std::move(other); }
    // What is being done now, for whoever asks from another thread; null: nothing.
    void watch(std::string what, const engine::Progress* progress);
    struct Sample {
        std::string what;
        std::uint64_t items = 0, items_total = 0, bytes = 0, bytes_total = 0;
    };
    Sample watched() const;

    void finish();

private:
    void to_stderr(std::string_view text);

    std::function<void(std::string_view)> other_;
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::string progress_;
    std::string watched_what_;
    const engine::Progress* watched_ = nullptr;
    int failure_ = 0;  // errno of the first write to standard output that failed
};

// Log lines of the layers below, through Output.
class OutputLog final : public Log {
public:
    explicit OutputLog(Output& out) : out_(out) {}
    void write(Level level, std::string_view text) override;

private:
    Output& out_;
};

// Rows of equal length under a heading, columns as wide as they need to be.
class Table {
public:
    enum class Align : std::uint8_t { left, right };
    struct Column {
        std::string name;
        Align align = Align::left;
    };
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    void add(std::vector<std::string> row);
    bool empty() const { return rows_.empty(); }
    std::vector<std::string> lines() const;  // the heading first
    void print(Output& out) const;

private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

// "1 item", "2 items", "1,234 items".
std::string counted(std::uint64_t count, std::string_view one, std::string_view many);

// "4.2 s, 210 MB/s"; without a rate when there is too little to measure.
std::string time_and_rate(double seconds, std::uint64_t bytes);

// The first ones for people and the number of the rest; all of them as JSON.
void print_findings(Output& out, const std::vector<Finding>& findings);

}  // namespace holdfast::app
