// Settings of a script. packetdrill's scripts set sysctls by running programs, so whoever runs it puts
// programs of that name into PATH that append lines "net.ipv4.name=value" to a file (README.md), which is
// read here: from where it was left, before every call, since a script may change settings at any time.
#pragma once

#include <string>

#include "lastack/host.h"

namespace lastack::packetdrill {

class SettingsFile {
 public:
  // The file is that of the environment variable LASTACK_PACKETDRILL_SETTINGS, or else PD_SYSCTL_FILE.
  // Without one every setting keeps Linux's default.
  SettingsFile();
  ~SettingsFile();
  SettingsFile(const SettingsFile&) = delete;
  SettingsFile& operator=(const SettingsFile&) = delete;

  // Applies what is new.
  void refresh(Host& host);
  // The last value of a setting, by its last part; empty if the file does not have it.
  const std::string& congestion_control() const { return congestion_control_; }

 private:
  void apply(Host& host, const std::string& line);

  int fd_ = -1;
  long read_ = 0;
  std::string unfinished_;
  std::string congestion_control_ = "cubic";
  bool verbose_ = false;
};

}  // namespace lastack::packetdrill
