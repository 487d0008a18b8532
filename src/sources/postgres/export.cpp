#include "sources/postgres/export.h"

#include <cstdlib>

#include "base/error.h"
#include "clients/postgres/tools.h"
#include "source/option_values.h"
#include "sources/postgres/database_export.h"

namespace holdfast::postgres {

namespace {

constexpr std::size_t copy_bytes = 1024 * 1024;

// Of the pg_dump that wrote the archive; 0: the capture does not say.
int captured_major(const Facts& facts) {
    return std::atoi(facts.value("", "about pg_dump version").value_or("").c_str());
}

class SqlExport final : public DatabaseExport {
public:
    explicit SqlExport(const ExportRequest& request)
        : DatabaseExport(request),
          tools_(find_tools(captured_major(request.facts), option_text(request.options, "bin_dir"), Code::failed)) {}

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

class CustomExport final : public ArchiveExport {
public:
    using ArchiveExport::ArchiveExport;

    void finish() override {
        Bytes buffer(copy_bytes);
        for (std::size_t at = toc().end; const std::size_t got = read_archive(at, buffer); at += got)
            request().write(ByteView(buffer).first(got));
    }

private:
    void begin_archive() override {
        constexpr std::size_t number_bytes = 5;
        const std::size_t entries_at = toc().count_at + number_bytes;
        Bytes count;
        append_number(count, static_cast<int>(toc().entries.size() + new_entries().size()));
        request().write(head().first(toc().count_at));
        request().write(count);
        request().write(head().subspan(entries_at, insert_at() - entries_at));
        for (const NewEntry& entry : new_entries()) request().write(entry.bytes);
        request().write(head().subspan(insert_at(), toc().end - insert_at()));
    }
    void begin_rows(const std::string& path) override {
        expect_rows(path);
        request().write(data_block_begin(id_of(path)));
    }
    void add_data(ByteView bytes) override {
        Bytes length;
        append_number(length, static_cast<int>(bytes.size()));
        request().write(length);
        request().write(bytes);
    }
    void end_rows() override {
        add_data(as_bytes(rows_end));
        Bytes end;
        append_number(end, 0);
        request().write(end);
    }
};

}  // namespace

std::unique_ptr<Export> export_as(const ExportRequest& request) {
    if (request.format == "sql") return std::make_unique<SqlExport>(request);
    if (request.format == "directory") return export_directory(request);
    return std::make_unique<CustomExport>(request);
}

}  // namespace holdfast::postgres
