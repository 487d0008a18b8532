// sources/redis/target_lanes.h: keys on their way into a running server, or into the masters of a cluster: many commands
// at once, each to where its key belongs.
//
// Shape    begin(key name, bytes), put(…), end(); answers are given to `refused` when they are no success
// Errors   target_failed
// Threads  one at a time
// Limits   in_flight_max commands without an answer for each master, and about in_flight_bytes_max; in a cluster, those of
//          up to kept_bytes_max are kept until they are answered, to be sent to where their slot has moved; before longer
//          ones it is asked where it is
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "clients/redis/cluster.h"

namespace holdfast::redis {

// The slot of what was asked for is elsewhere, or on its way there.
bool is_move(const Reply& got);

class TargetLanes {
public:
    // `kept` is what keep() was given.
    using Refused = std::function<void(const std::string& name, const Reply&, ByteView kept)>;
    TargetLanes(World& world, const Endpoint& endpoint, Refused refused);

    bool is_cluster() const { return !shards_.empty(); }
    Connection& any() { return lanes_.begin()->second->connection; }
    // Of every master, when all that was sent is answered.
    void for_each(const std::function<void(Connection&, const Slots&)>& each);
    void select(std::uint64_t database);

    void begin(const std::string& name, std::uint64_t bytes);
    void put(ByteView bytes);
    void put(std::string_view text) { put(as_bytes(text)); }
    void keep(Bytes&& kept) { sending_.kept = std::move(kept); }
    void done_when_one() { sending_.is_done_when_one = true; }  // its answer is 1 when it is done, else 0
    void end();
    void drain();

private:
    struct Sent {
        std::string name;
        Bytes command;  // in a cluster, unless it is long
        Bytes kept;
        int moves = 0;
        bool is_asking = false;  // the answer of what only announces the next one
        bool is_done_when_one = false;
    };
    struct Lane {
        Lane(World& world, const Endpoint& endpoint) : connection(world, endpoint, Code::target_failed) {}
        Connection connection;
        std::deque<Sent> sent;
        std::size_t kept_bytes = 0;
    };
    using Place = std::pair<std::string, int>;

    Lane& lane_at(const Place& place);
    Lane& lane_of(std::string_view name);
    void find_place(const std::string& name);
    void learn_slots();
    void drain(Lane& lane, std::size_t most);
    void drain_if_full(Lane& lane);
    void take(Lane& lane);
    void send_again(Sent&& sent, const Reply& got);

    World& world_;
    const Endpoint endpoint_;
    const Refused refused_;
    std::map<Place, std::unique_ptr<Lane>> lanes_;
    std::vector<Shard> shards_;
    std::vector<Place> place_of_slot_;
    std::uint64_t selected_ = 0;
    Lane* lane_ = nullptr;  // of the command that is being put
    Sent sending_;
    bool is_kept_ = false;
};

}  // namespace holdfast::redis
