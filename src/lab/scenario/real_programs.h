// All [[program]]s of a run: those that others wait for begin first, the rest when these are ready.
#pragma once

#include <poll.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lab/scenario/real_program.h"

namespace lastack::lab {

class RealPrograms {
 public:
  // `ready`: all that others wait for are; `ended`: one has, by its name.
  static Result<std::unique_ptr<RealPrograms>> make(const Scenario& scenario, Stage& stage,
                                                    std::function<void()> ready,
                                                    std::function<void(const std::string&)> ended);

  // Those that others wait for begin; where there are none `ready` is told at once.
  void start();
  // Those that begin when this step, or program, has ended; "": at the start, when all others are ready.
  void start_after(const std::string& name);
  // Those that come to an end by themselves have.
  bool over() const;
  // One could not begin, or was not ready in time.
  bool failed() const;

  void add_to(std::vector<pollfd>& waits) const;
  void wake();
  void measure(Measures& into) const;
  // Ends all, and says what became of them.
  std::vector<ProgramOutcome> end();

 private:
  explicit RealPrograms(PrivateFolder folder) : folder_(std::move(folder)) {}
  void changed(const RealProgram& program);

  PrivateFolder folder_;
  std::function<void()> ready_;
  std::function<void(const std::string&)> ended_;
  std::vector<std::unique_ptr<RealProgram>> all_;
  bool all_ready_ = false;
  bool over_ = false;
};

}  // namespace lastack::lab
