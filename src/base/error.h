// base/error.h: the one error type, its codes, and the notes that give it context.
//
// Shape    code, message, cause notes (innermost first), what is unharmed, hint; one line each when printed
// Errors   expected outcomes are values, findings are data; what is thrown is an Error, ends an item or a job
// Threads  notes belong to the thread that made them; Workers carries an error and adds the joiner's notes
// Source   ADR 1; doc/errors.md is made from code_table
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <exception>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace holdfast {

// A code exists only if someone acts on it differently.
enum class Code : std::uint8_t {
    internal,
    failed,
    usage,
    config,
    partial,
    no_repository,
    newer_format,
    busy,
    fenced,
    wrong_key,
    denied,
    corrupt,
    rolled_back,
    retention,
    source_failed,
    target_failed,
    unreachable,
    no_space,
    not_found,
    already_exists,
    cancelled,
    terminated,
};

enum class Retry : std::uint8_t { never, same_call, whole_job };

struct CodeInfo {
    Code code;
    std::string_view slug;  // in JSON, metrics and logs
    int exit_status;
    Retry retry;
    std::string_view meaning;
};

std::span<const CodeInfo> code_table();
const CodeInfo& info_of(Code code);

// A scoped line of context, formatted only if something throws inside its scope. It refers to its arguments,
// so it takes named ones only: `const Note note{"reading {}", path};`
class AnyNote {
public:
    AnyNote(const AnyNote&) = delete;
    AnyNote& operator=(const AnyNote&) = delete;
    static void* operator new(std::size_t) = delete;

    virtual ~AnyNote() { innermost_ = outer_; }

protected:
    AnyNote() : outer_(innermost_) { innermost_ = this; }

private:
    friend std::vector<std::string> current_notes();
    virtual std::string render() const = 0;
    const AnyNote* outer_;
    static thread_local const AnyNote* innermost_;
};

template <class... Args>
class Note final : public AnyNote {
public:
    explicit Note(fmt::format_string<Args&...> format, Args&... args) : format_(format), args_(args...) {}

private:
    std::string render() const override {
        return std::apply([&](Args&... args) { return fmt::vformat(format_, fmt::make_format_args(args...)); }, args_);
    }
    fmt::string_view format_;
    std::tuple<Args&...> args_;
};
template <class... Args>
Note(const char*, Args&...) -> Note<Args...>;

std::vector<std::string> current_notes();  // of this thread, innermost first

template <class... Args>
struct LocatedFormat {
    fmt::format_string<Args...> format;
    std::source_location where;
    template <class Text>
    consteval LocatedFormat(const Text& text, std::source_location at = std::source_location::current())  // NOLINT
        : format(text), where(at) {}
};

class Error : public std::exception {
public:
    template <class... Args>
    Error(Code code, LocatedFormat<std::type_identity_t<Args>...> text, Args&&... args)
        : code_(code),
          message_(fmt::format(text.format, std::forward<Args>(args)...)),
          notes_(current_notes()),
          where_(text.where) {}

    Error&& hint(std::string text) && { return hint_ = std::move(text), std::move(*this); }
    Error&& unharmed(std::string text) && { return unharmed_ = std::move(text), std::move(*this); }
    void set_unharmed(std::string text) {
        if (unharmed_.empty()) unharmed_ = std::move(text);
    }
    void set_hint(std::string text) {
        if (hint_.empty()) hint_ = std::move(text);
    }
    void add_notes(const std::vector<std::string>& outer) { notes_.insert(notes_.end(), outer.begin(), outer.end()); }

    Code code() const { return code_; }
    int exit_status() const { return info_of(code_).exit_status; }
    const std::string& message() const { return message_; }
    const std::vector<std::string>& notes() const { return notes_; }
    const std::string& hint() const { return hint_; }
    const std::string& unharmed() const { return unharmed_; }
    const std::source_location& where() const { return where_; }
    const char* what() const noexcept override { return message_.c_str(); }

private:
    Code code_;
    std::string message_;
    std::vector<std::string> notes_;
    std::string unharmed_;
    std::string hint_;
    std::source_location where_;
};

// For people: "holdfast: corrupt: …", notes, what is unharmed, the hint.
std::string render(const Error& error);
// Any exception as an Error; one that is not ours becomes `internal` (or no_space for bad_alloc).
Error as_error(std::exception_ptr failure);
// The text for an errno value: "no space left on device".
std::string errno_text(int number);
// The code an errno of a local file operation stands for, else `otherwise`.
Code errno_code(int number, Code otherwise);

// A broken invariant of ours; never for data that was read. Aborts with the notes, also in release.
[[noreturn]] void assertion_failed(std::string_view text, std::source_location where);
#define HF_ASSERT(condition)                                                                         \
    do {                                                                                             \
        if (!(condition)) ::holdfast::assertion_failed(#condition, std::source_location::current()); \
    } while (false)

}  // namespace holdfast
