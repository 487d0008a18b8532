// engine/whole_pack.h: reads an object, or a pack that has the bytes it is named by, or says why it cannot be had.
//
// Errors   what is about the whole store, and not this object, is thrown: one that does not answer, or lets us not read, says
//          nothing about damage
// Threads  any
#pragma once

#include <optional>
#include <string>

#include "repo/index.h"
#include "store/store.h"

namespace holdfast::engine {

struct ObjectRead {
    std::optional<Bytes> bytes;             // nothing: it is not there, or unreadable
    std::optional<std::string> unreadable;  // why
};
ObjectRead read_object(Store& store, const std::string& name);

struct PackRead {
    std::optional<Bytes> bytes;
    std::string kind = {};  // without them: "missing", "damaged", "unreadable"
    std::string why = {};
};
// What does not read well once is read again: a cable may have lied.
PackRead read_whole_pack(Store& store, const repo::PackRef& pack);

}  // namespace holdfast::engine
