#include "sources/postgres/globals.h"

#include <optional>
#include <set>

#include "base/text.h"
#include "sources/postgres/names.h"

namespace holdfast::postgres {

namespace {

// The lines that pg_dumpall prints anew each time would make equal globals differ.
std::string without_restrict_lines(std::string_view text) {
    std::string out;
    for (const std::string& line : split(text, '\n'))
        if (!line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict ")) out += line + "\n";
    if (!out.empty()) out.pop_back();
    return out;
}

std::size_t end_of_quoted(std::string_view sql, std::size_t at) {
    const char quote = sql[at];
    const bool escapes = quote == '\'' && at > 0 && (sql[at - 1] == 'E' || sql[at - 1] == 'e');
    for (++at; at < sql.size(); ++at) {
        if (escapes && sql[at] == '\\')
            ++at;
        else if (sql[at] == quote)
            return at;
    }
    return sql.size();
}

void skip_space(std::string_view& text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
}

bool take_word(std::string_view& text, std::string_view word) {
    if (!text.starts_with(word)) return false;
    text.remove_prefix(word.size());
    skip_space(text);
    return true;
}

std::string take_name(std::string_view& text) {
    std::string out;
    if (text.starts_with('"')) {
        std::size_t at = 1;
        for (; at < text.size(); ++at) {
            if (text[at] == '"' && (at + 1 >= text.size() || text[at + 1] != '"')) break;
            if (text[at] == '"') ++at;
            out += text[at];
        }
        text.remove_prefix(std::min(at + 1, text.size()));
    } else {
        while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) == 0) {
            out += text.front();
            text.remove_prefix(1);
        }
    }
    skip_space(text);
    return out;
}

class RoleMaker {
public:
    explicit RoleMaker(Connection& target) : target_(target) {
        const Rows rows = target.query("SELECT rolname FROM pg_catalog.pg_roles");
        for (std::size_t i = 0; i < rows.size(); ++i) present_.insert(rows.text(i, 0));
    }

    void take(const std::string& statement) {
        std::string_view rest = statement;
        if (take_word(rest, "CREATE ROLE ")) {
            const std::string role = take_name(rest);
            if (!present_.contains(role) && run(statement, "role " + role)) made_.insert(role);
        } else if (take_word(rest, "ALTER ROLE ") || take_word(rest, "COMMENT ON ROLE ")) {
            const std::string role = take_name(rest);
            if (made_.contains(role)) run(statement, "role " + role);
        } else if (take_word(rest, "GRANT ")) {
            grant(statement, rest);
        }
    }
    std::vector<Finding> findings;

private:
    // Who granted it there may not exist here.
    void grant(const std::string& statement, std::string_view rest) {
        const std::string group = take_name(rest);
        if (!take_word(rest, "TO ")) return;
        const std::string member = take_name(rest);
        if (!made_.contains(group) && !made_.contains(member)) return;
        run(statement.substr(0, statement.rfind(" GRANTED BY ")), fmt::format("membership of {} in {}", member, group));
    }
    bool run(const std::string& statement, const std::string& what) {
        try {
            target_.run(statement);
            return true;
        } catch (const Error& error) {
            if (!target_.is_alive()) throw;
            findings.push_back({std::string(globals_item), Finding::Kind::unsupported,
                                fmt::format("{} could not be made: {}", what, error.message())});
            return false;
        }
    }

    Connection& target_;
    std::set<std::string> present_;
    std::set<std::string> made_;
};

}  // namespace

std::string read_globals(World& world, Connection& connection, const Tools& tools) {
    std::vector<std::string> argv{tools.path("pg_dumpall"), "--globals-only",
                                  "--database=" + connection.endpoint().database()};
    const bool reads_passwords =
        connection.value("SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')") == "t";
    if (!reads_passwords) {
        world.log.warning(fmt::format(
            "{}: this role may not read the passwords of roles; they are left out (a superuser can: GRANT SELECT ON "
            "pg_authid TO …)",
            connection.endpoint().shown()));
        argv.emplace_back("--no-role-passwords");
    }
    return without_restrict_lines(as_text(run_tool(world, connection.endpoint(), argv, Code::source_failed)));
}

std::vector<std::string> split_statements(std::string_view sql) {
    std::vector<std::string> out;
    std::string statement;
    const auto end = [&] {
        std::string_view text = statement;
        skip_space(text);
        if (!text.empty()) out.emplace_back(text);
        statement.clear();
    };
    for (std::size_t i = 0; i < sql.size(); ++i) {
        const char c = sql[i];
        if (c == '\'' || c == '"') {
            const std::size_t last = end_of_quoted(sql, i);
            statement += sql.substr(i, last - i + 1);
            i = last;
        } else if (c == '-' && sql.substr(i).starts_with("--")) {
            i = std::min(sql.find('\n', i), sql.size());
            statement += '\n';
        } else if (c == ';') {
            end();
        } else {
            statement += c;
        }
    }
    end();
    return out;
}

std::vector<Finding> create_missing_roles(Connection& target, std::string_view globals) {
    RoleMaker maker(target);
    for (const std::string& statement : split_statements(globals)) maker.take(statement);
    return std::move(maker.findings);
}

}  // namespace holdfast::postgres
