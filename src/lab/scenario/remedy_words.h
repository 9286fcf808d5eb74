// What a variant of a scenario changes, as a person would do it on a host of their own: the command of a sysctl and the one
// that takes it back, the socket option, who closes first.
#pragma once

#include <string>
#include <vector>

#include "lab/scenario/scenario_file.h"

namespace lastack::lab {

struct Change {
  std::string words;    // "tcp_tw_reuse = 1 in place of 0"
  std::string place;    // of a command: the host
  std::string command;  // "sysctl -w net.ipv4.tcp_tw_reuse=1"; empty: it is no command
  std::string undo;     // and back; a sentence where the value before is not known
  std::string check;    // what shows the value of one's own host
  std::string keep;     // what makes it outlast a restart of the machine
  std::string call;     // "setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1)": in the program
};

// `played`: what the variant plays.
std::vector<Change> changes(const std::vector<Difference>& differences, const Scenario& played);

// "sysctl net.ipv4.tcp_tw_reuse"; and the line for a file in /etc/sysctl.d, in which numbers
// that are of the size of a run are left to the reader.
std::string setting_check(const std::string& name);
std::string setting_keep(const std::string& name, const std::string& value);

// A setting as sysctl is given it: its full name and value, quoted for a shell.
std::string setting_command(const std::string& name, const std::string& value);

}  // namespace lastack::lab
