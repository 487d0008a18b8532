#include "sources/command/command_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "base/error.h"
#include "base/file.h"
#include "base/redact.h"

namespace holdfast {

namespace {

struct Outcome {
    std::string text;
    std::optional<Error> error;
};

class CommandSourceTest : public testing::Test {
protected:
    Outcome run(const SourceOptions& options) {
        Outcome out;
        try {
            const auto source = command_source_type.make("dump", options);
            const auto capture = source->begin({world_});
            Batch batch;
            EXPECT_TRUE(capture->next(batch));
            item_ = batch.entries.at(0).item;
            EXPECT_EQ(batch.entries.at(0).version, "");
            {
                const auto opened = capture->open(batch, batch.entries[0]);
                Bytes buffer(1000);
                while (const std::size_t got = opened.data->read(buffer).bytes)
                    out.text += as_text(ByteView(buffer).first(got));
            }
            EXPECT_FALSE(capture->next(batch));
            capture->finish();
        } catch (const Error& error) {
            out.error = error;
        }
        return out;
    }
    Outcome shell(const std::string& script, SourceOptions options = {}) {
        options["run"] = {"sh", "-c", script};
        return run(options);
    }

    Stop stop_;
    World world_{system_clock(), system_random(), stop_, stderr_log(Level::error)};
    Item item_;
};

// What comes on standard input, for as long as it lives.
class StandardInput {
public:
    explicit StandardInput(std::string_view text) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) ADD_FAILURE() << "no pipe";
        const Fd read(ends[0]);
        const Fd write(ends[1]);
        write_all(write.get(), as_bytes(text), "pipe");
        ::dup2(read.get(), STDIN_FILENO);
    }
    ~StandardInput() { ::dup2(before_.get(), STDIN_FILENO); }

private:
    const Fd before_{::dup(STDIN_FILENO)};
};

}  // namespace

TEST_F(CommandSourceTest, stores_what_a_command_prints) {
    const Outcome out = shell("seq 1 3000; echo said >&2");
    EXPECT_FALSE(out.error);
    EXPECT_EQ(out.text.size(), 13'893U);
    EXPECT_EQ(item_.path, "dump");
    EXPECT_EQ(item_.mode, 0600U);
    EXPECT_EQ(item_.kind, ItemKind::file);
    EXPECT_NE(item_.mtime_s, 0);
}

TEST_F(CommandSourceTest, names_the_item_by_its_argument) {
    shell("echo x", {{"argument", {"orders.sql"}}});
    EXPECT_EQ(item_.path, "orders.sql");
}

TEST_F(CommandSourceTest, fails_with_what_the_command_said_last) {
    const Outcome out = shell("echo half; echo 'no such database' >&2; exit 3");
    ASSERT_TRUE(out.error);
    EXPECT_EQ(out.error->code(), Code::source_failed);
    EXPECT_EQ(out.error->exit_status(), 15);
    EXPECT_EQ(out.error->message(), "sh ended with exit status 3: no such database");
    EXPECT_EQ(out.text, "half\n");
}

TEST_F(CommandSourceTest, fails_when_the_command_is_killed) {
    const Outcome out = shell("echo half; kill -9 $$");
    ASSERT_TRUE(out.error);
    EXPECT_EQ(out.error->message(), "sh was killed by signal 9");
}

TEST_F(CommandSourceTest, fails_when_it_prints_nothing_unless_that_is_fine) {
    const Outcome out = shell("true");
    ASSERT_TRUE(out.error);
    EXPECT_EQ(out.error->message(), "sh printed nothing");
    EXPECT_FALSE(shell("true", {{"allow_empty", {"true"}}}).error);
    EXPECT_TRUE(shell("false", {{"allow_empty", {"true"}}}).error);
}

TEST_F(CommandSourceTest, fails_when_it_takes_too_long) {
    const Outcome silent = shell("echo half; sleep 1000", {{"timeout", {"50ms"}}});
    ASSERT_TRUE(silent.error);
    EXPECT_EQ(silent.error->message(), "sh took longer than 50 ms");
    const Outcome closed = shell("echo all; exec >&-; sleep 1000", {{"timeout", {"50ms"}}});
    ASSERT_TRUE(closed.error);
    EXPECT_EQ(closed.error->message(), "sh took longer than 50 ms");
    const Outcome endless = shell("yes", {{"timeout", {"50ms"}}});
    ASSERT_TRUE(endless.error);
}

TEST_F(CommandSourceTest, fails_when_there_is_no_such_command) {
    const Outcome out = run({{"run", {"no-such-command-at-all", "x"}}});
    ASSERT_TRUE(out.error);
    EXPECT_EQ(out.error->code(), Code::source_failed);
}

TEST_F(CommandSourceTest, runs_nothing_that_nobody_reads) {
    const TemporaryFolder outside;
    const auto source = command_source_type.make("dump", {{"run", {"touch", outside.path() + "/ran"}}});
    const auto capture = source->begin({world_});
    Batch batch;
    while (capture->next(batch)) {
    }
    capture->finish();
    EXPECT_TRUE(std::filesystem::is_empty(outside.path()));
}

TEST_F(CommandSourceTest, stops_a_silent_command_when_it_is_told_to) {
    stop_.request(SIGINT);
    const Outcome out = shell("sleep 1000");
    ASSERT_TRUE(out.error);
    EXPECT_EQ(out.error->code(), Code::cancelled);
}

TEST_F(CommandSourceTest, reads_standard_input) {
    {
        const StandardInput input("from a pipe");
        const Outcome out = run({{"run", {"-"}}});
        EXPECT_FALSE(out.error);
        EXPECT_EQ(out.text, "from a pipe");
    }
    const StandardInput nothing("");
    const Outcome out = run({{"run", {"-"}}});
    ASSERT_TRUE(out.error);
    EXPECT_EQ(out.error->message(), "standard input was empty");
}

TEST_F(CommandSourceTest, refuses_options_that_make_no_sense) {
    const std::vector<SourceOptions> wrong{
        {},
        {{"run", {}}},
        {{"run", {""}}},
        {{"run", {"x"}}, {"timeout", {"soon"}}},
        {{"run", {"x"}}, {"timeout", {"0s"}}},
        {{"run", {"x"}}, {"argument", {"../up"}}},
        {{"run", {"x"}}, {"argument", {".."}}},
    };
    for (const SourceOptions& options : wrong) {
        const Outcome out = run(options);
        ASSERT_TRUE(out.error);
        EXPECT_EQ(out.error->code(), Code::config);
    }
}

TEST(Redacted, hides_what_looks_like_a_secret) {
    const std::vector<std::string> arguments{"pg_dump",      "--password=x",
                                             "--dbname",     "postgres://me:pa:ss@db:5432/shop",
                                             "--token",      "t",
                                             "PGPASSWORD=y", "--password",
                                             "-v",           "https://h/a@b",
                                             "--Secret-Key", "k",
                                             "plain=1"};
    const std::vector<std::string> expected{"pg_dump",
                                            "--password=***",
                                            "--dbname",
                                            "postgres://me:***@db:5432/shop",
                                            "--token",
                                            "***",
                                            "PGPASSWORD=***",
                                            "--password",
                                            "-v",
                                            "https://h/a@b",
                                            "--Secret-Key",
                                            "***",
                                            "plain=1"};
    EXPECT_EQ(redacted(arguments), expected);
}

}  // namespace holdfast
