#include "report/document.h"

#include <fmt/format.h>

#include "base/text.h"

namespace holdfast::report {

namespace {

// What would end a cell or begin markup.
std::string markdown_cell(std::string_view text) {
    std::string out;
    for (const char c : printable(text)) {
        if (c == '|' || c == '<' || c == '`' || c == '*' || c == '[') out += '\\';
        out += c;
    }
    return out;
}

std::string html_text(std::string_view text) {
    std::string out;
    for (const char c : printable(text)) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string markdown_table(const DocumentTable& table) {
    if (table.heading.empty()) return "";
    const auto line = [](const std::vector<std::string>& cells) {
        std::string out = "|";
        for (const std::string& cell : cells) out += " " + markdown_cell(cell) + " |";
        return out + "\n";
    };
    std::string out = "\n" + line(table.heading) + "|";
    for (std::size_t i = 0; i < table.heading.size(); ++i) out += "---|";
    out += "\n";
    for (const auto& row : table.rows) out += line(row);
    return out;
}

std::string html_row(const std::vector<std::string>& cells, std::string_view tag) {
    std::string out = "<tr>";
    for (const std::string& cell : cells) out += fmt::format("<{0}>{1}</{0}>", tag, html_text(cell));
    return out + "</tr>\n";
}

}  // namespace

std::string text_of(const Document& document) {
    std::string out = fmt::format("{}\n{}\n", document.title, std::string(document.title.size(), '='));
    for (const std::string& line : document.header) out += printable(line) + "\n";
    for (const Section& section : document.sections) {
        out += fmt::format("\n{}:\n", section.title);
        for (const std::string& line : section.lines) out += "- " + printable(line) + "\n";
        out += markdown_table(section.table);
    }
    return out;
}

std::string markdown_of(const Document& document) {
    std::string out = fmt::format("# {}\n\n", document.title);
    for (const std::string& line : document.header) out += markdown_cell(line) + "  \n";
    for (const Section& section : document.sections) {
        out += fmt::format("\n## {}\n\n", section.title);
        for (const std::string& line : section.lines) out += "- " + markdown_cell(line) + "\n";
        out += markdown_table(section.table);
    }
    return out;
}

std::string html_of(const Document& document) {
    std::string out = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta "
        "charset=\"utf-8\"><title>{0}</title>\n<style>body{{font-family:"
        "sans-serif;margin:2em}}table{{border-collapse:collapse}}td,th{{border:1px solid #999;padding:.3em .6em;"
        "text-align:left}}</style></head>\n<body>\n<h1>{0}</h1>\n",
        html_text(document.title));
    for (const std::string& line : document.header) out += "<p>" + html_text(line) + "</p>\n";
    for (const Section& section : document.sections) {
        out += "<h2>" + html_text(section.title) + "</h2>\n";
        if (!section.lines.empty()) {
            out += "<ul>\n";
            for (const std::string& line : section.lines) out += "<li>" + html_text(line) + "</li>\n";
            out += "</ul>\n";
        }
        if (section.table.heading.empty()) continue;
        out += "<table>\n" + html_row(section.table.heading, "th");
        for (const auto& row : section.table.rows) out += html_row(row, "td");
        out += "</table>\n";
    }
    return out + "</body>\n</html>\n";
}

}  // namespace holdfast::report
