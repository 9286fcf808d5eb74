#include "stack/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace lastack {

TimerWheel::TimerWheel() {
  heads_.fill(kNone);
  least_.fill(Instant::max());
}

void TimerWheel::set(Id id, Instant deadline) {
  if (id >= ids_) {
    nodes_.resize(std::max<std::size_t>(std::size_t{id} + 1, nodes_.size() * 2));
    ids_ = static_cast<Id>(nodes_.size());
  }
  Node& node = nodes_[id];
  if (node.deadline == deadline) return;
  // Put off: it stays where it is, and is moved when its old time comes. Most timers are put off again and
  // again, and few are ever due.
  if (node.slot < kSoon && deadline != Instant::max() && tick_of(deadline) >= begin_of(node.slot)) {
    node.deadline = deadline;
    if (node.slot < kSlots) least_[node.slot] = std::min(least_[node.slot], deadline);
    quiet_until_ = std::min(quiet_until_, deadline);
    return;
  }
  unlink(id);
  if (deadline == Instant::max()) return;
  node.deadline = deadline;
  link(id);
  ++set_;
}

std::uint64_t TimerWheel::begin_of(std::uint16_t place) const {
  const unsigned level = place / kSlots;
  const std::uint64_t slot = place % kSlots, turned = tick_ >> (8 * level), here = turned % kSlots;
  return (turned - here + slot + (slot < here ? kSlots : 0)) << (8 * level);
}

void TimerWheel::link(Id id) {
  Node& node = nodes_[id];
  const std::uint64_t tick = std::max(tick_of(node.deadline), tick_);
  const std::uint64_t away = tick ^ tick_;
  unsigned level = away == 0 ? 0 : (63 - static_cast<unsigned>(std::countl_zero(away))) / 8;
  std::uint64_t at = tick;
  if (level >= kLevels) {
    // Beyond the present turn of the outermost wheel (52 days), which may be near or far. Near: its slot of the
    // next turn. Far: looked at again when all slots but one have passed.
    level = kLevels - 1;
    at = std::min(at, tick_ + ((std::uint64_t{kSlots} - 1) << (8 * level)));
  }
  const auto slot = static_cast<unsigned>(at >> (8 * level)) % kSlots;
  node.slot = static_cast<std::uint16_t>(level * kSlots + slot);
  node.previous = kNone;
  node.next = heads_[node.slot];
  if (node.next != kNone) nodes_[node.next].previous = id;
  heads_[node.slot] = id;
  // A slot of an upper wheel is to be looked at when it begins, which may be past: this may be a later time than
  // take_due() was told.
  Instant look = node.deadline;
  if (level == 0) {
    least_[slot] = std::min(least_[slot], look);
  } else {
    look = std::min(
        look, Instant(Duration(static_cast<Duration::rep>(begin_of(node.slot) << kTickBits))));
  }
  quiet_until_ = std::min(quiet_until_, look);
  used_[level][slot / 64] |= std::uint64_t{1} << (slot % 64);
}

void TimerWheel::unlink(Id id) {
  Node& node = nodes_[id];
  if (node.slot == kSoon) remove_soon(id);
  node.deadline = Instant::max();
  if (node.slot == kUnset) return;
  if (--set_ == 0) quiet_until_ = Instant::max();
  if (node.slot == kSoon) {
    node.slot = kUnset;
    return;
  }
  if (node.next != kNone) nodes_[node.next].previous = node.previous;
  if (node.previous != kNone) {
    nodes_[node.previous].next = node.next;
  } else {
    heads_[node.slot] = node.next;
    if (node.next == kNone) {
      const unsigned level = node.slot / kSlots, slot = node.slot % kSlots;
      used_[level][slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
      if (level == 0) least_[slot] = Instant::max();
    }
  }
  node.slot = kUnset;
}

void TimerWheel::rise(std::size_t at, Id id) {
  while (at > 0 && is_sooner(id, soon_[(at - 1) / 2])) {
    put_soon(at, soon_[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  put_soon(at, id);
}

void TimerWheel::push_soon(Id id) {
  nodes_[id].slot = kSoon;
  soon_.push_back(id);
  rise(soon_.size() - 1, id);
}

void TimerWheel::remove_soon(Id id) {
  std::size_t at = nodes_[id].previous;
  const Id last = soon_.back();
  soon_.pop_back();
  if (last == id) return;
  // The hole goes down to where the last one may be, which may be higher up again.
  for (std::size_t child = 2 * at + 1; child < soon_.size(); child = 2 * at + 1) {
    if (child + 1 < soon_.size() && is_sooner(soon_[child + 1], soon_[child])) ++child;
    put_soon(at, soon_[child]);
    at = child;
  }
  rise(at, last);
}

unsigned TimerWheel::first_used(unsigned level, unsigned from) const {
  for (unsigned n = 0; n <= kSlots / 64; ++n) {
    const unsigned word = (from / 64 + n) % (kSlots / 64);
    std::uint64_t bits = used_[level][word];
    if (n == 0) bits &= ~std::uint64_t{0} << (from % 64);
    if (n == kSlots / 64) bits &= from % 64 == 0 ? 0 : ~(~std::uint64_t{0} << (from % 64));
    if (bits != 0) return word * 64 + static_cast<unsigned>(std::countr_zero(bits));
  }
  return kSlots;
}

Instant TimerWheel::first() const {
  if (!soon_.empty()) {
    // Of this tick, like whoever has been set since.
    return std::min(nodes_[soon_.front()].deadline, least_[tick_ % kSlots]);
  }
  // The lowest wheel holds what is nearest: all of it is nearer than anything above.
  const unsigned slot = first_used(0, static_cast<unsigned>(tick_ % kSlots));
  if (slot != kSlots) return least_[slot];
  for (unsigned level = 1; level < kLevels; ++level) {
    const auto from = static_cast<unsigned>(tick_ >> (8 * level)) % kSlots;
    const unsigned found = first_used(level, from);
    if (found == kSlots) continue;
    // When that slot begins: then its timers move down.
    const std::uint64_t ahead = (found - from) % kSlots;
    const std::uint64_t tick = ((tick_ >> (8 * level)) + ahead) << (8 * level);
    return Instant(Duration(static_cast<Duration::rep>(tick << kTickBits)));
  }
  return Instant::max();
}

void TimerWheel::go_to(std::uint64_t tick) {
  while (tick_ < tick) {
    // To the next used slot of the lowest wheel, or to its end.
    const unsigned here = static_cast<unsigned>(tick_ % kSlots);
    const std::uint64_t turn = tick_ - here + kSlots;
    bool empty = true;
    for (std::uint64_t word : used_[0]) empty = empty && word == 0;
    if (!empty) {
      // Someone is due in this turn: the caller takes it before the clock goes on.
      const unsigned slot = first_used(0, here);
      const std::uint64_t at = tick_ - here + slot + (slot < here ? kSlots : 0);
      if (at <= tick) {
        tick_ = at;
        return;
      }
      tick_ = tick;
      return;
    }
    // Nothing in this turn. On to where the next timer moves down, however far that is: a clock may begin
    // anywhere.
    const Instant next_move = first();
    const std::uint64_t move = next_move == Instant::max() ? tick + 1 : tick_of(next_move);
    if (turn > tick || move > tick) {
      tick_ = tick;
      return;
    }
    tick_ = std::max(turn, move);
    // Cascade: the slots of the upper wheels that begin here move down.
    for (unsigned level = 1; level < kLevels; ++level) {
      const auto slot = static_cast<unsigned>(tick_ >> (8 * level)) % kSlots;
      Id id = heads_[level * kSlots + slot];
      heads_[level * kSlots + slot] = kNone;
      used_[level][slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
      while (id != kNone) {
        const Id next = nodes_[id].next;
        link(id);
        id = next;
      }
      if (slot != 0) break;
    }
  }
}

TimerWheel::Id TimerWheel::find_due(Instant now) {
  const std::uint64_t target = tick_of(now);
  for (;;) {
    if (!soon_.empty() && nodes_[soon_.front()].deadline <= now) {
      const Id id = soon_.front();
      unlink(id);
      return id;
    }
    const unsigned slot = static_cast<unsigned>(tick_ % kSlots);
    if (least_[slot] <= now) {
      // Whoever is passed over is not looked at again before his time.
      for (Id id = heads_[slot]; id != kNone;) {
        const Node node = nodes_[id];
        unlink(id);
        if (node.deadline <= now) return id;
        nodes_[id].deadline = node.deadline;
        if (tick_of(node.deadline) > tick_) {  // was put off
          link(id);
        } else {
          push_soon(id);
        }
        ++set_;
        id = node.next;
      }
    }
    if (tick_ >= target) break;
    // Nothing due here: whatever is in this slot is later than now, which cannot be when the clock has
    // passed it.
    const std::uint64_t before = tick_;
    go_to(target);
    if (tick_ == before) break;
  }
  quiet_until_ = first();
  return kNone;
}

}  // namespace lastack
