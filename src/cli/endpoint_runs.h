// What the three commands of `lastack endpoint` are asked, and that they do. Exit codes are returned.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/endpoint_stage.h"

namespace lastack {

struct ServeArguments {
  StageOptions stage;
  std::string directory;
  unsigned http = 80;
  unsigned echo = 7;
  unsigned discard = 9;
  unsigned chargen = 19;
  bool live = false;
};

struct FetchArguments {
  StageOptions stage;
  std::string url;
  std::string output = "-";
  bool resume = false;
  bool quiet = false;
  double patience = 30;  // s
};

struct ChurnArguments {
  StageOptions stage;
  std::vector<std::string> destinations;
  std::uint32_t concurrency = 100;
  double rate = 0;
  std::uint64_t count = 0;
  double duration = 0;  // s
  std::string exchange = "echo";
  std::string path = "/";
  std::string first = "us";
  std::string end = "close";
  double patience = 10;
  bool json = false;
};

int run_endpoint_serve(const ServeArguments& arguments);
int run_endpoint_fetch(const FetchArguments& arguments);
int run_endpoint_churn(const ChurnArguments& arguments);

}  // namespace lastack
