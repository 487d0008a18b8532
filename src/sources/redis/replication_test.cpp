#include "sources/redis/replication.h"

#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/file.h"

namespace holdfast::redis {
namespace {

const std::string mark = "0123456789abcdefghijklmnopqrstuvwxyzABCD";

// Answers a replica's greeting, then sends each piece only when it is told to, so that no two come in one read.
class ScriptedMaster {
public:
    explicit ScriptedMaster(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, place().c_str(), sizeof address.sun_path - 1);
        listening_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listening_.get(), 1) != 0)
            throw Error{Code::failed, "the scripted master cannot listen at {}: {}", place(), errno_text(errno)};
        thread_ = std::jthread([this] { serve(); });
    }
    ~ScriptedMaster() { ::shutdown(listening_.get(), SHUT_RDWR); }

    Endpoint endpoint() const {
        Endpoint out;
        out.host = place();
        return out;
    }

private:
    std::string place() const { return folder_.path() + "/socket"; }

    void serve() {
        const Fd client(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        std::string said;
        std::array<char, 4096> buffer{};
        while (said.find("PSYNC") == std::string::npos) {
            const ssize_t got = ::read(client.get(), buffer.data(), buffer.size());
            if (got <= 0) return;
            said.append(buffer.data(), static_cast<std::size_t>(got));
            if (said.find("PSYNC") == std::string::npos) send(client, "+OK\r\n");
        }
        send(client, "+FULLRESYNC " + mark + " 0\r\n");
        for (const std::string& piece : pieces_) {
            send(client, piece);
            wait_until_read(client);
        }
    }

    static void send(const Fd& client, std::string_view text) {
        while (!text.empty()) {
            const ssize_t put = ::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL);
            if (put <= 0) return;  // the replica has gone
            text.remove_prefix(static_cast<std::size_t>(put));
        }
    }

    // What was sent to a socket of this kind counts as unsent until the other side has read it.
    static void wait_until_read(const Fd& client) {
        for (int left = 1; left > 0;) {
            if (::ioctl(client.get(), TIOCOUTQ, &left) != 0) return;
            std::this_thread::yield();
        }
    }

    const std::vector<std::string> pieces_;
    TemporaryFolder folder_{"replication-test"};
    Fd listening_;
    std::jthread thread_;
};

class ReplicationTest : public ::testing::Test {
protected:
    std::string read_all(const std::vector<std::string>& pieces, std::size_t at_once) {
        const ScriptedMaster master(pieces);
        Replication replication(world_, master.endpoint(), {});
        std::string out;
        Bytes buffer(at_once);
        while (const std::size_t got = replication.read_rdb(buffer)) out += as_text(ByteView(buffer).first(got));
        EXPECT_EQ(replication.read_rdb(buffer), 0U);
        return out;
    }

    Stop stop_;
    World world_{system_clock(), system_random(), stop_, stderr_log(Level::error)};
};

TEST_F(ReplicationTest, FindsTheMarkWhereverItIsCut) {
    const std::string head = "$EOF:" + mark + "\r\n";
    // The end of the data looks like the begin of the mark.
    for (const std::string& data :
         {std::string("REDIS data"), "data " + mark.substr(0, 39), std::string("x"), mark.substr(0, 16)})
        for (std::size_t cut = 0; cut <= data.size() + mark.size(); ++cut) {
            const std::string all = data + mark;
            for (const std::size_t at_once : {std::size_t{1}, std::size_t{39}, std::size_t{40}, std::size_t{4096}})
                EXPECT_EQ(read_all({head, all.substr(0, cut), all.substr(cut)}, at_once), data)
                    << cut << " " << at_once;
        }
}

TEST_F(ReplicationTest, FindsTheMarkThatComesByteByByte) {
    std::vector<std::string> pieces{"$EOF:" + mark + "\r\n"};
    for (const char c : "REDIS data" + mark) pieces.emplace_back(1, c);
    EXPECT_EQ(read_all(pieces, 4096), "REDIS data");
}

TEST_F(ReplicationTest, TakesNoDataForWholeWithoutItsMark) {
    const std::string head = "$EOF:" + mark + "\r\n";
    for (std::size_t cut = 0; cut < mark.size(); ++cut)
        EXPECT_THROW(read_all({head, "REDIS data" + mark.substr(0, cut)}, 4096), Error) << cut;
    EXPECT_THROW(read_all({"$100\r\n", "REDIS data"}, 4096), Error);
}

}  // namespace
}  // namespace holdfast::redis
