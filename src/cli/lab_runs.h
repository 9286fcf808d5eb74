// lastack lab, after its arguments have been read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lastack {

struct LabArguments {
  std::string scenario;
  std::string on = "endpoint";
  std::optional<std::uint64_t> seed;
  std::vector<std::string> settings;
  std::vector<std::string> variants;
  std::string log;
  std::string html;
  std::string pcap;
  std::vector<std::string> pcap_at;
  std::string seeds = "1";
  std::string shard;
  std::string output = "-";
  bool diagram = false;
  std::string format = "text";
  bool full = false;
  bool json = false;
  bool measures = false;
  bool toml = false;
};

int run_lab_list();
int run_lab_show(const LabArguments& arguments);
int run_lab_run(const LabArguments& arguments);
int run_lab_compare(const LabArguments& arguments);
int run_lab_sweep(const LabArguments& arguments);
int run_lab_claims(const LabArguments& arguments);

}  // namespace lastack
