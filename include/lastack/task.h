// Coroutines on a node: what waits for a connection is written as if it blocked.
//
//   Task<> greet(TcpStream c) {
//     std::array<std::byte, 100> name;
//     const auto n = co_await c.read(name);        // Outcome: errors are values
//     if (!n) co_return;
//     co_await c.write("hello ", std::span(name).first(*n));
//   }
//   node.spawn(greet(std::move(stream)));
//
// A Task does nothing until it is awaited by another or given to Node::spawn(). It owns its frame: a Task that is
// destroyed before it has ended, wherever it waits, destroys what is in it, as at the end of a scope; it no longer waits
// for anything, and no code of it runs but destructors. So a Task may be dropped at any time except by code that is
// running in it, and nothing leaks.
//
// Arguments of a coroutine live as long as it does only if they are values: pass what may go meanwhile by value. The
// captures of a lambda belong to the lambda; Node::spawn(lambda) keeps it, spawn(lambda()) does not.
//
// No threads: a task runs in the thread that drives its node, one at a time, from one co_await to the next. What it
// throws goes to whoever awaits it; at the top, see Node::on_failure().
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace lastack {

template <class T = void>
class Task;

namespace detail {

struct Root;  // a task at the top: net/tasks.h

struct PromiseBase {
  std::coroutine_handle<> continuation;  // who awaits this; null at the top
  Root* root = nullptr;                  // the task at the top that this is a part of
  std::exception_ptr exception;

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct Last {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) noexcept {
      if (ended.promise().continuation) return ended.promise().continuation;
      return std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };
  Last final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& u) {
    value.emplace(std::forward<U>(u));
  }
  T take() { return std::move(*value); }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() noexcept {}
  void take() noexcept {}
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle frame) : frame_(frame) {}
  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      drop();
      frame_ = std::exchange(other.frame_, {});
    }
    return *this;
  }
  ~Task() { drop(); }

  // Whether there is something to await.
  explicit operator bool() const { return static_cast<bool>(frame_); }

  struct Awaiter {
    Handle frame;
    bool await_ready() noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> by) noexcept {
      frame.promise().continuation = by;
      frame.promise().root = by.promise().root;
      return frame;
    }
    T await_resume() {
      if (frame.promise().exception) std::rethrow_exception(frame.promise().exception);
      return frame.promise().take();
    }
  };
  // co_await task: runs it to its end and gives what it returns, or throws what it throws. Once.
  Awaiter operator co_await() const noexcept { return {frame_}; }

  // For those who run tasks: the frame is theirs.
  Handle release() { return std::exchange(frame_, {}); }

 private:
  void drop() {
    if (frame_) std::exchange(frame_, {}).destroy();
  }
  Handle frame_{};
};

namespace detail {

template <class T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace detail

}  // namespace lastack
