#include "repo/session.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "repo/distrust.h"
#include "repo/names.h"
#include "repo/notes.h"
#include "repo/snapshot_codec.h"

namespace holdfast::repo {

namespace {

constexpr Nanoseconds publish_every = 60 * one_second;
constexpr std::size_t publish_places = 100'000;

std::string machine_name() {
    const auto id = read_file_if_present("/etc/machine-id");
    return current_host_name() + "/" + (id ? std::string(as_text(*id)) : std::string());
}

std::string lock_folder(const Repository& repository) {
    if (repository.client_folder().empty()) return {};
    return fmt::format("{}/locks/{}", repository.client_folder(), repository.id().hex());
}

std::string lock_path(const Repository& repository, const std::array<std::uint8_t, 16>& token) {
    const std::string folder = lock_folder(repository);
    return folder.empty() ? folder : folder + "/" + to_hex(token);
}

}  // namespace

std::uint64_t host_tag(const Keyring& keys) { return crypto::tag64(keys.name_key(), as_bytes(machine_name())); }

// The lock of a session is taken before its OPEN and is named by the token in it: whoever finds the OPEN finds the file.
bool is_dead_here(const Repository& repository, const Lane& lane) {
    if (!lane.open || lane.session.host_tag != host_tag(repository.keys())) return false;
    const std::string path = lock_path(repository, lane.session.lock_token);
    const Fd fd(path.empty() ? -1 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
}

void fence_dead(Repository& repository, const SessionName& session) {
    const std::string path = lock_path(repository, repository.log().lanes().at(session.lane).session.lock_token);
    repository.log().fence(session);
    if (!path.empty()) ::unlink(path.c_str());
}

Session::Session(Repository& repository, Mode mode) : repository_(repository), mode_(mode) {
    World& world = repository.world();
    const bool dry = mode == Mode::dry_run;
    if (!dry) {
        fence_own_dead_sessions();
        OpenBody body;
        body.host_tag = host_tag(repository.keys());
        token_ = world.random.array<16>();
        body.lock_token = token_;
        body.program = "holdfast";
        take_lock();
        session_ = repository.log().open_session(body);
        open_ = true;
        gc_number_ = repository.log().lanes().at(session_.lane).session.gc_number;
    } else {
        gc_number_ = repository.log().stamp();
    }
    repository.read_collections();
    const std::set<PackId> damaged = read_distrusted(repository);
    distrusts_ = !damaged.empty();
    repository.index().distrust(damaged);
    published_ = world.clock.steady();
    packs_ = std::make_unique<PackWriter>(repository.keys(), repository.store(), repository.index(), world,
                                          dry ? PackWriter::Mode::count_only : PackWriter::Mode::upload);
}

Session::~Session() {
    packs_.reset();
    if (!open_) return;
    try {
        repository_.log().append_in_session(session_, EntryType::close, {});
        remove_lock();
    } catch (...) {  // a session that does not close is fenced by a collector
    }
}

void Session::fence_own_dead_sessions() {
    std::vector<SessionName> dead;
    for (const auto& [name, lane] : repository_.log().lanes())
        if (name.signer == repository_.keys().own_id() && is_dead_here(repository_, lane))
            dead.push_back({name, lane.open_slot});
    for (const SessionName& session : dead) fence_dead(repository_, session);
}

// Without a lock only `unlock`, or a day without progress, ends a session that died.
void Session::take_lock() {
    const std::string path = lock_path(repository_, token_);
    if (path.empty()) return;
    std::error_code ignored;
    std::filesystem::create_directories(lock_folder(repository_), ignored);
    lock_ = Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (lock_ && ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) lock_.reset();
}

void Session::remove_lock() {
    if (lock_) ::unlink(lock_path(repository_, token_).c_str());
    lock_.reset();
}

void Session::publish() {
    if (mode_ == Mode::dry_run) return;
    std::vector<PackContents> packs = packs_->take_finished();
    std::ranges::move(std::exchange(adopted_, {}), std::back_inserter(packs));
    published_ = repository_.world().clock.steady();
    if (packs.empty()) return;
    const EncodedFragment fragment = encode_fragment(repository_.keys(), packs, repository_.world().random);
    repository_.store().create(names::fragment(fragment.body.id), fragment.bytes);
    repository_.log().append_in_session(session_, EntryType::fragment, encode(fragment.body));
    repository_.index().load(repository_.log().fragments());
    packs_->forget(packs);
}

void Session::publish_if_due() {
    const bool due = repository_.world().clock.steady() - published_ >= publish_every;
    if (packs_->places_waiting() >= publish_places || (due && packs_->places_waiting() > 0)) publish();
}

Snapshot Session::commit(Snapshot snapshot, ByteView provenance) {
    packs_->finish();
    snapshot.bytes.stored = packs_->bytes_stored();
    snapshot.bytes.added = packs_->bytes_added();
    if (mode_ == Mode::dry_run) return snapshot;
    publish();  // from here every chunk and the index that finds it are durable
    const Keyring& keys = repository_.keys();
    const Bytes record = encode_snapshot(keys, snapshot, repository_.world().random);
    repository_.log().append_in_session(session_, EntryType::commit, encode_commit(record, provenance));
    open_ = false;  // the snapshot exists
    remove_lock();
    repository_.keep_marks();
    Snapshot committed = decode_snapshot(keys, record, provenance);
    if (provenance.empty() && keys.own().role == Role::full) {
        committed.received = repository_.world().clock.now();
        repository_.notes().append(committed.id, NoteKind::received, committed.received, "");
    }
    return committed;
}

void Session::publish_and_close() {
    packs_->finish();
    publish();
    if (mode_ == Mode::dry_run) return;
    repository_.log().append_in_session(session_, EntryType::close, {});
    open_ = false;
    remove_lock();
}

}  // namespace holdfast::repo
