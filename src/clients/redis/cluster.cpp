#include "clients/redis/cluster.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/text.h"

namespace holdfast::redis {

namespace {

// CRC-16/XMODEM.
std::uint16_t crc16(std::string_view text) {
    std::uint16_t out = 0;
    for (const char c : text) {
        out = static_cast<std::uint16_t>(out ^ (static_cast<std::uint8_t>(c) << 8));
        for (int bit = 0; bit < 8; ++bit)
            out = static_cast<std::uint16_t>((out & 0x8000) != 0 ? (out << 1) ^ 0x1021 : out << 1);
    }
    return out;
}

void add_range(Slots& out, std::string_view range) {
    int first = -1, last = -1;
    const char* const end = range.data() + range.size();
    const auto [at, problem] = std::from_chars(range.data(), end, first);
    if (problem != std::errc{}) return;
    last = first;
    if (at != end && *at == '-') std::from_chars(at + 1, end, last);
    for (int slot = std::max(first, 0); slot <= std::min(last, cluster_slots - 1); ++slot)
        out.set(static_cast<std::size_t>(slot));
}

}  // namespace

int slot_of(std::string_view key) {
    if (const std::size_t open = key.find('{'); open != std::string_view::npos)
        if (const std::size_t close = key.find('}', open + 1); close != std::string_view::npos && close > open + 1)
            key = key.substr(open + 1, close - open - 1);
    return crc16(key) % cluster_slots;
}

Slots parse_slots(std::string_view text) {
    Slots out;
    for (const std::string& range : split(text, ',')) add_range(out, range);
    return out;
}

std::string to_text(const Slots& slots) {
    std::string out;
    for (std::size_t slot = 0; slot < slots.size(); ++slot) {
        if (!slots[slot]) continue;
        const std::size_t first = slot;
        while (slot + 1 < slots.size() && slots[slot + 1]) ++slot;
        out += fmt::format("{}{}", out.empty() ? "" : ",", first);
        if (slot > first) out += fmt::format("-{}", slot);
    }
    return out;
}

int Shard::first_slot() const {
    int out = 0;
    while (out < cluster_slots && !slots[static_cast<std::size_t>(out)]) ++out;
    return out;
}

std::vector<Shard> ask_cluster(Connection& connection) {
    return shards_in(connection.ask({"CLUSTER", "SLOTS"}), connection.endpoint());
}

std::vector<Shard> shards_in(const Reply& slots, const Endpoint& asked) {
    std::map<std::pair<std::string, int>, Shard> shards;
    for (const Reply& range : slots.list) {
        if (range.list.size() < 3) continue;
        std::vector<std::pair<std::string, int>> servers;
        for (std::size_t i = 2; i < range.list.size(); ++i) {
            const std::vector<Reply>& server = range.list[i].list;
            if (server.size() < 2) continue;
            // A server that does not know its own address is the one that was asked.
            const std::string& host = server[0].text.empty() ? asked.host : server[0].text;
            servers.emplace_back(host, static_cast<int>(server[1].number));
        }
        if (servers.empty()) continue;
        Shard& shard = shards[servers.front()];
        shard.master = asked;
        shard.master.slot.reset();
        shard.master.others.clear();
        shard.master.host = servers.front().first;
        shard.master.port = servers.front().second;
        shard.servers = std::move(servers);
        add_range(shard.slots, fmt::format("{}-{}", range.list[0].number, range.list[1].number));
    }
    std::vector<Shard> out;
    for (auto& [place, shard] : shards) out.push_back(std::move(shard));
    std::ranges::sort(out, {}, &Shard::first_slot);
    return out;
}

Slots served_by(const std::vector<Shard>& shards) {
    Slots out;
    for (const Shard& shard : shards) out |= shard.slots;
    return out;
}

Error nobody_serves(const Slots& slots, const Endpoint& asked, Code failure) {
    return Error{failure, "nobody in the cluster at {} serves the slots {}", asked.place(), to_text(slots)}.hint(
        "CLUSTER NODES lists who serves what.");
}

Slots moved_between(const std::vector<Shard>& before, const std::vector<Shard>& after) {
    Slots out;
    for (const Shard& shard : before) {
        Slots kept;
        for (const Shard& other : after)
            if (const Slots both = shard.slots & other.slots; both.count() > kept.count()) kept = both;
        out |= shard.slots & ~kept;
    }
    return out;
}

OwnSlots own_slots(Connection& connection) {
    OwnSlots out;
    const Reply got = connection.try_ask({"CLUSTER", "NODES"});
    if (got.is_error()) return out;
    // "ID HOST:PORT@BUS FLAGS MASTER PING PONG EPOCH LINK SLOT SLOT-SLOT [SLOT->-ID] [SLOT-<-ID] …"
    std::map<std::string, std::vector<std::string>> nodes;
    std::string id;
    for (const std::string& line : split(got.text, '\n')) {
        std::vector<std::string> words = split(line, ' ');
        if (words.size() < 8) continue;
        if (words[2].starts_with("myself")) id = words[3] == "-" ? words[0] : words[3];
        out.nodes.push_back(words[0]);
        nodes[words[0]] = std::move(words);
    }
    if (const auto found = nodes.find(id); found != nodes.end())
        for (std::size_t i = 8; i < found->second.size(); ++i) {
            const std::string& word = found->second[i];
            if (word.starts_with('['))
                add_range(out.moving, word.substr(1));
            else
                add_range(out.served, word);
        }
    return out;
}

}  // namespace holdfast::redis
