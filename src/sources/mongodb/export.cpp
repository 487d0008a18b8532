#include "sources/mongodb/export.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "sources/mongodb/archive.h"
#include "sources/mongodb/unpack.h"

namespace holdfast::mongodb {

namespace {

class DumpExport : public Export {
public:
    explicit DumpExport(const ExportRequest& request) : request_(request) {}

    // Items at the root come first: metadata, users and roles.
    void begin_item(const std::string& path) override {
        path_ = path;
        bytes_.clear();
        if (is_small()) return;
        begin_once();
        name_ = path == oplog_item ? Namespace{"", "oplog"} : namespace_of(path);
        for (const Collection& each : collections_)
            if (each.name == name_) name_.collection = each.stored_name();
        begin_collection(name_);
    }
    void write(ByteView bytes) override {
        if (is_small())
            append(bytes_, bytes);
        else
            documents(bytes);
    }
    void end_item() override {
        if (is_small() && has_begun_) throw Error{Code::corrupt, "{} comes behind documents", path_};
        if (is_metadata(path_))
            for (Collection& each : decode_metadata(database_of(path_), bytes_))
                collections_.push_back(std::move(each));
        else if (is_small())
            of_admin_[path_ == users_item ? "system.users" : "system.roles"] = std::move(bytes_);
        else
            end_collection();
    }
    void finish() override {
        begin_once();
        end();
    }

protected:
    virtual void begin(const std::vector<Collection>& collections, bool has_oplog) = 0;
    virtual void begin_collection(const Namespace& name) = 0;
    virtual void documents(ByteView bytes) = 0;
    virtual void end_collection() = 0;
    virtual void end() = 0;
    const ExportRequest& request() const { return request_; }
    std::string server_version() const { return request_.facts.value("", "about server version").value_or(""); }

private:
    bool is_small() const { return is_metadata(path_) || path_ == users_item || path_ == roles_item; }
    void begin_once() {
        if (has_begun_) return;
        has_begun_ = true;
        // An export of a part lists that part.
        std::erase_if(collections_, [&](const Collection& each) {
            return !each.is_view() && std::ranges::find(request_.items, item_path(each.name)) == request_.items.end();
        });
        // Without it mongorestore takes users for those of a server that hashed passwords otherwise.
        if (!of_admin_.empty())
            of_admin_["system.version"] = Builder().text("_id", "authSchema").i32("currentVersion", 5).done();
        for (const auto& each : of_admin_)
            collections_.push_back({{"admin", each.first}, "collection", to_bytes(empty_document()), {}, {}, {}});
        begin(collections_, std::ranges::find(request_.items, oplog_item) != request_.items.end());
        for (const auto& [name, bytes] : of_admin_) {
            begin_collection({"admin", name});
            documents(bytes);
            end_collection();
        }
    }

    const ExportRequest request_;
    std::string path_;
    Bytes bytes_;
    Namespace name_;
    std::vector<Collection> collections_;
    std::map<std::string, Bytes> of_admin_;  // users and roles, by collection
    bool has_begun_ = false;
};

// Without its end: "shop/orders".
std::string path_of(const Namespace& name) {
    return (name.database.empty() ? "" : dump_folder_name(name.database) + "/") + dump_file_name(name.collection);
}

class ArchiveExport final : public DumpExport {
public:
    explicit ArchiveExport(const ExportRequest& request) : DumpExport(request), writer_(request.write) {}

private:
    void begin(const std::vector<Collection>& collections, bool has_oplog) override {
        writer_.begin(server_version(), collections, has_oplog);
    }
    void begin_collection(const Namespace& name) override { writer_.begin_collection(name); }
    void documents(ByteView bytes) override { writer_.documents(bytes); }
    void end_collection() override { writer_.end_collection(); }
    void end() override {}

    ArchiveWriter writer_;
};

class FolderExport final : public DumpExport {
public:
    using DumpExport::DumpExport;

private:
    using Packing = ExportRequest::Packing;

    void begin(const std::vector<Collection>& collections, bool) override {
        for (const Collection& each : collections) {
            const std::string metadata = dump_metadata(each);
            request().begin_file(path_of(each.name) + ".metadata.json", Packing::allowed);
            request().write(as_bytes(metadata));
        }
    }
    void begin_collection(const Namespace& name) override {
        request().begin_file(path_of(name) + ".bson", Packing::allowed);
    }
    void documents(ByteView bytes) override { request().write(bytes); }
    void end_collection() override {}
    void end() override {}
};

class TarExport final : public DumpExport {
public:
    using DumpExport::DumpExport;

private:
    static constexpr std::size_t block = 512;
    static constexpr std::size_t copy_bytes = 1024 * 1024;
    static inline const std::string top = "dump/";

    void begin(const std::vector<Collection>& collections, bool) override {
        for (const Collection& each : collections) {
            const std::string metadata = dump_metadata(each);
            add(top + path_of(each.name) + ".metadata.json", as_bytes(metadata));
        }
    }
    void begin_collection(const Namespace& name) override {
        name_ = name;
        size_ = 0;
        file_ = Fd(::open(temporary().c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        if (!file_) throw Error{Code::failed, "cannot create {}: {}", temporary(), errno_text(errno)};
    }
    void documents(ByteView bytes) override {
        write_all(file_.get(), bytes, temporary());
        size_ += bytes.size();
    }
    void end_collection() override {
        head(top + path_of(name_) + ".bson", size_);
        Bytes buffer(copy_bytes);
        for (std::uint64_t at = 0; at < size_;) {
            const ssize_t got = ::pread(file_.get(), buffer.data(), buffer.size(), static_cast<off_t>(at));
            if (got <= 0) throw Error{Code::failed, "cannot read {} back: {}", temporary(), errno_text(errno)};
            request().write(ByteView(buffer).first(static_cast<std::size_t>(got)));
            at += static_cast<std::uint64_t>(got);
        }
        pad(size_);
    }
    void end() override { request().write(Bytes(2 * block, 0)); }

    std::string temporary() const { return folder_.path() + "/collection"; }
    void add(const std::string& path, ByteView bytes) {
        head(path, bytes.size());
        request().write(bytes);
        pad(bytes.size());
    }
    void pad(std::uint64_t bytes) {
        if (const std::size_t over = bytes % block; over != 0) request().write(Bytes(block - over, 0));
    }
    // A long name or a large size goes into a header of its own kind (pax).
    void head(const std::string& path, std::uint64_t size) {
        constexpr std::size_t name_bytes_max = 100;
        constexpr std::uint64_t octal_max = 077777777777ULL;
        std::string more;
        if (path.size() > name_bytes_max) more += pax("path", path);
        if (size > octal_max) more += pax("size", std::to_string(size));
        if (!more.empty()) {
            plain_head("././@PaxHeader", more.size(), 'x');
            request().write(as_bytes(more));
            pad(more.size());
        }
        plain_head(path.substr(0, name_bytes_max), std::min(size, octal_max), '0');
    }
    static std::string pax(const std::string& key, const std::string& value) {
        const std::string rest = " " + key + "=" + value + "\n";
        std::size_t length = rest.size() + 1;
        while (std::to_string(length).size() + rest.size() != length)
            length = std::to_string(length).size() + rest.size();
        return std::to_string(length) + rest;
    }
    void plain_head(const std::string& name, std::uint64_t size, char kind) {
        Bytes out(block, 0);
        const auto put = [&](std::size_t at, std::string_view text) {
            std::memcpy(out.data() + at, text.data(), text.size());
        };
        put(0, name);
        put(100, "0000600");
        put(108, "0000000");
        put(116, "0000000");
        put(124, fmt::format("{:011o}", size));
        put(136, "00000000000");
        put(148, "        ");
        out[156] = static_cast<std::uint8_t>(kind);
        put(257, std::string_view("ustar\00000", 8));
        unsigned sum = 0;
        for (const std::uint8_t byte : out) sum += byte;
        put(148, fmt::format("{:06o}", sum));
        out[154] = 0;
        request().write(out);
    }

    TemporaryFolder folder_;
    Fd file_;
    Namespace name_;
    std::uint64_t size_ = 0;
};

}  // namespace

std::unique_ptr<Export> export_as(const ExportRequest& request) {
    if (request.format == "tar") return std::make_unique<TarExport>(request);
    if (request.format == "directory") return std::make_unique<FolderExport>(request);
    return std::make_unique<ArchiveExport>(request);
}

}  // namespace holdfast::mongodb
