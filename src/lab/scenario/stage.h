// What programs of a scenario have around them: the time, the hosts by name, and where they put what they measure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lab/latency_histogram.h"
#include "lab/scenario/agenda.h"
#include "lab/scenario/lab_host.h"
#include "lab/scenario/measures.h"

namespace lastack::lab {

class Stage {
 public:
  virtual Instant now() const = 0;
  // There is a kernel among the hosts.
  virtual bool in_real_time() const = 0;
  // Bytes that records take: of endpoints; or, where there is a kernel, all that it holds for itself (LabHost::memory()).
  virtual std::optional<std::uint64_t> memory() const = 0;
  // When it began.
  Instant began() const { return began_; }
  Agenda& agenda() { return agenda_; }
  LabHost& host(const std::string& name) { return *hosts_.at(name); }
  // Of a host the first address of the family of `like`.
  Endpoint endpoint(const Destination& to, std::optional<IpAddress> like) {
    return {to.address ? *to.address : host(to.host).address(like), to.port};
  }
  // It loses its memory. False: it cannot.
  virtual bool crash(const std::string& host, bool quiet) = 0;
  // A step has changed a setting of it.
  virtual void was_set(const std::string& host, const std::string& setting,
                       const std::string& value) = 0;

 protected:
  ~Stage() = default;
  Instant began_{};
  Agenda agenda_;
  std::map<std::string, std::unique_ptr<LabHost>> hosts_;
};

// What has become so far of what a program tried: connects of clients, requests of a pool.
struct Tally {
  std::uint64_t succeeded = 0, failed = 0;
  std::uint64_t broken = 0;  // connected, and failed later
};

// A program that runs by itself beside others.
class Program {
 public:
  virtual ~Program() = default;
  // Its times count from now; what it does it does on the stage's agenda.
  virtual void start() = 0;
  // Whether it will do anything more. A server never has.
  virtual bool over() const = 0;
  virtual void measure(Measures& into) const = 0;
  // Nothing: it tries nothing by itself.
  virtual std::optional<Tally> tally() const { return std::nullopt; }
};

std::unique_ptr<Program> make_server(const ServerSpec& spec, Stage& stage);
std::unique_ptr<Program> make_clients(const ClientsSpec& spec, Stage& stage);
std::unique_ptr<Program> make_pool(const PoolSpec& spec, Stage& stage);

// Counts of errors by name, and how long things took.
void put_failures(Measures& into, const std::string& name,
                  const std::map<std::string, std::uint64_t>& failed);
void put_latency(Measures& into, const std::string& name, const LatencyHistogram& histogram);

}  // namespace lastack::lab
