#include "app/deployed.h"

#include <filesystem>

#include "base/file.h"

namespace holdfast::app {

void write_out(Context& context, const std::vector<DeployedFile>& files, const std::string& folder,
               std::string_view separator) {
    if (folder.empty()) {
        for (const DeployedFile& file : files)
            context.out.bytes(
                as_bytes(fmt::format("{}{}", fmt::format(fmt::runtime(separator), file.name), file.text)));
        return;
    }
    std::filesystem::create_directories(folder);
    constexpr unsigned mode = 0644, executable = 0755;
    for (const DeployedFile& file : files) {
        write_file_durably(join_path(folder, file.name), as_bytes(file.text), file.executable ? executable : mode);
        context.out.say("wrote " + join_path(folder, file.name));
    }
}

}  // namespace holdfast::app
