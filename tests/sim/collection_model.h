// tests/sim/collection_model.h: every interleaving of writers, collectors and a user that forgets, for model_checker.h.
//
// Shape    each step is one operation on the store, so a pause or a crash can come between any two
// Source   doc/format/collection.md; reference/review.md B1
#pragma once

#include <string>

#include "collection_collector.h"
#include "collection_writer.h"
#include "model_checker.h"

namespace holdfast::sim {

class CollectionModel : StoreView {
public:
    using State = CollectionState;

    explicit CollectionModel(const Setting& setting) : StoreView{setting}, writers_{setting}, collectors_{setting} {}

    State initial() const {
        State s;
        s.packs = set_.packs;
        s.crashes = set_.crashes;
        for (std::size_t i = 0; i < writers_max; ++i)
            if (set_.processes[i].first != 0) writers_.start_session(s, i, set_.processes[i].first);
        for (std::size_t i = 0; i < collectors_max; ++i) s.collectors[i].rounds = set_.rounds[i];
        return s;
    }

    template <class Visit>
    void for_each_step(const State& s, Visit&& visit) const {
        for (std::size_t i = 0; i < writers_max; ++i)
            if (s.writers[i].at != At::rest) writers_.steps(s, i, visit);
        for (std::size_t i = 0; i < collectors_max; ++i) collectors_.steps(s, i, visit);
        user_steps(s, visit);
    }

    const char* broken(const State& s) const {
        const Mask live = live_snapshots(s);
        const Mask found = s.packs & published(s);
        for (std::size_t snapshot = 0; snapshot < set_.needs.size(); ++snapshot)
            if (has(live, snapshot) && (set_.needs[snapshot] & ~unsigned{chunks_in(found)}) != 0)
                return "a snapshot has lost a chunk";
        if ((s.told & ~unsigned{committed(s)}) != 0) return "a writer was told that it committed, and did not";
        if (set_.rule != Break::nothing) return nullptr;
        if (s.fault == Fault::verdict_twice) return "a verdict was written twice";
        if (s.fault == Fault::wrong_deletion) return "a pack was deleted that was not condemned, or was spared";
        if (s.fault == Fault::unplaced) return "a collector knows no place of a reached chunk";
        for (const Log& log : s.logs)
            if (!is_well_formed(log)) return "an entry stands outside its session";
        return nullptr;
    }

    // Liveness: whatever died, one collector that runs undisturbed leaves nothing that a mark would name.
    const char* broken_at_rest(const State& s) const {
        if (!set_.at_rest) return nullptr;
        Setting calm = set_;
        calm.any_mark = calm.single_steps = false;
        calm.copier_log = 0;
        const CollectorModel janitors{calm};
        State now = s;
        now.crashes = 0;
        now.collectors[1] = Collector{};
        now.collectors[1].rounds = 6;
        for (bool moved = true; moved;) {
            moved = false;
            const State before = now;
            janitors.steps(before, 1, [&](const State& after, Label) {
                if (!moved) now = after;
                moved = true;
            });
            if (broken(now) != nullptr) return "a collector that takes up what is left breaks something";
        }
        if (janitors.mark(now, 1) != 0 || (doomed(now) & now.packs) != 0) return "garbage that no collector can delete";
        return nullptr;
    }

    std::string describe(Label label) const {
        static constexpr std::array actors{"writer A", "writer B", "writer C", "collector 1", "collector 2", "user"};
        std::string line = std::string{actors[label.actor]} + " " + label.text;
        if (const std::size_t at = line.find('#'); at != std::string::npos)
            line.replace(at, 1, std::to_string(label.about));
        if (const std::size_t at = line.find('@'); at != std::string::npos) line.replace(at, 1, members(label.about));
        return line;
    }

private:
    static std::string members(Mask set) {
        std::string text;
        for (std::size_t at = 0; at < 8; ++at)
            if (has(set, at)) text += (text.empty() ? "" : ", ") + std::to_string(at);
        return text.empty() ? "none" : text;
    }

    template <class Visit>
    void user_steps(const State& s, Visit& visit) const {
        const Label forgets{writers_max + collectors_max, "forgets snapshot #", 0};
        for (Number snapshot = 0; snapshot < set_.needs.size(); ++snapshot) {
            if (!has(live_snapshots(s) & set_.forgettable, snapshot)) continue;
            State after = s;
            after.forgotten |= bit(snapshot);
            visit(after, Label{forgets.actor, forgets.text, snapshot});
        }
        if (set_.rule != Break::fills_trimmed_slots) return;
        for (std::size_t where = 0; where < logs_max; ++where) {
            for (std::size_t at = 0; at < s.logs[where].size; ++at) {
                if (s.logs[where].entries[at].kind() != Kind::fenced) continue;
                State after = s;
                after.logs[where].entries[at] = Entry{Kind::trimmed, 0};
                visit(after, Label{forgets.actor, "trims a FENCED of log #", static_cast<Number>(where)});
            }
        }
    }

    WriterModel writers_;
    CollectorModel collectors_;
};

}  // namespace holdfast::sim
