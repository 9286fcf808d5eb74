#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "cli/endpoint_live.h"
#include "cli/endpoint_runs.h"
#include "cli/endpoint_stage.h"
#include "cli/exit_codes.h"
#include "cli/output.h"
#include "services/http_fetch.h"

namespace lastack {
namespace {

constexpr const char* kName = "endpoint fetch";

// Where the body goes: standard output, or FILE.part until all of it is there.
class Target {
 public:
  static Result<Target> open(const FetchArguments& arguments) {
    Target target;
    if (arguments.output == "-") return target;
    target.name_ = arguments.output;
    target.part_ = arguments.output + ".part";
    const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (arguments.resume ? 0 : O_TRUNC);
    target.fd_.reset(::open(target.part_.c_str(), flags, 0666));
    struct stat about {};
    if (!target.fd_ || ::fstat(target.fd_.get(), &about) != 0) {
      return tl::unexpected(system_error(errno, "cannot write " + target.part_));
    }
    if (arguments.resume) target.length_ = static_cast<std::uint64_t>(about.st_size);
    return target;
  }

  std::uint64_t length() const { return length_; }
  bool is_file() const { return static_cast<bool>(fd_); }
  const std::string& part() const { return part_; }

  Result<void> put(std::uint64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t n =
          fd_ ? ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset))
              : ::write(STDOUT_FILENO, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        return tl::unexpected(
            system_error(errno, "cannot write to " + (fd_ ? part_ : "standard output")));
      }
      offset += static_cast<std::uint64_t>(n);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }
  // All of it is there.
  Result<void> finish(std::uint64_t length) {
    if (!fd_) return {};
    // What an earlier, longer version has left.
    if (::ftruncate(fd_.get(), static_cast<off_t>(length)) != 0 ||
        ::rename(part_.c_str(), name_.c_str()) != 0) {
      return tl::unexpected(system_error(errno, "cannot finish " + name_));
    }
    return {};
  }

 private:
  std::string name_, part_;
  UniqueFd fd_;
  std::uint64_t length_ = 0;  // of what was there before
};

}  // namespace

int run_endpoint_fetch(const FetchArguments& arguments) {
  const auto refuse = [](const std::string& message, int code) {
    complain(kName, message);
    return code;
  };
  if (arguments.resume && arguments.output == "-") {
    return refuse("--resume needs a file: --output FILE", exit_code::kUsage);
  }
  const auto url = parse_http_url(arguments.url);
  if (!url) return refuse(arguments.url + ": " + url.error().message, exit_code::kUsage);
  auto stage = Stage::set(kName, arguments.stage);
  if (!stage) return report(kName, stage.error());
  Stage& s = **stage;
  const auto to = resolve(url->host, url->port, s.has_address(true), s.has_address(false));
  if (!to) return refuse(to.error().message, exit_code::kNoInput);
  auto target = Target::open(arguments);
  if (!target) return refuse(target.error().message, exit_code::kCannotWrite);

  HttpFetch fetch(s.host(), s.events(),
                  [&](std::uint64_t offset, std::span<const std::byte> bytes) {
                    return target->put(offset, bytes);
                  });
  const Instant begun = EventLoop::now();
  std::uint64_t seen = 0;
  Instant seen_at = begun;
  fetch.on_end([&] { s.end(); });
  s.every(200ms, [&] {
    const Instant now = EventLoop::now();
    if (fetch.received() != seen) {
      seen = fetch.received();
      seen_at = now;
    } else if (seconds(now - seen_at) > arguments.patience) {
      fetch.fail(
          fmt::format("nothing has come for {:g} s, after {} bytes", arguments.patience, seen),
          now);
    }
  });
  if (fetch.start(*to, *url, target->length(), begun)) {
    const auto ended = s.run();
    if (!ended) return report(kName, ended.error());
    if (!fetch.done()) {
      fetch.fail("interrupted", EventLoop::now());
      s.end();
      (void)s.run();
      if (target->is_file()) complain(kName, "--resume goes on with " + target->part());
      return 128 + *ended;
    }
  }
  const double took = seconds(EventLoop::now() - begun);
  if (!s.write_snapshot()) return exit_code::kCannotWrite;
  const auto& result = fetch.result();
  if (!result) {
    complain(kName, result.error().message);
    if (!fetch.connected()) {
      const std::string hint = s.reach_hint(*to, fetch.connect_error());
      if (!hint.empty()) complain(kName, hint);
    }
    if (target->is_file() && fetch.received() > 0) {
      complain(kName, "--resume goes on with " + target->part());
    }
    return 1;
  }
  const std::uint64_t length = result->offset + result->bytes;
  const bool had_it = result->status == 416;
  if (had_it && result->whole != target->length()) {
    return refuse(fmt::format("{} has {} bytes, and the server has no more than {}: another file?",
                              target->part(), target->length(), result->whole.value_or(0)),
                  1);
  }
  if (!had_it && result->whole && *result->whole != length) {
    return refuse(fmt::format("{} bytes have come of {}", length, *result->whole), 1);
  }
  if (auto finished = target->finish(had_it ? target->length() : length); !finished) {
    return refuse(finished.error().message, exit_code::kCannotWrite);
  }
  if (!arguments.quiet) {
    const std::string note = result->restarted ? ", all of it: the server knows no ranges" : "";
    complain(kName,
             fmt::format("{} bytes from {} in {:.2f} s ({}){}", result->bytes, to->to_string(),
                         took, bytes_per_second(static_cast<double>(result->bytes) / took), note));
  }
  return 0;
}

}  // namespace lastack
