// Writes the logs of small real runs into a folder, for tests that are not in C++.
#include <cstdio>
#include <fstream>
#include <string>

#include "unit/report/real_logs.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: write_real_logs FOLDER\n", stderr);
    return 64;
  }
  using namespace lastack::test;
  const std::pair<const char*, std::string> logs[] = {
      {"plain", plain_log()},
      {"evil", plain_log(1, "</script><img src=x onerror=alert(1)>\"'")},
      {"lost", lost_last_ack_log()},
      {"reuse", last_ack_reuse_log()},
      {"three", three_hosts_log()},
      {"three-2", three_hosts_log(2)},
      {"foul", foul_log(3, 100)},
  };
  for (const auto& [name, text] : logs) {
    std::ofstream file(std::string(argv[1]) + "/" + name + ".jsonl", std::ios::binary);
    file << text;
    file.close();
    if (!file) return 73;
  }
  return 0;
}
