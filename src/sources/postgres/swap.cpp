#include "sources/postgres/swap.h"

#include <algorithm>

#include "base/error.h"
#include "clients/postgres/connection.h"
#include "source/aside_name.h"
#include "sources/postgres/names.h"
#include "sources/postgres/restore_options.h"

namespace holdfast::postgres {

namespace {

class Swap {
public:
    explicit Swap(const SwapRequest& request)
        : request_(request),
          options_(restore_options(request.options)),
          endpoint_(Endpoint::parse(request.target)),
          name_(name_in_use()),
          admin_(request.world, endpoint_.with_database(name_ == "postgres" ? "template1" : "postgres"),
                 Code::target_failed) {}

    std::vector<std::string> forward() {
        if (options_.beside.empty())
            throw Error{Code::usage, "--swap needs --beside NAME, the database that takes the place"};
        require(options_.beside);
        if (!has(name_)) return rename_all({{options_.beside, name_}});
        return rename_all({{name_, aside("before")}, {options_.beside, name_}});
    }

    std::vector<std::string> back() {
        const std::string before = aside_prefix(name_, "before");
        const auto found =
            admin_.value("SELECT datname FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname, " +
                         quote_literal(before) + ") ORDER BY datname COLLATE \"C\" DESC LIMIT 1");
        if (!found)
            throw Error{Code::target_failed, "there is no database {}… to go back to at {}", before, endpoint_.shown()}
                .unharmed("nothing was renamed");
        if (!has(name_)) return rename_all({{*found, name_}});
        return rename_all({{name_, aside("after")}, {*found, name_}});
    }

private:
    using Renaming = std::pair<std::string, std::string>;

    std::string name_in_use() const {
        if (!endpoint_.database().empty()) return endpoint_.database();
        std::vector<std::string> captured;
        for (const Fact& fact : request_.facts.list)
            if (fact.name == "encoding") captured.push_back(decode_part(fact.item));
        if (captured.size() == 1) return captured.front();
        throw Error{Code::usage, "which database is in use is not said"}.hint("Name it: postgres://HOST/DATABASE.");
    }

    std::string aside(std::string_view word) const { return aside_name(name_, word, request_.world.clock.now()); }

    bool has(const std::string& name) {
        return admin_.value("SELECT 1 FROM pg_catalog.pg_database WHERE datname = " + quote_literal(name)).has_value();
    }

    void require(const std::string& name) {
        if (!has(name))
            throw Error{Code::target_failed, "there is no database {} at {}", name, endpoint_.shown()}.unharmed(
                "nothing was renamed");
    }

    // All or none: the sessions are looked at first, and what was renamed goes back when a later one fails.
    std::vector<std::string> rename_all(const std::vector<Renaming>& renamings) {
        for (const auto& [from, to] : renamings) refuse_sessions(from);
        std::vector<std::string> out;
        std::vector<Renaming> done;
        try {
            for (const auto& [from, to] : renamings) {
                rename(from, to);
                done.emplace_back(from, to);
                out.push_back(fmt::format("{} is now {}", from, to));
            }
        } catch (const Error& error) {
            for (const auto& [from, to] : done) rename(to, from);
            throw Error{Code::target_failed, "{}", error.message()}
                .unharmed("every database has its name as before")
                .hint("End the sessions that use it (--end-sessions does), and try again.");
        }
        return out;
    }

    void rename(const std::string& from, const std::string& to) {
        admin_.run("ALTER DATABASE " + quote_name(from) + " RENAME TO " + quote_name(to));
    }

    void refuse_sessions(const std::string& name) {
        const std::string sessions =
            "FROM pg_catalog.pg_stat_activity WHERE pid <> pg_catalog.pg_backend_pid() AND datname = " +
            quote_literal(name);
        if (options_.end_sessions) {
            admin_.run("SELECT pg_catalog.pg_terminate_backend(pid) " + sessions);
            for (int i = 0; i < 50 && admin_.value("SELECT 1 " + sessions + " LIMIT 1"); ++i)
                request_.world.clock.sleep(one_second / 10);
        }
        const std::string open = admin_.value("SELECT pg_catalog.count(*) " + sessions).value_or("0");
        if (open == "0") return;
        throw Error{Code::target_failed, "database {} at {} is in use: {} sessions are open", name, endpoint_.shown(),
                    open}
            .unharmed("nothing was renamed")
            .hint("Stop what uses it, or end its sessions (--end-sessions).");
    }

    const SwapRequest& request_;
    const RestoreOptions options_;
    const Endpoint endpoint_;
    const std::string name_;
    Connection admin_;
};

}  // namespace

std::vector<std::string> swap(const SwapRequest& request) {
    Swap swap(request);
    return request.back ? swap.back() : swap.forward();
}

}  // namespace holdfast::postgres
