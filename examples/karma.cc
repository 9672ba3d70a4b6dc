// A bot in C++17 that keeps count of what people think of things: "tea++", "meetings--"; "karma"
// lists the best. The counts are kept in a file.
//
// Build:  cc -c -x c -DRTM_IMPLEMENTATION rtm.h -o rtm.o    (the implementation is C, apart)
//         c++ -std=c++17 examples/karma.cc rtm.o -o karma -lbearssl
// Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./karma karma.txt    (see echo_bot.c)
#include "rtm.h"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>

using Handler = std::function<void(const rtm_event &)>;
using Counts = std::map<std::string, long>;

// C takes no lambda that captures something: one that captures nothing calls it, by way of `user`.
// No exception may leave that one, since C would not pass it on.
static void on(rtm_client *bot, const char *type, Handler &handler) {
    auto call = [](rtm_client *, const rtm_event *event, void *user_data) {
        try {
            (*static_cast<Handler *>(user_data))(*event);
        } catch (const std::exception &e) {
            std::cerr << "karma: " << e.what() << std::endl;
        }
    };
    if (rtm_on(bot, type, call, &handler) != RTM_OK) throw std::bad_alloc();
}

static std::string text_of(rtm_json json, const char *path) {
    const rtm_json value = rtm_json_get(json, path);
    std::string text(rtm_json_string(value, nullptr, 0), '\0');
    rtm_json_string(value, text.data(), text.size() + 1); // a std::string ends with a NUL, too
    return text;
}

// The old file stays until the new one is whole.
static void save(const Counts &counts, const std::string &path) {
    std::ofstream file(path + ".new");
    for (const auto &[thing, count] : counts) file << count << ' ' << thing << '\n';
    file.close();
    if (!file) throw std::runtime_error("cannot write " + path + ".new");
    std::filesystem::rename(path + ".new", path);
}

// What there is to say to a message, or nothing.
static std::string answer(const std::string &text, Counts &counts, const std::string &path) {
    std::ostringstream lines;
    std::istringstream words(text);
    std::multimap<long, std::string> best;
    for (std::string word, end; words >> word;) {
        if (word.size() < 3) continue;
        end = word.substr(word.size() - 2);
        if (end != "++" && end != "--") continue;
        word.resize(word.size() - 2);
        lines << word << ": " << (counts[word] += end == "++" ? 1 : -1) << '\n';
    }
    if (lines.tellp() > 0) save(counts, path);
    if (text != "karma") return lines.str();
    for (const auto &[thing, count] : counts) best.emplace(-count, thing);
    if (best.size() > 10) best.erase(std::next(best.begin(), 10), best.end());
    for (const auto &[count, thing] : best) lines << -count << ' ' << thing << '\n';
    return lines.str() + (best.empty() ? "nothing yet" : "");
}

int main(int argc, char **argv) try {
    if (argc != 2) throw std::invalid_argument("usage: karma FILE");
    Counts counts;
    std::ifstream file(argv[1]);
    std::string thing;
    for (long count; file >> count >> thing;) counts[thing] = count;

    rtm_client *bot;
    Handler on_message = [&](const rtm_event &event) {
        if (rtm_json_raw(rtm_json_get(event.data, "bot_id"), nullptr)) return; // another bot, or we
        const std::string said = answer(text_of(event.data, "text"), counts, argv[1]);
        if (said.empty()) return;
        if (rtm_send_message(bot, text_of(event.data, "channel").c_str(), said.c_str()) < 0)
            throw std::runtime_error(rtm_error_detail(bot));
    };
    Handler on_error = [](const rtm_event &event) { throw std::runtime_error(event.detail); };
    rtm_config config{};
    config.token = std::getenv("SLACK_API_TOKEN");
    config.app_token = std::getenv("SLACK_APP_TOKEN");
    config.base_url = std::getenv("SLACK_API_URL");
    if (rtm_create(&config, &bot) != RTM_OK) throw std::runtime_error(rtm_error_detail(nullptr));
    std::unique_ptr<rtm_client, void (*)(rtm_client *)> owner(bot, rtm_destroy);
    on(bot, "message", on_message);
    on(bot, "error", on_error);
    if (rtm_run(bot) != RTM_OK) throw std::runtime_error(rtm_error_detail(bot));
} catch (const std::exception &e) {
    std::cerr << "karma: " << e.what() << '\n';
    return 1;
}
