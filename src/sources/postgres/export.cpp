#include "sources/postgres/export.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/item.h"
#include "clients/postgres/tools.h"
#include "sources/postgres/names.h"
#include "sources/postgres/toc.h"

namespace holdfast::postgres {

namespace {

constexpr std::size_t copy_bytes = 1024 * 1024;

// Gathers the archive; what becomes of rows is each format's own.
class DatabaseExport : public Export {
public:
    explicit DatabaseExport(const ExportRequest& request) : request_(request) {
        for (const std::string& path : request.items) {
            if (path == globals_item) continue;
            const std::string database = path.substr(0, path.find('/'));
            if (!database_.empty() && database != database_)
                throw Error{Code::usage, "the snapshot holds several databases: {} and {}", database_, database}.hint(
                    "Name one: `holdfast export SNAPSHOT:DATABASE …`.");
            database_ = database;
        }
        const std::string archive = database_ + "/" + std::string(archive_name);
        if (database_.empty() || std::ranges::find(request.items, archive) == request.items.end())
            throw Error{Code::usage, "an export is of a whole database"}.hint(
                "Write `holdfast export SNAPSHOT:DATABASE …`.");
        archive_ = Fd(::open(archive_path().c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (!archive_) throw Error{Code::failed, "cannot create {}: {}", archive_path(), errno_text(errno)};
    }

    void begin_item(const std::string& path) override {
        path_ = path;
        if (is_archive(path) || path == globals_item) return;
        begin_rows(path);
    }
    void write(ByteView bytes) override {
        if (path_ == globals_item) return;
        if (is_archive(path_))
            write_all(archive_.get(), bytes, archive_path());
        else
            add_rows(bytes);
    }
    void end_item() override {
        if (is_archive(path_))
            begin();
        else if (path_ != globals_item)
            end_rows();
    }

protected:
    virtual void begin() = 0;  // the archive is there
    virtual void begin_rows(const std::string& path) = 0;
    virtual void add_rows(ByteView bytes) = 0;
    virtual void end_rows() = 0;

    const ExportRequest& request() const { return request_; }
    std::string archive_path() const { return folder_.path() + "/archive"; }
    int archive() const { return archive_.get(); }

private:
    const ExportRequest request_;
    TemporaryFolder folder_;
    Fd archive_;
    std::string database_;
    std::string path_;
};

class SqlExport final : public DatabaseExport {
public:
    explicit SqlExport(const ExportRequest& request)
        : DatabaseExport(request), tools_(find_tools(0, "", Code::failed)) {}

    void finish() override {
        print("data");
        print("post-data");
    }

private:
    void begin() override { print("pre-data"); }
    void begin_rows(const std::string&) override {}
    void add_rows(ByteView bytes) override { request().write(bytes); }
    void end_rows() override { request().write(as_bytes("\n")); }

    void print(const std::string& section) {
        Tool tool(request().world, {tools_.path("pg_restore"), "--section=" + section, "--file=-", archive_path()},
                  Code::failed);
        Bytes buffer(64 * 1024);
        while (const std::size_t got = tool.read(buffer)) request().write(ByteView(buffer).first(got));
        tool.finish();
    }

    const Tools tools_;
};

// The archive's own table of contents with an entry for each table's rows, these rows, then the data it had.
class CustomExport final : public DatabaseExport {
public:
    using DatabaseExport::DatabaseExport;

    void finish() override { copy(toc_.end, size_of_archive()); }

private:
    void begin() override {
        Bytes head;
        for (std::size_t look = copy_bytes;; look *= 2) {
            head.resize(look);
            const ssize_t got = ::pread(archive(), head.data(), look, 0);
            head.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
            if (auto toc = read_toc(head)) {
                toc_ = std::move(*toc);
                break;
            }
            if (head.size() < look) throw Error{Code::corrupt, "the archive of the database is not whole"};
        }
        write_head(head);
    }

    void write_head(ByteView head) {
        const auto first_data = std::ranges::find_if(toc_.entries, [](const TocEntry& entry) {
            return entry.section == TocEntry::Section::data || entry.section == TocEntry::Section::post_data;
        });
        const std::size_t insert_at = first_data == toc_.entries.end() ? toc_.end : first_data->at;
        const Bytes entries = entries_of_tables();
        constexpr std::size_t number_bytes = 5;
        const std::size_t entries_at = toc_.count_at + number_bytes;
        Bytes count;
        append_number(count, static_cast<int>(toc_.entries.size() + ids_.size()));
        request().write(head.first(toc_.count_at));
        request().write(count);
        request().write(head.subspan(entries_at, insert_at - entries_at));
        request().write(entries);
        request().write(head.subspan(insert_at, toc_.end - insert_at));
    }

    Bytes entries_of_tables() {
        int id = 0;
        std::map<std::pair<std::string, std::string>, const TocEntry*> tables;
        for (const TocEntry& entry : toc_.entries) {
            id = std::max(id, entry.id);
            if (entry.kind == "TABLE") tables.emplace(std::pair(entry.schema, entry.tag), &entry);
        }
        Bytes out;
        for (const std::string& path : request().items) {
            const std::vector<std::string> parts = parts_of(path);
            if (parts.size() != 3) continue;
            const auto table = tables.find({parts[1], parts[2]});
            if (table == tables.end()) throw Error{Code::corrupt, "{} is no table of the archive", path};
            const std::string columns = request().facts.value(path, "columns").value_or("");
            const std::string copy = fmt::format("COPY {}.{}{} FROM stdin;\n", quote_name(parts[1]),
                                                 quote_name(parts[2]), columns.empty() ? "" : " (" + columns + ")");
            ids_.emplace(path, ++id);
            heads_.emplace(path, copy);
            append(out, table_data_entry(toc_, id, *table->second, copy));
        }
        return out;
    }

    void begin_rows(const std::string& path) override {
        head_ = heads_.at(path);
        request().write(data_block_begin(ids_.at(path)));
    }
    void add_rows(ByteView bytes) override {
        const std::size_t of_head = std::min(head_.size(), bytes.size());
        if (!equal(as_bytes(head_).first(of_head), bytes.first(of_head)))
            throw Error{Code::corrupt, "the rows of a table do not begin as they should"};
        head_.erase(0, of_head);
        write_chunk(bytes.subspan(of_head));
    }
    void end_rows() override {
        write_chunk(as_bytes("\n\n"));
        Bytes end;
        append_number(end, 0);
        request().write(end);
    }
    void write_chunk(ByteView bytes) {
        if (bytes.empty()) return;
        Bytes length;
        append_number(length, static_cast<int>(bytes.size()));
        request().write(length);
        request().write(bytes);
    }

    std::size_t size_of_archive() const {
        struct stat info {};
        if (::fstat(archive(), &info) != 0) throw Error{Code::failed, "fstat: {}", errno_text(errno)};
        return static_cast<std::size_t>(info.st_size);
    }
    void copy(std::size_t from, std::size_t to) {
        Bytes buffer(copy_bytes);
        while (from < to) {
            const ssize_t got =
                ::pread(archive(), buffer.data(), std::min(buffer.size(), to - from), static_cast<off_t>(from));
            if (got <= 0) throw Error{Code::failed, "cannot read the archive back: {}", errno_text(errno)};
            request().write(ByteView(buffer).first(static_cast<std::size_t>(got)));
            from += static_cast<std::size_t>(got);
        }
    }

    Toc toc_;
    std::map<std::string, int> ids_;
    std::map<std::string, std::string> heads_;
    std::string head_;  // of the table's rows, as far as it has not come yet
};

}  // namespace

std::unique_ptr<Export> export_as(const ExportRequest& request) {
    if (request.format == "sql") return std::make_unique<SqlExport>(request);
    return std::make_unique<CustomExport>(request);
}

}  // namespace holdfast::postgres
