#include "sources/mongodb/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"

namespace holdfast::mongodb {

std::uint64_t Spool::append(ByteView bytes) {
    if (!folder_) folder_.emplace();
    if (!file_) {
        file_ = Fd(::open((folder_->path() + "/oplog").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (!file_) throw Error{Code::failed, "cannot create a file in {}: {}", folder_->path(), errno_text(errno)};
        ::unlink((folder_->path() + "/oplog").c_str());  // gone with this process, whatever becomes of it
    }
    write_all(file_.get(), bytes, "the oplog's temporary file");
    return std::exchange(bytes_, bytes_ + bytes.size());
}

std::size_t Spool::read(std::uint64_t at, MutableByteView into) const {
    if (!file_) return 0;
    std::size_t done = 0;
    while (done < into.size()) {
        const ssize_t got = ::pread(file_.get(), into.data() + done, into.size() - done, static_cast<off_t>(at + done));
        if (got < 0) throw Error{Code::failed, "cannot read the oplog back: {}", errno_text(errno)};
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

void Spool::clear() {
    if (bytes_ == 0) return;
    if (::ftruncate(file_.get(), 0) != 0 || ::lseek(file_.get(), 0, SEEK_SET) != 0)
        throw Error{Code::failed, "cannot empty the oplog's temporary file: {}", errno_text(errno)};
    bytes_ = 0;
}

}  // namespace holdfast::mongodb
