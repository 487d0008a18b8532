#include "base/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/text.h"

namespace holdfast {

namespace {

constexpr std::array table{
    CodeInfo{Code::internal, "internal", 1, Retry::never, "a defect in holdfast; please report it with the notes"},
    CodeInfo{Code::failed, "failed", 1, Retry::whole_job,
             "the operation failed for a reason that has no code of its own"},
    CodeInfo{Code::usage, "usage", 2, Retry::never,
             "the command line asks for something that does not exist or does not fit together"},
    CodeInfo{Code::config, "config", 2, Retry::never,
             "the configuration file has an error; the message names file, line and column"},
    CodeInfo{Code::partial, "partial", 3, Retry::whole_job,
             "done in part: what could be done is committed, what could not is listed"},
    CodeInfo{Code::no_repository, "no_repository", 10, Retry::never, "there is no repository at that place"},
    CodeInfo{Code::newer_format, "newer_format", 10, Retry::never,
             "the repository was made by a newer holdfast; this one must not touch it"},
    CodeInfo{Code::busy, "busy", 11, Retry::whole_job, "somebody else holds what is needed"},
    CodeInfo{Code::fenced, "fenced", 11, Retry::whole_job,
             "a collector ended this session because it made no progress; nothing of it was committed"},
    CodeInfo{Code::wrong_key, "wrong_key", 12, Retry::never,
             "no key slot opens with this passphrase, key file or credential"},
    CodeInfo{Code::denied, "denied", 12, Retry::never, "the key or account lacks the right to do this"},
    CodeInfo{Code::corrupt, "corrupt", 13, Retry::never,
             "bytes that were read do not authenticate or do not make sense"},
    CodeInfo{Code::rolled_back, "rolled_back", 13, Retry::never,
             "the repository shows an older state than this client has already seen"},
    CodeInfo{Code::retention, "retention", 14, Retry::never, "retention, a hold or a lock protects it"},
    CodeInfo{Code::source_failed, "source_failed", 15, Retry::whole_job, "the source could not be captured"},
    CodeInfo{Code::target_failed, "target_failed", 16, Retry::whole_job,
             "the restore target cannot be written, or is not as it must be"},
    CodeInfo{Code::unreachable, "unreachable", 17, Retry::same_call, "the store did not answer"},
    CodeInfo{Code::no_space, "no_space", 18, Retry::whole_job, "no space is left"},
    CodeInfo{Code::not_found, "not_found", 1, Retry::never, "a named snapshot, item or key does not exist"},
    CodeInfo{Code::already_exists, "already_exists", 1, Retry::never, "it exists already and is left as it is"},
    CodeInfo{Code::cancelled, "interrupted", 130, Retry::whole_job, "interrupted by Ctrl-C; what was committed stays"},
    CodeInfo{Code::terminated, "terminated", 143, Retry::whole_job, "ended by SIGTERM; what was committed stays"},
};

}  // namespace

std::span<const CodeInfo> code_table() { return table; }

const CodeInfo& info_of(Code code) {
    const auto at = static_cast<std::size_t>(code);
    static_assert(table.size() == static_cast<std::size_t>(Code::terminated) + 1);
    HF_ASSERT(at < table.size() && table[at].code == code);
    return table[at];
}

thread_local const AnyNote* AnyNote::innermost_ = nullptr;

std::vector<std::string> current_notes() {
    std::vector<std::string> out;
    for (const AnyNote* note = AnyNote::innermost_; note != nullptr; note = note->outer_) out.push_back(note->render());
    return out;
}

// Names of files and what programs said are part of messages; printed as they are they could forge lines.
std::string render(const Error& error) {
    std::string out = fmt::format("holdfast: {}: {}\n", info_of(error.code()).slug, printable(error.message()));
    for (const std::string& note : error.notes()) out += fmt::format("  while {}\n", printable(note));
    if (!error.unharmed().empty()) out += fmt::format("  {}\n", printable(error.unharmed()));
    if (!error.hint().empty()) out += fmt::format("  hint: {}\n", printable(error.hint()));
    if (error.code() == Code::internal)
        out +=
            fmt::format("  [exit {}, {}:{}]\n", error.exit_status(), error.where().file_name(), error.where().line());
    return out;
}

Error as_error(std::exception_ptr failure) {
    try {
        std::rethrow_exception(std::move(failure));
    } catch (const Error& error) {
        return error;
    } catch (const std::bad_alloc&) {
        return Error{Code::failed, "out of memory"};
    } catch (const std::exception& error) {
        return Error{Code::internal, "{}", error.what()};
    } catch (...) {
        return Error{Code::internal, "an exception of unknown type"};
    }
}

std::string errno_text(int number) {
    std::array<char, 256> buffer{};
    std::string text = strerror_r(number, buffer.data(), buffer.size());
    if (text.size() > 1 && text[1] >= 'a' && text[1] <= 'z') text[0] = static_cast<char>(text[0] | 0x20);
    return text;
}

Code errno_code(int number, Code otherwise) {
    switch (number) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
            return Code::no_space;
        default:
            return otherwise;
    }
}

void assertion_failed(std::string_view text, std::source_location where) {
    std::fprintf(stderr, "holdfast: broken invariant: %.*s at %s:%u\n", static_cast<int>(text.size()), text.data(),
                 where.file_name(), where.line());
    for (const std::string& note : current_notes()) std::fprintf(stderr, "  while %s\n", note.c_str());
    std::abort();
}

}  // namespace holdfast
