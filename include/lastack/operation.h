// What a task can wait for. Operations are made by the calls of Node, TcpStream and TcpListener that return them, and
// awaited where they are made:
//
//   co_await stream.read(buffer)
//   co_await stream.read(buffer).within(5s)      // or Err::timed_out, and what has come stays for the next read
//
// Buffers that an operation was given must live until it has ended or is destroyed, as locals of the awaiting coroutine
// do. An operation ends with Err::canceled when its socket is closed meanwhile by somebody else, or its node destroyed.
#pragma once

#include <coroutine>
#include <cstdint>

#include "lastack/host.h"
#include "lastack/task.h"
#include "lastack/time.h"

namespace lastack::detail {

struct Core;
struct Waiting;
class Operation;

// A node's inside, which outlives it as long as somebody holds on to it; then it only says that it is gone.
class CoreRef {
 public:
  CoreRef() = default;
  explicit CoreRef(Core* core);
  CoreRef(const CoreRef& other) : CoreRef(other.core_) {}
  CoreRef(CoreRef&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  CoreRef& operator=(CoreRef other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~CoreRef();

  Core* get() const { return core_; }
  Core* operator->() const { return core_; }
  explicit operator bool() const { return core_ != nullptr; }
  Host* host() const;  // null: gone
  Instant now() const;

 private:
  Core* core_ = nullptr;
};

class Operation {
 public:
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  bool await_ready() { return begin(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> by) {
    suspend(by, by.promise().root);
  }

  // --- For DeadlineHeap
  Instant due{Instant::max()};
  std::uint64_t order = 0;
  std::uint32_t heap_at = 0;

 protected:
  explicit Operation(CoreRef core, SocketId socket = SocketId{})
      : core_(std::move(core)), socket_(socket) {}
  virtual ~Operation();

  // Does what can be done now. True: it has ended, and its result is there.
  virtual bool attempt() = 0;
  // It ends with that.
  virtual void fail(Err error) = 0;
  // What else it has to be told by, than events of its socket.
  virtual Waiting* waits_in();
  void limit(Duration longest) { limit_ = longest; }
  // It no longer waits for anything.
  void leave();

  CoreRef core_;
  SocketId socket_;
  bool on_socket_ = true;

 private:
  friend struct Core;
  friend struct Waiting;

  bool begin();
  void suspend(std::coroutine_handle<> by, Root* root);

  std::coroutine_handle<> frame_;
  Root* root_ = nullptr;
  Waiting* list_ = nullptr;
  Operation* previous_ = nullptr;
  Operation* next_ = nullptr;
  Duration limit_ = Duration::max();
};

// One with an Outcome<T>.
template <class Self, class T>
class [[nodiscard]] OperationOf : public Operation {
 public:
  // The operation with a limit: the very object, which lives to the end of the full expression, as the co_await does.
  // (GCC 12 would copy what a reference names.)
  struct Limited {
    Self* of;
    bool await_ready() { return of->await_ready(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> by) {
      of->await_suspend(by);
    }
    Outcome<T> await_resume() { return of->await_resume(); }
  };
  // Not longer than that.
  [[nodiscard]] Limited within(Duration longest) && {
    limit(longest);
    return {static_cast<Self*>(this)};
  }
  Outcome<T> await_resume() { return std::move(result_); }

 protected:
  using Operation::Operation;
  void fail(Err error) override { result_ = tl::unexpected(error); }
  bool done(Outcome<T> result) {
    result_ = std::move(result);
    return true;
  }
  Outcome<T> result_ = tl::unexpected(Err::canceled);
};

}  // namespace lastack::detail
