// Makes the golden repository of the format that this tree writes: make_golden FOLDER (see README.md).
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "base/file.h"
#include "engine/back_up.h"
#include "engine/facts.h"
#include "engine/maintain.h"
#include "golden.h"
#include "repo/keys.h"
#include "sources/command/command_source.h"
#include "sources/files/files_source.h"
#include "stores/local/local_store.h"
#include "testing/memory_source.h"
#include "testing/nasty_tree.h"
#include "testing/small_repository.h"

namespace holdfast::golden {
namespace {

constexpr std::string_view passphrase = "a golden passphrase, known to everybody";
constexpr std::string_view key = "a golden key file: thirty-two bytes or more, known to everybody\n";

constexpr std::string_view reader_key = "a golden key file of the role reader, known to everybody\n";
constexpr std::string_view writer_key = "a golden key file of the role writer, known to everybody\n";

class Maker {
public:
    explicit Maker(std::string folder) : folder_(std::move(folder)) {
        LocalStore store(place_, LocalStore::Open::create);
        const repo::Unlock unlock{repo::Unlock::Way::passphrase, Secret(as_bytes(passphrase))};
        // Small sizes, so that little data has many chunks and packs.
        repo::Repository::init(store, unlock,
                               {.label = "golden", .chunk_sizes = {4096, 8192, 16384}, .pack_bytes = 64 * 1024},
                               sim_.world());
        repository_ = repo::Repository::open(std::make_unique<LocalStore>(place_, LocalStore::Open::existing), unlock,
                                             {}, sim_.world());
        repository_->add_key(testing_support::test_key(key), {"key file"});
        repository_->add_key(testing_support::test_key(reader_key), {"reader", repo::Role::reader});
        repository_->add_key(testing_support::test_key(writer_key), {"writer", repo::Role::writer, {}, "apart"});
    }

    void make() {
        make_first_tree();
        const repo::Snapshot first = back_up(*files());
        change_tree();
        tell(back_up(*files()), tree_, describe_folder(tree_));
        change_tree_again();
        tell(back_up(*files()), tree_, describe_folder(tree_));
        tell_of_a_command();
        tell_of_facts();
        tell_of_another_domain();
        engine::forget(*repository_,
                       {.ids = {first.id}, .keep = {}, .policies = {}, .source = {}, .allow_last = false});
        manifest_ += "forgotten " + first.id.hex() + "\n";
        engine::Progress progress;
        const engine::PruneReport pruned = engine::prune(*repository_, {.dry_run = false, .unused_max = 0}, progress);
        HF_ASSERT(pruned.packs_deleted > 0);
        write();
    }

private:
    std::unique_ptr<Source> files() { return files_source_type.make("golden-files", {{"paths", {tree_}}}); }
    repo::Snapshot back_up(Source& source) {
        sim_.clock.advance(3600 * one_second);
        engine::Progress progress;
        return engine::back_up(source, *repository_, {{{"made", "golden"}}, "golden-host", false, false}, progress)
            .snapshot;
    }
    void tell(const repo::Snapshot& snapshot, const std::string& root, const std::vector<std::string>& lines) {
        manifest_ += fmt::format("snapshot {} {} {}\n", snapshot.id.hex(), snapshot.source, root);
        for (const std::string& line : lines) manifest_ += line + "\n";
    }

    void make_first_tree() {
        std::filesystem::create_directories(tree_ + "/folder/below");
        write_text(tree_ + "/small", "small\n");
        write_text(tree_ + "/empty", "");
        write_text(tree_ + "/large", testing_support::noise(1, 60'000));
        write_text(tree_ + "/folder/below/text", std::string(30'000, 'x') + "compresses");
        write_text(tree_ + "/folder/with space, %, \n and \xc3\xbc", "odd");
        write_text(tree_ + "/folder/not utf-8 \xff\xfe", "odder");
        std::filesystem::create_symlink("../nowhere at all", tree_ + "/folder/link");
        std::filesystem::create_hard_link(tree_ + "/small", tree_ + "/small again");
        const Fd sparse(::open((tree_ + "/sparse").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        write_all_at(sparse.get(), as_bytes("behind a hole"), 1'000'000, "sparse");
    }
    void change_tree() {
        write_text(tree_ + "/large", testing_support::noise(1, 30'000) + testing_support::noise(2, 30'000));
        write_text(tree_ + "/new", testing_support::noise(3, 5000));
    }
    void change_tree_again() {
        write_text(tree_ + "/new", testing_support::noise(4, 5000));
        std::filesystem::remove(tree_ + "/folder/below/text");
    }
    void tell_of_a_command() {
        const auto source =
            command_source_type.make("golden-command", {{"argument", {"numbers"}}, {"run", {"seq", "2000"}}});
        const std::string expected = place_ + "-command";
        std::filesystem::create_directories(expected);
        std::string numbers;
        for (int i = 1; i <= 2000; ++i) numbers += std::to_string(i) + "\n";
        write_text(expected + "/numbers", numbers);
        tell(back_up(*source), "-", describe_folder(expected));
    }
    void tell_of_facts() {
        const testing_support::MemoryTree tree{{"/rows", {testing_support::noise(5, 3000)}}};
        testing_support::MemorySource source(tree, "golden-facts");
        source.facts = Facts{"same-view", {{"shop/orders", "rows", "3000"}, {"shop/orders", "checksum", "c0ffee"}}};
        const repo::Snapshot snapshot = back_up(source);
        const std::string expected = place_ + "-facts";
        std::filesystem::create_directories(expected);
        write_text(expected + "/rows", tree.at("/rows").bytes);
        std::vector<std::string> lines = describe_folder(expected);
        for (const std::string& line : describe_facts(*engine::read_facts(*repository_, snapshot)))
            lines.push_back(line);
        tell(snapshot, "-", lines);
    }
    void tell_of_another_domain() {
        const auto writer = repo::Repository::open(std::make_unique<LocalStore>(place_, LocalStore::Open::existing),
                                                   testing_support::test_key(writer_key), {}, sim_.world());
        const testing_support::MemoryTree tree{{"/apart", {testing_support::noise(1, 60'000)}}};
        testing_support::MemorySource source(tree, "golden-apart");
        sim_.clock.advance(3600 * one_second);
        engine::Progress progress;
        const repo::Snapshot snapshot = engine::back_up(source, *writer, {{}, "golden-host"}, progress).snapshot;
        const std::string expected = place_ + "-apart";
        std::filesystem::create_directories(expected);
        write_text(expected + "/apart", tree.at("/apart").bytes);
        tell(snapshot, "-", describe_folder(expected));
        repository_->refresh();
    }
    void write() {
        std::filesystem::create_directories(folder_);
        pack_folder(place_, folder_ + "/repository.tar");
        write_text(folder_ + "/manifest", manifest_);
        write_text(folder_ + "/key", key);
        write_text(folder_ + "/reader-key", reader_key);
        write_text(folder_ + "/writer-key", writer_key);
        write_text(folder_ + "/passphrase", passphrase);
    }

    const std::string folder_;
    const TemporaryFolder temporary_;
    const std::string place_ = temporary_.path() + "/repository";
    const std::string tree_ = temporary_.path() + "/tree";
    SimWorld sim_{1};
    std::unique_ptr<repo::Repository> repository_;
    std::string manifest_;
};

}  // namespace
}  // namespace holdfast::golden

int main(int count, char** words) {
    if (count != 2) {
        std::cerr << "make_golden FOLDER\n";
        return 2;
    }
    try {
        holdfast::golden::Maker(words[1]).make();
    } catch (...) {
        std::cerr << render(holdfast::as_error(std::current_exception()));
        return 1;
    }
    std::cout << words[1] << ": made for format " << holdfast::repo::format_version << "\n";
}
