// sources/mongodb/writing.h: documents on their way into one collection, many at a time.
//
// Errors   target_failed, no_space
// Threads  one owner
// Limits   one command's worth of documents in memory
#pragma once

#include <cstdint>
#include <string>

#include "clients/mongodb/client.h"
#include "sources/mongodb/names.h"
#include "sources/mongodb/restore_options.h"

namespace holdfast::mongodb {

struct Written {
    std::uint64_t added = 0, replaced = 0, left = 0;
    // By `missing`: those that another document's value in a unique index keeps out.
    std::uint64_t refused = 0;
    std::string refused_first = {};  // {"_id": …} and what the server said
};

class DocumentWriter {
public:
    enum class Mode : std::uint8_t {
        insert,   // none of them may be there
        missing,  // those that are there stay
        replace,  // those that are there are replaced, by _id
    };
    DocumentWriter(Client& client, Namespace name, Mode mode, bool in_order);
    void add(ByteView document);
    void remove(ByteView id);  // {_id: …}; before all that is added behind it
    void flush();
    const Written& written() const { return written_; }

private:
    enum class Kind : std::uint8_t { none, insert, update, remove };
    void begin(Kind kind, std::size_t bytes);
    void send();
    void count(const Bytes& command, const Bytes& reply);
    bool is_there(ByteView document, ByteView refusal);

    Client& client_;
    const Namespace name_;
    const Mode mode_;
    const bool in_order_;
    Kind kind_ = Kind::none;
    Builder builder_;
    std::size_t list_ = 0;  // where the list of documents began
    std::size_t documents_ = 0;
    Written written_;
};

}  // namespace holdfast::mongodb
