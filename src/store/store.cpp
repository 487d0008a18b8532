#include "store/store.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {

namespace {

bool may_be_in_name(char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           letter == '.' || letter == '-' || letter == '_' || letter == '/';
}

}  // namespace

bool is_object_name(std::string_view name) {
    if (name.size() > object_name_bytes_max || !std::ranges::all_of(name, may_be_in_name)) return false;
    char before = '/';
    for (const char letter : name) {
        if (before == '/' && (letter == '/' || letter == '.')) return false;
        before = letter;
    }
    return before != '/';
}

void check_object_name(std::string_view name) {
    if (!is_object_name(name)) throw Error{Code::usage, "\"{}\" cannot name an object", printable(name)};
}

void create_own(Store& store, std::string_view name, ByteView bytes) {
    if (store.create(name, bytes) != Created::exists) return;
    bool may_look = true;
    try {
        if (const auto there = store.read(name); there && equal(*there, bytes)) return;
    } catch (const Error& error) {
        if (error.code() != Code::denied) throw;
        may_look = false;
    }
    throw Error{Code::corrupt, "{} says that it has {} already, which nobody else can have made{}", store.url(), name,
                may_look ? "; it is not what was to be written" : ""}
        .unharmed("what was committed before stays as it is")
        .hint("`holdfast doctor` finds out whether the store keeps its promises.");
}

}  // namespace holdfast
