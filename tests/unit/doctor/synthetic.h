// Hosts that never were: a namespace whose sockets follow a given history, as a census would see it.
#pragma once

#include <functional>
#include <string>

#include "lastack/census.h"
#include "lastack/doctor.h"

namespace lastack::synthetic {

inline constexpr PortRange kRange{32768, 60999};

Settings usual_settings(PortRange range = kRange);

// An observation of one namespace on a host of one process, "app" (pid 100), with the settings given; `fill`
// adds sockets to the census, whose inodes all belong to that process.
Observation host(const Settings& settings, const std::function<void(Census&)>& fill);
NamespaceSnapshot& ns(Observation& observation);

SocketRecord socket(const std::string& local, Port local_port, const std::string& remote,
                    Port remote_port, TcpState state, std::uint64_t inode = 1);
SocketRecord time_wait(const std::string& local, Port local_port, const std::string& remote,
                       Port remote_port, Duration age);
SocketRecord listener(const std::string& local, Port port);

// `connections` a second since `since` ago, each closed here at once, on ports as connect() chooses them:
// one parity first.
void short_connections(Census& census, const std::string& from, const std::string& to, Port port,
                       double per_second, Duration since, PortRange range = kRange);

const Finding* find(const Diagnosis& diagnosis, const std::string& id);
double number(const Finding& finding, const std::string& name);

}  // namespace lastack::synthetic
