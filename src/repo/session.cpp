#include "repo/session.h"

#include <algorithm>

#include "base/error.h"
#include "repo/attestation.h"
#include "repo/distrust.h"
#include "repo/names.h"
#include "repo/notes.h"
#include "repo/snapshot_codec.h"

namespace holdfast::repo {

namespace {

constexpr Nanoseconds publish_every = 60 * one_second;
constexpr std::size_t publish_places = 100'000;

}  // namespace

// The lock of a session is taken before its OPEN and is named by the token in it: whoever finds the OPEN finds the file.
bool is_dead_here(const Repository& repository, const Lane& lane) {
    return lane.open && presence(repository, lane.session.host_tag, lane.session.lock_token) == Presence::gone;
}

void fence_dead(Repository& repository, const SessionName& session) {
    const LockToken token = repository.log().lanes().at(session.lane).session.lock_token;
    repository.log().fence(session);
    remove_lock_file(repository, token);
}

Session::Session(Repository& repository, Mode mode) : repository_(repository), mode_(mode) {
    World& world = repository.world();
    const bool dry = mode == Mode::dry_run;
    repository.require_writable();
    if (!dry) {
        fence_own_dead_sessions();
        OpenBody body;
        body.host_tag = host_tag(repository.keys());
        lock_.emplace(repository);  // without it only `unlock`, or a day without progress, ends a session that died
        body.lock_token = lock_->token();
        body.program = "holdfast";
        session_ = repository.log().open_session(body);
        open_ = true;
        gc_number_ = repository.log().lanes().at(session_.lane).session.gc_number;
    } else {
        gc_number_ = repository.log().stamp();
    }
    repository.read_collections();
    const std::set<PackId> damaged = read_distrusted(repository);
    distrusts_ = !damaged.empty() || !repository.index().unloaded().empty();
    repository.index().distrust(damaged);
    repository.index().believe(read_attestations(repository));
    published_ = world.clock.steady();
    packs_ = std::make_unique<PackWriter>(repository.keys(), repository.store(), repository.index(), world,
                                          dry ? PackWriter::Mode::count_only : PackWriter::Mode::upload,
                                          repository.compression());
}

Session::~Session() {
    packs_.reset();
    if (!open_) return;
    try {
        repository_.log().append_in_session(session_, EntryType::close, {});
        lock_->remove();
    } catch (...) {  // a session that does not close is fenced by a collector
    }
}

void Session::fence_own_dead_sessions() {
    std::vector<SessionName> dead;
    for (const auto& [name, lane] : repository_.log().lanes())
        if (name.signer == repository_.keys().own_id() && lane.broken.empty() && is_dead_here(repository_, lane))
            dead.push_back({name, lane.open_slot});
    for (const SessionName& session : dead) fence_dead(repository_, session);
}

void Session::publish() {
    if (mode_ == Mode::dry_run) return;
    std::vector<PackContents> packs = packs_->take_finished();
    std::ranges::move(std::exchange(adopted_, {}), std::back_inserter(packs));
    published_ = repository_.world().clock.steady();
    if (packs.empty()) return;
    publish(encode_fragment(repository_.keys(), packs, repository_.world().random));
    packs_->forget(packs);
}

void Session::publish(const EncodedFragment& fragment) {
    create_own(repository_.store(), names::fragment(fragment.body.id), fragment.bytes);
    repository_.log().append_in_session(session_, EntryType::fragment, encode(fragment.body));
    repository_.index().load(repository_.log().fragments(), &fragment);
}

void Session::publish_if_due() {
    const bool due = repository_.world().clock.steady() - published_ >= publish_every;
    if (packs_->places_waiting() >= publish_places || (due && packs_->places_waiting() > 0)) publish();
}

namespace {

// This machine's clock where the store has none, or agrees: the store's is known to the second only.
Nanoseconds received_now(const Repository& repository, const SessionName& session) {
    constexpr Nanoseconds skew_max = 60 * one_second;
    const Nanoseconds now = repository.world().clock.now();
    if (!repository.store().traits().has_clock) return now;
    if (const auto ahead = repository.store().clock_ahead())
        return *ahead > -skew_max && *ahead < skew_max ? now : now + *ahead;
    const Lane& lane = repository.log().lanes().at(session.lane);
    const auto commit = repository.store().find(names::log_entry(lane.name.signer, lane.name.lane, lane.next - 1));
    if (!commit || (now > commit->time - skew_max && now < commit->time + skew_max)) return now;
    return commit->time;
}

}  // namespace

Snapshot Session::commit(Snapshot snapshot, ByteView provenance) {
    repository_.keys().require(Right::back_up, "commit snapshots");
    packs_->finish();
    snapshot.bytes.stored = packs_->bytes_stored();
    snapshot.bytes.added = packs_->bytes_added();
    if (mode_ == Mode::dry_run) return snapshot;
    publish();  // from here every chunk and the index that finds it are durable
    const Keyring& keys = repository_.keys();
    const Bytes record = encode_snapshot(keys, snapshot, repository_.world().random);
    repository_.log().append_in_session(session_, EntryType::commit, encode_commit(record, provenance));
    open_ = false;  // the snapshot exists, whatever fails from here on
    Snapshot committed = decode_snapshot(keys, record, provenance);
    try {
        lock_->remove();
        repository_.keep_marks();
        if (provenance.empty() && keys.own().role == Role::full) {
            committed.received = received_now(repository_, session_);
            repository_.notes().append(committed.id, NoteKind::received, committed.received, "");
        }
    } catch (const Error& error) {
        repository_.world().log.warning(
            fmt::format("snapshot {} is committed, but not all that follows was written: {}", committed.id.short_hex(),
                        error.message()));
    }
    return committed;
}

void Session::publish_and_close() {
    packs_->finish();
    publish();
    if (mode_ == Mode::dry_run) return;
    repository_.log().append_in_session(session_, EntryType::close, {});
    open_ = false;
    lock_->remove();
}

}  // namespace holdfast::repo
