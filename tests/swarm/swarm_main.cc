// The swarm as a program: runs seeds on all processors for a time, and prints how to repeat what it finds.
//
//   swarm [--seconds N] [--first SEED] [--jobs N]      many
//   swarm --seed SEED                                  one, with its numbers
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "swarm/swarm.h"

namespace {

using lastack::test::run_swarm;
using lastack::test::SwarmStats;

std::string replay(std::uint64_t seed) {
  const char* commit = std::getenv("LASTACK_COMMIT");
  return "replay: ./dev swarm --seed " + std::to_string(seed) +
         (commit != nullptr ? std::string("   (commit ") + commit + ")" : std::string());
}

int one(std::uint64_t seed) {
  SwarmStats stats;
  const std::string complaint = run_swarm(seed, stats);
  std::printf("%s\n", stats.to_string().c_str());
  if (complaint.empty()) return 0;
  std::printf("FOUND %s\n%s\n", complaint.c_str(), replay(seed).c_str());
  return 1;
}

// One process's share: seeds first, first + step, ... A crash is a finding as well, so a process at a time says
// which seed it is at.
int worker(std::uint64_t first, std::uint64_t step, std::chrono::seconds time, int out) {
  const auto end = std::chrono::steady_clock::now() + time;
  SwarmStats stats;
  for (std::uint64_t seed = first; std::chrono::steady_clock::now() < end; seed += step) {
    if (write(out, &seed, sizeof seed) != sizeof seed) return 2;
    const std::string complaint = run_swarm(seed, stats);
    if (!complaint.empty()) {
      std::printf("FOUND %s\n%s\n", complaint.c_str(), replay(seed).c_str());
      std::fflush(stdout);
      return 1;
    }
    if (stats.runs % 500 == 0) {
      std::printf("%s\n", stats.to_string().c_str());
      std::fflush(stdout);
    }
  }
  std::printf("%s\n", stats.to_string().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t first = 1;
  long seconds = 60;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  for (int i = 1; i < argc; ++i) {
    const auto value = [&] { return i + 1 < argc ? argv[++i] : "0"; };
    if (std::strcmp(argv[i], "--seed") == 0) return one(std::strtoull(value(), nullptr, 10));
    if (std::strcmp(argv[i], "--seconds") == 0) {
      seconds = std::strtol(value(), nullptr, 10);
    } else if (std::strcmp(argv[i], "--first") == 0) {
      first = std::strtoull(value(), nullptr, 10);
    } else if (std::strcmp(argv[i], "--jobs") == 0) {
      jobs = static_cast<unsigned>(std::strtoul(value(), nullptr, 10));
    } else {
      std::fprintf(stderr, "swarm [--seconds N] [--first SEED] [--jobs N] | --seed SEED\n");
      return 2;
    }
  }
  struct Worker {
    pid_t pid;
    int in;
  };
  std::vector<Worker> workers;
  for (unsigned j = 0; j < jobs; ++j) {
    int ends[2];
    if (pipe(ends) != 0) return 2;
    const pid_t pid = fork();
    if (pid < 0) return 2;
    if (pid == 0) {
      close(ends[0]);
      std::exit(worker(first + j, jobs, std::chrono::seconds(seconds), ends[1]));
    }
    close(ends[1]);
    workers.push_back({pid, ends[0]});
  }
  int result = 0;
  std::vector<std::thread> watchers;
  std::vector<int> results(workers.size());
  for (std::size_t i = 0; i < workers.size(); ++i) {
    watchers.emplace_back([&, i] {
      std::uint64_t seed = 0;
      while (read(workers[i].in, &seed, sizeof seed) == sizeof seed) {
      }
      int status = 0;
      waitpid(workers[i].pid, &status, 0);
      results[i] = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
      if (!WIFEXITED(status)) {
        std::printf("FOUND a crash, signal %d\n%s\n", WTERMSIG(status), replay(seed).c_str());
      }
    });
  }
  for (std::thread& watcher : watchers) watcher.join();
  for (const int r : results) result = std::max(result, r);
  return result;
}
