// [[program]]: nginx, curl or any other program of the machine on a kernel host, from when it begins until it is ended; what
// it says, and what it ends with.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lab/private_folder.h"
#include "lab/program_process.h"
#include "lab/scenario/play.h"
#include "lab/scenario/stage.h"

namespace lastack::lab {

class RealProgram final : public Program {
 public:
  // `changed` is told when it has become ready, and when it has ended.
  RealProgram(const ProgramSpec& spec, Stage& stage, const PrivateFolder& folder,
              std::function<void(const RealProgram&)> changed);

  void start() override;
  // Of one that comes to an end by itself: it has. Of others: always.
  bool over() const override { return serves() || ended_.has_value() || !why_not_.empty(); }
  void measure(Measures& into) const override;

  const ProgramSpec& spec() const { return spec_; }
  // Others wait for it, and it runs until it is ended.
  bool serves() const { return spec_.ready_port != 0 || spec_.ready_after.has_value(); }
  bool ready() const { return ready_; }
  bool ended() const { return ended_.has_value(); }
  // It could not be started, or did not become ready: nothing more will come of the run.
  bool failed() const { return !why_not_.empty(); }

  // Readable when wake() has something to do.
  int descriptor() const { return epoll_.get(); }
  void wake();
  // The signal that it is ended with; what has not ended after a while is killed, by the agenda.
  void stop();
  // The same when the run is over and there is no agenda any more: first all are asked, then waited for.
  void ask_to_end();
  void await_end(Instant limit);
  ProgramOutcome outcome() const;

 private:
  void begin();
  void kill();
  void look_whether_ready();
  void become_ready();
  void read_output();
  void take(std::string_view text);
  void take_value(std::string_view line);
  void fail(std::string why);

  ProgramSpec spec_;
  Stage& stage_;
  KernelHost& host_;
  const PrivateFolder& folder_;
  std::function<void(const RealProgram&)> changed_;
  UniqueFd epoll_;
  std::optional<ProgramProcess> process_;
  Instant started_{};  // from when its times count
  Instant begun_{};
  std::optional<Instant> ended_;
  std::optional<int> status_;
  bool ready_ = false;
  bool told_to_end_ = false;
  bool too_long_ = false;  // it did not end within its time
  std::string why_not_;
  std::string output_;  // the end of it
  std::string last_line_;
  std::uint64_t bytes_ = 0, lines_ = 0;
  std::map<std::string, double> said_;  // "connects=2"
};

// {folder} and {HOST.address} in what a file says of a program.
std::string with_places(std::string text, const std::string& folder,
                        const std::map<std::string, std::string>& addresses);

}  // namespace lastack::lab
