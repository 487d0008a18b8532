#include "sources/redis/target_lanes.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::redis {

namespace {

constexpr std::size_t in_flight_max = 8192;
constexpr std::size_t in_flight_bytes_max = 8 * 1024 * 1024;
constexpr std::size_t in_flight_of_cluster_max = 64;
constexpr std::size_t send_bytes = 128 * 1024;
constexpr std::uint64_t kept_bytes_max = 256 * 1024;
constexpr int moves_max = 100;
constexpr Nanoseconds pause_between_moves = one_second / 10;

// "MOVED 3999 127.0.0.1:6381"; without a host it is the one that said so.
std::pair<std::string, int> place_in(const std::string& text, const std::string& host) {
    const std::size_t at = text.rfind(' ') + 1, colon = text.rfind(':');
    std::pair<std::string, int> out{host, 0};
    if (colon == std::string::npos || colon < at) return out;
    if (colon > at) out.first = text.substr(at, colon - at);
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), out.second);
    return out;
}

}  // namespace

bool is_move(const Reply& got) {
    return got.is_error() && (got.text.starts_with("MOVED ") || got.text.starts_with("ASK ") ||
                              got.text.starts_with("TRYAGAIN") || got.text.starts_with("CLUSTERDOWN"));
}

TargetLanes::TargetLanes(World& world, const Endpoint& endpoint, Refused refused)
    : world_(world), endpoint_(endpoint), refused_(std::move(refused)) {
    lanes_[{endpoint.host, endpoint.port}] = std::make_unique<Lane>(world, endpoint);
    if (info_value(any().ask({"INFO", "cluster"}).text, "cluster_enabled") == "1") learn_slots();
}

void TargetLanes::learn_slots() {
    shards_ = ask_cluster(any());
    place_of_slot_.assign(cluster_slots, {});
    for (const Shard& shard : shards_)
        for (std::size_t slot = 0; slot < shard.slots.size(); ++slot)
            if (shard.slots[slot]) place_of_slot_[slot] = shard.servers.front();
    if (const Slots served = served_by(shards_); !served.all())
        throw nobody_serves(~served, endpoint_, Code::target_failed).unharmed("nothing was written to the target");
    // Whoever was named may be a replica.
    const Place first = shards_.front().servers.front();
    if (!lanes_.contains(first)) lane_at(first);
    std::erase_if(lanes_, [&](const auto& lane) {
        return std::ranges::none_of(shards_, [&](const Shard& each) { return each.servers.front() == lane.first; });
    });
}

TargetLanes::Lane& TargetLanes::lane_at(const Place& place) {
    std::unique_ptr<Lane>& lane = lanes_[place];
    if (!lane) {
        Endpoint endpoint = endpoint_;
        std::tie(endpoint.host, endpoint.port) = place;
        lane = std::make_unique<Lane>(world_, endpoint);
    }
    return *lane;
}

TargetLanes::Lane& TargetLanes::lane_of(std::string_view name) {
    if (!is_cluster()) return *lanes_.begin()->second;
    return lane_at(place_of_slot_[static_cast<std::size_t>(slot_of(name))]);
}

void TargetLanes::for_each(const std::function<void(Connection&, const Slots&)>& each) {
    drain();
    if (!is_cluster()) return each(any(), ~Slots());
    for (const Shard& shard : shards_) each(lane_at(shard.servers.front()).connection, shard.slots);
}

void TargetLanes::select(std::uint64_t database) {
    if (selected_ == database) return;
    drain();
    const Reply got = any().try_ask({"SELECT", fmt::format("{}", database)});
    if (got.text.find("out of range") != std::string::npos)
        throw Error{Code::target_failed, "the server at {} has no database {}", endpoint_.place(), database}
            .unharmed("nothing was changed at the target")
            .hint(
                "Its configuration says how many it has (databases); a single one comes under another number by "
                "--include NUMBER and a target that ends in /NUMBER.");
    if (got.is_error()) any().fail(got, "SELECT");
    selected_ = database;
}

void TargetLanes::begin(const std::string& name, std::uint64_t bytes) {
    is_kept_ = is_cluster() && bytes <= kept_bytes_max;
    sending_ = {name, {}, {}, 0, false, false};
    if (is_cluster() && !is_kept_)
        find_place(name);
    else
        lane_ = &lane_of(name);
}

// It cannot be sent twice, so it must go to the right one.
void TargetLanes::find_place(const std::string& name) {
    lane_ = &lane_of(name);
    for (int moves = 0; moves < moves_max; ++moves) {
        drain(*lane_, 0);
        const Reply got = lane_->connection.try_ask({"EXISTS", name});
        if (!is_move(got)) return;
        const Place place = place_in(got.text, lane_->connection.endpoint().host);
        if (place.second == 0) {
            world_.clock.sleep(pause_between_moves);
            continue;
        }
        lane_ = &lane_at(place);
        if (got.text.starts_with("ASK ")) {
            drain(*lane_, 0);
            lane_->connection.ask({"ASKING"});
            return;
        }
        place_of_slot_[static_cast<std::size_t>(slot_of(name))] = place;
    }
    throw Error{Code::target_failed, "no server of the cluster takes key {}", printable(name)};
}

void TargetLanes::put(ByteView bytes) {
    if (is_kept_)
        append(sending_.command, bytes);
    else
        lane_->connection.put_raw(bytes);
}

void TargetLanes::end() {
    if (is_kept_) lane_->connection.put_raw(sending_.command);
    lane_->kept_bytes += sending_.kept.size();
    lane_->sent.push_back(std::move(sending_));
    // The server is to have it while the next ones are made.
    if (lane_->connection.unsent() >= send_bytes) lane_->connection.flush();
    drain_if_full(*lane_);
}

void TargetLanes::drain() {
    // What moves goes to other lanes.
    const auto is_busy = [](const auto& lane) { return !lane.second->sent.empty(); };
    while (std::ranges::any_of(lanes_, is_busy)) {
        std::vector<Lane*> all;
        for (const auto& [place, lane] : lanes_) all.push_back(lane.get());
        for (Lane* const lane : all) drain(*lane, 0);
    }
}

// Reads answers until at most so many are due; then half of them, so that the server always has something to do.
void TargetLanes::drain(Lane& lane, std::size_t most) {
    if (lane.sent.size() <= most) return;
    while (lane.sent.size() > most / 2) take(lane);
}

void TargetLanes::drain_if_full(Lane& lane) {
    if (lane.kept_bytes > in_flight_bytes_max) return drain(lane, lane.sent.size() - 1);
    drain(lane, is_cluster() ? in_flight_of_cluster_max : in_flight_max);
}

void TargetLanes::take(Lane& lane) {
    const Reply got = lane.connection.reply();
    Sent sent = std::move(lane.sent.front());
    lane.sent.pop_front();
    lane.kept_bytes -= sent.kept.size();
    if (sent.is_asking) return;
    if (is_cluster() && is_move(got) && !sent.command.empty()) {
        if (got.text.starts_with("MOVED ") || got.text.starts_with("ASK ")) {
            const Place place = place_in(got.text, lane.connection.endpoint().host);
            const bool is_for_good = got.text.starts_with("MOVED ");
            if (is_for_good) place_of_slot_[static_cast<std::size_t>(slot_of(sent.name))] = place;
            Lane& there = lane_at(place);
            if (!is_for_good) {
                there.connection.put({"ASKING"});
                there.sent.push_back({"", {}, {}, 0, true, false});
            }
            there.connection.put_raw(sent.command);
            if (++sent.moves > moves_max) refused_(sent.name, got, sent.kept);
            there.sent.push_back(std::move(sent));
            return;
        }
        send_again(std::move(sent), got);
        return;
    }
    // Other numbers are of EXISTS: of what is there.
    const bool is_undone = got.kind == Reply::Kind::number && got.number != (sent.is_done_when_one ? 1 : 0);
    if (got.is_error() || got.kind == Reply::Kind::nil || is_undone) refused_(sent.name, got, sent.kept);
}

// For a moment nobody serves its slot.
void TargetLanes::send_again(Sent&& sent, const Reply& got) {
    if (++sent.moves > moves_max) refused_(sent.name, got, sent.kept);
    world_.clock.sleep(pause_between_moves);
    Lane& lane = lane_of(sent.name);
    lane.connection.put_raw(sent.command);
    lane.sent.push_back(std::move(sent));
}

}  // namespace holdfast::redis
