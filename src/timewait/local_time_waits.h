// Inside of TimeWaits: a local address with its table, and records packed and unpacked.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <type_traits>

#include "timewait/time_waits.h"

namespace lastack {
namespace timewait {

inline constexpr Duration kLongest = std::chrono::milliseconds(TimeWaitTable<V4>::kLongest);
inline Millis whole_millis(Duration d) {
  const Duration bounded = std::clamp(d, Duration(0), kLongest);
  return static_cast<Millis>(std::chrono::ceil<std::chrono::milliseconds>(bounded).count());
}

template <class Address>
Address pack(const IpAddress& address) {
  if constexpr (std::is_same_v<Address, V4>) {
    return address.v4_value();
  } else {
    return std::bit_cast<V6>(address.bytes());
  }
}
inline IpAddress unpack(V4 address) {
  return IpAddress::v4(address);
}
inline IpAddress unpack(const V6& address) {
  return IpAddress::v6(std::bit_cast<IpAddress::Bytes>(address));
}

template <class Address>
Key<Address> key_of(const FourTuple& tuple) {
  return {pack<Address>(tuple.remote.address), tuple.remote.port, tuple.local.port};
}

template <class Address>
FourTuple tuple_of(const Packed<Address>& r, const IpAddress& local) {
  return {{local, r.key.local_port}, {unpack(r.key.remote), r.key.remote_port}};
}

template <class Address>
Packed<Address> packed(const TimeWaitRecord& record) {
  Packed<Address> r;
  r.key = key_of<Address>(record.tuple);
  r.rcv_nxt = record.rcv_nxt.value();
  r.snd_nxt = record.snd_nxt.value();
  r.ts_recent = record.ts_recent.value_or(0);
  if (record.ts_recent) r.set(kTimestamps);
  if (record.port.bound) r.set(kBound);
  if (record.port.reuse_address) r.set(kReuseAddress);
  if (record.port.reuse_port) r.set(kReusePort);
  return r;
}

template <class Address>
TimeWaitRecord unpacked(const Packed<Address>& r, Millis armed, const IpAddress& local) {
  TimeWaitRecord record;
  record.tuple = tuple_of(r, local);
  record.rcv_nxt = SeqNum(r.rcv_nxt);
  record.snd_nxt = SeqNum(r.snd_nxt);
  if (r.has(kTimestamps)) record.ts_recent = r.ts_recent;
  record.port = {r.has(kBound), r.has(kReuseAddress), r.has(kReusePort)};
  record.armed = to_instant(armed);
  return record;
}

inline TimeWaitRecord as_time_wait(const FinWait2Record& r) {
  return {r.tuple, r.rcv_nxt, r.snd_nxt, r.ts_recent, r.port, {}};
}

}  // namespace timewait

// A local address and its table.
template <class Address>
struct TimeWaits::Local final : timewait::TableListener<Address> {
  using Record = timewait::Packed<Address>;

  Local(TimeWaits& host, const IpAddress& at) : owner(host), address(at), table(host.key_, *this) {}

  void rested(const Record& r) override { owner.observer_.rested(timewait::tuple_of(r, address)); }
  void stirred(const Record& r) override {
    owner.observer_.stirred(timewait::tuple_of(r, address));
  }
  void ends_next(const Record& r) override { owner.observer_.ends_next(r.key.local_port); }
  void ended(const Record& r, timewait::Millis armed) override {
    --owner.time_wait_;
    owner.observer_.ended(timewait::unpacked(r, armed, address), TimeWaitEnd::Over);
  }

  TimeWaits& owner;
  IpAddress address;
  timewait::TimeWaitTable<Address> table;
};

template <class Locals>
auto position(Locals& locals, const IpAddress& address) {
  return std::lower_bound(locals.begin(), locals.end(), address,
                          [](const auto& l, const IpAddress& a) { return l->address < a; });
}

// f(local, key), or what f's result is by default when the address has no table.
template <class F>
decltype(auto) TimeWaits::with_table(const FourTuple& tuple, F&& f) const {
  using Result = decltype(f(*v4_.front(), timewait::key_of<timewait::V4>(tuple)));
  const IpAddress& address = tuple.local.address;
  if (address.is_v4()) {
    const auto at = position(v4_, address);
    if (at != v4_.end() && (*at)->address == address)
      return f(**at, timewait::key_of<timewait::V4>(tuple));
  } else {
    const auto at = position(v6_, address);
    if (at != v6_.end() && (*at)->address == address)
      return f(**at, timewait::key_of<timewait::V6>(tuple));
  }
  return Result();
}

template <class F>
void TimeWaits::each_local(F&& f) const {
  for (const auto& local : v4_) f(*local);
  for (const auto& local : v6_) f(*local);
}

}  // namespace lastack
