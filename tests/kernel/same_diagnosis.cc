#include "kernel/same_diagnosis.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <regex>

#include "lastack/bundle.h"

namespace lastack {
namespace {

// What is said otherwise of an endpoint, and the whole of it. Beside these: a process of the kernel has a number
// and the user of an endpoint in memory has none; a setting is changed by another command; commands that ask or
// change the kernel's own tables (ss, /proc) have no counterpart; and times are those of another clock.
struct Otherwise {
  const char* kernel;
  const char* endpoint;
};
constexpr Otherwise kOtherwise[] = {
    {"lastack doctor --sample 5", "lastack endpoint --sample 5"},
    {"no counter of the kernel says so", "Host::ports_exhausted() counts it"},
    {"no counter of the kernel will say so", "Host::ports_exhausted() will count it"},
    {"setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) before bind() (Linux 4.2)",
     "Option::bind_address_no_port before bind()"},
    {"the kernel caps it at net.core.somaxconn", "the endpoint caps it at somaxconn"},
    {"(Linux 6.x, as root)", "(Host::destroy())"},
    {"of the running process (and where it is started: ulimit -n)",
     "(--sockets; HostOptions::most_sockets)"},
    {"raise the process's limit", "raise the limit (--sockets; HostOptions::most_sockets)"},
    {"and end this connection", "and end this connection (Host::destroy())"},
    {"below this kernel's default", "below the endpoint's default"},
};

std::string comparable(std::string text, bool of_kernel) {
  if (of_kernel) {
    for (const auto& [from, to] : kOtherwise) {
      if (const auto at = text.find(from); at != text.npos) {
        text.replace(at, std::string(from).size(), to);
      }
    }
  }
  static const std::regex kNumber(" \\(pid \\d+\\)"),
      kTime("\\d[\\d.,]*( (ms|us|s|min|h|days)\\b|/s\\b|/min\\b| connections/s| of them a second)");
  static const std::regex kRepeats("ListenOverflows [\\d,]+");
  text = std::regex_replace(text, kNumber, "");
  text = std::regex_replace(text, kRepeats, "ListenOverflows NUMBER");
  return std::regex_replace(text, kTime, "TIME");
}
std::string comparable(const Json& text, bool of_kernel) {
  return comparable(text.get<std::string>(), of_kernel);
}

std::string headlines(const std::vector<Json>& findings, bool of_kernel) {
  std::string all;
  for (const Json& f : findings) {
    all += f["severity"].get<std::string>() + ' ' + f["id"].get<std::string>() + ' ' +
           comparable(f["subject"], of_kernel) + '\n';
  }
  return all;
}

// Everything on the page about a finding that is text, a line each. What a remedy changes is told by the setting and
// its value, whatever the command.
std::string page_of(const Json& f, bool of_kernel) {
  static const std::regex kSetting(
      "(?:net\\.\\w+\\.|--set '?)(\\w+=[^'&-]*[^'&\\s-])|(?:--nofile=|--sockets )(\\d+)");
  std::string all;
  const auto line = [&](const std::string& label, const Json& text) {
    all += label + comparable(text, of_kernel) + '\n';
  };
  const auto settings = [&](const std::string& label, const std::string& text) {
    for (std::sregex_iterator at(text.begin(), text.end(), kSetting), end; at != end; ++at) {
      all += label + (*at)[1].str() + (*at)[2].str() + '\n';
    }
  };
  line("", f["sentence"]);
  for (const Json& detail : f["details"]) line("  ", detail);
  line("who: ", f["who_closed_first"]);
  line("why: ", f["why"]);
  for (const Json& owner : f["owners"]) {
    all += "owner " + owner["command"].get<std::string>() + ' ' + owner["sockets"].dump() + '\n';
  }
  for (const Json& r : f["remedies"]) {
    line("remedy " + r["layer"].get<std::string>() + ": ", r["text"]);
    for (const Json& command : r["commands"]) settings("  set ", command);
    settings("  undo ", r["undo"]);
    // A limit of sockets is neither soft nor hard.
    static const std::regex kHardLimit("(; )?the hard limit bounds it.*");
    const auto caution = std::regex_replace(r["caution"].get<std::string>(), kHardLimit, "");
    if (!caution.empty()) line("  mind: ", caution);
  }
  for (const Json& w : f["will_not_help"]) line("not: ", w);
  return all;
}

// What the page says of the whole host: how connections end here, the sockets by state, the tightest destination.
// Descriptors are those of other processes too.
std::string summary_of(const Visit& visit, bool of_kernel) {
  std::string all;
  for (const Json& line : visit.page["summary"]) {
    if (line["label"] == "descriptors") continue;
    all += line["label"].get<std::string>() + ": " + comparable(line["text"], of_kernel) + '\n';
  }
  return all;
}

// The kernel's default of tcp_max_tw_buckets follows from the memory of the machine.
constexpr const char* kLowered = "setting-max-tw-buckets-lowered";
void replace_default(std::string& page, const Json& kernel, const Json& endpoint) {
  const auto plain = [](const Json& f) { return f["evidence"]["usual"].dump(); };
  const auto with_comma = [&](const Json& f) {
    const std::string digits = plain(f);
    return digits.substr(0, digits.size() - 3) + ',' + digits.substr(digits.size() - 3);
  };
  for (const auto& number : {std::function(plain), std::function(with_comma)}) {
    page = std::regex_replace(page, std::regex(number(kernel)), number(endpoint));
  }
}

// Segments are repeated as time passes, and how much of it has passed is the machine's affair.
const std::vector<std::string> kRepeated = {"retransmitted_segments", "timeouts",
                                            "listen_overflows"};

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_time(const std::string& name) {
  return name.ends_with("_seconds") || name.ends_with("_per_second");
}

void expect_same_evidence(const std::string& id, const Json& kernel, const Json& endpoint,
                          const Apart& apart) {
  for (const auto& [name, value] : kernel.items()) {
    if (!endpoint.contains(name)) {
      ADD_FAILURE() << id << ": the endpoint has no " << name << ", the kernel " << value;
      continue;
    }
    if (name == "pid" || name.ends_with("_pid") || is_time(name)) continue;
    if (contains(apart.evidence, name)) continue;
    const Json& other = endpoint[name];
    if (contains(apart.growing, name)) {
      const double a = value, b = other;
      EXPECT_LE(std::abs(a - b), std::max(8.0, 0.02 * a))
          << id << ' ' << name << ": " << a << " and " << b;
    } else if (contains(kRepeated, name)) {
      EXPECT_EQ(value > 0, other > 0) << id << ' ' << name;
    } else if (!(id == kLowered && name == "usual")) {
      EXPECT_EQ(value, other) << id << ' ' << name;
    }
  }
  for (const auto& [name, value] : endpoint.items()) {
    EXPECT_TRUE(kernel.contains(name)) << id << ": only the endpoint has " << name << ' ' << value;
  }
}

}  // namespace

Visit visit_endpoint(const Observation& observation) {
  const auto path =
      std::filesystem::temp_directory_path() / ("lastack-endpoint-" + std::to_string(getpid()));
  const auto written = write_bundle(observation, path.string());
  EXPECT_TRUE(written) << written.error().message;
  Visit endpoint = ask_doctor({"--from", path.string()});
  std::filesystem::remove(path);
  return endpoint;
}

std::vector<Json> findings_of(const Visit& visit, const Json* truth) {
  std::vector<Json> all;
  for (const Json& finding : visit.page["findings"]) {
    bool ours = truth == nullptr || !finding["namespace"].get<std::string>().empty();
    if (!ours) {
      for (const Json& owner : finding["owners"]) {
        for (const char* name : {"pid", "owner_pid", "server_pid"}) {
          ours = ours || (truth->contains(name) && owner["pid"] == (*truth)[name]);
        }
      }
    }
    if (ours) all.push_back(finding);
  }
  return all;
}

void expect_same_findings(const std::vector<Json>& kernel, const std::vector<Json>& endpoint,
                          const Apart& apart) {
  const auto as_said_there = [&](std::string text) {
    for (const auto& [kernel_says, endpoint_says] : apart.said) {
      text = std::regex_replace(text, std::regex(kernel_says), endpoint_says);
    }
    return text;
  };
  ASSERT_EQ(as_said_there(headlines(kernel, true)), headlines(endpoint, false));
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const std::string id = kernel[i]["id"];
    if (apart.growing.empty()) {
      std::string page = as_said_there(page_of(kernel[i], true));
      if (id == kLowered) replace_default(page, kernel[i], endpoint[i]);
      EXPECT_EQ(page, page_of(endpoint[i], false)) << id;
    }
    expect_same_evidence(id, kernel[i]["evidence"], endpoint[i]["evidence"], apart);
  }
}

void expect_same_at_endpoint(const Incident& incident, const Visit& kernel,
                             const endpoint_incident::Options& further, const Apart& apart) {
  endpoint_incident::Options options = incident.options();
  options.insert(further.begin(), further.end());
  const Json& truth = incident.truth();
  // As long as the kernel lets it be.
  const std::string process = truth.value("owner", incident.name()).substr(0, 15);
  endpoint_incident::EndpointIncident same(incident.name(), options, process);
  const Visit endpoint = visit_endpoint(same.look(kernel.page["sampled_s"].get<double>()));
  EXPECT_EQ(endpoint.page["looked"], true);
  EXPECT_EQ(endpoint.page["guessed"], false) << endpoint.page["not_read"];
  EXPECT_EQ(endpoint.page["not_read"], Json::array());
  expect_same_findings(findings_of(kernel, &truth), findings_of(endpoint, nullptr), apart);
  if (apart.growing.empty()) {
    EXPECT_EQ(summary_of(kernel, true), summary_of(endpoint, false));
  }
}

}  // namespace lastack
