// sources/postgres/dump_lines.h: looks at the statements of a plain dump on their way into a server.
//
// Shape    everything is passed on unchanged, line by line, but for statements that make what is there already; before a
//          line is passed on, whoever listens learns which roles it needs. Rows between COPY and \. are not looked at
// Errors   what the listeners throw; source_failed for a dump that was cut off
// Threads  one
// Limits   of a longer line only the first line_bytes_max are looked at
// Source   what pg_dump 9.2 to 18 and pg_dumpall print; a statement that names a role stands on one line there
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace holdfast::postgres {

// Roles that a statement needs: owners, who gets rights, who grants. Nothing for other lines.
std::vector<std::string> roles_needed(std::string_view line);
// "CREATE ROLE odd;"
std::string role_made(std::string_view line);
// "CREATE DATABASE shop WITH …"; also of "\connect shop".
std::string database_made(std::string_view line);

class DumpLines {
public:
    static constexpr std::size_t line_bytes_max = 64 * 1024;
    struct Listener {
        std::function<void(ByteView)> pass_on;
        std::function<void(const std::string& role)> role_needed;    // once for each; not for those that the dump makes
        std::function<void(const std::string& name)> database_made;  // before it is
    };
    // `present`: the role that is there from the beginning; statements that make it are left out, and a setting that this
    // server does not know.
    DumpLines(Listener listener, std::string present, int server_major)
        : listener_(std::move(listener)), present_(std::move(present)), server_major_(server_major) {}

    void add(ByteView bytes);
    void finish();
    // A dump that ends between "COPY … FROM stdin;" and \., or without the last line that its first one promises.
    void refuse_what_was_cut_off() const;

private:
    void take(std::string_view line, bool is_whole);
    bool look_at(std::string_view line);  // false: it is left out
    void look_for_an_end(std::string_view line);

    const Listener listener_;
    const std::string present_;
    const int server_major_;
    Bytes held_;                               // the beginning of a line whose end has not come
    bool is_within_ = false;                   // a long line, whose beginning was passed on
    bool is_rows_ = false;                     // between COPY and \.
    std::set<std::string, std::less<>> open_;  // heads whose end has not come
    std::set<std::string> known_;
};

}  // namespace holdfast::postgres
