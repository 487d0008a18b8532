#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/text.h"
#include "source/rebuild_target.h"
#include "sources/redis/key_target.h"
#include "sources/redis/options.h"
#include "sources/redis/replay.h"

namespace holdfast::redis {

namespace {

constexpr std::string_view folder_name = "appendonlydir";
constexpr std::string_view base_name = "appendonly.aof.1.base.rdb";
constexpr std::string_view changes_name = "appendonly.aof.1.incr.aof";
constexpr std::string_view manifest_name = "appendonly.aof.manifest";

// appendonlydir with a base, what came after it, and the manifest that names both: Redis 7 starts on it.
class DataFolder final : public KeyTarget {
public:
    explicit DataFolder(const RebuildRequest& request)
        : target_(request),
          syncs_(request.sync),
          is_dry_run_(request.dry_run),
          version_(rdb_version_in(request.facts)),
          selected_(selected_in(request.facts)) {
        if (is_dry_run_) return;
        path_ = target_.path() + "/" + std::string(folder_name);
        if (::mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST) fail("create", path_);
        // Until the end there is nothing that a server would start on.
        ::unlink(file(manifest_name).c_str());
        base_ = create(base_name);
        writer_.emplace([this](ByteView bytes) { write_all(base_.get(), bytes, std::string(base_name)); });
    }

    void version(int number) override {
        version_ = number;
        begin();
    }
    void setting(const std::string& name, const std::string& text) override {
        const Fd out = create_at(target_.path() + "/" + name);
        write_all(out.get(), as_bytes(text), name);
    }
    void function(ByteView raw) override { writer().function(raw); }
    void module_aux(ByteView raw) override { writer().module_aux(raw); }
    void begin_key(const RdbKey& key, std::uint64_t) override { writer().begin_key(key); }
    void value(ByteView raw) override { writer_->value(raw); }
    void end_key() override {}
    void end_keys() override {
        writer().end();
        close(base_);
        changes_ = create(changes_name);
    }

    std::unique_ptr<Replay> replay(const ReplayRequest& request) override {
        return replay_into_file(
            request, selected_, [this](ByteView bytes) { write_all(changes_.get(), bytes, std::string(changes_name)); },
            [this](Nanoseconds from, Nanoseconds to) {
                findings_.push_back(
                    {"", Finding::Kind::unsupported,
                     fmt::format(
                         "what changed between {} and {} has no times, because nobody followed the server then: "
                         "this is what there was at the first of them",
                         rfc3339(from), rfc3339(to))});
            });
    }

    std::vector<Finding> finish() override {
        if (is_dry_run_) return {};
        close(changes_);
        const std::string text = fmt::format("file {} seq 1 type b\nfile {} seq 1 type i\n", base_name, changes_name);
        Fd manifest = create(manifest_name);
        write_all(manifest.get(), as_bytes(text), std::string(manifest_name));
        close(manifest);
        if (syncs_) target_.sync();
        target_.remove_marker();
        return std::move(findings_);
    }

private:
    std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

    [[noreturn]] static void fail(std::string_view verb, const std::string& path) {
        throw Error{errno_code(errno, Code::target_failed), "cannot {} {}: {}", verb, path, errno_text(errno)};
    }

    Fd create(std::string_view name) { return create_at(file(name)); }

    static Fd create_at(const std::string& path) {
        Fd out(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!out) fail("create", path);
        return out;
    }

    static void close(Fd& fd) { fd.reset(); }

    void begin() {
        writer_->begin(version_);
        writer_->aux("redis-bits", "64");
        writer_->aux("aof-base", "1");
        has_begun_ = true;
    }

    RdbWriter& writer() {
        if (!has_begun_) begin();  // a part was asked for, without what belongs to the server
        return *writer_;
    }

    const RebuildTarget target_;
    const bool syncs_;
    const bool is_dry_run_;
    int version_;
    const std::uint32_t selected_;  // where the journal goes on
    std::string path_;
    Fd base_;
    Fd changes_;
    std::optional<RdbWriter> writer_;
    bool has_begun_ = false;
    std::vector<Finding> findings_;
};

}  // namespace

std::unique_ptr<KeyTarget> data_folder(const RebuildRequest& request) { return std::make_unique<DataFolder>(request); }

}  // namespace holdfast::redis
