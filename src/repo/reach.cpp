#include "repo/reach.h"

#include <algorithm>

#include "base/error.h"

namespace holdfast::repo {

namespace {

Reach::Claim claim_of(ByteView reachable) {
    Reach::Claim out = parse_children(reachable);
    std::ranges::sort(out);
    const auto again = std::ranges::unique(out);
    out.erase(again.begin(), again.end());
    return out;
}

}  // namespace

Reach::Reach(const Repository& repository) : chunks_(repository.chunks()), index_(repository.index()) {
    if (!repository.keys().secrets().reader) believed_.emplace(repository);
}

std::vector<Reach::Claim> Reach::claims(const ChunkId& node) const {
    if (!believed_) return {claim_of(chunks_.read_node(node).reachable)};
    std::vector<Claim> out;
    std::optional<Error> first;
    const auto ask = [&](const Location& place) {
        try {
            Claim claim = claim_of(chunks_.read_reachable(node, place));
            if (std::ranges::find(out, claim) == out.end()) out.push_back(std::move(claim));
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            if (!first) first = error;
        }
    };
    for (const Location& place : index_.find_in(node, [&](const Fragment& each) { return (*believed_)(each); })) {
        ask(place);
        if (!out.empty()) return out;
    }
    for (const Location& place : index_.find_in(node, [&](const Fragment& each) { return !(*believed_)(each); }))
        ask(place);
    if (!out.empty()) return out;
    if (first) throw *first;
    throw Error{Code::corrupt, "node {} is in no pack that the index knows", node.short_hex()}.hint(
        "Run `holdfast check` to see what is affected.");
}

}  // namespace holdfast::repo
