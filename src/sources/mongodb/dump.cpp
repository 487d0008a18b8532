#include "sources/mongodb/dump.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "source/item_list.h"
#include "source/order_free_sum.h"
#include "sources/mongodb/archive.h"
#include "sources/mongodb/instant.h"
#include "sources/mongodb/reading.h"
#include "sources/mongodb/unpack.h"

namespace holdfast::mongodb {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t metadata_bytes_max = 64 * 1024 * 1024;
constexpr std::size_t users_bytes_max = 256 * 1024 * 1024;
constexpr std::size_t piece_bytes = 1024 * 1024;
constexpr std::string_view oplog_file = "oplog.bson";
constexpr std::string_view of_admin = "$admin.system.";
constexpr std::string_view bson_suffix = ".bson", metadata_file_suffix = ".metadata.json", packed_suffix = ".gz";

std::string without_packing(const std::string& name) {
    return name.ends_with(packed_suffix) ? name.substr(0, name.size() - packed_suffix.size()) : name;
}

std::string stem_of(const std::string& name, std::string_view suffix) {
    return without_packing(name).substr(0, without_packing(name).size() - suffix.size());
}

std::string whole_name(std::string_view metadata) {
    std::string out = text_of(from_json(metadata), "collectionName");
    if (out.empty()) throw Error{Code::corrupt, "the name of the file was cut, and this does not say the whole one"};
    return out;
}

bool holds_dump(const fs::path& folder) {
    std::error_code problem;
    for (const auto& each : fs::recursive_directory_iterator(folder, problem))
        if (without_packing(each.path().filename().string()).ends_with(bson_suffix)) return true;
    return false;
}

// Whole documents of a file, counted; what is no document is found before it is stored.
class FileDocuments final : public ItemData {
public:
    FileDocuments(const std::string& path, std::string item, Readings& readings)
        : path_(path), file_(path), item_(std::move(item)), readings_(readings), buffer_(piece_bytes) {}

    Piece read(MutableByteView into) override {
        const std::size_t got = file_.read(into);
        if (got == 0) {
            if (!rest_.empty()) throw Error{Code::source_failed, "{} ends within a document", path_};
            if (!is_over_)
                if (item_ != oplog_item)
                    readings_.add({{item_, "documents", std::to_string(sum_.count())}, {item_, "content", sum_.hex()}});
            is_over_ = true;
            return {};
        }
        append(rest_, into.first(got));
        try {
            Documents documents(rest_);
            while (const auto each = documents.next()) {
                check_document(*each);
                sum_.add(*each);
            }
            rest_ = to_bytes(documents.rest());
        } catch (const Error& error) {
            throw Error{Code::source_failed, "{} is damaged: {}", path_, error.message()};
        }
        return {got, 0};
    }

private:
    const std::string path_;
    PlainFile file_;
    const std::string item_;
    Readings& readings_;
    Bytes buffer_, rest_;
    OrderFreeSum sum_;
    bool is_over_ = false;
};

class DumpCapture final : public Capture {
public:
    DumpCapture(World& world, const std::string& folder, const std::string& database) : world_(world), folder_(folder) {
        bool has_files = false;
        for (const auto& each : fs::directory_iterator(folder_)) {
            const std::string name = without_packing(each.path().filename().string());
            if (each.is_directory())
                list_database(each.path(), each.path().filename().string());
            else if (name == oplog_file)
                oplog_ = each.path().string();
            else
                has_files = has_files || name.ends_with(bson_suffix);
        }
        if (has_files && database.empty())
            throw Error{Code::source_failed, "{} holds collections without the folder of a database", folder}.hint(
                "--database NAME says which one they are of.");
        if (has_files) list_database(folder_, database);
        if (databases_.empty() && users_.empty())
            throw Error{Code::source_failed, "{} holds no dump of MongoDB", folder};
        list_items();
    }

    bool next(Batch& batch) override {
        world_.stop.check();
        return items_.next(batch);
    }
    std::optional<Finding> complete(const Batch&, Item&) override { return std::nullopt; }
    Opened open(const Batch&, const Batch::Entry& entry) override {
        const auto& [path, content, size, is_folder] = items_.at(entry.item.path);
        if (content.file.empty()) return {bytes_data(content.bytes), std::nullopt};
        return {std::make_unique<FileDocuments>(content.file, path, readings_), std::nullopt};
    }
    CaptureSummary finish() override {
        CaptureSummary out;
        out.facts = readings_.take(Consistency::none);
        out.several_instants = oplog_.empty();
        return out;
    }

private:
    struct Content {
        std::string file;  // empty: `bytes`
        Bytes bytes;
    };

    void list_database(const fs::path& folder, const std::string& database) {
        std::map<std::string, fs::path> data, metadata;
        for (const auto& each : fs::directory_iterator(folder)) {
            const std::string name = without_packing(each.path().filename().string());
            if (each.is_directory() || name == oplog_file) continue;
            if (name.ends_with(metadata_file_suffix))
                metadata[name_of_dump_file(stem_of(name, metadata_file_suffix))] = each.path();
            else if (name.ends_with(bson_suffix))
                data[name_of_dump_file(stem_of(name, bson_suffix))] = each.path();
        }
        if (data.empty() && metadata.empty()) return;
        take_users(database == "admin" ? "system." : of_admin, data, metadata);
        if (data.empty() && metadata.empty()) return;
        std::vector<Collection>& collections = databases_[database];
        for (const auto& [name, path] : metadata) collections.push_back(described({database, name}, path, data));
        for (const auto& [name, path] : data) {  // without metadata
            collections.push_back(collection_of_dump({database, name}, ""));
            files_[item_path({database, name})] = path.string();
        }
        std::ranges::sort(collections, {}, &Collection::name);
        if (const auto twice = std::ranges::adjacent_find(collections, {}, &Collection::name);
            twice != collections.end())
            throw Error{Code::source_failed, "{} holds {} twice", folder.string(), twice->name.text()};
    }

    // Takes its file out of `data`.
    Collection described(const Namespace& name, const fs::path& metadata, std::map<std::string, fs::path>& data) {
        const Bytes text = PlainFile(metadata.string()).read_all(metadata_bytes_max);
        Collection out;
        try {
            out = collection_of_dump(name, as_text(text));
            // Else the file's name counts: whoever renames it wants another one.
            if (is_cut_name(stem_of(metadata.filename().string(), metadata_file_suffix)))
                out.name.collection = whole_name(as_text(text));
        } catch (const Error& error) {
            throw Error{Code::source_failed, "{}: {}", metadata.string(), error.message()};
        }
        if (find(out.options, "timeseries")) out.type = "timeseries";
        const auto file = data.find(name_of_dump_file(dump_file_name(out.stored_name())));
        if (file == data.end()) {
            if (!out.is_view()) refuse_without_data(out, metadata);
            return out;
        }
        files_[item_path(out.name)] = file->second.string();
        data.erase(file);
        return out;
    }

    // mongodump writes all metadata first, and of an empty collection an empty file, too.
    [[noreturn]] static void refuse_without_data(const Collection& collection, const fs::path& metadata) {
        const std::string file = dump_file_name(collection.stored_name()) + std::string(bson_suffix);
        throw Error{Code::source_failed, "{} tells of a collection, and its documents ({}) are not there",
                    metadata.string(), file}
            .unharmed("nothing of the dump was kept")
            .hint(fmt::format("The dump did not come to its end, or lost a file: use another. If the collection was "
                              "empty, put an empty {} there.",
                              file));
    }

    // In the folder of `admin`, and in that of a database which was dumped with its own (--dumpDbUsersAndRoles).
    void take_users(std::string_view prefix, std::map<std::string, fs::path>& data,
                    std::map<std::string, fs::path>& metadata) {
        for (const auto& [item, collection] : {std::pair(users_item, "users"), std::pair(roles_item, "roles")})
            if (const auto found = data.find(std::string(prefix) + collection); found != data.end())
                append(users_[std::string(item)], PlainFile(found->second.string()).read_all(users_bytes_max));
        const auto is_of_the_server = [&](const auto& each) { return each.first.starts_with(prefix); };
        std::erase_if(data, is_of_the_server);
        std::erase_if(metadata, is_of_the_server);
    }

    void list_bytes(std::string path, Bytes bytes) {
        const std::uint64_t size = bytes.size();
        items_.add(std::move(path), {"", std::move(bytes)}, size);
    }

    void list_items() {
        readings_.add({{"", "about consistency", std::string(oplog_.empty() ? not_one_instant : consistent_by_oplog)}});
        for (const auto& [item, documents] : users_)
            if (!documents.empty()) list_bytes(item, documents);
        for (const auto& [name, collections] : databases_) {
            items_.add_folder(encode_database(name));
            list_bytes(metadata_item(name), encode_metadata(collections));
            for (const Collection& each : collections) {
                readings_.add(facts_of(each));
                if (each.is_view()) continue;
                const std::string item = item_path(each.name);
                const auto file = files_.find(item);
                if (file == files_.end())
                    list_bytes(item, {});
                else
                    items_.add(item, {file->second, {}}, fs::file_size(file->second));
            }
        }
        if (!oplog_.empty()) {
            items_.add_folder(std::string(oplog_folder));
            items_.add(std::string(oplog_item), {oplog_, {}}, fs::file_size(oplog_));
            look_through_oplog();
        }
    }

    // What it changes after a collection was read cannot be compared with what was read.
    void look_through_oplog() {
        PlainFile file(oplog_);
        Bytes rest, piece(piece_bytes);
        while (const std::size_t got = file.read(piece)) {
            append(rest, ByteView(piece).first(got));
            Documents documents(rest);
            while (const auto each = documents.next()) {
                const OplogEntry entry = parse_entry(*each);
                const Namespace name = split_namespace(entry.ns);
                readings_.touched(name.collection == "$cmd" ? encode_database(name.database) : item_path(name));
                for (const Element& inner : Elements(document_of(entry.object, "applyOps")))
                    if (inner.is_document()) readings_.touched(item_path(split_namespace(text_of(inner.value, "ns"))));
            }
            rest = to_bytes(documents.rest());
        }
    }

    World& world_;
    const std::string folder_;
    Readings readings_;
    std::map<std::string, std::vector<Collection>> databases_;
    std::map<std::string, std::string> files_;  // by item
    std::map<std::string, Bytes> users_;        // and roles, by item
    std::string oplog_;
    ItemList<Content> items_;
};

class DumpSource final : public Source {
public:
    DumpSource(const DumpRequest& request, std::string folder)
        : name_(request.name), path_(request.path), database_(request.database), folder_(std::move(folder)) {}
    std::string name() const override { return name_; }
    std::string kind() const override { return "mongodb"; }
    std::vector<std::string> describe() const override { return {path_}; }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override {
        return std::make_unique<DumpCapture>(request.world, folder_, database_);
    }

private:
    const std::string name_, path_, database_, folder_;
};

// Where the databases are: the folder itself, or the one within that mongodump made.
fs::path top_of(const fs::path& folder) {
    std::vector<fs::path> inside;
    for (const auto& each : fs::directory_iterator(folder)) {
        if (!each.is_directory()) {
            if (without_packing(each.path().filename().string()).ends_with(bson_suffix)) return folder;
            continue;
        }
        inside.push_back(each.path());
    }
    for (const fs::path& each : inside)
        for (const auto& file : fs::directory_iterator(each))
            if (!file.is_directory()) return folder;
    return inside.size() == 1 ? top_of(inside.front()) : folder;
}

}  // namespace

std::string dump_format(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return "";
    if (S_ISDIR(info.st_mode)) return holds_dump(path) ? "folder" : "";
    constexpr std::uint8_t archive_magic[]{0x6d, 0xe2, 0x99, 0x81};
    constexpr std::size_t tar_mark_at = 257;
    try {
        PlainFile file(path);
        Bytes head(512);
        std::size_t got = 0;
        while (got < head.size()) {
            const std::size_t more = file.read(MutableByteView(head).subspan(got));
            if (more == 0) break;
            got += more;
        }
        head.resize(got);
        if (got >= sizeof archive_magic && equal(ByteView(head).first(sizeof archive_magic), archive_magic))
            return "archive";
        if (got == 512 && as_text(ByteView(head).subspan(tar_mark_at, 5)) == "ustar") return "tar";
    } catch (const Error&) {
        return "";  // of another kind, or damaged from its first byte on
    }
    return "";
}

std::unique_ptr<Source> load_dump(const DumpRequest& request) {
    const std::string format = dump_format(request.path);
    if (format.empty())
        throw Error{Code::source_failed, "{} is no dump of MongoDB", request.path}.hint(
            "There are archives (mongodump --archive), folders with DATABASE/COLLECTION.bson, and tars of such, also "
            "gzipped.");
    std::string folder = request.path;
    if (format == "folder") return std::make_unique<DumpSource>(request, top_of(folder).string());
    folder = request.work + "/dump";
    fs::create_directories(folder);
    if (format == "archive") {
        unpack_archive(request.world, request.path, folder);
        return std::make_unique<DumpSource>(request, top_of(folder).string());
    }
    const std::string only = unpack_tar(request.world, request.path, folder);
    if (!request.database.empty() && !only.empty()) folder += "/" + only;
    return std::make_unique<DumpSource>(request, std::move(folder));
}

}  // namespace holdfast::mongodb
