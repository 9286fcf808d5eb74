#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "cli/endpoint_live.h"
#include "cli/endpoint_runs.h"
#include "cli/endpoint_stage.h"
#include "cli/exit_codes.h"
#include "cli/fetch_target.h"
#include "cli/output.h"
#include "services/http_fetch.h"

namespace lastack {
namespace {

constexpr const char* kName = "endpoint fetch";

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
  auto target = FetchTarget::open(arguments.output, arguments.resume);
  if (!target) {
    const int number = target.error().number;
    return refuse(target.error().message,
                  number == EINVAL ? exit_code::kUsage : exit_code::kCannotWrite);
  }
  if (target->unknown() > 0 && !arguments.quiet) {
    complain(kName,
             fmt::format("it is not known of which version {} is a part: all of it is fetched anew",
                         target->part()));
  }

  const Instant begun = EventLoop::now();
  std::uint64_t seen = 0;
  Instant seen_at = begun;
  std::optional<HttpFetch> fetch;
  const auto go_on = [&](EventLoop::Ready) {
    const Instant now = EventLoop::now();
    seen_at = now;  // it was not the server who kept us waiting
    const auto written = target->go_on();
    if (target->waiting()) return;
    s.loop().unwatch(target->descriptor());
    if (fetch->done()) {
      s.end();
    } else if (written) {
      fetch->resume(now);
    } else {
      fetch->fail(written.error().message, now);
    }
  };
  fetch.emplace(s.host(), s.events(),
                [&](std::uint64_t offset, std::span<const std::byte> bytes) -> Result<void> {
                  const bool waited = target->waiting();
                  auto taken = target->put(offset, bytes);
                  if (!taken || waited || !target->waiting()) return taken;
                  fetch->pause();
                  return s.loop().watch(target->descriptor(), {.writable = true}, go_on);
                });
  fetch->on_head([&](const FetchResult& head) { return target->begin(head); });
  fetch->on_end([&] {
    if (!target->waiting()) s.end();
  });
  s.every(200ms, [&] {
    const Instant now = EventLoop::now();
    if (fetch->received() != seen || target->waiting()) {
      seen = fetch->received();
      seen_at = now;
    } else if (seconds(now - seen_at) > arguments.patience) {
      fetch->fail(
          fmt::format("nothing has come for {:g} s, after {} bytes", arguments.patience, seen),
          now);
    }
  });
  const auto can_go_on = [&] {
    if (!target->is_file() || fetch->received() == 0) return;
    complain(kName, target->resumable()
                        ? "--resume goes on with " + target->part()
                        : "--resume cannot go on with " + target->part() +
                              ": the server says nothing (ETag, Last-Modified) that tells one "
                              "version of the file from the next");
  };
  if (fetch->start(*to, *url, target->there(), begun)) {
    const auto ended = s.run();
    if (!ended) return report(kName, ended.error());
    if (!fetch->done() || target->waiting()) {
      fetch->fail("interrupted", EventLoop::now());
      s.end();
      (void)s.run();
      if (!s.write_files()) return exit_code::kCannotWrite;
      can_go_on();
      return 128 + *ended;
    }
  }
  const double took = seconds(EventLoop::now() - begun);
  const bool written = s.write_files();  // what was fetched counts all the same
  const auto& result = fetch->result();
  if (!result || target->trouble()) {
    complain(kName, target->trouble() ? target->trouble()->message : result.error().message);
    if (!fetch->connected()) {
      const std::string hint = s.reach_hint(*to, fetch->connect_error());
      if (!hint.empty()) complain(kName, hint);
    }
    if (fetch->changed()) complain(kName, "without --resume all of it is fetched anew");
    can_go_on();
    return target->trouble() ? exit_code::kCannotWrite : 1;
  }
  const std::uint64_t length = result->offset + result->bytes;
  const std::uint64_t there = target->there().length;
  const bool had_it = result->status == 416;
  if (had_it && result->whole != there) {
    return refuse(fmt::format("{} has {} bytes, and the server has no more than {}: another file?",
                              target->part(), there, result->whole.value_or(0)),
                  1);
  }
  if (!had_it && result->whole && *result->whole != length) {
    return refuse(fmt::format("{} bytes have come of {}", length, *result->whole), 1);
  }
  if (auto finished = target->finish(had_it ? there : length); !finished) {
    return refuse(finished.error().message, exit_code::kCannotWrite);
  }
  if (!arguments.quiet) {
    const std::string note =
        result->restarted ? ", all of it: the server has another version or knows no ranges" : "";
    complain(kName,
             fmt::format("{} bytes from {} in {:.2f} s ({}){}", result->bytes, to->to_string(),
                         took, bytes_per_second(static_cast<double>(result->bytes) / took), note));
  }
  return written ? 0 : exit_code::kCannotWrite;
}

}  // namespace lastack
