#include "sources/mongodb/writing.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t command_bytes = 8 * 1024 * 1024;
constexpr std::size_t command_documents_max = 10'000;

// {q: {_id: …}, u: document, upsert: true}
Bytes replacement(ByteView document) {
    const auto id = find(document, "_id");
    if (!id) throw Error{Code::target_failed, "a document without _id cannot replace another"};
    Builder out;
    out.document("q", Builder().add(*id).done());
    // A name with a dollar in front would be taken for an operator.
    bool has_operator_name = false;
    for (const Element& each : Elements(document)) has_operator_name = has_operator_name || each.name.starts_with('$');
    if (has_operator_name)
        out.array("u", std::vector<Bytes>{
                           Builder().document("$replaceWith", Builder().document("$literal", document).done()).done()});
    else
        out.document("u", document);
    return out.boolean("upsert", true).done();
}

}  // namespace

DocumentWriter::DocumentWriter(Client& client, Namespace name, Mode mode, bool in_order)
    : client_(client),
      name_(std::move(name)),
      mode_(mode),
      in_order_(in_order && mode != Mode::missing) {}  // else the first that is there would end its command

void DocumentWriter::begin(Kind kind, std::size_t bytes) {
    if (kind_ != Kind::none &&
        (kind_ != kind || documents_ >= command_documents_max || builder_.bytes() + bytes > command_bytes))
        send();
    if (kind_ != Kind::none) return;
    kind_ = kind;
    builder_ = Builder();
    const char* const verb = kind == Kind::insert ? "insert" : kind == Kind::update ? "update" : "delete";
    builder_.text(verb, name_.collection).boolean("ordered", in_order_);
    if (kind != Kind::remove) builder_.boolean("bypassDocumentValidation", true);
    list_ = builder_.begin(kind == Kind::insert   ? "documents"
                           : kind == Kind::update ? "updates"
                                                  : "deletes",
                           BsonType::array);
    documents_ = 0;
}

void DocumentWriter::add(ByteView document) {
    if (mode_ == Mode::replace) {
        const Bytes update = replacement(document);
        begin(Kind::update, update.size());
        builder_.document(std::to_string(documents_), update);
    } else {
        begin(Kind::insert, document.size());
        builder_.document(std::to_string(documents_), document);
    }
    ++documents_;
}

void DocumentWriter::remove(ByteView id) {
    begin(Kind::remove, id.size());
    builder_.document(std::to_string(documents_), Builder().document("q", id).i32("limit", 1).done());
    ++documents_;
}

void DocumentWriter::flush() {
    if (kind_ != Kind::none) send();
}

void DocumentWriter::send() {
    builder_.end(list_);
    const Bytes command = builder_.done();
    const Reply reply = client_.ask(name_.database, command);
    if (reply.is_unconfirmed || (!reply.ok() && !find(reply.document, "writeErrors")))
        client_.fail(reply, "writing " + name_.text());
    count(command, reply.document);
    kind_ = Kind::none;
}

// Of a document that was refused as a duplicate: whether its _id is there. Not all servers say which index refused it.
bool DocumentWriter::is_there(ByteView document, ByteView refusal) {
    if (const ByteView keys = document_of(refusal, "keyPattern"); Elements(keys).begin() != Elements(keys).end()) {
        auto second = Elements(keys).begin();
        if (second->name == "_id" && ++second == Elements(keys).end()) return true;
    }
    const auto id = find(document, "_id");
    if (!id) return false;
    const Reply reply = client_.ask(name_.database, Builder()
                                                        .text("find", name_.collection)
                                                        .document("filter", Builder().add(*id).done())
                                                        .i64("limit", 1)
                                                        .boolean("singleBatch", true)
                                                        .done());
    if (!reply.ok()) client_.fail(reply, "looking for what is in " + name_.text());
    const ByteView found = document_of(document_of(reply.document, "cursor"), "firstBatch");
    return Elements(found).begin() != Elements(found).end();
}

void DocumentWriter::count(const Bytes& command, const Bytes& reply) {
    std::uint64_t left = 0, refused = 0;
    for (const Element& each : Elements(document_of(reply, "writeErrors"))) {
        if (!each.is_document()) continue;
        const std::int64_t code = number_of(each.value, "code");
        if (code == server_code::duplicate_key && mode_ == Mode::missing) {
            const auto document =
                find(document_of(command, "documents"), std::to_string(number_of(each.value, "index")));
            if (!document || !document->is_document())
                throw Error{Code::target_failed, "{}: writing {}: the answer names a document that was not sent",
                            client_.endpoint().shown(), name_.text()};
            if (is_there(document->value, each.value)) {
                ++left;
                continue;
            }
            ++refused;
            if (written_.refused_first.empty())
                written_.refused_first =
                    fmt::format("{}: {}", to_json(Builder().add(*find(document->value, "_id")).done()),
                                printable(text_of(each.value, "errmsg")));
            continue;
        }
        client_.fail({{}, code, printable(text_of(each.value, "errmsg"))}, "writing " + name_.text());
    }
    const auto n = static_cast<std::uint64_t>(std::max<std::int64_t>(number_of(reply, "n"), 0));
    switch (kind_) {
        case Kind::insert:
            written_.added += n;
            written_.left += left;
            written_.refused += refused;
            if (n + left + refused != documents_)
                throw Error{Code::target_failed,
                            "{}: writing {}: of {} documents the server says what became of {}",
                            client_.endpoint().shown(),
                            name_.text(),
                            documents_,
                            n + left + refused};
            break;
        case Kind::update: {
            std::uint64_t added = 0;
            for ([[maybe_unused]] const Element& each : Elements(document_of(reply, "upserted"))) ++added;
            const auto modified = static_cast<std::uint64_t>(std::max<std::int64_t>(number_of(reply, "nModified"), 0));
            written_.added += added;
            written_.replaced += modified;
            written_.left += n - std::min(n, added + modified);
            break;
        }
        case Kind::remove:
        case Kind::none:
            break;
    }
}

}  // namespace holdfast::mongodb
