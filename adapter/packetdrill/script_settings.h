// Settings of a script. packetdrill's scripts set sysctls by running programs (`sysctl`, a shell that writes below
// /proc/sys). There are two ways to hear of it:
//
// - Whoever runs the script puts programs of those names into PATH that append lines "net.ipv4.name=value" to a file
//   (README.md). No privilege is needed and nothing of the machine changes.
// - No file: the script's programs change this network namespace, and its settings are read as they are.
//
// Either is looked at before every call, since a script may change settings at any time.
#pragma once

#include <string>
#include <vector>

#include "lastack/host.h"

namespace lastack::packetdrill {

class ScriptSettings {
 public:
  // The file is that of the environment variable LASTACK_PACKETDRILL_SETTINGS, or else PD_SYSCTL_FILE.
  ScriptSettings();
  ~ScriptSettings();
  ScriptSettings(const ScriptSettings&) = delete;
  ScriptSettings& operator=(const ScriptSettings&) = delete;

  // Applies what is new.
  void refresh(Host& host);
  const std::string& congestion_control() const { return congestion_control_; }
  // The device takes no super-segments, so that they are cut before it sees them (gso_max_size 0).
  bool cuts() const { return cuts_; }

 private:
  struct Sysctl {
    std::string path;
    std::string name;
    std::string value;  // seen last
  };

  void read_file(Host& host);
  void find_sysctls(Host& host);
  void read_sysctls(Host& host);
  bool apply(Host& host, const std::string& name, const std::string& value);

  int fd_ = -1;
  long read_ = 0;
  std::string unfinished_;
  std::vector<Sysctl> sysctls_;  // those that the host knows
  bool looked_ = false;
  std::string congestion_control_ = "cubic";
  bool cuts_ = false;
  bool verbose_ = false;
};

}  // namespace lastack::packetdrill
