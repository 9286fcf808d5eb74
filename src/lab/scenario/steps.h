// One thing after the other: the [script] of a scenario. A step is over when its call has come to something, and the
// next begins then; one in the background goes on beside the next.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <string>

#include "lab/scenario/stage.h"

namespace lastack::lab {

class Steps {
 public:
  // `ended` is told of each step that is over; `ask`: does a condition hold now?
  Steps(const std::vector<StepSpec>& specs, Stage& stage,
        std::function<void(const std::string&)> ended,
        std::function<Check::Answer(const Check&)> ask);

  void start();
  // Something has, so that a condition may hold now which did not: they are looked at within a millisecond. Those about
  // time are looked at every millisecond.
  void happened();
  bool over() const { return next_ >= specs_.size() && active_.empty(); }
  void measure(Measures& into) const;
  // By the measure, "again.result": which step's failure it follows.
  const std::map<std::string, std::string>& notes() const { return notes_; }

 private:
  struct Socket final : SocketUser {
    explicit Socket(Steps& of) : steps(of) {}
    void ready() override { steps.look(); }
    Steps& steps;
    LabHost* host = nullptr;
    Sock sock{};
    bool open = false;
    std::string
        fate;  // why it is not there, or not what it was to be: "first came to ECONNREFUSED"
  };
  struct Active {
    const StepSpec* spec;
    Instant begun{};
    Duration processor{};  // used by this thread until then
    std::optional<std::uint64_t> memory;
    std::uint64_t turn = 0;
    std::uint64_t done = 0;     // bytes
    std::uint64_t foreign = 0;  // bytes that ought to be others
    bool called = false;        // connect() has been
  };
  void begin_next();
  // Gives each step under way a chance to go on.
  void look();
  // The result, if it is over.
  std::optional<std::string> attempt(Active& active);
  std::optional<std::string> connect(Active& active);
  std::optional<std::string> read(Active& active);
  std::optional<std::string> write(Active& active);
  std::string listen(const StepSpec& spec);
  std::optional<std::string> accept(const StepSpec& spec);
  void end(std::list<Active>::iterator active, const std::string& result);
  // What there is to say of the socket of a step that has come to an end.
  void tell_fate(const StepSpec& spec, const std::string& result);
  Socket& socket_of(const std::string& name, LabHost& host);
  std::list<Active>::iterator find(std::uint64_t turn);
  // It gives up then.
  void limit(const Active& active);
  // Conditions are looked at now, or as soon as the last look is a millisecond ago.
  void look_soon(bool later_on);

  const std::vector<StepSpec>& specs_;
  Stage& stage_;
  std::function<void(const std::string&)> ended_;
  std::function<Check::Answer(const Check&)> ask_;
  std::map<std::string, Socket> sockets_;  // where they are they stay
  std::list<Active> active_;
  std::size_t next_ = 0;
  std::uint64_t turns_ = 0;
  const Active* foreground_ = nullptr;
  bool looking_ = false, again_ = false;
  std::size_t untils_ = 0, timed_ = 0;  // conditions that are waited for; those about time
  Duration look_cost_{};                // of the last one, in real time
  Instant looked_{};                    // when at conditions last
  bool look_due_ = false;               // it is on the agenda
  Measures measured_;
  std::map<std::string, std::string> notes_;
};

}  // namespace lastack::lab
