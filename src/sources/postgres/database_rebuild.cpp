#include "sources/postgres/database_rebuild.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/item.h"
#include "base/text.h"
#include "sources/postgres/globals.h"
#include "sources/postgres/names.h"
#include "sources/postgres/toc_owners.h"

namespace holdfast::postgres {

namespace {

constexpr std::string_view incomplete_mark = "holdfast: a restore that is not complete";
constexpr std::string_view end_of_rows = "\\.\n";
constexpr std::size_t header_bytes_max = 1024 * 1024;
constexpr std::size_t copy_bytes = 1024 * 1024;
constexpr std::uint64_t indexed_at_once_bytes = 16 * 1024 * 1024;  // of less a program for each table would cost more

constexpr std::string_view user_objects =
    "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' "
    "AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = "
    "'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')";

// Bytes at the begin of the archive, as many as its table of contents takes.
Toc read_toc_of_file(int fd) {
    Bytes head;
    for (std::size_t look = 64 * 1024;; look *= 2) {
        const std::size_t at = head.size();
        head.resize(look);
        const ssize_t got = ::pread(fd, head.data() + at, look - at, static_cast<off_t>(at));
        head.resize(at + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        if (auto toc = read_toc(head)) return std::move(*toc);
        if (got <= 0) throw Error{Code::corrupt, "the archive of the database is not whole"};
    }
}

// From "SET client_encoding = 'UTF8';".
std::string encoding_of(const Toc& toc) {
    const TocEntry* const entry = toc.find("ENCODING");
    if (entry == nullptr) return "";
    const std::size_t begin = entry->definition.find('\'');
    const std::size_t end = entry->definition.rfind('\'');
    return begin < end ? entry->definition.substr(begin + 1, end - begin - 1) : "";
}

Endpoint with_settings(Endpoint endpoint) {
    const std::string given = endpoint.get("options");
    endpoint.set("options", (given.empty() ? "" : given + " ") +
                                std::string("-c synchronous_commit=off -c maintenance_work_mem=256MB"));
    return endpoint;
}

// Schemas, and names with types of arguments as tags of an archive have them, of which to_regprocedure() takes no odd one.
std::set<std::pair<std::string, std::string>> functions_of(Connection& connection) {
    const Rows rows = connection.query(
        "SELECT n.nspname, p.proname || '(' || coalesce((SELECT "
        "  pg_catalog.string_agg(pg_catalog.format_type(a.type, NULL), ', ' ORDER BY a.place) "
        "  FROM pg_catalog.unnest(p.proargtypes::pg_catalog.oid[]) WITH ORDINALITY a (type, place)), "
        " CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_aggregate g WHERE g.aggfnoid = p.oid) THEN '*' ELSE '' END) || "
        "')' "
        "FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')");
    std::set<std::pair<std::string, std::string>> out;
    for (std::size_t i = 0; i < rows.size(); ++i) out.emplace(rows.text(i, 0), rows.text(i, 1));
    return out;
}

bool is_absent(std::string_view sqlstate) {
    return sqlstate == "42P01" || sqlstate == "42883" || sqlstate == "42704" || sqlstate == "3F000" ||
           sqlstate == "42703";
}

// "DROP TABLE public.t;" -> "DROP TABLE IF EXISTS …" is not needed: what is absent is passed over.
bool is_dropped_for_replacement(const TocEntry& entry) {
    return !entry.drop.empty() && entry.kind != "SCHEMA" && entry.kind != "EXTENSION" && !entry.is_of_database() &&
           !entry.kind.starts_with("BLOB") && entry.section != TocEntry::Section::data;
}

// What pg_restore said, without complaints that are passed over. Empty: nothing else went wrong.
std::string other_complaints(const std::string& said, const std::vector<std::string_view>& passed_over) {
    std::size_t seen = 0, ignored = 0;
    std::string out;
    for (const std::string& line : split(said, '\n')) {
        if (line.find("errors ignored on restore: ") != std::string::npos) {
            ignored = static_cast<std::size_t>(std::atol(line.c_str() + line.rfind(' ')));
        } else if (line.find("ERROR:") != std::string::npos) {
            ++seen;
            const bool is_passed_over = std::ranges::any_of(
                passed_over, [&](std::string_view words) { return line.find(words) != std::string::npos; });
            if (!is_passed_over) out += line + "\n";
        } else if (line.find("error:") != std::string::npos) {
            out += line + "\n";
        }
    }
    return out.empty() && (ignored == 0 || seen < ignored) ? said : out;
}

}  // namespace

// Header line, rows, end mark: what TableData of a capture writes.
class DatabaseRebuild::Feed final : public TableFeed {
public:
    Feed(DatabaseRebuild& owner, std::string schema, std::string table)
        : owner_(owner), schema_(std::move(schema)), table_(std::move(table)) {
        const std::lock_guard lock(owner_.idle_mutex_);
        ++owner_.feeds_;
    }
    // With the last table that is under way go the sessions: a server may have many databases.
    ~Feed() override {
        const std::lock_guard lock(owner_.idle_mutex_);
        if (--owner_.feeds_ == 0) owner_.idle_.clear();
    }
    Feed(const Feed&) = delete;
    Feed& operator=(const Feed&) = delete;

    void put(ByteView bytes) override {
        bytes_ += bytes.size();
        if (!session_) {
            bytes = take_header(bytes);
            if (!session_) return;
        }
        // The end mark is not sent; it may come in pieces.
        if (tail_.size() + bytes.size() <= end_of_rows.size()) {
            tail_ += as_text(bytes);
            return;
        }
        const std::size_t sent = tail_.size() + bytes.size() - end_of_rows.size();
        session_->put(as_bytes(tail_).first(std::min(sent, tail_.size())));
        if (sent > tail_.size()) {
            session_->put(bytes.first(sent - tail_.size()));
            tail_ = as_text(bytes.subspan(sent - tail_.size()));
        } else {
            tail_.erase(0, sent);
            tail_ += as_text(bytes);
        }
    }

    void end() override {
        const Note note{"restoring table {}.{}", schema_, table_};
        if (!session_ || tail_ != end_of_rows)
            throw Error{Code::corrupt, "the rows of {}.{} do not end as they should", schema_, table_};
        session_->end_copy_in();
        session_->run("COMMIT");
        session_->run("ANALYZE " + quote_name(owner_.schema_here(schema_)) + "." + quote_name(table_));
        {
            const std::lock_guard lock(owner_.idle_mutex_);
            owner_.idle_.push_back(std::move(session_));
        }
        if (bytes_ >= indexed_at_once_bytes) owner_.build_indexes(schema_, table_);
    }

private:
    ByteView take_header(ByteView bytes) {
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            const char c = static_cast<char>(bytes[i]);
            if (c == '"') in_quotes_ = !in_quotes_;
            if (c == '\n' && !in_quotes_) {
                begin();
                return bytes.subspan(i + 1);
            }
            header_ += c;
            if (header_.size() > header_bytes_max) refuse_header();
        }
        return {};
    }
    void begin() {
        const std::string before = "COPY " + quote_name(schema_) + "." + quote_name(table_);
        constexpr std::string_view after = " FROM stdin;";
        if (!header_.starts_with(before) || !header_.ends_with(after)) refuse_header();
        const std::string columns = header_.substr(before.size(), header_.size() - before.size() - after.size());
        const std::string table = quote_name(owner_.schema_here(schema_)) + "." + quote_name(table_);
        auto session = owner_.session();
        const Note note{"restoring table {}", table};
        // Emptied in the same transaction, a table's rows need no log on servers that allow it, and can be frozen.
        session->run("BEGIN; TRUNCATE TABLE ONLY " + table);
        session->begin_copy_in("COPY " + table + columns + " FROM STDIN WITH (FREEZE)");
        session_ = std::move(session);
    }
    [[noreturn]] void refuse_header() const {
        throw Error{Code::corrupt, "the rows of {}.{} do not begin as they should", schema_, table_};
    }

    DatabaseRebuild& owner_;
    const std::string schema_;
    const std::string table_;
    std::string header_;
    bool in_quotes_ = false;
    std::string tail_;
    std::uint64_t bytes_ = 0;
    std::unique_ptr<Connection> session_;
};

DatabaseRebuild::DatabaseRebuild(World& world, const RestoreOptions& options, DatabasePlan plan)
    : world_(world),
      options_(options),
      plan_(std::move(plan)),
      item_(encode_part(plan_.captured)),
      admin_endpoint_(plan_.endpoint.with_database(plan_.name == "postgres" ? "template1" : "postgres")) {
    const std::string path = folder_.path() + "/archive";
    archive_ = Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!archive_) throw Error{Code::failed, "cannot create {}: {}", path, errno_text(errno)};
}

DatabaseRebuild::~DatabaseRebuild() = default;

void DatabaseRebuild::write_archive(std::uint64_t offset, ByteView bytes) {
    write_all_at(archive_.get(), bytes, offset, folder_.path() + "/archive");
}

void DatabaseRebuild::prepare(const std::string& globals) {
    const Note note{"preparing database {}", plan_.name};
    toc_ = read_toc_of_file(archive_.get());
    look_at_target();
    refuse_the_source();
    map_owners();
    for (const TocEntry& entry : toc_.entries)
        if (entry.is_of_database()) of_database_.push_back(entry);
    select();
    check_extensions();
    look_for_tablespaces();
    if (!options_.schemas.empty()) {
        make_roles(globals);
        map_schemas();
    }
    refuse_what_is_there();
    make_roles(globals);
    make_database();
    mark(fmt::format("{} (snapshot {})\n{}", incomplete_mark, plan_.snapshot_id, comment_));
    if (may_exist()) make_room();
    restore_section("pre-data", selected_);
    note_tables();
    close();
}

// Until the other databases have their rows, too.
void DatabaseRebuild::close() {
    target_.reset();
    admin_.reset();
}

void DatabaseRebuild::make_roles(const std::string& globals) {
    if (globals.empty() || options_.no_owner || std::exchange(has_roles_, true)) return;
    for (Finding& finding : create_missing_roles(admin(), globals)) findings_.push_back(std::move(finding));
}

void DatabaseRebuild::look_at_target() {
    const Endpoint& endpoint = plan_.endpoint;
    try {
        admin();
    } catch (const Error&) {
        if (endpoint.database().empty() || endpoint.database() == "postgres") throw;
        admin_endpoint_ = endpoint;
        admin();
    }
    tools_ = find_tools(std::max(admin().server_major(), toc_.reader_major()), options_.bin_dir, Code::target_failed);
    is_before_tools_ = tools_.sets_what_is_unknown_to(admin().server_major());
    const Rows present = admin().query(
        "SELECT pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database WHERE datname = " +
        quote_literal(plan_.name));
    was_present_ = present.size() > 0;
    if (!was_present_) return;
    comment_ = present.text(0, 0);
    is_incomplete_ = comment_.starts_with(incomplete_mark);
    // Behind the mark stands what was there before it.
    if (is_incomplete_) comment_.erase(0, std::min(comment_.find('\n'), comment_.size() - 1) + 1);
}

void DatabaseRebuild::refuse_the_source() {
    if (options_.into_source || !was_present_ || plan_.name != plan_.captured) return;
    // Its own word counts; where either could not be asked, the address has to do.
    const std::string identifier = system_identifier(admin());
    const bool both_are_known = !identifier.empty() && !plan_.source_identifier.empty();
    if (both_are_known ? identifier != plan_.source_identifier : !plan_.has_source_address) return;
    throw Error{Code::target_failed, "database {} of {} is the one that this snapshot was made of", plan_.name,
                plan_.endpoint.shown()}
        .unharmed("nothing was changed there")
        .hint("Restore it under another name (--beside NAME), or say --into-source if this is meant.");
}

void DatabaseRebuild::select() {
    if (!plan_.wants || plan_.wants(item_)) {
        selected_ = select_all(toc_);
        return;
    }
    is_part_ = true;
    if (was_present_ && options_.present == Present::drop)
        throw Error{Code::usage, "--existing drop is about a whole database, and only a part of {} was asked for",
                    plan_.captured}
            .unharmed("nothing was changed there")
            .hint("`--existing replace` drops and brings back what was asked for, and leaves the rest.");
    selected_ = select_part(
        toc_,
        [&](const auto& schema, const auto& table) { return plan_.wants(item_path(plan_.captured, schema, table)); },
        [&](const auto& schema) { return plan_.wants(item_ + "/" + encode_part(schema)); });
    for (const std::string& each : selected_.left_out)
        findings_.push_back(
            {item_, Finding::Kind::unsupported,
             fmt::format("foreign key {} is left out: it leads to a table that was not asked for", each)});
}

void DatabaseRebuild::check_extensions() {
    std::vector<std::string> missing;
    for (std::size_t i = 0; i < toc_.entries.size(); ++i) {
        const TocEntry& entry = toc_.entries[i];
        if (!selected_.taken[i] || entry.kind != "EXTENSION") continue;
        if (!admin().value("SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name = " + quote_literal(entry.tag)))
            missing.push_back(entry.tag);
    }
    if (missing.empty()) return;
    throw Error{Code::target_failed, "{} lacks what database {} needs: extension {}", plan_.endpoint.shown(),
                plan_.captured, join(missing, ", ")}
        .unharmed("nothing was changed there")
        .hint(fmt::format("Install it on the target's machine (package postgresql-contrib or postgresql-{}-…).",
                          admin().server_major()));
}

// A tablespace is a disk of the other machine; where it is not, the database's own one will do.
void DatabaseRebuild::look_for_tablespaces() {
    std::set<std::string> missing;
    for (std::size_t i = 0; i < toc_.entries.size(); ++i)
        if (selected_.taken[i] && !toc_.entries[i].tablespace.empty()) missing.insert(toc_.entries[i].tablespace);
    if (missing.empty()) return;
    const Rows here = admin().query("SELECT spcname FROM pg_catalog.pg_tablespace");
    for (std::size_t i = 0; i < here.size(); ++i) missing.erase(here.text(i, 0));
    no_tablespaces_ = !missing.empty();
    if (no_tablespaces_)
        world_.log.warning(fmt::format("{} has no tablespace {}: everything of database {} comes into its default one",
                                       plan_.endpoint.shown(), join(std::vector(missing.begin(), missing.end()), ", "),
                                       plan_.captured));
}

void DatabaseRebuild::refuse_what_is_there() {
    if (!was_present_ || options_.present != Present::fail) return;
    if (is_incomplete_)
        throw Error{Code::target_failed, "database {} at {} is what an interrupted restore left", plan_.name,
                    plan_.endpoint.shown()}
            .unharmed("nothing was changed there")
            .hint(is_part_ ? "`--existing replace` goes on in it."
                           : "`--existing drop` makes it anew; `--existing replace` goes on in it.");
    if (!is_part_) {
        const std::string objects = target().value(std::string(user_objects)).value_or("0");
        was_empty_ = objects == "0";
        if (was_empty_) return;
        throw Error{Code::target_failed, "database {} at {} is not empty: it has {} tables, views and sequences",
                    plan_.name, plan_.endpoint.shown(), objects}
            .unharmed("nothing was changed there")
            .hint(
                "`--existing drop`, `missing` or `replace` says what becomes of them; `--beside NAME` leaves it "
                "alone.");
    }
    std::set<Place> wanted;
    for (std::size_t i = 0; i < toc_.entries.size(); ++i)
        if (selected_.taken[i] && toc_.entries[i].kind == "TABLE" && is_asked_for(toc_.entries[i]))
            wanted.emplace(toc_.entries[i].schema, toc_.entries[i].tag);
    for (const Table& table : tables_of(target()))
        if (wanted.contains({table.schema, table.name}))
            throw Error{Code::target_failed, "table {}.{} is there already in database {}", table.schema, table.name,
                        plan_.name}
                .unharmed("nothing was changed there")
                .hint(
                    "`--existing replace` replaces it, `--existing missing` leaves it; `--beside NAME` makes another "
                    "database.");
}

// What came along because something else needs it was not asked for. Who asks for a schema asks for its views, too.
bool DatabaseRebuild::is_asked_for(const TocEntry& entry) const {
    if (!is_part_ || is_mapped_) return entry.kind == "TABLE";
    if (entry.kind == "TABLE" && plan_.wants(item_path(plan_.captured, entry.schema, entry.tag))) return true;
    return !entry.schema.empty() && plan_.wants(item_ + "/" + encode_part(entry.schema));
}

// In the archive itself, so that everything that follows sees the new names.
void DatabaseRebuild::map_owners() {
    if (options_.owners.empty()) return;
    for (const auto& [from, to] : options_.owners)
        if (!admin().value("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = " + quote_literal(to)))
            throw Error{Code::target_failed, "there is no role {} at {}", to, plan_.endpoint.shown()}
                .unharmed("nothing was changed there")
                .hint(fmt::format("Type there, as a superuser: CREATE ROLE {};", quote_name(to)));
    Bytes head(toc_.end);
    if (::pread(archive_.get(), head.data(), head.size(), 0) != static_cast<ssize_t>(head.size()))
        throw Error{Code::failed, "cannot read the archive of {}: {}", plan_.captured, errno_text(errno)};
    replace_head(with_owners(head, toc_, options_.owners));
}

// What is behind the table of contents may be large, and follows as it is.
void DatabaseRebuild::replace_head(ByteView head) {
    const std::string path = folder_.path() + "/archive", fresh = path + ".new";
    Fd out(::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!out) throw Error{Code::failed, "cannot create {}: {}", fresh, errno_text(errno)};
    write_all_at(out.get(), head, 0, fresh);
    Bytes piece(copy_bytes);
    for (std::uint64_t from = toc_.end, to = head.size();;) {
        const ssize_t got = ::pread(archive_.get(), piece.data(), piece.size(), static_cast<off_t>(from));
        if (got < 0) throw Error{Code::failed, "cannot read {}: {}", path, errno_text(errno)};
        if (got == 0) break;
        write_all_at(out.get(), ByteView(piece).first(static_cast<std::size_t>(got)), to, fresh);
        from += static_cast<std::uint64_t>(got);
        to += static_cast<std::uint64_t>(got);
    }
    if (::rename(fresh.c_str(), path.c_str()) != 0)
        throw Error{Code::failed, "cannot rename {}: {}", fresh, errno_text(errno)};
    archive_ = std::move(out);
    toc_ = read_toc_of_file(archive_.get());
}

void DatabaseRebuild::use_archive(ByteView bytes) {
    write_file_durably(folder_.path() + "/archive", bytes);
    archive_ = Fd(::open((folder_.path() + "/archive").c_str(), O_RDWR | O_CLOEXEC));
    toc_ = read_toc_of_file(archive_.get());
}

// Only a server can rename a schema in all that refers to it: an empty copy is made, renamed and dumped.
void DatabaseRebuild::map_schemas() {
    for (std::size_t i = 0; i < toc_.entries.size(); ++i)
        if (toc_.entries[i].kind.starts_with("BLOB")) selected_.taken[i] = false;
    const std::string scratch = fmt::format("holdfast_{:016x}", world_.random.number());
    create(scratch);
    try {
        for (const char* const section : {"pre-data", "data", "post-data"})
            restore_archive(scratch, section, selected_, {});
        const Endpoint endpoint = plan_.endpoint.with_database(scratch);
        {
            Connection connection(world_, endpoint, Code::target_failed);
            for (const auto& [from, to] : options_.schemas)
                connection.run("ALTER SCHEMA " + quote_name(from) + " RENAME TO " + quote_name(to));
        }
        use_archive(run_tool(world_, endpoint, {tools_.path("pg_dump"), "--format=custom", "--compress=0"},
                             Code::target_failed));
    } catch (...) {
        admin().run("DROP DATABASE IF EXISTS " + quote_name(scratch) + " WITH (FORCE)");
        throw;
    }
    admin().run("DROP DATABASE " + quote_name(scratch));
    is_mapped_ = true;
    selected_ = select_all(toc_);
    for (std::size_t i = 0; i < toc_.entries.size(); ++i)
        if (toc_.entries[i].is_of_database() || toc_.entries[i].kind == "TABLE DATA") selected_.taken[i] = false;
}

std::string DatabaseRebuild::schema_here(const std::string& captured) const {
    const auto renamed = std::ranges::find(options_.schemas, captured, &Renames::value_type::first);
    return renamed == options_.schemas.end() ? captured : renamed->second;
}

void DatabaseRebuild::make_database() {
    if (!was_present_) {
        create(plan_.name);
        was_made_ = true;
        return;
    }
    if (options_.present != Present::drop || is_part_) return;
    // Made under another name first: what cannot be made here is known before the old one goes.
    const std::string temporary = fmt::format("holdfast_{:016x}", world_.random.number());
    create(temporary);
    target_.reset();
    try {
        drop_database();
    } catch (...) {
        admin().run("DROP DATABASE " + quote_name(temporary));
        throw;
    }
    admin().run("ALTER DATABASE " + quote_name(temporary) + " RENAME TO " + quote_name(plan_.name));
    was_made_ = true;
}

void DatabaseRebuild::create(const std::string& name) {
    std::string how = " WITH TEMPLATE = template0";
    const auto entry = std::ranges::find(of_database_, "DATABASE", &TocEntry::kind);
    if (entry != of_database_.end()) {
        const std::size_t at = entry->definition.rfind(" WITH TEMPLATE = ");
        if (at != std::string::npos) how = entry->definition.substr(at, entry->definition.rfind(';') - at);
        // A tablespace that is not here is not needed.
        const std::size_t space = how.rfind(" TABLESPACE = ");
        if (space != std::string::npos) how.resize(space);
    }
    try {
        admin().run("CREATE DATABASE " + quote_name(name) + how);
    } catch (const Error& error) {
        const bool is_locale = error.message().find("locale") != std::string::npos;
        throw Error{error.code(), "{}", error.message()}
            .unharmed("nothing was dropped there")
            .hint(is_locale ? "Install the locale on the target's machine (locale-gen) and restart its server."
                  : admin().sqlstate() == "42501"
                      ? fmt::format("Type, as a superuser: ALTER ROLE {} CREATEDB;",
                                    admin().value("SELECT pg_catalog.quote_ident(current_user)").value_or(""))
                      : error.hint());
    }
}

void DatabaseRebuild::drop_database() {
    try {
        admin().run("DROP DATABASE " + quote_name(plan_.name));
    } catch (const Error& error) {
        if (admin().sqlstate() != "55006") throw;
        throw Error{Code::target_failed, "{}", error.message()}
            .unharmed("nothing was dropped there")
            .hint("End the sessions that use it, or restore beside it (--beside NAME --swap).");
    }
}

// All or nothing: what others need is not dropped, and what stays is known before anything goes.
void DatabaseRebuild::make_room() {
    Connection& connection = target();
    connection.run("BEGIN; SET LOCAL search_path = ''; SET LOCAL lock_timeout = '30s'");
    if (options_.present == Present::replace) {
        drop_what_is_replaced();
        drop_large_objects();
    }
    leave_out_what_is_there();
    leave_out_large_objects();
    if (!was_empty_) leave_out_what_extensions_keep();
    connection.run("COMMIT");
}

void DatabaseRebuild::drop_what_is_replaced() {
    Connection& connection = target();
    for (std::size_t i = toc_.entries.size(); i-- > 0;) {
        const TocEntry& entry = toc_.entries[i];
        if (!selected_.taken[i] || !is_dropped_for_replacement(entry)) continue;
        // In a part, types and functions that come along may serve others; they stay.
        if (is_part_ && !is_asked_for(entry) && entry.section != TocEntry::Section::post_data) continue;
        connection.run("SAVEPOINT holdfast");
        try {
            connection.run(entry.drop);
            connection.run("RELEASE SAVEPOINT holdfast");
        } catch (const Error& error) {
            if (!is_absent(connection.sqlstate())) {
                const bool is_needed = connection.sqlstate() == "2BP01";
                throw Error{Code::target_failed, "cannot replace {} {}: {}", entry.kind, entry.tag, error.message()}
                    .unharmed("nothing was dropped")
                    .hint(is_needed ? "Something that is not restored needs it; restore that too, or use --beside NAME."
                                    : error.hint());
            }
            connection.run("ROLLBACK TO SAVEPOINT holdfast");
        }
    }
}

void DatabaseRebuild::drop_large_objects() {
    try {
        target().run("SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata WHERE oid = ANY ('{" +
                     join(large_objects_of(toc_, selected_), ",") + "}')");
    } catch (const Error& error) {
        throw Error{Code::target_failed, "cannot replace large objects: {}", error.message()}
            .unharmed("nothing was dropped")
            .hint(error.hint());
    }
}

// Their contents are one entry of the archive, which would be written over those that are there.
void DatabaseRebuild::leave_out_large_objects() {
    const std::vector<std::string> objects = large_objects_of(toc_, selected_);
    const std::string there =
        target()
            .value("SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata WHERE oid = ANY ('{" +
                   join(objects, ",") + "}')")
            .value_or("0");
    if (there == "0") return;
    leave_out(toc_, selected_, [](const TocEntry& entry) { return entry.kind.starts_with("BLOB"); });
    const bool are_all_there = there == std::to_string(objects.size());
    findings_.push_back(
        {item_, Finding::Kind::unsupported,
         are_all_there
             ? fmt::format("its {} large objects are there already and stay as they are", there)
             : fmt::format("{} of its {} large objects are there already: they stay, and the others do not come back "
                           "(--existing replace and --beside NAME bring back all)",
                           there, objects.size())});
}

// The rows of its own tables would come to those that it has, or meet their like.
void DatabaseRebuild::leave_out_what_extensions_keep() {
    const Rows rows = target().query(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE d.deptype = 'e' "
        " AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass");
    std::set<Place> kept;
    for (std::size_t i = 0; i < rows.size(); ++i) kept.emplace(rows.text(i, 0), rows.text(i, 1));
    for (std::size_t i = 0; i < toc_.entries.size(); ++i) {
        const TocEntry& entry = toc_.entries[i];
        const bool is_content = entry.kind == "TABLE DATA" || entry.kind == "SEQUENCE SET";
        if (!selected_.taken[i] || !is_content || !kept.contains({entry.schema, entry.tag})) continue;
        selected_.taken[i] = false;
        findings_.push_back(
            {item_, Finding::Kind::unsupported,
             fmt::format("what {}.{} holds is left out: it belongs to an extension that is there already", entry.schema,
                         entry.tag)});
    }
}

void DatabaseRebuild::leave_out_what_is_there() {
    Connection& connection = target();
    const Rows rows = connection.query(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
        "c.relnamespace");
    std::set<Place> relations;
    for (std::size_t i = 0; i < rows.size(); ++i) relations.emplace(rows.text(i, 0), rows.text(i, 1));
    const std::set<Place> functions = functions_of(connection);
    leave_out(toc_, selected_, [&](const TocEntry& entry) {
        const std::string& kind = entry.kind;
        if (kind == "SCHEMA")
            return connection.value("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = " + quote_literal(entry.tag))
                .has_value();
        if (kind == "EXTENSION")
            return connection.value("SELECT 1 FROM pg_catalog.pg_extension WHERE extname = " + quote_literal(entry.tag))
                .has_value();
        if (kind == "TYPE" || kind == "DOMAIN" || kind == "SHELL TYPE")
            return connection
                .value(
                    "SELECT 1 FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE "
                    "n.nspname = " +
                    quote_literal(entry.schema) + " AND t.typname = " + quote_literal(entry.tag))
                .has_value();
        if (kind == "FUNCTION" || kind == "PROCEDURE" || kind == "AGGREGATE")
            return functions.contains({entry.schema, entry.tag});
        return (kind == "TABLE" || kind == "VIEW" || kind == "MATERIALIZED VIEW" || kind == "SEQUENCE" ||
                kind == "FOREIGN TABLE") &&
               relations.contains({entry.schema, entry.tag});
    });
}

void DatabaseRebuild::mark(const std::string& text) {
    admin().run("COMMENT ON DATABASE " + quote_name(plan_.name) + " IS " +
                (text.empty() ? std::string("NULL") : quote_literal(text)));
}

Connection& DatabaseRebuild::admin() {
    if (!admin_) {
        admin_.emplace(world_, admin_endpoint_, Code::target_failed);
        switch_off_timeouts(*admin_);
    }
    return *admin_;
}

Connection& DatabaseRebuild::target() {
    if (!target_) {
        target_.emplace(world_, plan_.endpoint.with_database(plan_.name), Code::target_failed);
        switch_off_timeouts(*target_);
    }
    return *target_;
}

void DatabaseRebuild::restore_section(const std::string& section, const Selected& selected,
                                      const std::vector<std::string>& more) {
    restore_archive(plan_.name, section, selected, more);
}

// Of a table that has its rows, while others still get theirs.
void DatabaseRebuild::build_indexes(const std::string& schema, const std::string& table) {
    Selected own;
    {
        const std::lock_guard lock(selected_mutex_);
        own = indexes_of(toc_, selected_, schema_here(schema), table);
        if (std::ranges::find(own.taken, true) == own.taken.end()) return;
        for (std::size_t i = 0; i < own.taken.size(); ++i)
            if (own.taken[i]) selected_.taken[i] = false;
    }
    restore_section("post-data", own);
}

void DatabaseRebuild::restore_archive(const std::string& database, const std::string& section, const Selected& selected,
                                      const std::vector<std::string>& more) {
    const std::string list = fmt::format("{}/{}.list", folder_.path(), ++lists_);
    write_file_durably(list, as_bytes(list_file(toc_, selected)));
    std::vector<std::string> argv{tools_.path("pg_restore"), "--section=" + section, "--use-list=" + list};
    if (options_.no_owner) argv.insert(argv.end(), {"--no-owner", "--no-privileges"});
    if (no_tablespaces_) argv.emplace_back("--no-tablespaces");
    std::vector<std::string_view> passed_over;
    if (database == plan_.name && may_exist()) passed_over.emplace_back("already exists");
    if (is_before_tools_) passed_over.emplace_back("unrecognized configuration parameter \"transaction_timeout\"");
    if (passed_over.empty()) argv.emplace_back("--exit-on-error");
    argv.insert(argv.end(), more.begin(), more.end());
    argv.push_back(folder_.path() + "/archive");
    Tool tool(world_, with_settings(plan_.endpoint.with_database(database)), std::move(argv), Code::target_failed);
    tool.drain();
    std::string complaint = tool.finish_or_complaint();
    if (!passed_over.empty() && !complaint.empty()) complaint = other_complaints(complaint, passed_over);
    if (complaint.empty()) return;
    const bool is_full = complaint.find("No space left on device") != std::string::npos;
    Error error{is_full ? Code::no_space : Code::target_failed,
                "pg_restore could not bring back the {} of database {}: {}", section, plan_.name, complaint};
    if (complaint.find("role \"") != std::string::npos ||
        complaint.find("must be able to SET ROLE") != std::string::npos ||
        complaint.find("must be member of role") != std::string::npos)
        error.set_hint("Restore as a superuser, or leave owners and grants out (--no-owner).");
    throw error;
}

void DatabaseRebuild::note_tables() {
    std::set<Place> restored;
    for (std::size_t i = 0; i < toc_.entries.size(); ++i)
        if (selected_.taken[i] && toc_.entries[i].kind == "TABLE")
            restored.emplace(toc_.entries[i].schema, toc_.entries[i].tag);
    for (const Table& table : tables_of(target()))
        if (restored.contains({table.schema, table.name})) tables_.emplace(table.schema, table.name);
}

bool DatabaseRebuild::takes_rows(const std::string& schema, const std::string& table) const {
    return tables_.contains({schema_here(schema), table});
}

std::unique_ptr<Connection> DatabaseRebuild::session() {
    {
        const std::lock_guard lock(idle_mutex_);
        if (!idle_.empty()) {
            auto out = std::move(idle_.back());
            idle_.pop_back();
            return out;
        }
    }
    auto out = std::make_unique<Connection>(world_, with_settings(plan_.endpoint.with_database(plan_.name)),
                                            Code::target_failed);
    prepare_session(*out, encoding_of(toc_), "60s");
    return out;
}

std::unique_ptr<DatabaseRebuild::TableFeed> DatabaseRebuild::feed(const std::string& schema, const std::string& table) {
    return std::make_unique<Feed>(*this, schema, table);
}

void DatabaseRebuild::restore_database_properties() {
    const std::string own = quote_name(plan_.name);
    const auto with_own_name = [&](std::string text, std::string_view before) {
        // "ALTER DATABASE shop SET …": the name as pg_dump writes it, quoted or not.
        for (const std::string& name : {quote_name(plan_.captured), plan_.captured})
            for (const std::string_view after : {" ", ";"})
                if (const std::size_t at = text.find(std::string(before) + name + std::string(after));
                    at != std::string::npos)
                    return text.replace(at + before.size(), name.size(), own);
        return std::string();
    };
    std::vector<std::string> statements;
    for (const TocEntry& entry : of_database_) {
        if (entry.kind == "DATABASE" || (options_.no_owner && entry.kind == "ACL")) continue;
        for (const std::string& statement : split_statements(entry.definition))
            statements.push_back(with_own_name(statement + ";", "DATABASE "));
    }
    const auto database = std::ranges::find(of_database_, "DATABASE", &TocEntry::kind);
    if (database != of_database_.end() && !database->owner.empty() && !options_.no_owner)
        statements.push_back("ALTER DATABASE " + own + " OWNER TO " + quote_name(database->owner));
    for (const std::string& statement : statements) {
        if (statement.empty()) continue;
        try {
            admin().run(statement);
        } catch (const Error& error) {
            if (!admin().is_alive()) throw;
            findings_.push_back({item_, Finding::Kind::unsupported, error.message()});
        }
    }
}

void DatabaseRebuild::finish() {
    const Note note{"finishing database {}", plan_.name};
    restore_section("data", selected_);
    restore_section("post-data", selected_, {"--jobs=2"});
    mark(was_made_ ? "" : comment_);
    if (was_made_ || was_empty_) restore_database_properties();
    close();
}

}  // namespace holdfast::postgres
