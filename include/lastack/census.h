// Counting sockets as they stream by: what a dump of any length becomes in bounded memory.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lastack/host_snapshot.h"
#include "lastack/settings.h"
#include "lastack/socket_record.h"

namespace lastack {

// What tcp_info says of one live socket, as far as the census asks.
struct ConnectionDetails {
  bool timestamps = false;  // agreed on by both ends
  Duration since_data_sent{};
  Duration since_data_received{};
  Duration since_ack_received{};
};

// Builds a SocketCensus for one namespace, or one endpoint host, in one pass.
//
// Memory: a group is about 250 bytes, and there are at most kMostGroups of them; when more
// different destinations turn up, the smallest are given up and counted as dropped (a group that is
// large in the end loses at most what it had when it was small). Live sockets cost 16 bytes each so
// that owners can be found later, at most kMostLive of them. A socket in TIME_WAIT costs nothing.
//
// Order: add_listener() and add_bound() for all, then add() for every other socket, add_details() and
// mark_bound() for some of them, own() for as many inodes as are known, and finish() once. Not
// thread-safe.
class Census {
 public:
  static constexpr std::size_t kMostGroups = 32768;
  static constexpr std::size_t kMostLive = 1 << 20;
  static constexpr std::size_t kMostKept = 1024;  // destinations, and services, in the result

  // `remembered` (may be null) gives TIME_WAIT records an owner by their cookie; it must outlive
  // the census. With `remember`, cookies of live sockets are kept for a later look.
  explicit Census(const Settings& settings,
                  const std::unordered_map<std::uint64_t, std::int32_t>* remembered = nullptr,
                  bool remember = false);

  void add_listener(const SocketRecord& listener);
  // A port that a socket without a connection holds by bind().
  void add_bound(Port port) { held_.insert(port); }
  void add(const SocketRecord& socket);
  // A connection that was added turns out to have chosen its port by an explicit bind().
  void mark_bound(const SocketRecord& socket);
  void add_details(const SocketRecord& socket, const ConnectionDetails& details);

  // Sockets seen so far that are neither listeners nor small records.
  std::uint64_t live() const { return live_count_; }
  std::uint64_t seen() const { return seen_; }
  const StateCounts& states() const { return states_; }
  // Live connections that this host opened from a port of the range.
  std::uint64_t live_outgoing() const { return live_outgoing_; }
  // Whether something here is worth finding the owners for, even when that is expensive.
  bool suspicious() const;

  // The process with this index has a descriptor for this socket. Only the first claim counts.
  bool own(std::uint64_t inode, std::uint32_t process);
  void set_interrupted() { interrupted_ = true; }

  // `process_of` turns the process id of a remembered owner into an index (kNone: unknown).
  SocketCensus finish(const std::function<std::uint32_t(std::int32_t)>& process_of);
  // Cookie and owner of the live sockets, when asked to remember; after the owners are known.
  void remember_into(std::unordered_map<std::uint64_t, std::int32_t>& owners,
                     const std::function<std::int32_t(std::uint32_t)>& pid_of) const;

 private:
  struct Key {
    IpAddress local;
    IpAddress remote;
    Port port = 0;
    bool service = false;
    // Compared for every socket: four words, not two calls of memcmp().
    friend bool operator==(const Key& a, const Key& b) {
      const auto x = a.words(), y = b.words();
      return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0 &&
             a.port == b.port && a.service == b.service;
    }
    std::uint64_t hash() const;
    std::array<std::uint64_t, 4> words() const {
      std::array<std::uint64_t, 4> w;
      std::memcpy(w.data(), local.bytes().data(), 16);
      std::memcpy(w.data() + 2, remote.bytes().data(), 16);
      return w;
    }
  };
  static constexpr std::size_t kFirstAges = 32;
  static constexpr Duration kAgeUnit = 16ms;
  struct Group {
    Key key;
    std::uint16_t backlog_listeners = 0;
    bool v6_only = false;
    std::array<std::uint32_t, kTcpStates> states{};
    std::uint32_t total = 0;
    std::uint32_t compact_fin_wait_2 = 0;
    std::uint32_t orphans = 0;
    std::uint32_t unaccepted = 0;
    std::uint32_t close_wait_end_unread = 0;
    std::uint64_t close_wait_unread = 0;
    std::uint32_t accept_queue = 0;
    std::uint32_t backlog = 0;
    std::uint32_t first_parity = 0, second_parity = 0, ports_held = 0, ports_outside = 0;
    std::uint32_t time_wait_first = 0, time_wait_second = 0;
    std::uint64_t age_ms_first = 0, age_ms_second = 0;
    // Ages of the first TIME_WAIT records; a histogram, 512 bytes, is for groups that have more.
    std::array<std::uint16_t, kFirstAges> first_ages{};  // in kAgeUnit
    std::unique_ptr<CloseHistogram> closes;
  };
  struct Live {
    std::uint64_t inode;
    std::uint32_t group : 28;
    std::uint32_t state : 4;
    std::uint32_t owner;
  };
  static_assert(sizeof(Live) == 16);

  std::uint32_t group_of(const SocketRecord& socket);
  std::uint32_t find_or_add(const Key& key);
  std::uint32_t service_for(const Endpoint& local) const;
  bool accepted(const SocketRecord& socket, std::uint32_t service) const;
  void give_up_small_groups();
  void index_groups(std::size_t slots);
  void index_live();
  void fill(SocketGroup& out, const Group& group, std::uint32_t index) const;

  PortRange range_;
  PortSet reserved_;
  Duration time_wait_length_;
  const std::unordered_map<std::uint64_t, std::int32_t>* remembered_;
  bool remember_;

  std::vector<Group> groups_;
  std::vector<std::uint32_t> slots_;  // open addressing into groups_, kNone for empty
  std::uint32_t last_group_ = kNone;
  PortSet listening_;
  std::unordered_map<Port, std::vector<std::uint32_t>> services_;
  std::uint32_t small_ = 0;  // what give_up_small_groups() gave up last

  std::vector<Live> live_;
  std::vector<std::uint32_t> live_slots_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> cookies_;  // cookie, inode
  std::map<std::pair<std::int32_t, std::uint32_t>, std::uint32_t> remembered_time_wait_;
  std::unordered_map<std::uint32_t, TcpDetails> details_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> close_wait_ages_;  // group, ms

  PortSet held_;
  PortSet used_;
  std::vector<FourTuple> self_connected_;
  StateCounts states_;
  std::uint64_t compact_fin_wait_2_ = 0;
  std::uint64_t orphans_ = 0;
  std::uint64_t live_count_ = 0;
  std::uint64_t seen_ = 0;
  std::uint64_t live_outgoing_ = 0;
  std::uint64_t groups_dropped_ = 0;
  std::uint64_t sockets_dropped_ = 0;
  bool interrupted_ = false;
  bool owners_looked_up_ = false;
};

}  // namespace lastack
