#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "app/command.h"
#include "app/config.h"
#include "app/context.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "repo/credential_file.h"
#include "repo/keys.h"

namespace holdfast::app {

namespace {

constexpr std::array<std::string_view, 4> roles{"writer", "reader", "maintainer", "full"};

struct KeyChoice {
    std::string id;
    std::string label = "key";
    std::string role = "full";
    std::vector<std::string> sources;
    std::string domain{repo::default_domain};
    std::string new_key_file;
    std::string new_credential;
    std::string file;
};

SecretPlaces places_of_new_key(const KeyChoice& choice) {
    return {choice.new_key_file, "HOLDFAST_NEW_KEY_FILE", "HOLDFAST_NEW_PASSWORD", "HOLDFAST_NEW_PASSWORD_FILE"};
}

void add_new_key_options(Options& options, KeyChoice& choice) {
    options
        .value(choice.new_key_file, "--new-key-file", "FILE",
               "a key file instead of a passphrase (HOLDFAST_NEW_KEY_FILE)")
        .offers = Option::Offers::files;
}

std::string_view name_of(repo::Unlock::Way way) { return way == repo::Unlock::Way::keyfile ? "keyfile" : "passphrase"; }

int list_keys(Context& context) {
    const auto repository = context.open_repository();
    const std::vector<repo::KeySlot> slots = repository->key_slots();
    if (context.out.is_json()) {
        Json keys = Json::array();
        for (const repo::KeySlot& slot : slots)
            keys.push_back({{"id", slot.id},
                            {"label", slot.label},
                            {"role", slot.role},
                            {"sources", slot.sources},
                            {"domain", slot.domain},
                            {"unlock", name_of(slot.way)},
                            {"created", rfc3339(slot.created)},
                            {"current", slot.current}});
        context.out.record({{"schema", "holdfast.key/1"}, {"keys", keys}});
        return 0;
    }
    Table table({{"ID"}, {"LABEL"}, {"ROLE"}, {"SOURCES"}, {"DOMAIN"}, {"UNLOCK"}, {"CREATED"}, {""}});
    for (const repo::KeySlot& slot : slots) {
        const std::string sources = slot.sources.empty() ? "all" : join(slot.sources, ", ");
        const bool stores = slot.role == "writer" || slot.role == "full";
        table.add({slot.id, slot.label, slot.role, slot.role == "writer" ? sources : "", stores ? slot.domain : "",
                   std::string(name_of(slot.way)), local_time(slot.created), slot.current ? "in use" : ""});
    }
    table.print(context.out);
    return 0;
}

void report(Output& out, const std::string& what, const std::string& id) {
    if (out.is_json()) {
        out.record({{"type", "summary"}, {"schema", "holdfast.key/1"}, {"key", id}, {"change", what}});
    } else {
        out.line(out.quiet ? id : fmt::format("key {} {}", id, what));
    }
}

std::string short_id(const repo::SignerId& signer) { return signer.hex().substr(0, 12); }

// For secrets, so only for its owner; never over a file that is there, and gone again when nothing was written.
class NewFile {
public:
    explicit NewFile(std::string path)
        : path_(std::move(path)), fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {
        if (fd_) return;
        const Code code = errno == EEXIST ? Code::already_exists : errno_code(errno, Code::failed);
        throw Error{code, "cannot create {}: {}", path_, errno_text(errno)};
    }
    ~NewFile() {
        if (!is_written_) ::unlink(path_.c_str());
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    void write(ByteView bytes) {
        write_all(fd_.get(), bytes, path_);
        if (::fsync(fd_.get()) != 0)
            throw Error{errno_code(errno, Code::failed), "cannot write {}: {}", path_, errno_text(errno)};
        is_written_ = true;
    }

private:
    const std::string path_;
    Fd fd_;
    bool is_written_ = false;
};

int add_key(Context& context, const KeyChoice& choice) {
    const auto role = repo::role_named(choice.role);
    HF_ASSERT(role.has_value());  // --role takes no other word
    if (!choice.sources.empty() && *role != repo::Role::writer)
        throw Error{Code::usage, "--source is for the role writer"}.unharmed("no key was added");
    if (!is_plain_name(choice.domain))
        throw Error{Code::usage, "`{}` is no name of a domain", choice.domain}
            .unharmed("no key was added")
            .hint("A name has letters, digits, `-`, `_` and `.`.");
    const auto repository = context.open_repository();
    const repo::NewKey key{choice.label, *role, choice.sources, choice.domain};
    if (choice.new_credential.empty()) {
        const repo::Unlock unlock =
            context.new_unlock(places_of_new_key(choice), std::nullopt, "Passphrase of the new key: ");
        report(context.out, "added", short_id(repository->add_key(unlock, key)));
        return 0;
    }
    if (!choice.new_key_file.empty())
        throw Error{Code::usage, "a key is either a key file or a credential"}.unharmed("no key was added");
    NewFile file(choice.new_credential);
    const Secret bytes(context.world.random.array<repo::credential_key_bytes>());
    const repo::SignerId signer = repository->add_key({repo::Unlock::Way::keyfile, Secret(bytes.reveal())}, key);
    file.write(repo::credential_file(repository->keys().config(), signer, bytes).reveal());
    report(context.out, "added", short_id(signer));
    return 0;
}

int remove_key(Context& context, const KeyChoice& choice) {
    const auto repository = context.open_repository();
    if (!context.confirm(fmt::format("Remove key {}?", choice.id)))
        throw Error{Code::cancelled, "the answer was no"}.unharmed("no key was removed");
    repository->remove_key(choice.id);
    report(context.out, "removed", choice.id);
    return 0;
}

int change_key(Context& context, const KeyChoice& choice) {
    const auto repository = context.open_repository();
    const repo::Unlock unlock = context.new_unlock(places_of_new_key(choice), std::nullopt, "New passphrase: ");
    repository->change_key(unlock);
    const std::vector<repo::KeySlot> slots = repository->key_slots();
    const auto current = std::ranges::find(slots, true, &repo::KeySlot::current);
    report(context.out, "changed", current == slots.end() ? "" : current->id);
    return 0;
}

int generate_key(Context& context, const KeyChoice& choice) {
    NewFile(choice.file).write(as_bytes(to_hex(context.world.random.array<32>()) + "\n"));
    if (context.out.is_json()) {
        context.out.record(
            {{"type", "summary"}, {"schema", "holdfast.key/1"}, {"file", choice.file}, {"change", "generated"}});
    } else if (!context.out.quiet) {
        context.out.line(fmt::format("a new key is in {}", choice.file));
        context.out.say(
            "It opens nothing yet: use it with `init --key-file` or `key add --new-key-file`, and keep a "
            "copy in a safe place.");
    }
    return 0;
}

Command key_command(const std::string& verb, std::string summary) {
    Command out;
    out.name = "key " + verb;
    out.is_recorded = verb != "list" && verb != "generate";
    out.part = Part::housekeeping;
    out.summary = std::move(summary);
    return out;
}

}  // namespace

Command key_list_command() {
    Command out = key_command("list", "list the keys that open the repository");
    out.examples = {{"holdfast key list", "the one that was used now is marked"}};
    out.run = list_keys;
    return out;
}

Command key_add_command() {
    const auto choice = std::make_shared<KeyChoice>();
    Command out = key_command("add", "add a passphrase or key file that opens the repository");
    out.details =
        "The new passphrase is asked for, or comes from HOLDFAST_NEW_PASSWORD or HOLDFAST_NEW_PASSWORD_FILE.\n"
        "A writer backs up and reads nothing back; a reader restores, proves and attests; a maintainer forgets and "
        "prunes "
        "without reading contents or names; full does all that, and makes keys.";
    out.examples = {{"holdfast key add --label ann", "asks for the old and the new passphrase"},
                    {"holdfast key add --label web1 --role writer --source uploads --new-key-file /etc/holdfast/key",
                     "a machine that can back up one source, and nothing else"},
                    {"holdfast key add --label web2 --role writer --new-credential /etc/holdfast/writer.cred",
                     "in one step, with a file that opens this repository and no other in its place"}};
    out.options.one_of(choice->role, "--role", "ROLE", roles, "writer, reader, maintainer or full (the default)");
    out.options.list(choice->sources, "--source", "NAME",
                     "that a writer may back up; may be given again (default: all)");
    out.options.value(choice->domain, "--domain", "NAME",
                      "what it stores deduplicates with what is of this domain only");
    out.options.value(choice->label, "--label", "TEXT", "what `key list` calls it");
    add_new_key_options(out.options, *choice);
    out.options
        .value(choice->new_credential, "--new-credential", "FILE",
               "makes this file: a key file that names its repository (`unlock: {credential: …}`)")
        .offers = Option::Offers::files;
    out.run = [choice](Context& context) { return add_key(context, *choice); };
    return out;
}

Command key_remove_command() {
    const auto choice = std::make_shared<KeyChoice>();
    Command out = key_command("remove", "remove a key; what it has read before it can still know");
    out.examples = {{"holdfast key remove 3f2a91c0", "an id as `key list` shows it"}};
    out.options.word(choice->id, "ID", "of the key, from `key list`").required = true;
    out.run = [choice](Context& context) { return remove_key(context, *choice); };
    return out;
}

Command key_change_command() {
    const auto choice = std::make_shared<KeyChoice>();
    Command out = key_command("change", "change the passphrase or key file of the key in use");
    out.details = "The new passphrase is asked for, or comes from HOLDFAST_NEW_PASSWORD or HOLDFAST_NEW_PASSWORD_FILE.";
    out.examples = {{"holdfast key change", "asks for the old and the new passphrase"}};
    add_new_key_options(out.options, *choice);
    out.run = [choice](Context& context) { return change_key(context, *choice); };
    return out;
}

Command key_generate_command() {
    const auto choice = std::make_shared<KeyChoice>();
    Command out = key_command("generate", "make a new key file");
    out.details = "An existing file is never overwritten. The file can be read by its owner only.";
    out.examples = {
        {"holdfast key generate /etc/holdfast/key", "then: holdfast -r /backups --key-file /etc/holdfast/key init"}};
    Option& file = out.options.word(choice->file, "FILE", "the file that is made");
    file.required = true;
    file.offers = Option::Offers::files;
    out.run = [choice](Context& context) { return generate_key(context, *choice); };
    return out;
}

}  // namespace holdfast::app
