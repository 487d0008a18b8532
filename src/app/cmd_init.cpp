#include "app/command.h"
#include "app/context.h"
#include "app/registry.h"
#include "base/error.h"
#include "base/file.h"
#include "engine/replicate.h"
#include "repo/names.h"

namespace holdfast::app {

namespace {

struct InitChoice {
    std::string label = "root";
    std::optional<std::string> like;
};

int make_replica(Context& context, const InitChoice& choice) {
    const RepositoryChoice where = context.choose_repository(context.globals.repository);
    const auto origin = context.open_repository(context.choose_repository(*choice.like), context.usual_places());
    const std::unique_ptr<Store> store = open_store(where.place, StoreUse::create, context.world);
    if (!store->traits().create_if_absent)
        throw Error{Code::usage, "{} cannot refuse to overwrite, so it cannot hold a replica", store->url()}.unharmed(
            "nothing was made");
    engine::begin_replica(*origin, *store);
    if (context.out.is_json())
        context.out.record({{"type", "summary"},
                            {"schema", "holdfast.init/1"},
                            {"repository", store->url()},
                            {"id", origin->id().hex()},
                            {"single_writer", false},
                            {"replica_of", origin->store().url()}});
    else if (!context.out.quiet)
        context.out.line(fmt::format("replica of {} made at {}", origin->id().short_hex(), store->url()));
    context.out.say(fmt::format("It is empty: `holdfast -r {} copy --to {}` fills it.", *choice.like, where.name));
    return 0;
}

int run_init(Context& context, const InitChoice& choice) {
    if (choice.like) return make_replica(context, choice);
    const RepositoryChoice where = context.choose_repository(context.globals.repository);
    const std::unique_ptr<Store> store = open_store(where.place, StoreUse::create, context.world);
    if (store->find(repo::names::config))
        throw Error{Code::already_exists, "there is a repository at {} already", store->url()}.unharmed(
            "it is left as it is");
    const repo::Unlock unlock = context.new_unlock(context.usual_places(), where.unlock, "New passphrase: ");
    repo::InitOptions options;
    options.label = choice.label;
    repo::Repository::init(*store, unlock, options, context.world);

    // Opened again, as everybody else will: what was written is read before anybody trusts it.
    const auto repository = context.open_repository(where, unlock);
    if (context.out.is_json()) {
        context.out.record({{"type", "summary"},
                            {"schema", "holdfast.init/1"},
                            {"repository", store->url()},
                            {"id", repository->id().hex()},
                            {"single_writer", !store->traits().create_if_absent}});
        return 0;
    }
    context.out.line(context.globals.quiet
                         ? repository->id().hex()
                         : fmt::format("repository {} made at {}", repository->id().short_hex(), store->url()));
    if (!store->traits().create_if_absent)
        context.out.warn("this store cannot refuse to overwrite, so only one process may write to it at a time");
    if (unlock.way == repo::Unlock::Way::passphrase) {
        context.out.say("Without its passphrase nobody can read it: keep a copy in a safe place.");
    } else {
        context.out.say("Without its key file nobody can read it: keep a copy in a safe place.");
    }
    return 0;
}

}  // namespace

Command init_command() {
    const auto choice = std::make_shared<InitChoice>();
    Command out;
    out.name = "init";
    out.part = Part::make;
    out.summary = "make a repository";
    out.details =
        "Makes an encrypted repository in a folder, which is made when it does not exist, or in a bucket that exists "
        "(`s3://BUCKET/PREFIX`).\n"
        "The passphrase is asked for, or comes from HOLDFAST_PASSWORD, HOLDFAST_PASSWORD_FILE, a key file or "
        "`unlock` in "
        "the configuration.\n"
        "--like makes a replica of another repository: it has the same keys, is filled by `copy`, and is opened as its "
        "origin is. "
        "Any key of the origin will do.";
    out.examples = {{"holdfast -r /backups init", "asks for a passphrase, twice"},
                    {"holdfast -r /backups --key-file /etc/holdfast/key init", "unlocks with a file instead"},
                    {"holdfast -r offsite init --like main", "a replica, which `copy` fills"}};
    out.options.value(choice->label, "--label", "TEXT", "what `key list` calls the first key");
    out.options.value(choice->like, "--like", "REPO", "make it a replica of this repository").offers =
        Option::Offers::folders;
    out.run = [choice](Context& context) { return run_init(context, *choice); };
    return out;
}

}  // namespace holdfast::app
