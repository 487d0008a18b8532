// tests/sim/life.h: a scripted life of a repository, what its users were told in it, and what must hold after any
// part of it.
//
// Shape    Life::steps() in order; each works on whatever store it is given, and notes in the life what was promised
// Limits   chunks of 8 KiB and packs of 64 KiB, so that little data makes many objects
#pragma once

#include <functional>

#include "base/error.h"
#include "filled_repository.h"

namespace holdfast::testing_support {

inline const repo::InitOptions small_sizes{.chunk_sizes = {4096, 8192, 16384}, .pack_bytes = 64 * 1024};

// What a source holds at a time. Versions share about half of their bytes.
const MemoryTree& tree_of(const std::string& source, int version);

// A client of the store: where its process keeps its locks and marks. Empty: nowhere.
struct Client {
    FilledRepository& small;
    Store& store;
    std::string folder;
    std::unique_ptr<repo::Repository> open() { return small.open_through(store, folder); }
};

class Life {
public:
    struct Step {
        std::string name;
        std::function<void(Life&, Client&)> run;
    };
    static const std::vector<Step>& steps();

    void back_up(Client& client, const std::string& source, int version);
    // The oldest snapshot of the source that a backup reported.
    void forget_oldest(Client& client, const std::string& source);
    // A process dies in its backup and leaves its session open.
    void die_in_a_backup(Client& client);
    void unlock(Client& client);

    // A session is open whose lock no other client can see.
    bool somebody_died_elsewhere() const { return somebody_died_elsewhere_; }

    // Whoever was told of a snapshot gets it back, what is listed can be restored, and a check finds nothing.
    void expect_kept(Client& client, const engine::CheckPlan& plan = {}) const;

private:
    struct Content {
        std::string source;
        int version = 0;
    };
    std::map<repo::SnapshotId, Content> committed_;  // as reported; not those that forget was asked for
    std::set<repo::SnapshotId> forgotten_;           // as reported
    bool somebody_died_elsewhere_ = false;
    std::map<std::string, int> newest_;  // version that a backup was begun with, by source
};

// Prunes until there is nothing to do, with `end_sessions` between. Then few bytes lie about that no snapshot
// needs.
void expect_space_comes_back(Client& client, const std::function<void()>& end_sessions);

}  // namespace holdfast::testing_support
