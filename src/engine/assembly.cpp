#include "engine/assembly.h"

namespace holdfast::engine {

Assembly::Assembly(Capture& capture, const repo::Keyring& keys, repo::PackWriter& packs,
                   const repo::StateReader* previous, bool may_reuse_leaves)
    : capture_(capture),
      keys_(keys),
      previous_(previous),
      may_reuse_leaves_(may_reuse_leaves),
      tree_(keys, packs),
      state_(keys, packs) {}

void Assembly::add(ItemJob& job) {
    totals_.findings.insert(totals_.findings.end(), job.findings.begin(), job.findings.end());
    if (job.left_out) {
        ++totals_.failed;
        return;
    }
    give_up_run();
    // What changed while it was read is read again next time, and so is what may be a name of another file then.
    const bool is_settled = job.findings.empty() && !job.is_apart;
    write({std::move(job.item), std::move(job.content)},
          is_settled ? std::string_view(job.entry().version) : std::string_view());
}

void Assembly::add_unchanged(const std::shared_ptr<const Batch>& batch, std::size_t number,
                             const repo::StateReader::Found& row) {
    const bool goes_on = !run_.empty() && row.block == run_[0].row.block && row.row == run_.size();
    if (!goes_on) {
        give_up_run();
        const bool begins = may_reuse_leaves_ && row.row == 0 && tree_.between_leaves();
        if (!begins) return write_unchanged({batch, number, row});
    }
    run_.push_back({batch, number, row});
    // The last leaf ended because the input did; it is the same leaf only if the input ends there again.
    if (run_is_whole() && previous_->block(row.block).by_cut) reuse_run();
}

bool Assembly::run_is_whole() const { return !run_.empty() && run_.size() == previous_->block(run_[0].row.block).rows; }

void Assembly::reuse_run() {
    const repo::StateBlock& block = previous_->block(run_[0].row.block);
    for (const repo::StateRow& row : *run_[0].row.rows) totals_.bytes_logical += row.size;
    totals_.items += block.rows;
    totals_.unchanged += block.rows;
    tree_.reuse(block.leaf);
    state_.reuse(block);
    run_.clear();
}

void Assembly::give_up_run() {
    for (const Unchanged& item : std::exchange(run_, {})) write_unchanged(item);
}

void Assembly::write_unchanged(const Unchanged& unchanged) {
    const Batch::Entry& entry = unchanged.batch->entries[unchanged.number];
    repo::TreeEntry out{entry.item, unchanged.row->content};
    if (auto finding = capture_.complete(*unchanged.batch, out.item)) {
        totals_.findings.push_back(std::move(*finding));
        ++totals_.failed;
        return;
    }
    out.item.size = unchanged.row->size;
    ++totals_.unchanged;
    write(out, entry.version);
}

void Assembly::write(const repo::TreeEntry& entry, std::string_view version) {
    ++totals_.items;
    totals_.bytes_logical += entry.item.size;
    repo::StateRow row;
    row.path = state_tag(keys_, entry.item.path);
    // Zero matches no version: state_tag of an empty text is as unlikely as any.
    row.version = version.empty() ? 0 : state_tag(keys_, version);
    // What is read again in any case is not looked up here.
    if (row.version != 0) row.content = entry.content;
    row.size = entry.item.size;
    state_.add(split_path(entry.item.path).first, std::move(row));
    if (const auto ended = tree_.add(entry)) state_.end_leaf(*ended);
}

Assembly::Roots Assembly::finish(std::uint64_t gc_number) {
    if (run_is_whole()) reuse_run();
    give_up_run();
    if (const auto ended = tree_.end_leaf()) state_.end_leaf(*ended);
    return {tree_.finish(), state_.finish(gc_number)};
}

}  // namespace holdfast::engine
