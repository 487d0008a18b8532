#include "app/command.h"
#include "app/context.h"
#include "app/errors_page.h"
#include "base/error.h"

namespace holdfast::app {

namespace {

std::string_view name_of(Retry retry) {
    switch (retry) {
        case Retry::never:
            return "no";
        case Retry::same_call:
            return "the same call, at once";
        case Retry::whole_job:
            return "the whole job, later";
    }
    return "";
}

}  // namespace

std::string errors_page() {
    std::string out =
        "# Errors and exit status\n"
        "\n"
        "Made by `holdfast errors > doc/errors.md` from the table of codes in `src/base/error.cpp`; do not "
        "edit.\n"
        "\n"
        "`code` is what `--json` prints in `{\"type\":\"error\",\"code\":…}`, metrics and logs. When several "
        "sources of one `backup` "
        "fail, the worst exit status counts, in the order 130, 143, 13, 12, 11, 18, 17, 15, 16, 1, 3.\n"
        "\n"
        "| exit | code | meaning | worth trying again |\n"
        "|---|---|---|---|\n"
        "| 0 | | done | |\n";
    for (const CodeInfo& info : code_table())
        out += fmt::format("| {} | `{}` | {} | {} |\n", info.exit_status, info.slug, info.meaning, name_of(info.retry));
    return out;
}

Command errors_command() {
    Command out;
    out.name = "errors";
    out.part = Part::hidden;
    out.summary = "print doc/errors.md";
    out.run = [](Context& context) {
        context.out.bytes(as_bytes(errors_page()));
        return 0;
    };
    return out;
}

}  // namespace holdfast::app
