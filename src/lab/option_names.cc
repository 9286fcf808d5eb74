#include "lab/option_names.h"

#include <array>

namespace lastack {
namespace {

struct Named {
  std::string_view name;
  Option option;
};
constexpr std::array kNamed{
    Named{"reuse_address", Option::reuse_address},
    Named{"reuse_port", Option::reuse_port},
    Named{"keep_alive", Option::keep_alive},
    Named{"linger", Option::linger},
    Named{"send_buffer", Option::send_buffer},
    Named{"receive_buffer", Option::receive_buffer},
    Named{"no_delay", Option::no_delay},
    Named{"cork", Option::cork},
    Named{"max_segment", Option::max_segment},
    Named{"keep_idle", Option::keep_idle},
    Named{"keep_interval", Option::keep_interval},
    Named{"keep_count", Option::keep_count},
    Named{"syn_count", Option::syn_count},
    Named{"linger2", Option::linger2},
    Named{"defer_accept", Option::defer_accept},
    Named{"window_clamp", Option::window_clamp},
    Named{"quick_ack", Option::quick_ack},
    Named{"user_timeout", Option::user_timeout},
    Named{"not_sent_low", Option::not_sent_low},
    Named{"bind_address_no_port", Option::bind_address_no_port},
    Named{"local_port_range", Option::local_port_range},
    Named{"traffic_class", Option::traffic_class},
    Named{"hop_limit", Option::hop_limit},
    Named{"urgent_inline", Option::urgent_inline},
    Named{"hears_icmp", Option::hears_icmp},
    Named{"v6_only", Option::v6_only},
    Named{"read_low", Option::read_low},
};

}  // namespace

std::optional<Option> option_from(std::string_view name) {
  for (const Named& named : kNamed) {
    if (named.name == name) return named.option;
  }
  return std::nullopt;
}

std::span<const std::string_view> option_names() {
  static constexpr auto kNames = [] {
    std::array<std::string_view, kNamed.size()> names;
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = kNamed[i].name;
    return names;
  }();
  return kNames;
}

std::string_view option_name(Option option) {
  for (const Named& named : kNamed) {
    if (named.option == option) return named.name;
  }
  return "?";
}

}  // namespace lastack
