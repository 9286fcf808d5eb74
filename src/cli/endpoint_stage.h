// What the three commands of `lastack endpoint` share: a device, a host on it, a loop, signals, and how all of it is
// set up and left.
#pragma once

#include <signal.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/log_file.h"
#include "kernel/unique_fd.h"
#include "lab/lifecycle_recorder.h"
#include "lastack/event_loop.h"
#include "lastack/tun_device.h"
#include "services/service.h"
#include "stack/secret_hash.h"

namespace lastack {

struct StageOptions {
  std::string tun = "la0";
  bool create = false;
  std::vector<std::string> addresses;  // of the endpoint
  std::vector<std::string> peers;      // of the kernel, with prefix lengths
  std::string netns;
  std::string profile = "linux";
  std::vector<std::string> settings;  // name=value
  std::optional<std::uint64_t> seed;
  bool no_offloads = false;
  double loss = 0;  // per cent
  std::uint32_t sockets = HostOptions{}.most_sockets;
  std::string snapshot;
  std::string log;    // of the lifecycle
  double sample = 0;  // seconds between the two looks of a bundle; 0: one look
};

// An error with the exit code that belongs to it.
struct StageError {
  std::string message;
  int code = 1;
  std::string advice{};  // lines of their own: what to type
};
// On standard error; the code to exit with.
int report(const std::string& command, const StageError& error);
template <class T>
using Staged = tl::expected<T, StageError>;

class Stage {
 public:
  static Staged<std::unique_ptr<Stage>> set(const std::string& command,
                                            const StageOptions& options);
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  Host& host() { return *host_; }
  EventLoop& loop() { return loop_; }
  SocketEvents& events() { return events_; }
  const TunDevice& tun() const { return *tun_; }
  // One line: the device, the kernel's addresses, ours.
  std::string description() const;
  bool has_address(bool v4) const;
  // What to look at where connect() has come to that, and nothing was reached; none: no answer. A line.
  std::string reach_hint(const Endpoint& to, Err error) const;

  // Beside the loss that was asked for; false: the packet is lost.
  void set_filter(EventLoop::PacketFilter filter) { filter_ = std::move(filter); }
  // Called in place of the usual end when SIGINT, SIGTERM or SIGHUP comes; a second one ends at once.
  void on_signal(std::function<void()> what) { interrupted_ = std::move(what); }
  // From now on signals do what they usually do, for what may wait and is no part of the loop: a last page to a reader
  // who does not read.
  void release_signals();
  // Every `period`, for as long as the stage lives.
  void every(Duration period, std::function<void()> what);

  // Until end() or a signal. The signal's number, 0 without one.
  Staged<int> run();
  void end() { loop_.stop(); }
  // What was asked for: the bundle, and the rest of the log. False if some of it could not be written.
  bool write_files();
  // What the host has done since.
  bool flush_log() { return !log_ || log_file_.flush(); }

 private:
  explicit Stage(std::string command) : command_(std::move(command)), log_file_(command_) {}
  Staged<HostObserver*> start_log(const StageOptions& options, std::uint64_t seed);
  bool write_snapshot();
  Staged<void> attach(const StageOptions& options);
  Staged<void> take_signals();
  bool lost(EventLoop::PacketWay way, std::span<const std::byte> packet);
  HostSnapshot look() const;

  std::string command_;
  LogFile log_file_;
  std::optional<LifecycleRecorder> log_;  // outlives the host
  std::optional<TunDevice> tun_;
  std::optional<Host> host_;
  EventLoop loop_;
  SocketEvents events_;
  UniqueFd signals_;
  sigset_t signals_before_{};
  int signal_ = 0;
  std::vector<IpAddress> addresses_;
  std::vector<std::string> peers_;
  bool created_ = false;
  std::string snapshot_;
  Duration sample_{};
  std::optional<HostSnapshot> latest_, before_;  // looks, `sample_` apart
  EventLoop::PacketFilter filter_;
  std::function<void()> interrupted_;
  std::uint64_t loss_limit_ = 0;  // of 2^32
  std::optional<SeededRandom> chance_;
};

// "10.77.0.1:80", "[fd77::1]:80", "name:80"; a name is looked up by this machine. `port` 0: one has to be given.
Result<Endpoint> resolve(const std::string& text, Port port, bool v4, bool v6);

}  // namespace lastack
