#include "sources/postgres/import.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "clients/postgres/connection.h"
#include "sandbox/sandbox.h"
#include "sources/postgres/capture.h"
#include "sources/postgres/catalog.h"
#include "sources/postgres/dump_file.h"
#include "sources/postgres/dump_loader.h"
#include "sources/postgres/server.h"

namespace holdfast::postgres {

namespace {

constexpr std::string_view superuser = "postgres";
constexpr std::string_view beside_name = "holdfast_import";

// What its server was is unknown: the identity is that of the throwaway one.
class ImportedCapture final : public Capture {
public:
    ImportedCapture(std::unique_ptr<Capture> capture, const std::string& version)
        : capture_(std::move(capture)), version_(version) {}
    bool next(Batch& batch) override { return capture_->next(batch); }
    std::optional<Finding> complete(const Batch& batch, Item& item) override { return capture_->complete(batch, item); }
    Opened open(const Batch& batch, const Batch::Entry& entry) override { return capture_->open(batch, entry); }
    CaptureSummary finish() override {
        CaptureSummary out = capture_->finish();
        if (!out.facts) return out;
        std::erase_if(out.facts->list, [](const Fact& fact) {
            return fact.name == "about system identifier" || fact.name == "about address";
        });
        if (!version_.empty()) out.facts->list.push_back({"", "about dumped version", version_});
        out.facts->sort();
        return out;
    }

private:
    const std::unique_ptr<Capture> capture_;
    const std::string version_;
};

class ImportedSource final : public Source {
public:
    ImportedSource(const ImportRequest& request, const std::string& format, std::string version,
                   std::unique_ptr<ThrowawayServer> server, CaptureOptions options)
        : name_(request.name),
          described_({std::filesystem::path(request.path).filename().string(), format}),
          version_(std::move(version)),
          server_(std::move(server)),
          options_(std::move(options)) {}
    std::string name() const override { return name_; }
    std::string kind() const override { return "postgres"; }
    std::vector<std::string> describe() const override { return described_; }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override {
        return std::make_unique<ImportedCapture>(begin_capture(request.world, options_), version_);
    }

private:
    const std::string name_;
    const std::vector<std::string> described_;
    const std::string version_;
    const std::unique_ptr<ThrowawayServer> server_;
    const CaptureOptions options_;
};

std::string line_after(std::string_view text, std::string_view words) {
    const std::size_t at = text.find(words);
    if (at == std::string_view::npos) return "";
    text.remove_prefix(at + words.size());
    return std::string(text.substr(0, text.find('\n')));
}

// "15.14 (Debian 15.14-0+deb12u1)" is 15, "9.6.24" is 9: nothing older is loaded by a server of its own version.
int major_of(const std::string& version) { return std::atoi(version.c_str()); }

class Importer {
public:
    explicit Importer(const ImportRequest& request)
        : request_(request),
          world_(request.sandbox.world()),
          dump_(look_at_dump(request.path)),
          format_(dump_.format()) {
        if (dump_.kind == DumpFile::Kind::none)
            throw Error{Code::source_failed, "{} is no dump that pg_dump or pg_dumpall made", request.path};
    }

    std::unique_ptr<Source> load() {
        if (dump_.is_compressed && dump_.kind != DumpFile::Kind::sql) unpack();
        learn();
        const ServerPrograms programs = find_server(major_of(version_), option("bin_dir"), Fit::or_newer);
        if (const int major = major_of(version_); major != 0 && programs.major != major)
            world_.log.warning(fmt::format("the dump is of PostgreSQL {}, which is not here; it is loaded into {}",
                                           major, programs.major));
        auto server = start_server(request_.sandbox, programs, std::string(superuser));
        const Endpoint endpoint = Endpoint::parse(server->target());
        CaptureOptions options;
        options.databases = fill(endpoint, programs.folder);
        options.endpoint = endpoint.with_database(options.databases.front());
        return std::make_unique<ImportedSource>(request_, format_, version_, std::move(server), std::move(options));
    }

private:
    std::string option(std::string_view name) const {
        const auto found = request_.options.find(name);
        return found == request_.options.end() || found->second.empty() ? "" : found->second.front();
    }

    // pg_restore wants archives as they are.
    void unpack() {
        const std::string path = request_.sandbox.path() + "/dump";
        const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (!fd) throw Error{errno_code(errno, Code::failed), "cannot create {}: {}", path, errno_text(errno)};
        read_dump(dump_,
                  [&](ByteView bytes) {
                      world_.stop.check();
                      write_all(fd.get(), bytes, path);
                  },
                  {});
        dump_.path = path;
        dump_.is_compressed = false;
    }

    // Which version it is of, what its database is called, and whether it makes it itself.
    void learn() {
        database_ = option("database");
        if (dump_.kind == DumpFile::Kind::sql) {
            version_ = line_after(dump_.begin, "-- Dumped from database version ");
            makes_database_ = dump_.begin.find("-- PostgreSQL database cluster dump") != std::string::npos ||
                              dump_.begin.find("\nCREATE DATABASE ") != std::string::npos ||
                              dump_.begin.find("\n\\connect ") != std::string::npos;
            if (makes_database_ && !option("database").empty()) {
                world_.log.warning("the dump makes its databases itself; --database has no meaning for it");
            } else if (database_.empty()) {
                database_ = name_of_file();
            }
            return;
        }
        const std::string list =
            list_archive(request_.sandbox, dump_, find_server(0, option("bin_dir"), Fit::or_newer).folder);
        version_ = line_after(list, "Dumped from database version: ");
        makes_database_ = database_.empty() || database_ == line_after(list, "dbname: ");
    }

    // "shop.sql.gz", "shop-2026-03-01.sql": shop
    std::string name_of_file() const {
        std::string name = std::filesystem::path(request_.path).filename().string();
        name = name.substr(0, name.find('.'));
        std::size_t end = name.size();
        while (end > 0 && (std::isdigit(static_cast<unsigned char>(name[end - 1])) != 0 || name[end - 1] == '-' ||
                           name[end - 1] == '_' || name[end - 1] == 'T' || name[end - 1] == 'Z'))
            --end;
        if (end > 0) name.resize(end);
        return name.empty() ? "imported" : name;
    }

    // The names of the databases that it became.
    std::vector<std::string> fill(const Endpoint& endpoint, const std::string& programs) {
        Connection first(world_, endpoint.with_database("template1"), Code::source_failed);
        first.run("CREATE DATABASE " + quote_name(beside_name) + " TEMPLATE template0");
        if (!makes_database_ && database_ != "postgres")
            first.run("CREATE DATABASE " + quote_name(database_) + " TEMPLATE template0");
        Connection beside(world_, endpoint.with_database(std::string(beside_name)), Code::source_failed);
        for (const std::string& remark :
             postgres::load({request_.sandbox, dump_, programs, makes_database_ ? std::string(beside_name) : database_,
                             makes_database_, std::string(superuser), request_.on_bytes},
                            beside))
            world_.log.info(remark);
        return filled(endpoint, beside);
    }

    std::vector<std::string> filled(const Endpoint& endpoint, Connection& beside) {
        std::vector<std::string> out;
        for (const std::string& name : databases_of(beside)) {
            const bool is_meant = name != beside_name && (name != "postgres" || database_ == name);
            if (is_meant || (name == "postgres" && holds_something(endpoint.with_database(name)))) out.push_back(name);
        }
        if (out.empty()) throw Error{Code::source_failed, "{} makes no database", request_.path};
        return out;
    }

    // A server has such a database from the beginning.
    bool holds_something(const Endpoint& endpoint) {
        Connection connection(world_, endpoint, Code::source_failed);
        return connection.value(
                   "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid >= 16384) OR EXISTS (SELECT FROM "
                   "pg_catalog.pg_proc WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE oid >= "
                   "16384) OR EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE oid >= 16384) OR EXISTS (SELECT FROM "
                   "pg_catalog.pg_largeobject_metadata)") == "t";
    }

    const ImportRequest& request_;
    World& world_;
    DumpFile dump_;
    const std::string format_;
    std::string version_;
    std::string database_;
    bool makes_database_ = false;
};

}  // namespace

std::string dump_format(const std::string& path) { return look_at_dump(path).format(); }

std::unique_ptr<Source> load_dump(const ImportRequest& request) {
    const Note note{"importing {}", request.path};
    return Importer(request).load();
}

}  // namespace holdfast::postgres
