#include "lab/scenario/program_reader.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>

#include "model/printable.h"

namespace lastack::lab {
namespace {

constexpr std::array<std::string_view, 7> kSignals{"TERM", "INT",  "QUIT", "HUP",
                                                   "USR1", "USR2", "KILL"};
constexpr std::array kSignalNumbers{SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGKILL};
constexpr std::size_t kMostWords = 1000, kMostFiles = 100;

std::map<std::string, std::string> read_texts(TomlTable& t, std::string_view key,
                                              bool (*good)(const std::string&),
                                              std::string_view what) {
  std::map<std::string, std::string> all;
  auto inner = t.table(key);
  if (!inner) return all;
  for (const std::string& name : inner->keys()) {
    if (!good(name)) inner->wrong(name, what);
    all[name] = *inner->text(name);
    if (all.size() > kMostFiles) t.wrong(key, fmt::format("has more than {}", kMostFiles));
  }
  return all;
}

// "{sever.address}" is a mistake; any other brace is the program's own.
void check_places(TomlTable& t, std::string_view key, const std::string& text,
                  const std::map<std::string, std::string>& addresses) {
  constexpr std::string_view kEnd = ".address}";
  for (std::size_t at = text.find('{'); at != std::string::npos; at = text.find('{', at + 1)) {
    const std::size_t end = text.find_first_of("{} \t\n.", at + 1);
    if (end == std::string::npos || text.compare(end, kEnd.size(), kEnd) != 0) continue;
    const std::string name = text.substr(at + 1, end - at - 1);
    if (addresses.contains(name)) continue;
    std::vector<std::string_view> known;
    for (const auto& [host, address] : addresses) known.push_back(host);
    t.wrong(key,
            fmt::format("names no host: \"{{{}.address}}\"{}", printable(name), hint(name, known)));
  }
}

bool is_file_name(const std::string& name) {
  return !name.empty() && name.size() <= 100 && name[0] != '.' &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}
bool is_variable(const std::string& name) {
  return !name.empty() && name.find('=') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

void read_statuses(TomlTable& t, std::vector<int>& statuses) {
  const toml::node* node = t.node("status");
  if (node == nullptr) return;
  statuses.clear();
  const auto add = [&](const toml::node& one) {
    const auto* number = one.as_integer();
    if (number == nullptr || **number < 0 || **number > 255) {
      t.wrong("status",
              "has to be from 0 to 255 (128 and a signal's number, where that ended it), "
              "a list of such, or \"any\"");
    }
    statuses.push_back(static_cast<int>(**number));
  };
  if (const auto* word = node->as_string(); word != nullptr && **word == "any") return;
  const toml::array* list = node->as_array();
  if (list == nullptr || list->empty()) return add(*node);
  for (const toml::node& one : *list) add(one);
}

}  // namespace

std::vector<std::string> program_names(TomlTable& root) {
  std::vector<std::string> names;
  for (TomlTable& one : root.tables("program")) {
    const auto said = one.text("name");
    names.push_back(said ? plain_name(one, "name", *said)
                         : fmt::format("program{}", names.size() + 1));
  }
  return names;
}

ProgramSpec read_program(TomlTable& t, const Names& names, const Scenario& scenario,
                         const std::string& name) {
  ProgramSpec p;
  p.name = name;
  (void)t.node("name");
  p.host = names.needed_host(t, "host");
  for (const HostSpec& host : scenario.hosts) {
    p.addresses[host.name] = host.addresses.front().to_string();
    if (host.name == p.host && host.kind == HostKind::Endpoint)
      t.wrong("host", fmt::format("{} is an endpoint: real programs run on kernel hosts", p.host));
  }
  for (const NatSpec& nat : scenario.nats) p.addresses[nat.name] = nat.address.to_string();
  const toml::node* run = t.node("run");
  if (run == nullptr || run->as_array() == nullptr || run->as_array()->empty()) {
    t.wrong("run", run == nullptr ? "is missing: the program and its words, [\"curl\", \"-s\", "
                                    "\"http://{server.address}/\"]"
                                  : "has to be a list of texts, the program first; no shell reads "
                                    "it: [\"sh\", \"-c\", \"...\"] asks for one");
  }
  p.run = t.texts("run");
  if (p.run.front().empty()) t.wrong("run", "begins with an empty text: the program is missing");
  if (p.run.size() > kMostWords) t.wrong("run", fmt::format("has more than {} texts", kMostWords));
  for (const std::string& word : p.run) {
    if (word.find('\0') != std::string::npos) t.wrong("run", "has a text with a zero in it");
    check_places(t, "run", word, p.addresses);
  }
  p.files = read_texts(t, "files", is_file_name,
                       "is no name of a file in the folder of the run: it has no '/', and does not "
                       "begin with '.'");
  for (const auto& [file, text] : p.files) check_places(t, "files", text, p.addresses);
  p.environment =
      read_texts(t, "environment", is_variable, "is no name of a variable of the environment");
  if (const toml::node* ready = t.node("ready"); ready != nullptr && ready->is_string()) {
    p.ready_after = t.duration("ready");
  } else if (ready != nullptr && ready->is_integer()) {
    p.ready_port = static_cast<Port>(*t.whole("ready", 1, 65535));
  } else if (ready != nullptr) {
    t.wrong("ready", "has to be a port on which it listens, or a time such as \"200 ms\"");
  }
  if (const auto v = t.duration("within")) p.within = *v;
  if (const auto v = t.word("signal", kSignals)) p.signal = kSignalNumbers[*v];
  read_statuses(t, p.statuses);
  p.after = names.after(t);
  read_times(t, p.begins, p.ends);
  t.finish();
  return p;
}

}  // namespace lastack::lab
