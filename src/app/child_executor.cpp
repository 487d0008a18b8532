#include "app/child_executor.h"

#include <signal.h>

#include "base/text.h"

namespace holdfast::app {

void ConfigInUse::set(std::string_view text) { text_ = in_memory(text); }

ChildOptions own_child(std::vector<std::string> words, const ConfigInUse& config) {
    ChildOptions out;
    out.argv = {"/proc/self/exe", "-c", config.path(), "--config-stdin", "--no-input"};
    out.argv.insert(out.argv.end(), words.begin(), words.end());
    out.remove_environment = {};  // it opens the repository as we would
    for (const auto& [variable, secret] : config.secrets().taken())
        out.add_environment.emplace_back(variable, as_text(secret.reveal()));
    out.stdin_from = config.text();
    out.capture_stdout = false;
    out.own_session = true;
    return out;
}

void ChildExecutor::start(const policy::Job& job, const ledger::Run& run) {
    going_.push_back({run.id, std::make_unique<Child>(own_child({"run", job.name, "--run-id", run.id}, config_))});
}

std::vector<service::Executor::Ended> ChildExecutor::ended() {
    std::vector<Ended> out;
    for (auto each = going_.begin(); each != going_.end();) {
        const auto status = each->child->wait_until(std::chrono::steady_clock::now());
        if (!status) {
            ++each;
            continue;
        }
        const std::vector<std::string> lines = split(each->child->stderr_tail(), '\n');
        std::string complaint = "its process ended: " + status->text();
        for (const std::string& line : lines)
            if (line.starts_with("holdfast: ")) complaint = line;
        out.push_back({each->run, complaint});
        each = going_.erase(each);
    }
    return out;
}

void ChildExecutor::stop(const std::string& run, Urgency urgency) {
    for (const Going& each : going_) {
        if (each.run != run) continue;
        if (urgency == Urgency::at_once)
            each.child->kill(SIGKILL);  // with all that it has started
        else
            ::kill(each.child->pid(), SIGTERM);
    }
}

}  // namespace holdfast::app
