// A folder as pg_dump -Fd makes it: toc.dat, a file for the rows of each table, one for each large object.
#include <fmt/format.h>

#include <map>
#include <set>

#include "base/error.h"
#include "sources/postgres/database_export.h"

namespace holdfast::postgres {

namespace {

constexpr std::size_t format_at = 10;         // in the head
constexpr std::uint8_t directory_format = 3;  // that of tar: pg_dump writes it so
constexpr int named_objects_version = 16;     // since then a list of large objects for each entry

// The data behind an archive's table of contents.
class DataReader {
public:
    using Read = std::function<std::size_t(std::size_t at, MutableByteView into)>;
    DataReader(Read read, std::size_t at) : read_(std::move(read)), at_(at) {}

    bool is_over() { return !fill(); }
    std::uint8_t byte() {
        if (!fill()) throw Error{Code::corrupt, "the data of the archive is not whole"};
        return buffer_[next_++];
    }
    int number() {
        const bool is_negative = byte() != 0;
        std::uint32_t value = 0;
        for (int i = 0; i < 4; ++i) value |= static_cast<std::uint32_t>(byte()) << (8 * i);
        if (value > INT32_MAX) throw Error{Code::corrupt, "a number in the archive is too large"};
        return is_negative ? -static_cast<int>(value) : static_cast<int>(value);
    }
    // Identifiers of large objects are unsigned.
    std::uint32_t object() {
        byte();
        std::uint32_t value = 0;
        for (int i = 0; i < 4; ++i) value |= static_cast<std::uint32_t>(byte()) << (8 * i);
        return value;
    }
    // Chunks, each with its length before it, up to one of none.
    void chunks(const std::function<void(ByteView)>& each) {
        while (const int length = number()) {
            if (length < 0) throw Error{Code::corrupt, "a length in the archive is negative"};
            for (std::size_t left = static_cast<std::size_t>(length); left > 0;) {
                if (!fill()) throw Error{Code::corrupt, "the data of the archive is not whole"};
                const ByteView piece = ByteView(buffer_).subspan(next_, std::min(left, size_ - next_));
                each(piece);
                next_ += piece.size();
                left -= piece.size();
            }
        }
    }

private:
    bool fill() {
        if (next_ < size_) return true;
        size_ = read_(at_, buffer_);
        at_ += size_;
        next_ = 0;
        return size_ > 0;
    }

    const Read read_;
    std::size_t at_;
    Bytes buffer_ = Bytes(256 * 1024);
    std::size_t next_ = 0;
    std::size_t size_ = 0;
};

class DirectoryExport final : public ArchiveExport {
public:
    using ArchiveExport::ArchiveExport;

    void finish() override {
        write_data_of_archive();
        write_toc();
    }

private:
    using Files = ExportRequest::Packing;

    void begin_rows(const std::string& path) override {
        expect_rows(path);
        request().begin_file(fmt::format("{}.dat", id_of(path)), Files::allowed);
    }
    void add_data(ByteView bytes) override { request().write(bytes); }
    void end_rows() override { request().write(as_bytes(rows_end)); }

    void write_data_of_archive() {
        constexpr std::uint8_t block_of_rows = 1, block_of_objects = 3;
        DataReader data([&](std::size_t at, MutableByteView into) { return read_archive(at, into); }, toc().end);
        while (!data.is_over()) {
            const std::uint8_t kind = data.byte();
            const int id = data.number();
            if (kind == block_of_rows) {
                const std::string name = fmt::format("{}.dat", id);
                request().begin_file(name, Files::allowed);
                data.chunks(request().write);
                files_.emplace(id, name);
            } else if (kind == block_of_objects) {
                write_objects(data, id);
            } else {
                throw Error{Code::corrupt, "the archive has data of an unknown kind: {}", kind};
            }
        }
    }

    void write_objects(DataReader& data, int id) {
        std::string list;
        while (const std::uint32_t object = data.object()) {
            const std::string name = fmt::format("blob_{}.dat", object);
            request().begin_file(name, Files::allowed);
            data.chunks(request().write);
            list += fmt::format("{} {}\n", object, name);
        }
        const std::string name = toc().minor >= named_objects_version ? fmt::format("blobs_{}.toc", id) : "blobs.toc";
        request().begin_file(name, Files::never);
        request().write(as_bytes(list));
        files_.emplace(id, name);
    }

    // Where an archive in one file has the place of an entry's data, a folder has the name of its file.
    void write_toc() {
        constexpr std::size_t number_bytes = 5;
        const std::size_t place_bytes = 1 + static_cast<std::size_t>(toc().offset_bytes);
        Bytes out;
        append(out, head().first(toc().count_at));
        out[format_at] = directory_format;
        append_number(out, static_cast<int>(toc().entries.size() + new_entries().size()));
        const auto add = [&](ByteView entry, const std::string& file) {
            append(out, entry.first(entry.size() - place_bytes));
            append_number(out, static_cast<int>(file.size()));
            append(out, as_bytes(file));
        };
        const auto add_new = [&] {
            for (const NewEntry& entry : new_entries()) add(entry.bytes, fmt::format("{}.dat", entry.id));
        };
        const std::size_t insert = insert_at();
        HF_ASSERT(toc().entries.empty() || toc().entries.front().at == toc().count_at + number_bytes);
        for (std::size_t i = 0; i < toc().entries.size(); ++i) {
            const TocEntry& entry = toc().entries[i];
            const std::size_t end = i + 1 < toc().entries.size() ? toc().entries[i + 1].at : toc().end;
            if (entry.at == insert) add_new();
            const auto file = files_.find(entry.id);
            add(head().subspan(entry.at, end - entry.at), file == files_.end() ? "" : file->second);
        }
        if (insert == toc().end) add_new();
        request().begin_file("toc.dat", Files::never);
        request().write(out);
    }

    std::map<int, std::string> files_;  // of the archive's own data, by entry
};

}  // namespace

std::unique_ptr<Export> export_directory(const ExportRequest& request) {
    return std::make_unique<DirectoryExport>(request);
}

}  // namespace holdfast::postgres
