// Each finding where it belongs, with its numbers.
#include <gtest/gtest.h>

#include "synthetic.h"

namespace lastack {
namespace {

using namespace synthetic;

TEST(Findings, ports_out_by_time_wait) {
  const PortRange range{40000, 40999};
  const Diagnosis d = diagnose(host(usual_settings(range), [&](Census& c) {
    for (Port i = 0; i < 1000; ++i) {
      c.add(time_wait("10.0.0.1", static_cast<Port>(40000 + i), "10.0.0.2", 80, 10s + i * 5ms));
    }
  }));
  const Finding* f = find(d, "ports-exhausted-time-wait");
  ASSERT_NE(f, nullptr);
  EXPECT_EQ(f->severity, Severity::Problem);
  EXPECT_EQ(number(*f, "ports_taken"), 1000);
  EXPECT_EQ(number(*f, "ports_free"), 0);
  EXPECT_NE(f->who_closed_first.find("this host"), std::string::npos);
  EXPECT_EQ(find(d, "ports-exhausted-established"), nullptr);
}

// On a host of ours the same is found, and what to do is done there.
TEST(Findings, an_endpoint_is_told_what_an_endpoint_can_do) {
  Settings settings = usual_settings({40000, 40999});
  settings.tcp_tw_reuse = 0;
  Observation observation = host(settings, [](Census& c) {
    c.add_listener(listener("10.0.0.1", 8080));
    for (Port i = 0; i < 1000; ++i) {
      c.add(time_wait("10.0.0.1", static_cast<Port>(40000 + i), "10.0.0.2", 80, 10s + i * 5ms));
    }
  });
  observation.now.is_endpoint = true;
  const Diagnosis d = diagnose(observation);
  const Finding* f = find(d, "ports-exhausted-time-wait");
  ASSERT_NE(f, nullptr);
  std::string commands;
  for (const Remedy& r : f->remedies) {
    for (const std::string& command : r.commands) commands += command + '\n';
    if (!r.undo.empty()) commands += r.undo + '\n';
    EXPECT_EQ(r.check, "lastack doctor --from FILE");
  }
  EXPECT_EQ(commands,
            "lastack endpoint ... --set ip_local_reserved_ports=8080 --set "
            "'ip_local_port_range=1024 65535'\n"
            "lastack endpoint ... --set 'ip_local_port_range=40000 40999' --set "
            "ip_local_reserved_ports=\n"
            "lastack endpoint ... --set tcp_tw_reuse=1\n"
            "lastack endpoint ... --set tcp_tw_reuse=0\n");
}

TEST(Findings, ports_out_by_open_connections_are_told_apart) {
  const PortRange range{40000, 40999};
  const Diagnosis d = diagnose(host(usual_settings(range), [&](Census& c) {
    for (Port i = 0; i < 1000; ++i) {
      c.add(
          socket("10.0.0.1", static_cast<Port>(40000 + i), "10.0.0.2", 80, TcpState::Established));
    }
  }));
  const Finding* f = find(d, "ports-exhausted-established");
  ASSERT_NE(f, nullptr);
  EXPECT_EQ(number(*f, "live"), 1000);
  EXPECT_EQ(find(d, "ports-exhausted-time-wait"), nullptr);
  for (const Remedy& r : f->remedies) EXPECT_NE(r.layer, Layer::Reuse) << r.text;
}

TEST(Findings, the_cliff_comes_at_half_the_range_and_not_before) {
  for (const std::uint32_t taken : {13000U, 14000U, 14200U, 20000U}) {
    const Diagnosis d = diagnose(host(usual_settings(), [&](Census& c) {
      for (std::uint32_t i = 0; i < taken; ++i) {
        const std::uint32_t offset = i < 14116 ? 2 * i : 2 * (i - 14116) + 1;
        c.add(socket("10.0.0.1", static_cast<Port>(32768 + offset), "10.0.0.2", 80,
                     TcpState::Established));
      }
    }));
    const Finding* f = find(d, "connect-cost-cliff");
    EXPECT_EQ(f != nullptr, taken > 14116) << taken;
    if (f != nullptr) {
      EXPECT_NE(f->sentence.find("190 times"), std::string::npos) << f->sentence;
    }
  }
}

TEST(Findings, time_wait_on_a_listening_port_is_harmless) {
  const Diagnosis d = diagnose(host(usual_settings(), [](Census& c) {
    c.add_listener(listener("0.0.0.0", 443));
    for (Port i = 0; i < 20000; ++i) {
      c.add(time_wait("10.0.0.1", 443, "10.0.0.9", static_cast<Port>(20000 + i), 10s));
    }
  }));
  const Finding* f = find(d, "time-wait-server");
  ASSERT_NE(f, nullptr);
  EXPECT_EQ(f->severity, Severity::Notice);
  EXPECT_EQ(number(*f, "time_wait"), 20000);
  EXPECT_TRUE(d.healthy());
}

TEST(Findings, close_wait_is_a_leak_by_process_with_its_descriptors) {
  Observation o = host(usual_settings(), [](Census& c) {
    c.add_listener(listener("0.0.0.0", 8080));
    for (Port i = 0; i < 560; ++i) {
      c.add(socket("10.0.0.1", 8080, "10.0.4.2", static_cast<Port>(20000 + i), TcpState::CloseWait,
                   i + 1U));
    }
  });
  o.now.processes[0].descriptors = 560;
  o.now.processes[0].descriptor_limit = 600;
  const Diagnosis d = diagnose(o);
  const Finding* f = find(d, "close-wait-leak");
  ASSERT_NE(f, nullptr);
  EXPECT_EQ(f->severity, Severity::Problem);
  EXPECT_EQ(number(*f, "pid"), 100);
  EXPECT_EQ(number(*f, "descriptors_left"), 40);
  EXPECT_EQ(f->who_closed_first, "the peers");
  EXPECT_NE(find(d, "descriptors-exhausting"), nullptr);
}

TEST(Findings, a_few_close_wait_on_their_way_are_no_leak) {
  const Diagnosis d = diagnose(host(usual_settings(), [](Census& c) {
    c.add_listener(listener("0.0.0.0", 8080));
    for (Port i = 0; i < 3000; ++i) {
      c.add(socket("10.0.0.1", 8080, "10.0.4.2", static_cast<Port>(20000 + i),
                   i < 120 ? TcpState::CloseWait : TcpState::Established, i + 1U));
    }
  }));
  EXPECT_EQ(find(d, "close-wait-leak"), nullptr);
}

TEST(Findings, overflow_of_the_time_wait_table) {
  Settings settings = usual_settings();
  settings.tcp_max_tw_buckets = 100;
  Observation o = host(settings, [](Census& c) {
    for (Port i = 0; i < 100; ++i)
      c.add(time_wait("10.0.0.1", static_cast<Port>(40000 + i), "10.0.0.2", 80, 5s));
  });
  ns(o).counters.TCPTimeWaitOverflow = 900;
  const Diagnosis d = diagnose(o);
  const Finding* f = find(d, "time-wait-overflow");
  ASSERT_NE(f, nullptr);
  EXPECT_EQ(f->severity, Severity::Problem);
  EXPECT_EQ(number(*f, "time_wait_overflow"), 900);
  EXPECT_NE(find(d, "setting-max-tw-buckets-lowered"), nullptr);
}

TEST(Findings, old_overflows_alone_are_history) {
  Observation o = host(usual_settings(), [](Census&) {});
  ns(o).counters.TCPTimeWaitOverflow = 900;
  const Diagnosis d = diagnose(o);
  ASSERT_NE(find(d, "time-wait-overflow"), nullptr);
  EXPECT_TRUE(d.healthy());
}

TEST(Findings, a_full_accept_queue_has_an_owner) {
  const Diagnosis d = diagnose(host(usual_settings(), [](Census& c) {
    SocketRecord l = listener("0.0.0.0", 8080);
    l.receive_queue = 129;
    l.inode = 7;
    c.add_listener(l);
  }));
  const Finding* f = find(d, "accept-queue-overflow");
  ASSERT_NE(f, nullptr);
  ASSERT_FALSE(f->owners.empty());
  EXPECT_EQ(f->owners[0].pid, 100);
}

TEST(Findings, states_that_pile_up_have_their_own_names) {
  const std::pair<TcpState, const char*> cases[] = {{TcpState::FinWait2, "fin-wait-2-piling-up"},
                                                    {TcpState::LastAck, "last-ack-piling-up"},
                                                    {TcpState::Closing, "closing-piling-up"},
                                                    {TcpState::FinWait1, "fin-wait-1-piling-up"},
                                                    {TcpState::SynSent, "syn-sent-piling-up"}};
  for (const auto& [state, id] : cases) {
    const Diagnosis d = diagnose(host(usual_settings(), [&, s = state](Census& c) {
      for (Port i = 0; i < 300; ++i) {
        c.add(socket("10.0.0.1", static_cast<Port>(40000 + 2 * i), "10.0.0.2", 80, s, 0));
      }
    }));
    const Finding* f = find(d, id);
    ASSERT_NE(f, nullptr) << id;
    EXPECT_FALSE(f->who_closed_first.empty());
  }
}

TEST(Findings, a_listener_in_the_range_is_noticed_until_it_is_reserved) {
  Settings settings = usual_settings();
  const auto fill = [](Census& c) { c.add_listener(listener("0.0.0.0", 40005)); };
  EXPECT_NE(find(diagnose(host(settings, fill)), "listener-in-ephemeral-range"), nullptr);
  settings.ip_local_reserved_ports.insert(Port{40005});
  EXPECT_EQ(find(diagnose(host(settings, fill)), "listener-in-ephemeral-range"), nullptr);
}

TEST(Findings, wrong_recipes_are_named) {
  struct {
    const char* setting;
    std::int64_t value;
    const char* finding;
  } const recipes[] = {{"tcp_fin_timeout", 30, "setting-fin-timeout"},
                       {"tcp_fin_timeout", 61, "setting-fin-timeout-61-to-89"},
                       {"tcp_fin_timeout", 89, "setting-fin-timeout-61-to-89"},
                       {"tcp_tw_reuse", 0, "setting-reuse-off"},
                       {"tcp_timestamps", 0, "setting-timestamps-off"},
                       {"tcp_max_tw_buckets", 5000, "setting-max-tw-buckets-lowered"},
                       {"tcp_tw_recycle", 1, "setting-tw-recycle"},
                       {"tcp_tw_timeout", 20, "setting-vendor-tw-timeout"},
                       {"tcp_rfc1337", 1, "setting-rfc1337"},
                       {"tcp_abort_on_overflow", 1, "setting-abort-on-overflow"},
                       {"tcp_syncookies", 0, "setting-syncookies-off"}};
  for (const auto& r : recipes) {
    Settings settings = usual_settings();
    settings.*find_setting(r.setting)->member = r.value;
    EXPECT_NE(find(diagnose(host(settings, [](Census&) {})), r.finding), nullptr)
        << r.setting << "=" << r.value;
  }
  for (const std::int64_t fine : {60, 90, 120}) {
    Settings settings = usual_settings();
    settings.tcp_fin_timeout = fine;
    const Diagnosis d = diagnose(host(settings, [](Census&) {}));
    EXPECT_TRUE(d.findings.empty()) << fine;
  }
  Settings both = usual_settings();
  both.tcp_tw_reuse = 1;
  both.tcp_timestamps = 0;
  EXPECT_NE(find(diagnose(host(both, [](Census&) {})), "setting-reuse-without-timestamps"),
            nullptr);
}

TEST(Findings, a_retired_knob_in_a_file_is_named_with_its_place) {
  Observation o = host(usual_settings(), [](Census&) {});
  o.now.sysctl_lines.push_back(
      {"/etc/sysctl.d/99-tuning.conf", 12, "net.ipv4.tcp_tw_recycle", "1"});
  const Diagnosis d = diagnose(o);
  const Finding* f = find(d, "setting-retired");
  ASSERT_NE(f, nullptr);
  EXPECT_NE(f->sentence.find("99-tuning.conf:12"), std::string::npos);
}

TEST(Findings, settings_of_the_host_that_do_not_reach_a_container) {
  Observation o = host(usual_settings(), [](Census&) {});
  ns(o).is_host = false;
  ns(o).name = "web";
  o.now.outer_settings = usual_settings();
  o.now.outer_settings->tcp_tw_reuse = 1;
  EXPECT_NE(find(diagnose(o), "setting-host-only"), nullptr);
}

TEST(Findings, conntrack_that_keeps_more_than_the_sockets) {
  Observation o = host(usual_settings(), [](Census&) {});
  ns(o).conntrack = Conntrack{.count = 9000, .max = 10000, .time_wait = 8000};
  const Diagnosis d = diagnose(o);
  EXPECT_NE(find(d, "conntrack-full"), nullptr);
  EXPECT_NE(find(d, "conntrack-time-wait"), nullptr);
}

TEST(Findings, commands_act_inside_the_namespace) {
  const PortRange range{40000, 40999};
  Observation o = host(usual_settings(range), [&](Census& c) {
    for (Port i = 0; i < 1000; ++i)
      c.add(time_wait("10.0.0.1", static_cast<Port>(40000 + i), "10.0.0.2", 80, 10s));
  });
  ns(o).enter = "ip netns exec web";
  const Diagnosis d = diagnose(o);
  const Finding* f = find(d, "ports-exhausted-time-wait");
  ASSERT_NE(f, nullptr);
  for (const Remedy& r : f->remedies) {
    for (const std::string& command : r.commands) {
      if (command.find("sysctl") != std::string::npos) {
        EXPECT_TRUE(command.starts_with("ip netns exec web sysctl -w ")) << command;
      }
    }
  }
}

}  // namespace
}  // namespace lastack
