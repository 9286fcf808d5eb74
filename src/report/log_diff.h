// Two lifecycle logs, and where they first tell different stories. Compared is what each host saw of each connection:
// segments (flags, relative numbers, length) in their order, states, calls, the fate of TIME_WAIT; times within a
// tolerance. Connections are matched by the names of their hosts, the port that was called, and the order in which they
// were opened: neither addresses nor ephemeral ports nor initial sequence numbers have to be the same. A category that
// is not complete in both logs is not compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/log_trace.h"

namespace lastack {

struct LogDiffOptions {
  // Times since the connection began may differ by `absolute` nanoseconds, and by this share of the longer one.
  std::int64_t absolute = 1'000'000;
  double share = 0.01;
  bool times = true;        // compared at all
  std::size_t context = 4;  // events before and after
};

// What the first divergence is.
enum class LogDivergence : std::uint8_t {
  Segment,  // another one
  State,    // another change of state
  Call,     // of the application, or of another kind than the other log's event
  Time,     // the same at another time
  MoreInA,  // B's connection has no more events at this host
  MoreInB,
  OnlyInA,  // the whole connection
  OnlyInB,
};
std::string_view to_string(LogDivergence kind);

struct LogDiff {
  bool equal = false;
  // What the first lines say differently, in words: "seed: 1, 2".
  std::vector<std::string> headers;
  std::vector<std::string> not_compared;  // categories
  std::size_t connections_a = 0, connections_b = 0;
  std::size_t connections_differ = 0;  // of those that both have, and those that one has
  std::size_t events = 0;              // compared, of A

  struct First {
    LogDivergence kind{};
    std::string connection;  // "client -> server:80, the 2nd"
    std::string host;        // at which it was seen; "wire"
    std::optional<std::uint32_t> line_a, line_b;
    struct Row {
      struct Side {
        std::uint32_t line = 0;
        std::int64_t at = 0;  // nanoseconds since the connection began
        std::string what;
      };
      std::optional<Side> a, b;
      bool diverges = false;
    };
    std::vector<Row> rows;  // with what is around it
  };
  std::optional<First> first;
};

LogDiff diff(const LogTrace& a, const LogTrace& b, const LogDiffOptions& options = {});

std::string diff_text(const LogDiff& diff, const std::string& name_a, const std::string& name_b,
                      std::size_t width = 120);

}  // namespace lastack
