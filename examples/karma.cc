// A bot in C++17 that counts votes of users on things: "tea++", "meetings--"; "karma" lists the
// best ten. The counts are kept in a file, one line each: COUNT THING.
//
// Build:  cc -c -x c -DRTM_IMPLEMENTATION rtm.h -o rtm.o    (the implementation is C)
//         c++ -std=c++17 examples/karma.cc rtm.o -o karma -lbearssl
// Run:    SLACK_APP_TOKEN=xapp-... SLACK_API_TOKEN=xoxb-... ./karma karma.txt    (see echo_bot.c)
//
// If the file exists and cannot be read completely, the bot does not start. Mentions and links are
// not counted, because each later reply would notify the users who are mentioned. At most 10,000
// things are counted, so that the file cannot grow without limit.
#include "rtm.h"
#include <cerrno>
#include <cstdio>
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
#include <utility>
#include <fcntl.h>
#include <unistd.h>

using Handler = std::function<void(const rtm_event &)>;
using Counts = std::map<std::string, long>;

static const std::size_t max_thing = 100;  // bytes
static const long max_count = 1000000000;
static const std::size_t max_things = 10000;
static const int max_lines = 20;           // things that one message can change

// Returns an environment variable, or nullptr if it is unset or empty.
static const char *setting(const char *name) {
    const char *value = std::getenv(name);
    return value && *value ? value : nullptr;
}

// A C callback cannot capture anything. This one captures nothing, and calls the handler that
// user_data points at. No exception may leave it: C code cannot pass exceptions on.
static void on(rtm_client *bot, const char *type, Handler &handler) {
    auto call = [](rtm_client *, const rtm_event *event, void *user_data) {
        try {
            (*static_cast<Handler *>(user_data))(*event);
        } catch (const std::exception &e) {
            std::cerr << "karma: " << e.what() << std::endl;
        }
    };
    if (rtm_on(bot, type, call, &handler) != RTM_OK)
        throw std::runtime_error(rtm_error_detail(bot));
}

static std::string text_of(rtm_json json, const char *path) {
    const rtm_json value = rtm_json_get(json, path);
    const std::size_t size = rtm_json_string(value, nullptr, 0);
    std::string text(size, '\0');
    if (rtm_json_string(value, text.data(), size + 1) != size) // a std::string ends with a NUL, too
        throw std::logic_error("a string has changed");
    return text;
}

static void replace_all(std::string &text, const std::string &from, const std::string &to) {
    std::size_t at = text.find(from);
    while (at != std::string::npos) {
        text.replace(at, from.size(), to);
        at = text.find(from, at + to.size());
    }
}

// What the user typed: Slack sends "&", "<" and ">" as "&amp;", "&lt;" and "&gt;".
static std::string unescape(std::string text) {
    replace_all(text, "&lt;", "<");
    replace_all(text, "&gt;", ">");
    replace_all(text, "&amp;", "&");
    return text;
}

static std::string escape(const std::string &text) {
    const std::size_t size = rtm_escape(text.c_str(), nullptr, 0);
    std::string escaped(size, '\0');
    if (rtm_escape(text.c_str(), escaped.data(), size + 1) != size)
        throw std::logic_error("a string has changed");
    return escaped;
}

// Can it be counted, and written to the file as one word of one line?
static bool is_thing(const std::string &thing) {
    if (thing.empty() || thing.size() > max_thing) return false;
    for (const char c : thing) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= ' ' || byte == 127) return false;
    }
    return true;
}

// A file that does not exist has no counts. Anything else that is not a file of counts is an error.
static Counts load(const std::string &path) {
    Counts counts;
    if (!std::filesystem::exists(path)) return counts;
    if (!std::filesystem::is_regular_file(path))
        throw std::runtime_error(path + " is not a regular file");
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::string line;
    int number = 0;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string thing, rest;
        long count = 0;
        number++;
        const bool has_both = static_cast<bool>(words >> count >> thing);
        const bool has_more = static_cast<bool>(words >> rest);
        const bool in_range = count >= -max_count && count <= max_count;
        if (!has_both || has_more || !in_range || !is_thing(thing) ||
            !counts.emplace(thing, count).second)
            throw std::runtime_error(path + ":" + std::to_string(number) +
                                     ": expected COUNT THING, each thing once");
    }
    if (file.bad()) throw std::runtime_error("cannot read " + path);
    return counts;
}

// Waits until a directory is on the disk, with the names of its files. Some file systems cannot do
// that on demand: EINVAL.
static void sync_directory(const std::string &path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
    if (fd >= 0 && close(fd) != 0) good = false;
    if (!good) throw std::runtime_error("cannot write " + path + " to the disk");
}

// The old file is replaced after the new one has been written completely, and is on the disk: then
// a power failure leaves one of the two. What is in the place of the new one is removed and not
// opened: it could be a FIFO, for which the bot would wait.
static void save(const Counts &counts, const std::string &path) {
    const std::string new_path = path + ".new";
    std::ostringstream lines;
    for (const auto &[thing, count] : counts) lines << count << ' ' << thing << '\n';
    std::FILE *file = nullptr;
    if (unlink(new_path.c_str()) == 0 || errno == ENOENT)
        file = std::fopen(new_path.c_str(), "wx"); // "x": only if it does not exist
    bool good = file && std::fputs(lines.str().c_str(), file) >= 0;
    good = good && std::fflush(file) == 0 && fsync(fileno(file)) == 0;
    if (file && std::fclose(file) != 0) good = false;
    if (!good) throw std::runtime_error("cannot write " + new_path);
    std::filesystem::rename(new_path, path);
    const std::filesystem::path parent = std::filesystem::path(path).parent_path();
    sync_directory(parent.empty() ? "." : parent.string());
}

// Counts the words of a message that end with "++" or "--". Returns the new counts, in lines.
static std::string count_words(const std::string &text, Counts &counts) {
    std::ostringstream lines;
    std::istringstream words(text);
    std::string word;
    int count_of_lines = 0;
    while (count_of_lines < max_lines && words >> word) {
        if (word.size() < 3 || word.find_first_of("<>") != std::string::npos) continue;
        const std::string end = word.substr(word.size() - 2);
        const std::string thing = unescape(word.substr(0, word.size() - 2));
        if ((end != "++" && end != "--") || !is_thing(thing)) continue;
        count_of_lines++;
        if (counts.size() >= max_things && counts.count(thing) == 0) {
            lines << escape(thing) << ": not counted, there are too many things\n";
            continue;
        }
        long &count = counts[thing];
        if (end == "++" && count < max_count) count++;
        if (end == "--" && count > -max_count) count--;
        lines << escape(thing) << ": " << count << '\n';
    }
    return lines.str();
}

static std::string best_ten(const Counts &counts) {
    std::multimap<long, std::string> best;
    std::ostringstream lines;
    for (const auto &[thing, count] : counts) {
        best.emplace(-count, thing);
        if (best.size() > 10) best.erase(std::prev(best.end()));
    }
    for (const auto &[count, thing] : best) lines << -count << ' ' << escape(thing) << '\n';
    return best.empty() ? "nothing yet" : lines.str();
}

static void run(const std::string &path) {
    Counts counts = load(path);
    rtm_client *bot = nullptr;
    Handler on_message = [&](const rtm_event &event) {
        if (rtm_json_raw(rtm_json_get(event.data, "bot_id"), nullptr)) return; // from a bot
        const std::string text = text_of(event.data, "text");
        const std::string channel = text_of(event.data, "channel");
        std::string reply = text == "karma" ? best_ten(counts) : count_words(text, counts);
        if (reply.empty()) return;
        if (text != "karma") save(counts, path);
        if (rtm_send_message(bot, channel.c_str(), reply.c_str()) < 0)
            throw std::runtime_error(rtm_error_detail(bot));
    };
    Handler on_error = [](const rtm_event &event) {
        throw std::runtime_error(event.result != RTM_OK ? event.detail : "Slack reports an error");
    };
    rtm_config config{};
    config.token = setting("SLACK_API_TOKEN");
    config.app_token = setting("SLACK_APP_TOKEN");
    config.base_url = setting("SLACK_API_URL");
    if (rtm_create(&config, &bot) != RTM_OK) throw std::runtime_error(rtm_error_detail(nullptr));
    const std::unique_ptr<rtm_client, void (*)(rtm_client *)> owner(bot, rtm_destroy);
    on(bot, "message", on_message);
    on(bot, "error", on_error);
    if (rtm_run(bot) != RTM_OK) throw std::runtime_error(rtm_error_detail(bot));
}

int main(int argc, char **argv) {
    if (argc != 2) {
        std::cerr << "usage: karma FILE\n";
        return 2;
    }
    try {
        run(argv[1]);
    } catch (const std::exception &e) {
        std::cerr << "karma: " << e.what() << '\n';
        return 1;
    }
    return 0;
}
