#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "app/command.h"
#include "app/context.h"
#include "app/registry.h"
#include "app/select.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "codec/gzip.h"
#include "engine/facts.h"
#include "engine/look.h"

namespace holdfast::app {

namespace {

constexpr std::string_view standard_output = "-";
constexpr std::string_view compressed_suffix = ".gz";

struct ExportChoice {
    Wanted wanted;
    std::string format;
    std::string target;
    std::optional<std::string> gzip;  // its level; "": 6
};

// The file gets its name when it is whole.
class Target {
public:
    Target(Context& context, const std::string& path) : context_(context), path_(path) {
        if (path_ == standard_output) return;
        if (std::filesystem::exists(path_))
            throw Error{Code::already_exists, "{} exists already", path_}.unharmed("it is left as it is");
        fd_ = Fd(::open(unfinished().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        if (!fd_) throw Error{Code::target_failed, "cannot create {}: {}", unfinished(), errno_text(errno)};
    }
    ~Target() {
        if (fd_) ::unlink(unfinished().c_str());
    }
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    void write(ByteView bytes) {
        context_.world.stop.check();
        bytes_ += bytes.size();
        if (path_ == standard_output)
            context_.out.bytes(bytes);
        else
            write_all(fd_.get(), bytes, path_);
    }
    void finish() {
        if (!fd_) return;
        if (::fsync(fd_.get()) != 0 || ::rename(unfinished().c_str(), path_.c_str()) != 0)
            throw Error{errno_code(errno, Code::target_failed), "cannot finish {}: {}", path_, errno_text(errno)};
        fd_.reset();
    }
    std::uint64_t bytes() const { return bytes_; }

private:
    std::string unfinished() const { return path_ + ".unfinished"; }

    Context& context_;
    const std::string path_;
    Fd fd_;
    std::uint64_t bytes_ = 0;
};

int gzip_level(const ExportChoice& choice) {
    if (!choice.gzip || choice.gzip->empty()) return 6;
    if (choice.gzip->size() != 1 || !std::isdigit(static_cast<unsigned char>(choice.gzip->front())))
        throw Error{Code::usage, "--gzip needs a level from 0 to 9, not `{}`", *choice.gzip};
    return choice.gzip->front() - '0';
}

void export_items(repo::Repository& repository, const Selected& selected, Export& to,
                  const std::vector<std::string>& items) {
    for (const std::string& path : items) {
        to.begin_item(path);
        engine::dump(repository, *selected.snapshot, path, [&](ByteView bytes) { to.write(bytes); });
        to.end_item();
    }
    to.finish();
}

int run_export(Context& context, const ExportChoice& choice) {
    std::string format = choice.format;
    const bool is_compressed = choice.gzip.has_value() || format.ends_with(compressed_suffix);
    if (format.ends_with(compressed_suffix)) format.resize(format.size() - compressed_suffix.size());
    const int level = gzip_level(choice);
    if (choice.target.empty())
        throw Error{Code::usage, "`export` needs --to FILE"}.hint("`--to -` is standard output.");
    const auto repository = context.open_repository();
    const Selected selected = select_snapshot(repository->snapshots(), choice.wanted, context.world.clock.now());
    for (const std::string& remark : selected.remarks) context.out.say(remark);
    const SourceType* const type = source_type(selected.snapshot->kind);
    if (type == nullptr || type->export_as == nullptr)
        throw Error{Code::usage, "snapshots of kind {} have no export", selected.snapshot->kind}.hint(
            "`holdfast restore SNAPSHOT --to FOLDER` writes them as files.");
    if (format.empty()) format = type->export_formats.front();
    if (std::ranges::find(type->export_formats, format) == type->export_formats.end())
        throw Error{Code::usage, "--as is one of {}, not `{}`", fmt::join(type->export_formats, ", "), choice.format};

    std::vector<std::string> items;
    if (!selected.path.empty())  // is not found, or is there
        engine::list(*repository, *selected.snapshot, selected.path, false, [](const Item&) { return false; });
    // What belongs to it from outside of its top folder comes with a part.
    const std::string top = selected.path.substr(0, selected.path.find('/'));
    engine::list(*repository, *selected.snapshot, "", true, [&](const Item& item) {
        const bool comes_along = !top.empty() && type->comes_along != nullptr && !is_within(item.path, top) &&
                                 type->comes_along(item.path, top);
        if (item.kind == ItemKind::file && (top.empty() || is_within(item.path, selected.path) || comes_along))
            items.push_back(item.path);
        return true;
    });
    Target target(context, choice.target);
    codec::GzipWriter gzip(level, [&](ByteView bytes) { target.write(bytes); });
    const auto exported = type->export_as(
        {context.world, format, items, engine::read_facts(*repository, *selected.snapshot).value_or(Facts{}),
         [&](ByteView bytes) { is_compressed ? gzip.add(bytes) : target.write(bytes); }});
    export_items(*repository, selected, *exported, items);
    if (is_compressed) gzip.finish();
    target.finish();
    if (choice.target != standard_output)
        context.out.say(fmt::format("exported snapshot {} to {}: {}", selected.snapshot->id.short_hex(),
                                    printable(choice.target), human_bytes(target.bytes())));
    return 0;
}

}  // namespace

Command export_command() {
    const auto choice = std::make_shared<ExportChoice>();
    Command out;
    out.name = "export";
    out.part = Part::bring_back;
    out.summary = "write a database as a file that its own programs read";
    out.details =
        "For PostgreSQL `--as sql` gives statements for psql, `--as custom` an archive for pg_restore; for MongoDB "
        "`--as archive` a file "
        "for mongorestore --archive, `--as tar` the folder of mongodump. The file gets "
        "its "
        "name when it is whole; one that exists is left alone.";
    out.examples = {
        {"holdfast export latest:shop --source orders-db --as custom --to shop.dump", "for pg_restore"},
        {"holdfast export latest --source shop --as archive --to shop.archive", "for mongorestore --archive"},
        {"holdfast export latest:shop --source orders-db --as sql --gzip=9 --to shop.sql.gz", "for psql"},
        {"holdfast export latest:shop --to - | psql shop_copy", "without a file"}};
    out.options.word(choice->wanted.text, "SNAPSHOT", "id, `latest` or a source's name; `:DATABASE` may follow")
        .offers = Option::Offers::snapshots;
    out.options.value(choice->format, "--as", "FORMAT",
                      "PostgreSQL: sql or custom; MongoDB: archive or tar; with .gz compressed");
    out.options.value(choice->target, "--to", "FILE", "the file that is written; - is standard output").offers =
        Option::Offers::files;
    out.options.optional_value(choice->gzip, "--gzip", "LEVEL", "compress, at a level from 0 to 9");
    add_selection(out.options, choice->wanted);
    out.run = [choice](Context& context) { return run_export(context, *choice); };
    return out;
}

}  // namespace holdfast::app
