// Every decoder of the repository: whatever the bytes, it parses or throws `corrupt` (or says that the format is newer).
#include "base/error.h"
#include "repo/keys.h"
#include "repo/log.h"
#include "repo/pack.h"
#include "repo/proof_note.h"
#include "repo/signed.h"
#include "repo/state.h"
#include "repo/tree.h"

namespace {

using holdfast::Code;
using holdfast::Error;

template <class Parse>
void expect_refusal_or_success(Parse parse) {
    try {
        parse();
    } catch (const Error& error) {
        const Code code = error.code();
        if (code != Code::corrupt && code != Code::newer_format && code != Code::no_repository) throw;
    }
}

}  // namespace

using namespace holdfast::repo;

void fuzz_repo_config(holdfast::ByteView input) {
    expect_refusal_or_success([&] { decode_config(input); });
}

void fuzz_repo_signed(holdfast::ByteView input) {
    for (int kind = 1; kind <= 8; ++kind)
        expect_refusal_or_success([&] { parse_signed(input, static_cast<SignedKind>(kind), "input"); });
}

void fuzz_repo_note_detail(holdfast::ByteView input) {
    ProofRecord proof;
    expect_refusal_or_success([&] { decode_detail(input, proof); });
    RunRecord run;
    expect_refusal_or_success([&] { decode_detail(input, run); });
}

void fuzz_repo_fragment_entry(holdfast::ByteView input) {
    expect_refusal_or_success([&] { decode_fragment(input); });
}

void fuzz_repo_pack(holdfast::ByteView input) {
    expect_refusal_or_success([&] { scan_pack(input, "input", [](const auto&, const auto&, auto) {}); });
    expect_refusal_or_success([&] { parse_section(input, "input"); });
    expect_refusal_or_success([&] { parse_record(input, "input"); });
}

void fuzz_repo_tree_node(holdfast::ByteView input) {
    const std::size_t half = input.size() / 2;
    expect_refusal_or_success([&] { check_node_syntax(input.first(half), input.subspan(half)); });
    expect_refusal_or_success([&] { check_node_syntax(input, input); });
}

void fuzz_repo_state(holdfast::ByteView input) {
    expect_refusal_or_success([&] { parse_state_block(input); });
    expect_refusal_or_success([&] { parse_state_root(input); });
    expect_refusal_or_success([&] { parse_state_pieces(input); });
}
