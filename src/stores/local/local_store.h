// stores/local/local_store.h: a store in a folder.
//
// Shape    one file an object, at the path that layout.h says; never written under its own name
// Errors   as store.h, with the path; no_repository when the folder is missing; usage on SMB; corrupt when
//          something else than a plain file is at an object's place (a link is not followed)
// Threads  as store.h; any number of processes and machines may share a folder
// Limits   folder_fds_max + file_fds_max descriptors stay open
// I1  a name is given by link(2), or rename(2) without replacing: of all who try, one succeeds
// I2  bytes are synced before the name is given, the folder after it, also when the name was another's
// Source   doc/format/store.md section 3, review.md B5
#pragma once

#include <sys/types.h>

#include <atomic>
#include <string>

#include "store/examine.h"
#include "store/store.h"
#include "stores/local/fd_cache.h"
#include "stores/local/layout.h"

namespace holdfast {

class LocalStore final : public Store {
public:
    static constexpr std::size_t folder_fds_max = 64;
    static constexpr std::size_t file_fds_max = 64;

    enum class Open : std::uint8_t { existing, create };
    // How bytes that are already written get their name if nobody has it: by a link to a file without a name,
    // or to one in .tmp/, or, where there are no links (FAT), by renaming that. A file system gets the first
    // it can.
    enum class Naming : std::uint8_t { link_unnamed, link_named, rename_named };

    LocalStore(const std::string& path, Open open, Naming naming = Naming::link_unnamed);
    static bool exists(const std::string& path);

    std::string url() const override { return path_; }
    const StoreTraits& traits() const override { return traits_; }
    Created create(std::string_view name, ByteView bytes) override;
    std::optional<Bytes> read(std::string_view name) override;
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override;
    std::optional<ObjectInfo> find(std::string_view name) override;
    void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) override;
    void remove(std::string_view name) override;
    std::optional<std::uint64_t> bytes_free() override;

    Observations examine(World& world) const;

private:
    struct Draft;

    SharedFd folder_for_writing(const std::string& folder);
    int write_draft(Draft& draft, Naming naming, const Fd& folder, ByteView bytes);
    int open_draft(Draft& draft, Naming naming, const Fd& folder);
    void list_folder(const std::string& folder, std::string_view prefix,
                     const std::function<void(const ObjectInfo&)>& each);
    std::optional<Fd> open_object(const std::string& file) const;
    void remove_leftovers() const;
    [[noreturn]] void fail(std::string_view verb, std::string_view file, int number) const;
    [[noreturn]] void fail_not_a_file(std::string_view file) const;

    // fixed after construction
    std::string path_;
    Fd root_;
    StoreTraits traits_;
    bool writes_directly_ = false;
    mode_t folder_mode_ = 0700;
    mode_t file_mode_ = 0400;
    std::string draft_prefix_;  // of this object's files in .tmp/, unlike any other's

    std::atomic<Naming> naming_;
    std::atomic<std::uint64_t> drafts_{0};
    OpenObjects folders_{folder_fds_max};
    OpenObjects files_{file_fds_max};
};

}  // namespace holdfast
