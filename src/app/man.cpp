#include <fmt/format.h>

#include "app/completion.h"
#include "app/help.h"
#include "app/version.h"
#include "base/text.h"
#include "base/utf8.h"

namespace holdfast::app {

namespace {

// Text that roff must not read as its own, in ASCII.
std::string roff(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const utf8::Character c = utf8::next(text, at);
        at += c.bytes;
        switch (c.code) {
            case U'\\':
                out += "\\e";
                break;
            case U'-':
                out += "\\-";
                break;
            case U'\'':
                out += "\\(aq";
                break;
            default:
                if (c.code < 0x80) {
                    out += static_cast<char>(c.code);
                } else {
                    out += fmt::format("\\[u{:04X}]", static_cast<std::uint32_t>(c.code));
                }
        }
    }
    if (out.starts_with('.')) out.insert(0, "\\&");
    return out;
}

std::string option_rows(const Options& options) {
    std::string out;
    for (const Option& option : options.all()) {
        std::string name = option_text(option);
        name.erase(0, name.find_first_not_of(' '));
        out += fmt::format(".TP\n.B {}\n{}\n", roff(name), roff(option.help));
    }
    return out;
}

std::string command_section(const Command& command) {
    std::string out =
        fmt::format(".SS {}\n{}.\n.PP\n.B {}\n", roff(command.name), roff(command.summary), roff(usage_line(command)));
    if (!command.details.empty()) {
        for (const std::string& paragraph : split(command.details, '\n')) out += ".PP\n" + roff(paragraph) + "\n";
    }
    out += option_rows(command.options);
    if (!command.examples.empty()) {
        out += ".PP\nExamples:\n.PP\n.nf\n";
        for (const Example& example : command.examples) {
            if (!example.says.empty()) out += roff("    # " + example.says) + "\n";
            out += roff("    " + example.line) + "\n";
        }
        out += ".fi\n";
    }
    return out;
}

}  // namespace

std::string man_page(const std::vector<Command>& commands, const Options& globals) {
    std::string out = fmt::format(".TH HOLDFAST 1 \"\" \"holdfast {}\" \"User Commands\"\n.nh\n", version);
    out += ".SH NAME\nholdfast \\- backs up a whole platform and brings it back\n";
    out += ".SH SYNOPSIS\n.B holdfast\n[\\fIOPTIONS\\fR] \\fIVERB\\fR ...\n";
    out +=
        ".SH DESCRIPTION\nholdfast stores encrypted, deduplicated snapshots of files and of what commands "
        "print in a repository, and restores "
        "them. Everything also works without a configuration file.\n";
    out += ".SH OPTIONS OF EVERY VERB\n" + option_rows(globals);
    out += ".SH VERBS\n";
    for (const Command& command : commands) {
        if (command.part != Part::hidden) out += command_section(command);
    }
    out += ".SH ENVIRONMENT\n";
    for (const Variable& each : environment_variables())
        out += fmt::format(".TP\n.B {}\n{}\n", roff(each.name), roff(each.says));
    out += ".SH EXIT STATUS\n";
    for (const ExitLine& each : exit_lines()) out += fmt::format(".TP\n.B {}\n{}\n", each.status, roff(each.text));
    out +=
        ".SH FILES\n.TP\n.B ./holdfast.yaml, ~/.config/holdfast/holdfast.yaml, "
        "/etc/holdfast/holdfast.yaml\nconfiguration, the first that exists\n";
    out += ".TP\n.B ~/.local/state/holdfast\nwhat this user has last seen of each repository\n";
    return out;
}

}  // namespace holdfast::app
