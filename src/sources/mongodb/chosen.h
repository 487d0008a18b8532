// sources/mongodb/chosen.h: the databases and collections that a source covers, looked up where it is.
//
// Errors   source_failed: what is named is not there, or nothing at all is chosen
// Threads  one owner of the client
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sources/mongodb/catalog.h"
#include "sources/mongodb/scope.h"

namespace holdfast::mongodb {

struct Chosen {
    std::map<std::string, std::vector<Collection>> databases;
    std::vector<std::string> idle_globs;  // nothing matches them
};

Chosen choose(Client& client, const CaptureOptions& options, const Scope& scope);
// What choose() would refuse, by names only. Gives the globs that nothing matches.
std::vector<std::string> refuse_missing(Client& client, const CaptureOptions& options, const Scope& scope);
void tell_of_idle(const Client& client, const std::vector<std::string>& globs);

}  // namespace holdfast::mongodb
