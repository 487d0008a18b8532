#include "sources/redis/rdb_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/file.h"
#include "sources/redis/capture.h"

namespace holdfast::redis {

namespace {

class RdbFile final : public Source {
public:
    RdbFile(std::string name, std::string path, std::function<void(std::uint64_t)> on_bytes)
        : name_(std::move(name)), path_(std::move(path)), on_bytes_(std::move(on_bytes)) {}
    std::string name() const override { return name_; }
    std::string kind() const override { return "redis"; }
    std::vector<std::string> describe() const override { return {path_}; }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override {
        const Fd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
        struct stat info {};
        if (!file || ::fstat(file.get(), &info) != 0)
            throw Error{Code::source_failed, "cannot open {}: {}", path_, errno_text(errno)};
        RdbOrigin origin{name_, "import"};
        origin.bytes[0] = static_cast<std::uint64_t>(info.st_size);
        return capture_of(request.world, std::move(origin), [&](MutableByteView into) {
            request.world.stop.check();
            const ssize_t got = ::read(file.get(), into.data(), into.size());
            if (got < 0) throw Error{Code::source_failed, "cannot read {}: {}", path_, errno_text(errno)};
            if (on_bytes_) on_bytes_(static_cast<std::uint64_t>(got));
            return static_cast<std::size_t>(got);
        });
    }

private:
    const std::string name_;
    const std::string path_;
    const std::function<void(std::uint64_t)> on_bytes_;
};

}  // namespace

std::string dump_format(const std::string& path) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    std::array<char, 5> head{};
    if (!file || ::read(file.get(), head.data(), head.size()) != static_cast<ssize_t>(head.size())) return "";
    return std::string_view(head.data(), head.size()) == "REDIS" ? "rdb" : "";
}

std::unique_ptr<Source> load_dump(const ImportRequest& request) {
    return std::make_unique<RdbFile>(request.name, request.path, request.on_bytes);
}

}  // namespace holdfast::redis
