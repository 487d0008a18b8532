#include "store/read_back.h"

#include <algorithm>

#include "base/error.h"

namespace holdfast {

Created ReadBackStore::create(std::string_view name, ByteView bytes) {
    const Created out = inner().create(name, bytes);
    if (out == Created::exists) return out;  // not by us
    const auto found = inner().read(name);
    if (!found || !std::ranges::equal(*found, bytes))
        throw Error{Code::corrupt, "{} in {} is not what was written there: it {}", name, url(),
                    found ? "reads back as something else" : "is not there"}
            .hint("The store or the way to it is not to be trusted; nothing counts that was written now.");
    return out;
}

}  // namespace holdfast
