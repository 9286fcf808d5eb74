// TIME_WAIT itself: records refused because the table is full (claim B1), and records on a server, which
// are harmless (claims A8, B10, C3).
#include <fmt/format.h>

#include <algorithm>

#include "doctor/finding.h"
#include "doctor/kernel_costs.h"
#include "doctor/text.h"

namespace lastack {

namespace {

constexpr std::uint64_t kWorthMentioning = 500;

void overflow(const Case& c, Findings& out) {
  const std::int64_t limit = c.settings().tcp_max_tw_buckets.value_or(-1);
  const std::uint64_t refused = c.moved(&Counters::TCPTimeWaitOverflow);
  const std::uint64_t records = c.ns.totals.tw;
  const bool full =
      limit >= 0 && records + records / 100 + 1 >= static_cast<std::uint64_t>(limit) && records > 0;
  if (refused == 0 && !(full && limit > 0)) return;
  // From one look the count may be years old; that the table is full is not.
  const bool now = full || (c.sampled() && refused > 0);
  Finding& f = add(c, out, "time-wait-overflow", now ? Severity::Problem : Severity::Notice,
                   "tcp_max_tw_buckets");
  const std::string since = c.sampled() ? "in " + span(c.sampled_s) : "since the start";
  f.sentence = now ? fmt::format(
                         "the TIME_WAIT table is full: {} of {} records, {} connections skipped "
                         "TIME_WAIT {}",
                         grouped(records), grouped(limit), grouped(refused), since)
                   : fmt::format(
                         "{} connections skipped TIME_WAIT {} because the table was full; it is "
                         "not full now",
                         grouped(refused), since);
  f.details.push_back(
      fmt::format("TCPTimeWaitOverflow {}, tcp_max_tw_buckets {}", grouped(refused), limit));
  f.who_closed_first = "this host: only the side that closes first makes TIME_WAIT records";
  f.why =
      "a connection without TIME_WAIT cannot repeat its last ACK when that is lost, and an old "
      "duplicate may "
      "reach the next connection on the same four-tuple";
  note(f, "time_wait_overflow", refused);
  note(f, "time_wait_records", records);
  note(f, "tcp_max_tw_buckets", static_cast<std::uint64_t>(std::max<std::int64_t>(0, limit)));
  Remedy close;
  close.layer = Layer::WhoCloses;
  close.text = "close fewer connections here: keep them open, or let the peers close first";
  close.check = "lastack doctor --sample 5";
  f.remedies.push_back(close);
  Remedy raise;
  raise.layer = Layer::Limits;
  const std::int64_t usual =
      std::max<std::int64_t>(262144, c.settings().tcp_ehash_entries.value_or(0) / 2);
  const std::int64_t to = std::max(usual, std::max<std::int64_t>(limit, 1) * 2);
  raise.text =
      fmt::format("raise the limit: {} records cost at most {} of kernel memory", grouped(to),
                  bytes(static_cast<std::uint64_t>(to) * kernel_cost::kClientRecordBytes));
  raise.commands = {set_command(c, "net.ipv4.tcp_max_tw_buckets", std::to_string(to))};
  raise.undo = undo_command(c, "net.ipv4.tcp_max_tw_buckets", c.settings().tcp_max_tw_buckets);
  raise.check = "TCPTimeWaitOverflow stands still: lastack doctor --sample 5";
  f.remedies.push_back(raise);
  f.will_not_help = {"lowering tcp_max_tw_buckets: more connections skip TIME_WAIT"};
}

void on_services(const Case& c, Findings& out) {
  for (std::uint32_t i = 0; i < c.sockets().services.size(); ++i) {
    const Service& s = c.sockets().services[i];
    const std::uint64_t n = s.states[TcpState::TimeWait];
    if (n < kWorthMentioning) continue;
    Finding& f = add(c, out, "time-wait-server", Severity::Notice, s.local.to_string());
    f.sentence =
        fmt::format("{} TIME_WAIT on {} {} are harmless here ({}, no ports, no descriptors)",
                    grouped(n), s.listeners > 0 ? "listening port" : "port", s.local.port,
                    bytes(n * kernel_cost::kRecordBytes));
    f.details.push_back(
        fmt::format("closing {} first here; a new SYN from the same client is accepted at once",
                    rate(s.closes.closed_within(10s) / 10)));
    f.owners = owners_of(c.host, c.sockets(), Side::Service, i, {TcpState::Listen});
    f.who_closed_first = "this host, the listening side";
    f.why =
        "they all share the listening port and differ in the client's; a record is memory only, "
        "and a SYN with a "
        "newer timestamp or a higher sequence number takes its place";
    note(f, "time_wait", n);
    note(f, "port", std::uint64_t{s.local.port});
    note(f, "bytes", n * kernel_cost::kRecordBytes);
    f.will_not_help = {"tcp_tw_reuse (acts on connections this host opens)"};
  }
}

}  // namespace

void find_time_wait(const Case& c, Findings& out) {
  overflow(c, out);
  on_services(c, out);
}

}  // namespace lastack
