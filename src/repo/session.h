// repo/session.h: one writing session: OPEN … COMMIT.
//
// Errors   fenced when a collector ended it meanwhile; unreachable, no_space
// Threads  one thread, but packs() from any
// I1  what collections condemned at or below the number in OPEN counts as absent (W2)
// I2  COMMIT is appended only after every pack and a fragment that names it are in the store
// Source   doc/format/collection.md W1 to W3
#pragma once

#include <memory>
#include <string>

#include "repo/pack_writer.h"
#include "repo/process_lock.h"
#include "repo/repository.h"

namespace holdfast::repo {

class Session {
public:
    enum class Mode : std::uint8_t { write, dry_run };
    Session(Repository& repository, Mode mode);
    ~Session();  // CLOSE, when it did not commit and the store still answers

    PackWriter& packs() { return *packs_; }
    std::uint64_t gc_number() const { return gc_number_; }
    // Some of what is known is damaged, so what an earlier capture reached has to be asked for one by one.
    bool distrusts() const { return distrusts_; }
    // Publishes what is confirmed when a minute has passed since the last time, or much waits. For long sessions.
    void publish_if_due();
    // Publishes all, then COMMIT. Fills in id and signer. `provenance`: see decode_snapshot().
    Snapshot commit(Snapshot snapshot, ByteView provenance = {});
    // A pack that somebody else than packs() stored in this session; published with the rest.
    void adopt(PackContents pack) { adopted_.push_back(std::move(pack)); }
    // A fragment that says anew where chunks of published packs lie.
    void publish(const EncodedFragment& fragment);
    // Publishes all, then CLOSE: for sessions that only move chunks.
    void publish_and_close();

private:
    void publish();
    void fence_own_dead_sessions();

    Repository& repository_;
    const Mode mode_;
    SessionName session_;
    bool open_ = false;
    std::optional<ProcessLock> lock_;
    std::uint64_t gc_number_ = 0;
    bool distrusts_ = false;
    Nanoseconds published_ = 0;
    std::unique_ptr<PackWriter> packs_;
    std::vector<PackContents> adopted_;
};

// True when the session open in this lane was one of this machine and its process is gone.
bool is_dead_here(const Repository& repository, const Lane& lane);
void fence_dead(Repository& repository, const SessionName& session);

}  // namespace holdfast::repo
