// Each part of a scenario in words, as its page and its messages have them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lab/scenario/scenario.h"

namespace lastack::lab {

// Parts of a sentence, with something between them.
class Parts {
 public:
  explicit Parts(std::string_view between = ", ") : between_(between) {}
  void add(const std::string& part) {
    if (part.empty()) return;
    all_ += (all_.empty() ? "" : between_) + part;
  }
  void add_if(bool really, const std::string& part) {
    if (really) add(part);
  }
  const std::string& all() const { return all_; }

 private:
  std::string between_, all_;
};

// As a scenario writes it: "2 h 4 min", "1.5 s", "100 us".
std::string time_words(Duration time);
// Ends of lines as a file writes them.
std::string on_a_line(std::string_view text);

std::string link_words(const LinkOptions& o);
std::string host_words(const HostSpec& h);
std::string nat_words(const NatSpec& n);
std::string fault_words(const FaultSpec& f);
std::string change_words(const ChangeSpec& c);
std::string server_words(const ServerSpec& s);
std::string clients_words(const ClientsSpec& c);
std::string pool_words(const PoolSpec& c);
std::string program_words(const ProgramSpec& c);
// What stands below that: its environment, its files line by line.
std::vector<std::string> program_more(const ProgramSpec& c);
// One step: "connect to server:80 from port 40000: c". Which host it is on is not said.
std::string deed_words(const StepSpec& step);

}  // namespace lastack::lab
