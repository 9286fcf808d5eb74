#include "synthetic.h"

#include <gtest/gtest.h>

namespace lastack::synthetic {

Settings usual_settings(PortRange range) {
  Settings s;
  for (const SettingInfo& info : setting_table()) {
    if (info.name != "tcp_tw_recycle" && info.name != "tcp_tw_timeout") s.*info.member = info.usual;
  }
  s.tcp_max_tw_buckets = 131072;
  s.tcp_ehash_entries = 262144;
  s.tcp_max_orphans = 65536;
  s.tcp_max_syn_backlog = 1024;
  s.ip_local_port_range = range;
  return s;
}

Observation host(const Settings& settings, const std::function<void(Census&)>& fill) {
  Observation o;
  o.now.hostname = "web-3";
  o.now.kernel = "6.18.0";
  o.now.processes_seen = 1;
  Process app;
  app.pid = 100;
  app.command = "app";
  app.descriptors = 20;
  app.descriptor_limit = 1024;
  o.now.processes.push_back(app);
  NamespaceSnapshot& n = o.now.namespaces.emplace_back();
  n.name = "host";
  n.is_host = true;
  n.sockets_read = true;
  n.counters_read = true;
  n.settings = settings;
  Census census(settings);
  fill(census);
  for (std::uint64_t inode = 1; inode < 10000; ++inode) census.own(inode, 0);
  n.sockets = census.finish([](std::int32_t) { return kNone; });
  n.totals.tw = n.sockets.states[TcpState::TimeWait] + n.sockets.compact_fin_wait_2;
  return o;
}

NamespaceSnapshot& ns(Observation& observation) {
  return observation.now.namespaces.at(0);
}

SocketRecord socket(const std::string& local, Port local_port, const std::string& remote,
                    Port remote_port, TcpState state, std::uint64_t inode) {
  SocketRecord s;
  s.tuple = {{*IpAddress::parse(local), local_port}, {*IpAddress::parse(remote), remote_port}};
  s.state = state;
  s.inode = inode;
  return s;
}

SocketRecord time_wait(const std::string& local, Port local_port, const std::string& remote,
                       Port remote_port, Duration age) {
  SocketRecord s = socket(local, local_port, remote, remote_port, TcpState::TimeWait, 0);
  s.compact = true;
  s.timer = TimerKind::TimeWait;
  s.timer_remaining = 60s - age;
  return s;
}

SocketRecord listener(const std::string& local, Port port) {
  SocketRecord s = socket(local, port, "0.0.0.0", 0, TcpState::Listen);
  s.send_queue = 128;
  return s;
}

void short_connections(Census& census, const std::string& from, const std::string& to, Port port,
                       double per_second, Duration since, PortRange range) {
  const auto total = static_cast<std::uint32_t>(per_second * std::min(60.0, seconds(since)));
  const std::uint32_t half = (range.size() + 1) / 2;
  for (std::uint32_t i = 0; i < total; ++i) {
    const std::uint32_t offset = i < half ? 2 * i : 2 * (i - half) + 1;
    ASSERT_LT(offset, range.size()) << "the history does not fit the range";
    const auto age =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(i / per_second));
    census.add(time_wait(from, static_cast<Port>(range.low + offset), to, port, age));
  }
}

const Finding* find(const Diagnosis& diagnosis, const std::string& id) {
  for (const Finding& f : diagnosis.findings) {
    if (f.id == id) return &f;
  }
  return nullptr;
}

double number(const Finding& finding, const std::string& name) {
  for (const Evidence& e : finding.evidence) {
    if (e.name != name) continue;
    if (const auto* i = std::get_if<std::int64_t>(&e.value)) return static_cast<double>(*i);
    if (const auto* d = std::get_if<double>(&e.value)) return *d;
  }
  ADD_FAILURE() << finding.id << " has no number " << name;
  return -1;
}

}  // namespace lastack::synthetic
