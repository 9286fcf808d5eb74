// Whoever goes first - the task, the stream, the node, the network - nothing is used after it is gone and nothing stays
// behind. Much of what these tests check only the sanitizers can see.
#include <memory>
#include <stdexcept>

#include "unit/net/node_pair.h"

namespace lastack::test {
namespace {

// Says when it is destroyed.
struct Witness {
  explicit Witness(int& of) : alive(&of) { ++*alive; }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  ~Witness() { --*alive; }
  int* alive;
};

Task<> deep(Node& node, TcpStream& c, int& alive, int levels) {
  const Witness here(alive);
  if (levels > 0) {
    co_await deep(node, c, alive, levels - 1);
    co_return;
  }
  std::array<std::byte, 10> buffer;
  co_await c.read(buffer);
}

TEST(TaskLifetime, ACancelledTaskIsDestroyedWhereItWaitsAndItsStreamClosed) {
  NodePair w;
  ASSERT_TRUE(w.server.serve(w.at, echo));
  int alive = 0;
  const Job job = w.client.spawn([&]() -> Task<> {
    auto c = co_await w.client.connect(w.at);
    co_await deep(w.client, *c, alive, 5);
    ADD_FAILURE() << "it goes on";
  });
  w.net.run_for(1s);
  EXPECT_EQ(alive, 6);
  EXPECT_FALSE(job.done());
  Job(job).cancel();
  EXPECT_EQ(alive, 0);
  EXPECT_TRUE(job.done());
  Job(job).cancel();  // again: nothing
  w.net.run_for(70s);
  EXPECT_EQ(w.client.host().connections(), 0u) << "closed";
  EXPECT_EQ(w.server.tasks(), 1u) << "the server has seen the end";
}

TEST(TaskLifetime, ATaskMayCancelItselfAndOthersMayWaitForItsEnd) {
  NodePair w;
  int alive = 0;
  bool joined = false;
  Job job;
  job = w.client.spawn([&]() -> Task<> {
    const Witness here(alive);
    co_await w.client.sleep_for(1ms);
    job.cancel();
    EXPECT_EQ(alive, 1) << "not under its own feet";
    co_await w.client.sleep_for(1ms);
    ADD_FAILURE() << "it goes on";
  });
  w.client.spawn([&]() -> Task<> {
    co_await job.ended();
    joined = true;
    EXPECT_EQ(alive, 0);
  });
  w.net.run_for(1s);
  EXPECT_TRUE(joined);
  EXPECT_EQ(w.client.tasks(), 0u);
}

TEST(TaskLifetime, OneThatIsCancelledWhileReadyNeverRuns) {
  NodePair w;
  int alive = 0;
  Job second;
  w.client.spawn([&]() -> Task<> {
    co_await w.client.sleep_for(1ms);
    second.cancel();
  });
  second = w.client.spawn([&]() -> Task<> {
    const Witness here(alive);
    co_await w.client.sleep_for(1ms);  // ends in the same instant
    ADD_FAILURE() << "it goes on";
  });
  Job never = w.client.spawn([&]() -> Task<> {
    ADD_FAILURE() << "it begins";
    co_return;
  });
  never.cancel();
  w.net.run_for(1s);
  EXPECT_EQ(alive, 0);
}

TEST(TaskLifetime, AStreamThatIsClosedWhileAnotherTaskReadsIt) {
  NodePair w;
  ASSERT_TRUE(w.server.serve(w.at, echo));
  auto c = std::make_unique<TcpStream>();
  Err how = Err::none;
  w.client.spawn([&]() -> Task<> {
    auto made = co_await w.client.connect(w.at);
    *c = std::move(*made);
    std::array<std::byte, 10> buffer;
    const auto n = co_await c->read(buffer);
    how = n ? Err::none : n.error();
  });
  w.net.run_for(1s);
  c.reset();
  w.net.run_for(1s);
  EXPECT_EQ(how, Err::canceled);
}

TEST(TaskLifetime, ANodeTakesItsTasksAlongAndStreamsOutliveIt) {
  VirtualNetwork net(1);
  Node& server = net.add_node({}, {"10.0.0.2"_ip});
  ASSERT_TRUE(server.serve({"10.0.0.2"_ip, 80}, echo));
  int alive = 0;
  TcpStream kept;
  Job job;
  TcpListener listener;
  {
    Node client({}, {"10.0.0.1"_ip});
    net.attach(client);
    job = client.spawn([&]() -> Task<> {
      const Witness here(alive);
      auto c = co_await client.connect({"10.0.0.2"_ip, 80});
      kept = std::move(*c);
      auto d = co_await client.connect({"10.0.0.2"_ip, 80});
      std::array<std::byte, 10> buffer;
      co_await d->read(buffer);
    });
    listener = *client.listen({"10.0.0.1"_ip, 1});
    net.run_for(1s);
    EXPECT_EQ(alive, 1);
  }
  EXPECT_EQ(alive, 0);
  EXPECT_TRUE(job.done());
  EXPECT_EQ(kept.host(), nullptr);
  EXPECT_EQ(kept.shutdown(ShutdownHow::Write), tl::unexpected(Err::bad_descriptor));
  EXPECT_EQ(listener.close(), tl::unexpected(Err::bad_descriptor));
  Err how = Err::none;
  server.spawn([&]() -> Task<> {
    std::array<std::byte, 10> buffer;
    const auto n = co_await kept.read(buffer);
    how = n ? Err::none : n.error();
  });
  net.run_for(1s);
  EXPECT_EQ(how, Err::bad_descriptor);
}

TEST(TaskLifetime, ATaskOfAnotherNodeThatWaitsForOneThatGoes) {
  VirtualNetwork net(1);
  Node& other = net.add_node({}, {"10.0.0.2"_ip});
  auto node =
      std::make_unique<Node>(HostOptions{}, std::initializer_list<IpAddress>{"10.0.0.1"_ip});
  net.attach(*node);
  std::vector<Err> ends;
  bool slept = false;
  auto listener = node->listen({"10.0.0.1"_ip, 80});
  ASSERT_TRUE(listener);
  other.spawn([&]() -> Task<> {
    const auto c = co_await listener->accept();
    ends.push_back(c ? Err::none : c.error());
  });
  other.spawn([&]() -> Task<> {
    const auto c = co_await node->connect({"10.0.0.3"_ip, 80});
    ends.push_back(c ? Err::none : c.error());
  });
  other.spawn([&]() -> Task<> {
    co_await node->sleep_for(100s);
    slept = true;
  });
  Job job = node->spawn([&]() -> Task<> { co_await node->sleep_for(100s); });
  bool joined = false;
  other.spawn([&]() -> Task<> {
    co_await job.ended();
    joined = true;
  });
  net.run_for(1s);
  EXPECT_TRUE(ends.empty());
  node.reset();
  net.run_for(1ms);
  EXPECT_EQ(ends, (std::vector{Err::canceled, Err::canceled}));
  EXPECT_TRUE(slept);
  EXPECT_TRUE(joined);
  EXPECT_EQ(other.tasks(), 0u);
}

TEST(TaskLifetime, TheNetworkGoesFirst) {
  int alive = 0;
  auto net = std::make_unique<VirtualNetwork>(1);
  Node node({}, {"10.0.0.1"_ip});
  net->attach(node);
  node.spawn([&]() -> Task<> {
    const Witness here(alive);
    const auto c = co_await node.connect({"10.0.0.3"_ip, 80});
    ADD_FAILURE() << "connected to nobody: " << c.has_value();
  });
  net->run_for(1s);
  net.reset();
  EXPECT_EQ(alive, 1);
  EXPECT_FALSE(node.next_packet().empty() && node.next_deadline() == Instant::max());
}

TEST(TaskLifetime, ANodeIsRemovedByATaskOfAnother) {
  NodePair w;
  int alive = 0;
  w.server.spawn([&]() -> Task<> {
    const Witness here(alive);
    co_await w.server.sleep_for(100s);
  });
  w.client.spawn([&]() -> Task<> {
    co_await w.client.sleep_for(1s);
    w.net.remove(w.server);
  });
  w.net.run_for(2s);
  EXPECT_EQ(alive, 0);
}

TEST(TaskLifetime, ATaskThatWasNeverAwaitedIsNoLeak) {
  NodePair w;
  int alive = 0;
  {
    TcpStream none;
    const Task<> task = deep(w.client, none, alive, 2);
  }
  EXPECT_EQ(alive, 0);
}

TEST(TaskLifetime, FinishOfAStreamWhoseTaskIsCancelled) {
  NodePair w;
  auto listener = w.server.listen(w.at);
  ASSERT_TRUE(listener);
  Job job = w.client.spawn([&]() -> Task<> {
    auto c = co_await w.client.connect(w.at);
    co_await c->finish();  // the server does not end
  });
  w.net.run_for(1s);
  EXPECT_FALSE(job.done());
  job.cancel();
  w.net.run_for(100s);
  EXPECT_EQ(w.client.host().connections(), 0u);
}

TEST(TaskLifetime, AStaleStreamIsNothingToTheNextSocketOfItsSlot) {
  NodePair w;
  ASSERT_TRUE(w.server.serve(w.at, [&](TcpStream c) -> Task<> {
    co_await w.server.sleep_for(5s);
    co_await c.write("hi");
  }));
  Err how = Err::none;
  std::size_t got = 0;
  w.client.spawn([&]() -> Task<> {
    auto stale = co_await w.client.connect(w.at);
    EXPECT_TRUE(w.client.host().abort(stale->id(), w.client.now()));
    // Until the slot is another's, whenever a host gives one out again.
    std::vector<TcpStream> others;
    do {
      others.push_back(*co_await w.client.connect(w.at));
    } while (socket_slot(others.back().id()) != socket_slot(stale->id()) && others.size() < 5'000);
    w.client.spawn([&, old = std::move(*stale)]() mutable -> Task<> {
      co_await w.client.sleep_for(1s);
      const TcpStream goes = std::move(old);
    });
    std::array<std::byte, 10> buffer;
    const auto n = co_await others.back().read(buffer);
    how = n ? Err::none : n.error();
    got = n.value_or(0);
  });
  w.net.run_for(30s);
  EXPECT_EQ(how, Err::none);
  EXPECT_EQ(got, 2u);
}

TEST(TaskLifetime, AFailedTaskHasEndedBeforeAnybodyHearsOfIt) {
  NodePair w;
  int heard = 0;
  w.client.on_failure([&](std::exception_ptr thrown) {
    ++heard;
    std::rethrow_exception(thrown);
  });
  const Job job = w.client.spawn([&]() -> Task<> {
    co_await w.client.sleep_for(1ms);
    throw std::runtime_error("it fails");
  });
  bool joined = false;
  w.client.spawn([&]() -> Task<> {
    co_await job.ended();
    joined = true;
  });
  EXPECT_THROW(w.net.run_for(1s), std::runtime_error);
  EXPECT_EQ(heard, 1);
  EXPECT_TRUE(job.done());
  w.net.run_for(1s);
  EXPECT_TRUE(joined);
  EXPECT_EQ(w.client.tasks(), 0u);
}

TEST(TaskLifetime, WhoHearsOfAFailureMayTakeHisOwnPlaceAndTheNodeAway) {
  VirtualNetwork net(1);
  auto node = std::make_unique<Node>();
  net.attach(*node);
  const auto fail = [&](Duration after) {
    node->spawn([of = node.get(), after]() -> Task<> {
      co_await of->sleep_for(after);
      throw std::runtime_error("it fails");
    });
  };
  auto kept = std::make_shared<int>();
  const std::weak_ptr<int> seen = kept;
  node->on_failure([&, kept = std::move(kept)](std::exception_ptr) {
    node->on_failure([&](std::exception_ptr) { node.reset(); });
    EXPECT_FALSE(seen.expired()) << "it is still at work";
  });
  fail(1ms);
  fail(2ms);
  fail(3ms);
  net.run_for(1s);
  EXPECT_EQ(node, nullptr);
  EXPECT_TRUE(seen.expired());
}

}  // namespace
}  // namespace lastack::test
