// sources/postgres/database_export.h: what exports of one database have in common: its archive, and rows as they come.
//
// Errors   usage when the items are not those of one database; corrupt; failed
// Threads  one
// Limits   the archive without its tables' rows lies in a private temporary folder meanwhile
#pragma once

#include <map>
#include <string>

#include "base/file.h"
#include "source/source.h"
#include "sources/postgres/toc.h"

namespace holdfast::postgres {

// What becomes of rows is each format's own.
class DatabaseExport : public Export {
public:
    explicit DatabaseExport(const ExportRequest& request);
    void begin_item(const std::string& path) override;
    void write(ByteView bytes) override;
    void end_item() override;

protected:
    virtual void begin() = 0;  // the archive is there
    virtual void begin_rows(const std::string& path) = 0;
    virtual void add_rows(ByteView bytes) = 0;
    virtual void end_rows() = 0;

    const ExportRequest& request() const { return request_; }
    std::string archive_path() const { return folder_.path() + "/archive"; }
    // From an offset on, as far as there is; 0 at the end.
    std::size_t read_archive(std::size_t at, MutableByteView into) const;

private:
    const ExportRequest request_;
    TemporaryFolder folder_;
    Fd archive_;
    std::string database_;
    std::string path_;
};

// Those that are archives themselves: the table of contents of the database's archive with an entry for each table's
// rows, whose data is told apart from the COPY statement that begins an item.
class ArchiveExport : public DatabaseExport {
public:
    using DatabaseExport::DatabaseExport;

protected:
    static constexpr std::string_view rows_end = "\n\n";  // behind \., as pg_dump has it

    void begin() override;
    virtual void begin_archive() {}
    virtual void add_data(ByteView bytes) = 0;
    void add_rows(ByteView bytes) override;
    void expect_rows(const std::string& path) { head_ = heads_.at(path); }

    struct NewEntry {
        int id = 0;
        Bytes bytes;
    };
    const Toc& toc() const { return toc_; }
    ByteView head() const { return head_bytes_; }  // up to toc().end
    const std::vector<NewEntry>& new_entries() const { return new_entries_; }
    // Where the new entries go: data comes before what is made after it.
    std::size_t insert_at() const;
    int id_of(const std::string& path) const { return ids_.at(path); }

private:
    void make_entries();

    Toc toc_;
    Bytes head_bytes_;
    std::vector<NewEntry> new_entries_;
    std::map<std::string, int> ids_;
    std::map<std::string, std::string> heads_;
    std::string head_;  // of the table's rows, as far as it has not come yet
};

std::unique_ptr<Export> export_directory(const ExportRequest& request);

}  // namespace holdfast::postgres
