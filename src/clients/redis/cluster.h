// clients/redis/cluster.h: who serves which slots of a Redis Cluster.
//
// Shape    slot_of(key); ask_cluster(connection) gives the masters, by their first slot
// Errors   as clients/redis/connection.h
// Threads  values
// Source   redis: doc "cluster-spec"; src/crc16.c
#pragma once

#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "clients/redis/connection.h"

namespace holdfast::redis {

// Of the part in braces, when the key has one.
int slot_of(std::string_view key);

using Slots = std::bitset<cluster_slots>;
Slots parse_slots(std::string_view text);  // "0-5460,7000"
std::string to_text(const Slots& slots);

struct Shard {
    Endpoint master;
    std::vector<std::pair<std::string, int>> servers;  // host and port of all of them, the master first
    Slots slots;
    int first_slot() const;
};
std::vector<Shard> ask_cluster(Connection& connection);
std::vector<Shard> shards_in(const Reply& slots, const Endpoint& asked);  // of CLUSTER SLOTS
Slots served_by(const std::vector<Shard>& shards);
Error nobody_serves(const Slots& slots, const Endpoint& asked, Code failure);
// Those that went to another set of slots; a failover moves none.
Slots moved_between(const std::vector<Shard>& before, const std::vector<Shard>& after);

// Of the server that is asked, or of its master; none when it belongs to no cluster.
struct OwnSlots {
    Slots served;
    Slots moving;                    // on their way here or to another master
    std::vector<std::string> nodes;  // ids of all servers of the cluster
};
OwnSlots own_slots(Connection& connection);

}  // namespace holdfast::redis
