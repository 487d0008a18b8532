#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "app/command.h"
#include "app/context.h"
#include "app/registry.h"
#include "app/select.h"
#include "app/source_options.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "codec/gzip.h"
#include "engine/facts.h"
#include "engine/look.h"
#include "repo/keys.h"

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

class Target {
public:
    virtual ~Target() = default;
    virtual void begin_file(const std::string& name, ExportRequest::Packing packing) = 0;
    virtual void write(ByteView bytes) = 0;
    virtual void finish() = 0;
    std::uint64_t bytes() const { return bytes_; }

protected:
    std::uint64_t bytes_ = 0;
};

// It gets its name when it is whole.
class FileTarget final : public Target {
public:
    FileTarget(Context& context, const std::string& path) : FileTarget(context, path, path + ".unfinished") {}
    FileTarget(Context& context, const std::string& path, std::string unfinished)
        : context_(context), path_(path), unfinished_(std::move(unfinished)) {
        if (path_ == standard_output) return;
        if (std::filesystem::exists(path_))
            throw Error{Code::already_exists, "{} exists already", path_}.unharmed("it is left as it is");
        fd_ = Fd(::open(unfinished_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        if (!fd_) throw Error{Code::target_failed, "cannot create {}: {}", unfinished_, errno_text(errno)};
    }
    ~FileTarget() override {
        if (fd_) ::unlink(unfinished_.c_str());
    }
    FileTarget(const FileTarget&) = delete;
    FileTarget& operator=(const FileTarget&) = delete;

    void begin_file(const std::string&, ExportRequest::Packing) override {}
    void write(ByteView bytes) override {
        context_.world.stop.check();
        bytes_ += bytes.size();
        if (path_ == standard_output)
            context_.out.bytes(bytes);
        else
            write_all(fd_.get(), bytes, path_);
    }
    void finish() override {
        if (!fd_) return;
        if (::fsync(fd_.get()) != 0 || ::rename(unfinished_.c_str(), path_.c_str()) != 0)
            throw Error{errno_code(errno, Code::target_failed), "cannot finish {}: {}", path_, errno_text(errno)};
        fd_.reset();
    }

private:
    Context& context_;
    const std::string path_, unfinished_;
    Fd fd_;
};

// The same with a folder.
class FolderTarget final : public Target {
public:
    FolderTarget(Context& context, const std::string& path, std::optional<int> gzip_level)
        : context_(context), path_(path), gzip_level_(gzip_level) {
        if (path_ == standard_output)
            throw Error{Code::usage, "this format is a folder, which standard output cannot be"};
        if (std::filesystem::exists(path_))
            throw Error{Code::already_exists, "{} exists already", path_}.unharmed("it is left as it is");
        std::filesystem::remove_all(unfinished());
        if (::mkdir(unfinished().c_str(), 0700) != 0)
            throw Error{Code::target_failed, "cannot create {}: {}", unfinished(), errno_text(errno)};
    }
    ~FolderTarget() override {
        std::error_code ignored;
        if (!is_whole_) std::filesystem::remove_all(unfinished(), ignored);
    }
    FolderTarget(const FolderTarget&) = delete;
    FolderTarget& operator=(const FolderTarget&) = delete;

    void begin_file(const std::string& name, ExportRequest::Packing packing) override {
        end_file();
        const bool is_packed = gzip_level_ && packing == ExportRequest::Packing::allowed;
        const std::string path = unfinished() + "/" + name + (is_packed ? ".gz" : "");
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        // Names may be as long as the system allows.
        file_ = std::make_unique<FileTarget>(context_, path, unfinished() + "/.unfinished");
        if (is_packed) gzip_.emplace(*gzip_level_, [this](ByteView bytes) { file_->write(bytes); });
    }
    void write(ByteView bytes) override { gzip_ ? gzip_->add(bytes) : file_->write(bytes); }
    void finish() override {
        end_file();
        for (const auto& each : std::filesystem::recursive_directory_iterator(unfinished()))
            if (each.is_directory()) fsync_folder(each.path().string());
        fsync_folder(unfinished());
        if (::rename(unfinished().c_str(), path_.c_str()) != 0)
            throw Error{errno_code(errno, Code::target_failed), "cannot finish {}: {}", path_, errno_text(errno)};
        is_whole_ = true;
    }

private:
    std::string unfinished() const { return path_ + ".unfinished"; }
    void end_file() {
        if (!file_) return;
        if (gzip_) gzip_->finish();
        gzip_.reset();
        file_->finish();
        bytes_ += file_->bytes();
        file_.reset();
    }

    Context& context_;
    const std::string path_;
    const std::optional<int> gzip_level_;
    std::unique_ptr<FileTarget> file_;
    std::optional<codec::GzipWriter> gzip_;
    bool is_whole_ = false;
};

std::string trimmed(std::string path) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path;
}

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
        throw Error{Code::usage, "`export` needs --to PATH"}.hint("`--to -` is standard output.");
    const auto repository = context.open_repository();
    repository->keys().require(repo::Right::read, "export");
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
    const bool is_folder = std::ranges::find(type->export_folder_formats, format) != type->export_folder_formats.end();
    std::unique_ptr<Target> target;
    if (is_folder)
        target = std::make_unique<FolderTarget>(context, trimmed(choice.target),
                                                is_compressed ? std::optional(level) : std::nullopt);
    else
        target = std::make_unique<FileTarget>(context, choice.target);
    const bool is_packed = is_compressed && !is_folder;
    codec::GzipWriter gzip(level, [&](ByteView bytes) { target->write(bytes); });
    const auto exported = type->export_as(
        {context.world, format, items, engine::read_facts(*repository, *selected.snapshot).value_or(Facts{}),
         [&](ByteView bytes) { is_packed ? gzip.add(bytes) : target->write(bytes); },
         [&](const std::string& name, ExportRequest::Packing packing) { target->begin_file(name, packing); },
         machine_options(*type, context.config(), selected.snapshot->source)});
    export_items(*repository, selected, *exported, items);
    if (is_packed) gzip.finish();
    target->finish();
    if (choice.target != standard_output)
        context.out.say(fmt::format("exported snapshot {} to {}: {}", selected.snapshot->id.short_hex(),
                                    printable(choice.target), human_bytes(target->bytes())));
    return 0;
}

}  // namespace

Command export_command() {
    const auto choice = std::make_shared<ExportChoice>();
    Command out;
    out.name = "export";
    out.is_recorded = true;
    out.part = Part::bring_back;
    out.summary = "write a database as a file or folder that its own programs read";
    out.details =
        "For PostgreSQL `--as sql` gives statements for psql, `--as custom` an archive and `--as directory` a folder "
        "for "
        "pg_restore; for MongoDB `--as archive` a file for mongorestore --archive, `--as directory` a folder for "
        "mongorestore, `--as tar` "
        "the same in one file; "
        "for Redis `--as rdb` a file that redis-server loads. It gets its name when it is whole; what exists is left "
        "alone.";
    out.examples = {
        {"holdfast export latest:shop --source orders-db --as custom --to shop.dump", "for pg_restore"},
        {"holdfast export latest:shop --source orders-db --as sql --gzip=9 --to shop.sql.gz", "for psql"},
        {"holdfast export latest:shop --as directory --to shop.dir", "for pg_restore --jobs"},
        {"holdfast export latest --source shop --as archive --to shop.archive", "for mongorestore --archive"},
        {"holdfast export latest:shop --to - | psql shop_copy", "without a file"}};
    out.options.word(choice->wanted.text, "SNAPSHOT", "id, `latest` or a source's name; `:DATABASE` may follow")
        .offers = Option::Offers::snapshots;
    out.options.value(
        choice->format, "--as", "FORMAT",
        "PostgreSQL: sql, sql.gz, custom or directory; MongoDB: archive, directory or tar, with .gz compressed; Redis: "
        "rdb");
    out.options.value(choice->target, "--to", "PATH", "the file or folder that is written; - is standard output")
        .offers = Option::Offers::files;
    out.options.optional_value(choice->gzip, "--gzip", "LEVEL", "compress, at a level from 0 to 9");
    add_selection(out.options, choice->wanted);
    out.run = [choice](Context& context) { return run_export(context, *choice); };
    return out;
}

}  // namespace holdfast::app
