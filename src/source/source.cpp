#include "source/source.h"

namespace holdfast {

std::string_view name_of(Finding::Kind kind) {
    switch (kind) {
        case Finding::Kind::unreadable:
            return "unreadable";
        case Finding::Kind::vanished:
            return "vanished";
        case Finding::Kind::changed:
            return "changed";
        case Finding::Kind::unsupported:
            return "unsupported";
    }
    return "unknown";
}

}  // namespace holdfast
