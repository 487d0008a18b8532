// sources/mongodb/replay_model.h: for tests: what an oplog is applied to, in memory.
//
// Threads  as ReplayTarget says
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "sources/mongodb/applier.h"

namespace holdfast::mongodb {

// Documents by the text of their _id, as JSON.
class ReplayModel final : public ReplayTarget {
public:
    std::map<std::string, std::map<std::string, std::string>> documents;
    std::map<std::string, std::vector<std::string>> indexes;
    std::map<std::string, std::string> views;  // their options
    std::map<std::string, std::string> time_series;
    std::vector<std::string> commands;
    std::uint64_t writes = 0;
    std::size_t held_bytes = 0, held_bytes_most = 0;  // fetched and not written yet, of one writer
    std::function<bool(const Namespace&)> wants = [](const Namespace& name) { return name.database != "other"; };
    std::function<void(const Namespace&)> before_write = [](const Namespace&) {};

    bool takes(const Namespace& name) override { return wants(name); }
    Order ready(const Namespace& name) override {
        documents[name.text()];
        return Order::any;
    }
    void fetch(const Namespace& name, const std::vector<Bytes>& ids,
               const std::function<void(ByteView)>& each) override {
        for (const Bytes& id : ids) {
            Bytes document;
            {
                const std::lock_guard lock(mutex_);
                const auto& here = documents[name.text()];
                const auto found = here.find(to_json(id));
                if (found == here.end()) continue;
                document = from_json(found->second);
                held_bytes += document.size();
                held_bytes_most = std::max(held_bytes_most, held_bytes);
            }
            each(document);
        }
    }
    void write(const Namespace& name, const std::vector<Bytes>& removed, const std::vector<Bytes>& added) override {
        before_write(name);
        const std::lock_guard lock(mutex_);
        ++writes;
        held_bytes = 0;
        for (const Bytes& id : removed) documents[name.text()].erase(to_json(id));
        for (const Bytes& each : added)
            documents[name.text()][to_json(Builder().add(*find(each, "_id")).done())] = to_json(each);
    }
    bool has(const Namespace& name) override { return documents.contains(name.text()) || views.contains(name.text()); }
    void create(const Collection& collection) override {
        const std::string name = collection.name.text();
        commands.push_back("create " + name + " " + to_json(collection.options));
        if (collection.is_view()) {
            views[name] = to_json(collection.options);
            return;
        }
        documents[name];
        if (collection.type == "timeseries") time_series[name] = to_json(collection.options);
    }
    void drop(const Namespace& name) override {
        forget(name.text());
        commands.push_back("drop " + name.text());
    }
    void empty(const Namespace& name) override { documents[name.text()].clear(); }
    void rename(const Namespace& from, const Namespace& to) override {
        auto moved = std::move(documents[from.text()]);
        auto moved_indexes = std::move(indexes[from.text()]);
        forget(from.text());
        forget(to.text());
        documents[to.text()] = std::move(moved);
        if (!moved_indexes.empty()) indexes[to.text()] = std::move(moved_indexes);
    }
    void modify(const Namespace& name, ByteView command) override {
        commands.push_back(name.text() + " " + to_json(command));
    }
    void add_index(const Namespace& name, ByteView index) override {
        if (!documents.contains(name.text())) return;
        drop_index(name, text_of(index, "name"));
        indexes[name.text()].push_back(text_of(index, "name"));
        commands.push_back("index " + name.text() + " " + to_json(index));
    }
    void drop_index(const Namespace& name, const std::string& index) override {
        std::erase(indexes[name.text()], index);
        if (indexes[name.text()].empty()) indexes.erase(name.text());
    }

    std::vector<std::string> of(const std::string& name) const {
        std::vector<std::string> out;
        const auto found = documents.find(name);
        if (found == documents.end()) return out;
        for (const auto& [id, document] : found->second) out.push_back(document);
        return out;
    }

private:
    void forget(const std::string& name) {
        documents.erase(name);
        indexes.erase(name);
        views.erase(name);
        time_series.erase(name);
    }
    std::mutex mutex_;  // guards documents and writes while there are writers
};

}  // namespace holdfast::mongodb
