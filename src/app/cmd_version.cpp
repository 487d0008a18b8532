#include "app/command.h"
#include "app/context.h"
#include "app/version.h"

namespace holdfast::app {

Command version_command() {
    Command out;
    out.name = "version";
    out.part = Part::housekeeping;
    out.summary = "print the version";
    out.examples = {{"holdfast version", ""}};
    out.run = [](Context& context) {
        if (context.out.is_json()) {
            context.out.record({{"schema", "holdfast.version/1"}, {"version", version}});
        } else {
            context.out.line(fmt::format("holdfast {}", version));
        }
        return 0;
    };
    return out;
}

}  // namespace holdfast::app
