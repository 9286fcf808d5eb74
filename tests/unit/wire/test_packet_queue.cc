#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <random>

#include "unit/wire/packets.h"
#include "watched.h"
#include "wire/packet_queue.h"

namespace lastack::test {
namespace {

TEST(PacketQueue, AgreesWithAnOrdinaryQueue) {
  for (unsigned seed = 1; seed <= rounds(50); ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    PacketQueue queue(1 << 20);
    std::deque<std::pair<Bytes, std::uint16_t>> model;
    for (int step = 0; step < 4000; ++step) {
      const bool push = random() % 100 < (step / 500 % 2 == 0 ? 60U : 40U);
      if (push) {
        const std::size_t length = random() % 10 == 0 ? random() % 40'000 : random() % 200;
        std::byte* at = queue.reserve(length);
        if (at == nullptr) {
          EXPECT_GT(queue.packets(), 0u);
          continue;
        }
        Bytes packet(length);
        for (std::byte& b : packet) b = static_cast<std::byte>(random());
        if (length > 0) std::memcpy(at, packet.data(), length);
        const auto size = static_cast<std::uint16_t>(random());
        queue.commit(size);
        model.emplace_back(std::move(packet), size);
      } else if (!model.empty()) {
        const OutPacket front = queue.front();
        ASSERT_EQ(Bytes(front.bytes.begin(), front.bytes.end()), model.front().first);
        ASSERT_EQ(front.segment_size, model.front().second);
        queue.pop();
        model.pop_front();
      }
      ASSERT_EQ(queue.packets(), model.size());
      ASSERT_EQ(queue.empty(), model.empty());
    }
  }
}

TEST(PacketQueue, AFullQueueLosesPacketsAndCountsThem) {
  PacketQueue queue(64 << 10);
  std::size_t taken = 0;
  while (queue.reserve(1000) != nullptr && taken < 1000) {
    queue.commit();
    ++taken;
  }
  EXPECT_LT(taken, 66u);
  EXPECT_EQ(queue.dropped(), 1u);
  queue.pop();
  queue.pop();
  EXPECT_NE(queue.reserve(1000), nullptr);
}

}  // namespace
}  // namespace lastack::test
