#include "sources/redis/dump_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "sources/redis/aof_folder.h"
#include "sources/redis/server_files.h"

namespace holdfast::redis {

namespace {

std::string manifest_folder(const std::string& path) {
    for (const std::string& folder : {path, path + "/appendonlydir"})
        if (!find_manifest(folder).empty()) return folder;
    return "";
}

// One file of a server before Redis 7: a base without changes to one of 7.
void lay_out_as_base(const std::string& path, const std::string& data) {
    const std::string folder = data + "/appendonlydir";
    std::filesystem::create_directories(folder);
    std::error_code problem;
    std::filesystem::copy_file(path, folder + "/appendonly.aof.1.base.aof", problem);
    if (problem) throw Error{Code::source_failed, "cannot copy {}: {}", path, problem.message()};
    const Fd manifest(::open((folder + "/appendonly.aof.manifest").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!manifest) throw Error{Code::failed, "cannot create a manifest in {}", folder};
    write_all(manifest.get(), as_bytes("file appendonly.aof.1.base.aof seq 1 type b\n"), folder);
}

class DumpFile final : public Source {
public:
    explicit DumpFile(const ImportRequest& request) : request_(request) {}
    std::string name() const override { return request_.name; }
    std::string kind() const override { return "redis"; }
    std::vector<std::string> describe() const override { return {request_.path}; }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override {
        RdbOrigin origin{request_.name, "import"};
        if (dump_format(request_.path) == "rdb")
            return capture_rdb_file(request.world, request_.path, std::move(origin), request_.on_bytes);
        const std::string data = request_.sandbox.work() + "/data";
        if (const std::string folder = manifest_folder(request_.path); !folder.empty())
            AofFolder(folder).copy_to(request.world, data, false);
        else
            lay_out_as_base(request_.path, data);
        return capture_loaded(request_.sandbox, data, option_text(request_.options, "bin_dir"), std::move(origin));
    }

private:
    const ImportRequest request_;
};

}  // namespace

std::string dump_format(const std::string& path) {
    if (std::filesystem::is_directory(path)) return manifest_folder(path).empty() ? "" : "aof";
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    std::array<char, 9> head{};
    if (!file || ::read(file.get(), head.data(), head.size()) != static_cast<ssize_t>(head.size())) return "";
    const std::string_view begin(head.data(), head.size());
    // It may begin with an RDB, too.
    if (path.ends_with(".aof") && (begin.starts_with("REDIS") || begin[0] == '*' || begin[0] == '#')) return "aof";
    return begin.starts_with("REDIS") ? "rdb" : "";
}

std::unique_ptr<Source> load_dump(const ImportRequest& request) { return std::make_unique<DumpFile>(request); }

}  // namespace holdfast::redis
