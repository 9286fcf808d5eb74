// A node's inside: its host, who waits for what, and whose turn it is to run.
//
//   an operation that cannot end yet   is in the list of its socket (or of the job it waits for), and in the heap of
//                                      deadlines if it has one
//   one that has ended                 is in the list `ready` of the node whose task waits for it, until the task goes on
//
// So an operation is in one list at a time, and leaves it when the frame it lives in is destroyed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "lastack/node.h"
#include "net/deadline_heap.h"

namespace lastack::detail {

// Operations in the order they came.
struct Waiting {
  Operation* first = nullptr;
  Operation* last = nullptr;

  bool empty() const { return first == nullptr; }
  void push_back(Operation* op);
  static void unlink(Operation* op);
};

// How a task at the top begins.
class Start final : public Operation {
 public:
  Start() : Operation(CoreRef{}) {}

 private:
  bool attempt() override { return true; }
  void fail(Err) override {}
};

struct Root {
  Core* core = nullptr;
  Task<>::Handle frame;
  Start start;
  Waiting joiners;
  bool live = false;
  bool cancelled = false;
  std::uint32_t index = 0;
  std::uint32_t generation = 1;
};

struct Core {
  Core(Node* of, HostOptions options)
      : node(of), host(std::make_unique<Host>(std::move(options))) {}

  std::uint32_t references = 0;
  Node* node;                  // null: it is gone
  std::unique_ptr<Host> host;  // null: it is gone
  Instant now{};
  Waiting ready;
  std::deque<Waiting> by_socket;
  DeadlineHeap<Operation> deadlines;
  std::uint64_t next_order = 0;
  std::vector<std::unique_ptr<Root>> roots;
  std::vector<std::uint32_t> free_roots;
  std::size_t tasks = 0;
  Root* running = nullptr;
  bool pumping = false;
  bool closing = false;
  std::function<void(std::exception_ptr)> on_failure;
  std::deque<std::exception_ptr> failures;

  Instant time() const;
  void touch();
  Waiting& waiting_on(SocketId socket);
  // Its result is there: the task that waits for it may go on.
  void finish(Operation* op);
  void wait(Operation* op, std::coroutine_handle<> by, Root* root);
  // Something has happened to the socket.
  void wake(SocketId socket);
  // The socket is going to be closed.
  void cancel_all(SocketId socket);
  Root* spawn(Task<> task);
  void destroy(Root* root);
  void pump(Instant at);
  void close();

 private:
  void resume(Operation* op);
  void ended(Root* root);
};

}  // namespace lastack::detail
