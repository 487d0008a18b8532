// report/document.h: a report as headings, lines and tables, and its forms for people.
//
// Threads  values
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::report {

struct DocumentTable {
    std::vector<std::string> heading;
    std::vector<std::vector<std::string>> rows;
};

struct Section {
    std::string title;
    std::vector<std::string> lines;  // each a point of a list
    DocumentTable table;             // none: without heading
};

struct Document {
    std::string title;
    std::vector<std::string> header;  // "Date: 2026-03-01 04:10:00"
    std::vector<Section> sections;
};

std::string text_of(const Document& document);  // underlined headings, as in a mail; tables as Markdown
std::string markdown_of(const Document& document);
std::string html_of(const Document& document);  // one page, nothing loaded from elsewhere

}  // namespace holdfast::report
