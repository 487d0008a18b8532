#include "sources/redis/swap.h"

#include "base/error.h"
#include "clients/redis/connection.h"
#include "clients/redis/discover.h"
#include "sources/redis/options.h"

namespace holdfast::redis {

namespace {

void refuse_nothing(Connection& connection, const std::string& beside) {
    connection.ask({"SELECT", beside});
    if (connection.ask({"DBSIZE"}).number > 0) return;
    throw Error{Code::target_failed, "database {} at {} is empty: there is nothing to go back to", beside,
                connection.endpoint().place()}
        .unharmed("nothing was swapped")
        .hint("Name the database that was given to --swap; DBSIZE says how much each holds.");
}

}  // namespace

// Going back is the same swap once more.
std::vector<std::string> swap(const SwapRequest& request) {
    const std::string beside = option_text(request.options, "beside");
    if (beside.empty() || beside.find_first_not_of("0123456789") != std::string::npos)
        throw Error{Code::usage, "--beside needs the number of a database, such as 9"};
    Endpoint endpoint = discover(request.world, Endpoint::parse(request.target), false, Code::target_failed);
    const std::string in_use = fmt::format("{}", endpoint.database.value_or(0));
    if (in_use == beside) throw Error{Code::usage, "database {} cannot be swapped with itself", beside};
    endpoint.database.reset();
    Connection connection(request.world, endpoint, Code::target_failed);
    if (request.back) refuse_nothing(connection, beside);
    connection.ask({"SWAPDB", in_use, beside});
    return {fmt::format("database {} is now what {} was, and {} what {} was", in_use, beside, beside, in_use)};
}

}  // namespace holdfast::redis
