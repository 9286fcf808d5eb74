#include "bundle/encode.h"

#include <fmt/format.h>

#include <iterator>

#include "bundle/fields.h"
#include "bundle/json_text.h"
#include "lastack/bundle.h"

namespace lastack {

namespace {

// Commas between the members of one object.
class Members {
 public:
  explicit Members(std::string& out) : out_(out) { out_ += '{'; }
  void name(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    append_json_string(out_, name);
    out_ += ':';
  }
  void end() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

// Not `T{}`: that would need a default constructor of CloseHistogram that is not explicit.
template <class T>
const T& default_of() {
  static const T value = T();
  return value;
}

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void write(bool value) { out_ += value ? "true" : "false"; }
  template <std::integral Number>
  void write(Number value) {
    fmt::format_to(std::back_inserter(out_), "{}", value);
  }
  void write(Duration value) { write(value.count()); }
  void write(Instant value) { write(value.time_since_epoch().count()); }
  void write(const IpAddress& value) { append_json_string(out_, value.to_string()); }
  void write(TcpState value) { append_json_string(out_, to_string(value)); }
  void write(const PortSet& value) { append_json_string(out_, value.to_string()); }

  void write(const std::string& value) {
    if (is_utf8(value)) {
      append_json_string(out_, value);
      return;
    }
    Members members(out_);
    members.name("bytes");
    append_json_string(out_, latin1_to_utf8(value));
    members.end();
  }

  void write(const StateCounts& value) {
    Members members(out_);
    for (TcpState state : kAllTcpStates) {
      if (value[state] == 0) continue;
      members.name(to_string(state));
      write(value[state]);
    }
    members.end();
  }

  void write(const CloseHistogram& value) {
    Members members(out_);
    members.name("width_ns");
    write(value.width());
    members.name("bins");
    std::size_t used = CloseHistogram::kBins;
    while (used > 0 && value.bin(used - 1) == 0) --used;
    out_ += '[';
    for (std::size_t i = 0; i < used; ++i) {
      if (i != 0) out_ += ',';
      write(value.bin(i));
    }
    out_ += ']';
    members.end();
  }

  void write(const PortRange& value) {
    fmt::format_to(std::back_inserter(out_), "[{},{}]", value.low, value.high);
  }

  void write(const Settings& value) {
    Members members(out_);
    for (const SettingInfo& info : setting_table()) {
      const Settings::Value& setting = value.*info.member;
      if (!setting) continue;
      members.name(info.name);
      write(*setting);
    }
    if (value.ip_local_port_range) {
      members.name("ip_local_port_range");
      write(*value.ip_local_port_range);
    }
    if (!value.ip_local_reserved_ports.empty()) {
      members.name("ip_local_reserved_ports");
      write(value.ip_local_reserved_ports);
    }
    members.end();
  }

  // A counter that is there is known, 0 included.
  void write(const Counters& value) {
    Members members(out_);
    for (std::size_t i = 0; i < counter_table().size(); ++i) {
      if (!is_known(value, i)) continue;
      members.name(counter_table()[i].name);
      write(value.*counter_table()[i].member);
    }
    members.end();
  }

  template <class T>
  void write(const std::optional<T>& value) {
    value ? write(*value) : void(out_ += "null");
  }

  template <class T, std::size_t n>
  void write(const std::array<T, n>& value) {
    write_elements(value);
  }
  template <class T>
  void write(const std::vector<T>& value) {
    write_elements(value);
  }

  template <Described T>
  void write(const T& value) {
    Members members(out_);
    write_fields(members, value);
    members.end();
  }

  template <Described T>
  void write_fields(Members& members, const T& value) {
    for_each_field<T>([&](const auto& field) {
      if (!field.required && value.*field.member == default_of<T>().*field.member) return;
      members.name(field.name);
      write(value.*field.member);
    });
  }

 private:
  template <class Elements>
  void write_elements(const Elements& elements) {
    out_ += '[';
    bool first = true;
    for (const auto& element : elements) {
      if (!first) out_ += ',';
      first = false;
      write(element);
    }
    out_ += ']';
  }

  std::string& out_;
};

}  // namespace

std::string encode_bundle(const Observation& observation) {
  std::string out;
  Encoder encoder(out);
  Members members(out);
  members.name("format");
  encoder.write(std::string("lastack-bundle"));
  members.name("version");
  encoder.write(kBundleVersion);
  encoder.write_fields(members, observation);
  members.end();
  out += '\n';
  return out;
}

}  // namespace lastack
