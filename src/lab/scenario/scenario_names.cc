#include "lab/scenario/scenario_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/printable.h"

namespace lastack::lab {

std::string Names::host(TomlTable& table, std::string_view key, const std::string& name,
                        bool or_nat) const {
  std::vector<std::string_view> known(hosts.begin(), hosts.end());
  if (or_nat) known.insert(known.end(), nats.begin(), nats.end());
  if (std::find(known.begin(), known.end(), name) == known.end())
    table.wrong(key, fmt::format("names no host: \"{}\"{}", printable(name), hint(name, known)));
  return name;
}

std::string Names::needed_host(TomlTable& table, std::string_view key) const {
  const auto name = table.text(key);
  if (!name) {
    const std::vector<std::string_view> known(hosts.begin(), hosts.end());
    table.wrong(key, fmt::format("is missing: which host?{}", hint("", known)));
  }
  return host(table, key, *name);
}

std::string Names::after(TomlTable& table) const {
  const auto name = table.text("after");
  if (!name) return "";
  std::vector<std::string_view> known(steps.begin(), steps.end());
  known.insert(known.end(), programs.begin(), programs.end());
  if (std::find(known.begin(), known.end(), *name) == known.end()) {
    table.wrong("after",
                fmt::format("names no step: \"{}\"{}", printable(*name), hint(*name, known)));
  }
  return *name;
}

Timetable Names::timetable(TomlTable& table) const {
  Timetable when;
  when.after = after(table);
  read_times(table, when.begins, when.ends);
  return when;
}

void read_times(TomlTable& table, Duration& begins, Duration& ends) {
  if (const auto v = table.duration("begins")) begins = *v;
  if (const auto v = table.duration("ends")) ends = *v;
  if (ends <= begins) table.wrong("ends", "has to be later than begins");
}

Destination Names::destination(TomlTable& table, std::string_view key,
                               const std::string& written) const {
  const std::size_t colon = written.rfind(':');
  unsigned port = 0;
  bool good = colon != std::string::npos && colon > 0 && colon + 1 < written.size() &&
              written.size() - colon <= 6;
  for (std::size_t i = colon + 1; good && i < written.size(); ++i) {
    good = written[i] >= '0' && written[i] <= '9';
    port = port * 10 + static_cast<unsigned>(written[i] - '0');
  }
  if (!good || port == 0 || port > 65535) {
    table.wrong(key,
                fmt::format("has to be a host and a port, such as \"server:80\", and not \"{}\"",
                            printable(written)));
  }
  std::string name = written.substr(0, colon);
  if (name.size() > 2 && name.front() == '[' && name.back() == ']')
    name = name.substr(1, name.size() - 2);
  if (const auto address = IpAddress::parse(name)) return {"", address, static_cast<Port>(port)};
  return {host(table, key, name), std::nullopt, static_cast<Port>(port)};
}

}  // namespace lastack::lab
