#include "app/command.h"
#include "app/context.h"
#include "base/text.h"
#include "engine/maintain.h"

namespace holdfast::app {

namespace {

int run_unlock(Context& context, const std::string& signer) {
    const auto repository = context.open_repository();
    const std::uint64_t ended = engine::unlock(*repository, signer);
    if (context.out.is_json()) {
        context.out.record(
            {{"type", "summary"}, {"schema", "holdfast.unlock/1"}, {"signer", signer}, {"fenced", ended}});
    } else if (!context.out.quiet) {
        context.out.line(fmt::format("{} ended", counted(ended, "open session", "open sessions")));
    }
    return 0;
}

}  // namespace

Command unlock_command() {
    const auto signer = std::make_shared<std::string>();
    Command out;
    out.name = "unlock";
    out.part = Part::keep;
    out.summary = "end the open sessions of a machine that is gone";
    out.details =
        "A backup that was cut off keeps its session open, and `prune` leaves alone what it might need. "
        "Sessions of this host are "
        "ended by `prune` itself, others after a day without a sign of life. A backup that is in fact still "
        "running is ended too: it "
        "commits nothing, and does no harm.";
    out.examples = {{"holdfast unlock 3f2a91c0", "a signer as `prune` names it: the id of its key"}};
    out.options.word(*signer, "SIGNER", "id of the key that opened the sessions").required = true;
    out.run = [signer](Context& context) { return run_unlock(context, *signer); };
    return out;
}

}  // namespace holdfast::app
