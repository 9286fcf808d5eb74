#include "lab/scenario/remedy_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lab/scenario/overrides.h"

#include "lastack/settings.h"
#include "model/shell_word.h"

namespace lastack::lab {
namespace {

std::string full_name(const std::string& name) {
  if (const SettingInfo* info = find_setting(name)) {
    std::string path(info->path);
    std::replace(path.begin(), path.end(), '/', '.');
    return path;
  }
  const bool core = name == "rmem_max" || name == "wmem_max";
  return (core ? "net.core." : "net.ipv4.") + name;
}

std::string in_place_of(const std::string& before) {
  return before.empty() ? "" : fmt::format(" in place of {}", before);
}

Change of_setting(const std::string& host, const std::string& name, const Difference& d) {
  Change c;
  c.place = host;
  c.words = fmt::format("{} = {}{}", name, d.after, in_place_of(d.before));
  if (name == "tcp_tw_recycle") c.words += " (Linux before 4.12; later ones have no such setting)";
  c.command = setting_command(name, d.after);
  c.check = setting_check(name);
  if (name != "tcp_tw_recycle" && !d.after.empty()) c.keep = setting_keep(name, d.after);
  const SettingInfo* const info = find_setting(name);
  if (d.after.empty()) {
    c.words = fmt::format("{} as the kernel has it, in place of {}", name, d.before);
    c.command =
        info != nullptr && info->usual ? setting_command(name, std::to_string(*info->usual)) : "";
    c.undo = c.command.empty() ? "" : setting_command(name, d.before);
    return c;
  }
  if (!d.before.empty()) {
    c.undo = setting_command(name, d.before);
    const bool other = info != nullptr && info->usual && std::to_string(*info->usual) != d.before;
    if (info == nullptr || !info->usual)
      c.undo += "   # as it was here; note first what your host has";
    if (other) c.undo += fmt::format("   # as it was here; the default is {}", *info->usual);
  } else if (info != nullptr && info->usual) {
    c.undo = setting_command(name, std::to_string(*info->usual)) + "   # the default";
  } else {
    c.undo = fmt::format("note first what it is: sysctl {}", full_name(name));
  }
  return c;
}

struct OptionCall {
  std::string_view name, level, call;
};
constexpr std::array kCalls{
    OptionCall{"reuse_address", "SOL_SOCKET", "SO_REUSEADDR"},
    OptionCall{"reuse_port", "SOL_SOCKET", "SO_REUSEPORT"},
    OptionCall{"keep_alive", "SOL_SOCKET", "SO_KEEPALIVE"},
    OptionCall{"send_buffer", "SOL_SOCKET", "SO_SNDBUF"},
    OptionCall{"receive_buffer", "SOL_SOCKET", "SO_RCVBUF"},
    OptionCall{"no_delay", "IPPROTO_TCP", "TCP_NODELAY"},
    OptionCall{"keep_idle", "IPPROTO_TCP", "TCP_KEEPIDLE"},
    OptionCall{"keep_interval", "IPPROTO_TCP", "TCP_KEEPINTVL"},
    OptionCall{"keep_count", "IPPROTO_TCP", "TCP_KEEPCNT"},
    OptionCall{"linger2", "IPPROTO_TCP", "TCP_LINGER2"},
    OptionCall{"user_timeout", "IPPROTO_TCP", "TCP_USER_TIMEOUT"},
    OptionCall{"bind_address_no_port", "IPPROTO_IP", "IP_BIND_ADDRESS_NO_PORT"},
};

// `of`: "clients requests", "step restart".
Change of_option(const std::string& of, const std::string& name, const Difference& d) {
  Change c;
  if (d.after.empty()) {
    c.words = fmt::format("{}: without option {} (it was {})", of, name, d.before);
    return c;
  }
  c.words = fmt::format("{}: option {} = {}{}", of, name, d.after, in_place_of(d.before));
  if (name == "linger") {
    c.call = fmt::format(
        "struct linger l = {{1, {}}}; setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);",
        d.after);
  } else if (name == "local_port_range") {
    std::uint64_t range = 0;
    for (const char digit : d.after) {
      if (digit < '0' || digit > '9' || range > UINT32_MAX) return c;
      range = range * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    c.words = fmt::format("{}: a range of ports of the socket's own, {} to {}", of, range & 0xffff,
                          range >> 16);
    c.call = fmt::format(
        "uint32_t range = {}u << 16 | {}; setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof range);",
        range >> 16, range & 0xffff);
  } else {
    for (const OptionCall& one : kCalls) {
      if (one.name == name)
        c.call = fmt::format("int v = {}; setsockopt(fd, {}, {}, &v, sizeof v);", d.after,
                             one.level, one.call);
    }
  }
  return c;
}

std::string closing_words(const std::string& who, const std::string& how) {
  if (how == "first") return fmt::format("{} closes first", who);
  if (how == "after") return fmt::format("{} waits until the other side has closed", who);
  if (how == "never") return fmt::format("{} never closes", who);
  if (how == "reset")
    return fmt::format("{} ends connections with a RST (SO_LINGER with zero time)", who);
  return fmt::format("{} closes: {}", who, how);
}

Change of_program(const std::string& kind, const std::string& name, const std::string& key,
                  const Difference& d, const Scenario& played) {
  std::string host;
  for (const auto& one : played.servers) host = one.name == name ? one.host : host;
  for (const auto& one : played.clients) host = one.name == name ? one.host : host;
  for (const auto& one : played.pools) host = one.name == name ? one.host : host;
  const std::string who = fmt::format("{} ({} on {})", name, kind, host);
  Change c;
  if (key == "closes") {
    c.words = closing_words(who, d.after);
  } else if (key == "rate") {
    c.words =
        fmt::format("{}: {} {} a second{}", who, d.after,
                    kind == "clients" ? "new connections" : "requests", in_place_of(d.before));
  } else if (key == "requests") {
    const bool all = kind == "server" && d.after == "0";
    c.words = fmt::format("{}: {} over each connection{}", who,
                          all ? "as many requests as come" : d.after + " requests",
                          in_place_of(d.before == "0" ? "as many as come" : d.before));
  } else if (key == "to" || key == "source") {
    c.words = fmt::format("{}: {} {}{}", who, key == "to" ? "to" : "from", d.after,
                          in_place_of(d.before));
  } else if (key == "at_once") {
    c.words = fmt::format("{}: at most {} connections at a time", who, d.after);
  } else if (key == "begins") {
    c.words = fmt::format("{}: begins at {}{}", who, d.after, in_place_of(d.before));
  } else {
    std::string plain = key;
    std::replace(plain.begin(), plain.end(), '_', ' ');
    c.words = d.after.empty()
                  ? fmt::format("{}: no {}", who, plain)
                  : fmt::format("{}: {} {}{}", who, plain, d.after, in_place_of(d.before));
  }
  return c;
}

// "step restart", and of one that has only a number "step5".
std::string step_name(const std::string& name) {
  const bool plain =
      name.starts_with("step") && name.size() > 4 &&
      std::all_of(name.begin() + 4, name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return plain ? name : "step " + name;
}

}  // namespace

std::string setting_check(const std::string& name) {
  return fmt::format("sysctl {}", shell_word(full_name(name)));
}
// A switch is what it is on any host; numbers of a run are of its size.
std::string setting_keep(const std::string& name, const std::string& value) {
  const bool is_switch = value.size() == 1;
  const std::string put = is_switch                              ? value
                          : value.find(' ') == std::string::npos ? "VALUE"
                          : name == "ip_local_port_range"        ? "FIRST LAST"
                                                                 : "VALUES";
  return fmt::format("echo {} > /etc/sysctl.d/90-tcp-{}.conf",
                     shell_word(fmt::format("{} = {}", full_name(name), put)), shell_word(name));
}

std::string setting_command(const std::string& name, const std::string& value) {
  return sysctl_command(full_name(name), value);
}

std::vector<Change> changes(const std::vector<Difference>& differences, const Scenario& played) {
  std::vector<Change> all;
  for (const Difference& d : differences) {
    const std::vector<std::string> p = key_parts(d.key);
    // How long a step is waited for, and what strikes when, is of the experiment and not of the remedy.
    const bool of_step = p[0] == "script" && p.size() == 4;
    if (p[0] == "fault" || (of_step && (p[3] == "holds" || p[3] == "within"))) continue;
    const bool program = p.size() > 2 && (p[0] == "clients" || p[0] == "server" || p[0] == "pool");
    Change c;
    if (p.size() == 4 && p[0] == "host" && p[2] == "settings") {
      c = of_setting(p[1], p[3], d);
    } else if (p.size() == 3 && p[0] == "host" && p[2] == "behind" && d.after.empty()) {
      c.words = fmt::format("{} has an address of its own, in place of that of {}", p[1], d.before);
    } else if (p.size() == 3 && p[0] == "host" && p[2] == "descriptors") {
      c.words =
          fmt::format("{}: a limit of {} descriptors{}", p[1], d.after, in_place_of(d.before));
      c.command = fmt::format("ulimit -n {}", d.after);
      c.check = "grep 'open files' /proc/PID/limits; ls /proc/PID/fd | wc -l";
      c.keep =
          fmt::format("LimitNOFILE={} in the service's unit (systemctl edit SERVICE)", d.after);
    } else if (program && p.size() == 4 && p[2] == "options") {
      c = of_option(fmt::format("{} {}", p[0], p[1]), p[3], d);
    } else if (p.size() == 5 && p[0] == "script" && p[3] == "options") {
      c = of_option(step_name(p[2]), p[4], d);
    } else if (program && p.size() == 3) {
      c = of_program(p[0], p[1], p[2], d, played);
      if (const bool load = p[2] == "rate" || p[2] == "at_once" || p[2] == "requests";
          load || p[2] == "closes" || p[2] == "to" || p[2] == "source")
        c.check = "lastack doctor --sample 5";
    } else {
      const std::string what =
          p.size() == 4 && p[0] == "script" ? fmt::format("{}: {}", step_name(p[2]), p[3]) : d.key;
      c.words = d.after.empty() ? fmt::format("{}: none, in place of {}", what, d.before)
                                : fmt::format("{}: {}{}", what, d.after, in_place_of(d.before));
    }
    all.push_back(std::move(c));
  }
  return all;
}

}  // namespace lastack::lab
