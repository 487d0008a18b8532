// app/origins.h: where a restore takes its snapshot from: the nearest repository that has it whole.
//
// Shape    Origins origins(context, plan); origins.next() opens the repository of -r or a copy of it, and says why that one;
//          asked again, the next nearest
// Order    a folder before what lies in the network; else by how soon the store answers, measured
// Errors   what was wrong with the repository of -r, when there is nothing else to take
// Threads  one
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "app/context.h"
#include "app/select.h"
#include "base/error.h"

namespace holdfast::app {

struct OriginsPlan {
    Wanted wanted;
    bool writes_over = false;  // something is lost when the snapshot is older than who asked for it thinks
    bool begins_once = false;  // what lacks something must be known before anything is written
};

struct Origin {
    std::string name;
    std::unique_ptr<repo::Repository> repository;
    Wanted wanted;  // what to select there
};

class Origins {
public:
    Origins(Context& context, OriginsPlan plan);

    Origin next();
    // What came of reading `from`: whether next() may help.
    bool go_on_after(const Error& error, const Origin& from, bool is_damaged);

private:
    struct Candidate {
        RepositoryChoice choice;
        bool is_asked = false;
        bool is_local = false;
        std::optional<Nanoseconds> answer = {};  // measured; much when there was none
    };
    void look_into_the_asked();
    void bring_the_nearest_to_the_front();
    Origin open(const Candidate& candidate);
    const repo::Snapshot& selected_in(const Origin& origin) const;
    void refuse_older(const Origin& origin) const;
    void say_why(const Candidate& candidate, const Origin& origin) const;
    Error with_hint(Error error) const;

    Context& context_;
    const OriginsPlan plan_;
    std::string asked_name_;
    std::deque<Candidate> left_;
    std::vector<std::string> others_;
    bool has_begun_ = false;
    std::unique_ptr<repo::Repository> asked_;  // open, until it is handed out
    std::vector<std::string> remarks_;         // and
    std::optional<Wanted> chosen_;             // what the one of -r says that is wanted, by its id
    std::optional<Error> failure_;             // of the one of -r
};

}  // namespace holdfast::app
