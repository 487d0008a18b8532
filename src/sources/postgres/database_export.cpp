#include "sources/postgres/database_export.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/item.h"
#include "clients/postgres/endpoint.h"
#include "sources/postgres/names.h"

namespace holdfast::postgres {

namespace {

constexpr std::size_t look_bytes = 1024 * 1024;

}  // namespace

DatabaseExport::DatabaseExport(const ExportRequest& request) : request_(request) {
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

void DatabaseExport::begin_item(const std::string& path) {
    path_ = path;
    if (!is_archive(path) && path != globals_item) begin_rows(path);
}

void DatabaseExport::write(ByteView bytes) {
    if (path_ == globals_item) return;
    if (is_archive(path_))
        write_all(archive_.get(), bytes, archive_path());
    else
        add_rows(bytes);
}

void DatabaseExport::end_item() {
    if (is_archive(path_))
        begin();
    else if (path_ != globals_item)
        end_rows();
}

std::size_t DatabaseExport::read_archive(std::size_t at, MutableByteView into) const {
    while (true) {
        const ssize_t got = ::pread(archive_.get(), into.data(), into.size(), static_cast<off_t>(at));
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno != EINTR) throw Error{Code::failed, "cannot read the archive back: {}", errno_text(errno)};
    }
}

void ArchiveExport::begin() {
    for (std::size_t look = look_bytes;; look *= 2) {
        head_bytes_.resize(look);
        head_bytes_.resize(read_archive(0, head_bytes_));
        if (auto toc = read_toc(head_bytes_)) {
            toc_ = std::move(*toc);
            head_bytes_.resize(toc_.end);
            break;
        }
        if (head_bytes_.size() < look) throw Error{Code::corrupt, "the archive of the database is not whole"};
    }
    make_entries();
    begin_archive();
}

std::size_t ArchiveExport::insert_at() const {
    const auto first_data = std::ranges::find_if(toc_.entries, [](const TocEntry& entry) {
        return entry.section == TocEntry::Section::data || entry.section == TocEntry::Section::post_data;
    });
    return first_data == toc_.entries.end() ? toc_.end : first_data->at;
}

void ArchiveExport::make_entries() {
    int id = 0;
    std::map<std::pair<std::string, std::string>, const TocEntry*> tables;
    for (const TocEntry& entry : toc_.entries) {
        id = std::max(id, entry.id);
        if (entry.kind == "TABLE") tables.emplace(std::pair(entry.schema, entry.tag), &entry);
    }
    for (const std::string& path : request().items) {
        const std::vector<std::string> parts = parts_of(path);
        if (parts.size() != 3) continue;
        const auto table = tables.find({parts[1], parts[2]});
        if (table == tables.end()) throw Error{Code::corrupt, "{} is no table of the archive", path};
        const std::string columns = request().facts.value(path, "columns").value_or("");
        const std::string copy = fmt::format("COPY {}.{}{} FROM stdin;\n", quote_name(parts[1]), quote_name(parts[2]),
                                             columns.empty() ? "" : " (" + columns + ")");
        ids_.emplace(path, ++id);
        heads_.emplace(path, copy);
        new_entries_.push_back({id, table_data_entry(toc_, id, *table->second, copy)});
    }
}

void ArchiveExport::add_rows(ByteView bytes) {
    const std::size_t of_head = std::min(head_.size(), bytes.size());
    if (!equal(as_bytes(head_).first(of_head), bytes.first(of_head)))
        throw Error{Code::corrupt, "the rows of a table do not begin as they should"};
    head_.erase(0, of_head);
    if (of_head < bytes.size()) add_data(bytes.subspan(of_head));
}

}  // namespace holdfast::postgres
