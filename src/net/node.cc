#include "lastack/node.h"

#include "net/tasks.h"
#include "stack/options_check.h"

namespace lastack {

using tl::unexpected;

namespace {

// Before bind(), connect() or listen(), since some count only then.
Outcome<void> set_all(Host& host, SocketId socket, const OptionValues& options, Instant now) {
  for (const auto& [option, value] : options) {
    if (auto set = host.set_option(socket, option, value, now); !set) return set;
  }
  return {};
}

Host::Family family_of(const IpAddress& address) {
  return address.is_v4() ? Host::Family::V4 : Host::Family::V6;
}

}  // namespace

// --- Operations

namespace detail {

Outcome<void> ConnectOperation::start() {
  Host& host = *core_.host();
  const auto socket = host.open(family_of(to_.address));
  if (!socket) return unexpected(socket.error());
  socket_ = *socket;
  begun_ = true;
  const Instant now = core_.now();
  if (auto set = set_all(host, socket_, options_.options, now); !set) return set;
  if (options_.from) {
    if (auto bound = host.bind(socket_, *options_.from); !bound) return bound;
  }
  auto connected = host.connect(socket_, to_, now);
  if (!connected && connected.error() == Err::in_progress) return {};
  return connected;
}

void ConnectOperation::give_up() {
  if (!begun_) return;
  begun_ = false;
  if (Host* host = core_.host()) {
    static_cast<void>(host->close(socket_, core_.now()));
    core_->touch();
  }
}

void ConnectOperation::fail(Err error) {
  give_up();
  OperationOf::fail(error);
}

bool ConnectOperation::attempt() {
  if (!begun_) {
    const auto started = start();
    core_->touch();
    if (!started) {
      fail(started.error());
      return true;
    }
  }
  Host& host = *core_.host();
  const auto state = host.state(socket_);
  if (state && (*state == TcpState::SynSent || *state == TcpState::SynReceived)) return false;
  const auto error = host.take_error(socket_);
  const Err what = error ? *error : error.error();
  if (what != Err::none) {
    fail(what);
    return true;
  }
  begun_ = false;
  return done(TcpStream(core_, socket_));
}

SleepOperation::SleepOperation(CoreRef core, Instant until) : Operation(std::move(core)) {
  on_socket_ = false;
  due = until;
}
bool SleepOperation::attempt() {
  return due <= core_.now();
}

JoinOperation::JoinOperation(Job job) : Operation(job.core_), job_(std::move(job)) {}
bool JoinOperation::attempt() {
  return job_.done();
}
Waiting* JoinOperation::waits_in() {
  return &job_.root()->joiners;
}

}  // namespace detail

// --- Jobs

detail::Root* Job::root() const {
  if (!core_ || index_ >= core_->roots.size()) return nullptr;
  detail::Root* root = core_->roots[index_].get();
  return root->live && root->generation == generation_ ? root : nullptr;
}
bool Job::done() const {
  return root() == nullptr;
}
void Job::cancel() {
  if (detail::Root* of = root()) core_->destroy(of);
}
detail::JoinOperation Job::ended() const {
  return detail::JoinOperation(*this);
}

// --- Node

Node::Node(HostOptions options, std::initializer_list<IpAddress> addresses)
    : core_(new detail::Core(this, checked(std::move(options), addresses))) {
  for (const IpAddress& address : addresses) core_->host->add_address(address);
}

Node::~Node() {
  if (driver() != nullptr) driver()->gone(*this);
  set_driver(nullptr);
  core_->close();
}

Host& Node::host() {
  core_->touch();
  return *core_->host;
}
const Host& Node::host() const {
  return *core_->host;
}
Instant Node::now() const {
  return core_->time();
}

Outcome<TcpListener> Node::listen(const Endpoint& at, const ListenOptions& options) {
  Host& on = host();
  const auto socket = on.open(family_of(at.address));
  if (!socket) return unexpected(socket.error());
  TcpListener listener(core_, *socket);
  if (options.reuse_address) {
    if (auto set = on.set_option(*socket, Option::reuse_address, 1, now()); !set) {
      return unexpected(set.error());
    }
  }
  if (auto set = set_all(on, *socket, options.options, now()); !set) return unexpected(set.error());
  if (auto bound = on.bind(*socket, at); !bound) return unexpected(bound.error());
  if (auto listens = on.listen(*socket, options.backlog); !listens) {
    return unexpected(listens.error());
  }
  return listener;
}

TcpStream Node::adopt(SocketId socket) {
  return TcpStream(core_, socket);
}

Job Node::spawn(Task<> task) {
  detail::Root* root = core_->spawn(std::move(task));
  return root == nullptr ? Job{} : Job(core_, root->index, root->generation);
}
std::size_t Node::tasks() const {
  return core_->tasks;
}
void Node::on_failure(std::function<void(std::exception_ptr)> handler) {
  core_->on_failure = std::move(handler);
}

void Node::receive(std::span<const std::byte> packet, Instant at) {
  core_->now = std::max(core_->now, at);
  core_->host->receive(packet, at);
}
std::span<const std::byte> Node::next_packet() {
  return core_->host->next_packet();
}
std::uint16_t Node::segment_size() const {
  return core_->host->segment_size();
}
Instant Node::next_deadline() const {
  return std::min(core_->host->next_deadline(), next_task());
}
void Node::advance(Instant at) {
  core_->now = std::max(core_->now, at);
  if (core_->host->next_deadline() <= at) core_->host->advance(at);
}
void Node::pump(Instant at) {
  core_->pump(at);
}
bool Node::has_address(const IpAddress& address) const {
  return core_->host->has_address(address);
}
Instant Node::next_task() const {
  return core_->ready.empty() ? core_->deadlines.next() : core_->now;
}
void Node::on_event(SocketId socket) {
  core_->wake(socket);
}

}  // namespace lastack
