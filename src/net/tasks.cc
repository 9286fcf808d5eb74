#include "net/tasks.h"

#include <algorithm>

namespace lastack::detail {

// --- CoreRef

CoreRef::CoreRef(Core* core) : core_(core) {
  if (core_ != nullptr) ++core_->references;
}
CoreRef::~CoreRef() {
  if (core_ != nullptr && --core_->references == 0) delete core_;
}
Host* CoreRef::host() const {
  return core_ == nullptr ? nullptr : core_->host.get();
}
Instant CoreRef::now() const {
  return core_ == nullptr ? Instant{} : core_->time();
}

// --- Lists

void Waiting::push_back(Operation* op) {
  op->list_ = this;
  op->previous_ = last;
  op->next_ = nullptr;
  (last == nullptr ? first : last->next_) = op;
  last = op;
}
void Waiting::unlink(Operation* op) {
  Waiting* list = op->list_;
  if (list == nullptr) return;
  (op->previous_ == nullptr ? list->first : op->previous_->next_) = op->next_;
  (op->next_ == nullptr ? list->last : op->next_->previous_) = op->previous_;
  op->list_ = nullptr;
}

// --- Operation

Operation::~Operation() {
  leave();
}

void Operation::leave() {
  Waiting::unlink(this);
  if (heap_at != 0) core_->deadlines.remove(this);
}

Waiting* Operation::waits_in() {
  return on_socket_ ? &core_->waiting_on(socket_) : nullptr;
}

bool Operation::begin() {
  if (core_.host() == nullptr) {
    fail(Err::bad_descriptor);
    return true;
  }
  return attempt();
}

void Operation::suspend(std::coroutine_handle<> by, Root* root) {
  core_->wait(this, by, root);
}

// --- Core

Instant Core::time() const {
  if (node != nullptr && node->driver() != nullptr) return std::max(now, node->driver()->now());
  return now;
}

void Core::touch() {
  if (node != nullptr && node->driver() != nullptr && !pumping) node->driver()->touched(*node);
}

Waiting& Core::waiting_on(SocketId socket) {
  const std::size_t slot = socket_slot(socket);
  while (by_socket.size() <= slot) by_socket.emplace_back();
  return by_socket[slot];
}

void Core::wait(Operation* op, std::coroutine_handle<> by, Root* root) {
  op->frame_ = by;
  op->root_ = root;
  if (Waiting* list = op->waits_in()) list->push_back(op);
  Instant until = op->due;
  if (op->limit_ != Duration::max()) {
    const Instant at = time();
    until = op->limit_ < Instant::max() - at ? at + op->limit_ : Instant::max();
  }
  op->order = next_order++;
  op->due = Instant::max();
  deadlines.set(op, until);
  touch();
}

void Core::finish(Operation* op) {
  Waiting::unlink(op);
  op->core_->deadlines.remove(op);
  Core* home = op->root_ == nullptr ? op->core_.get() : op->root_->core;
  home->ready.push_back(op);
  home->touch();
}

void Core::wake(SocketId socket) {
  const std::size_t slot = socket_slot(socket);
  if (slot >= by_socket.size()) return;
  Waiting& list = by_socket[slot];
  for (Operation* op = list.first; op != nullptr && op->list_ == &list;) {
    Operation* following = op->next_;
    if (op->socket_ == socket && op->attempt()) finish(op);  // which may have ended others
    op = following;
  }
}

void Core::cancel_all(SocketId socket) {
  const std::size_t slot = socket_slot(socket);
  if (slot >= by_socket.size()) return;
  const Waiting& list = by_socket[slot];
  for (Operation* op = list.first; op != nullptr;) {
    if (op->socket_ != socket) {  // of the next one with that slot
      op = op->next_;
      continue;
    }
    op->fail(Err::canceled);
    finish(op);
    op = list.first;  // it may have ended others
  }
}

Root* Core::spawn(Task<> task) {
  if (closing || !task) return nullptr;
  if (free_roots.empty()) {
    free_roots.push_back(static_cast<std::uint32_t>(roots.size()));
    roots.push_back(std::make_unique<Root>());
    roots.back()->index = free_roots.back();
    roots.back()->core = this;
  }
  Root* root = roots[free_roots.back()].get();
  free_roots.pop_back();
  root->frame = task.release();
  root->frame.promise().root = root;
  root->live = true;
  root->cancelled = false;
  root->start.frame_ = root->frame;
  root->start.root_ = root;
  ++tasks;
  ready.push_back(&root->start);
  touch();
  return root;
}

// Its frame is destroyed, and with it all that it has awaited.
void Core::destroy(Root* root) {
  if (root == running) {
    root->cancelled = true;  // when it has let go
    return;
  }
  Waiting::unlink(&root->start);
  root->live = false;
  ++root->generation;
  std::exchange(root->frame, {}).destroy();
  --tasks;
  free_roots.push_back(root->index);
  while (Operation* op = root->joiners.first) finish(op);
}

void Core::ended(Root* root) {
  std::exception_ptr thrown;
  if (root->frame.done()) {
    thrown = root->frame.promise().exception;
  } else if (!root->cancelled) {
    return;
  }
  destroy(root);  // before anybody hears of it, as he may throw
  if (!thrown) return;
  if (!on_failure) {
    failures.push_back(thrown);
    return;
  }
  const auto handler = on_failure;  // which may take its own place, or this node away
  handler(thrown);
}

void Core::resume(Operation* op) {
  Waiting::unlink(op);
  Root* root = op->root_;
  running = root;
  op->frame_.resume();  // `op` is gone now
  running = nullptr;
  if (root != nullptr) ended(root);
}

void Core::pump(Instant at) {
  now = std::max(now, at);
  if (pumping || closing) return;
  const CoreRef here(this);
  struct Pumping {
    explicit Pumping(bool& of) : flag(of) { flag = true; }
    ~Pumping() { flag = false; }
    bool& flag;
  };
  {
    const Pumping guard(pumping);
    for (;;) {
      while (const auto socket = host->next_event()) wake(*socket);
      while (deadlines.next() <= now) {
        Operation* op = deadlines.top();
        op->fail(Err::timed_out);
        finish(op);
      }
      if (ready.empty()) break;
      resume(ready.first);
      if (closing) return;
    }
  }
  if (!failures.empty()) {
    const std::exception_ptr first = failures.front();
    failures.pop_front();
    std::rethrow_exception(first);
  }
}

void Core::close() {
  closing = true;
  for (std::size_t i = 0; i < roots.size(); ++i) {
    if (roots[i]->live) destroy(roots[i].get());
  }
  // Tasks of other nodes that wait for this one.
  for (Waiting& list : by_socket) {
    while (Operation* op = list.first) {
      op->fail(Err::canceled);
      finish(op);
    }
  }
  while (!deadlines.empty()) {
    Operation* op = deadlines.top();
    op->fail(Err::canceled);
    finish(op);
  }
  host.reset();
  node = nullptr;
}

}  // namespace lastack::detail
