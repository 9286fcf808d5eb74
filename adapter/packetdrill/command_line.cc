#include "command_line.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace lastack::packetdrill {
namespace {

struct Words {
  Flags flags;

  // The last one wins, as on packetdrill's command line.
  void take(std::string_view word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return;
    const std::string_view name = word.substr(0, equals), value = word.substr(equals + 1);
    if (name == "--local_ip") {
      if (const auto address = IpAddress::parse(value)) flags.local = *address;
    } else if (name == "--mtu") {
      std::uint16_t mtu = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), mtu);
      if (error == std::errc() && end == value.data() + value.size() && mtu >= 68) flags.mtu = mtu;
    }
  }
};

void take_words(Words& words, std::istream& from) {
  for (std::string word; from >> word;) words.take(word);
}

// Options stand at the head of a script, a line each.
void take_script(Words& words, const std::string& path) {
  std::ifstream script(path);
  for (std::string line; std::getline(script, line);) {
    if (!line.starts_with("--")) continue;
    line.resize(std::min(line.find("//"), line.size()));
    std::istringstream of_line(line);
    take_words(words, of_line);
  }
}

std::vector<std::string> command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

}  // namespace

Flags read_flags(const char* so_flags) {
  Words words;
  const std::vector<std::string> arguments = command_line();
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (!arguments[i].starts_with('-')) take_script(words, arguments[i]);
  }
  for (const std::string& argument : arguments) words.take(argument);
  std::istringstream named(so_flags == nullptr ? "" : so_flags);
  take_words(words, named);
  return words.flags;
}

}  // namespace lastack::packetdrill
