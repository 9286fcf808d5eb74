// Where `lastack endpoint fetch` puts a body: FILE.part until all of it is there, or a stream (standard output, a pipe, a
// device) whose reader may be slow. Beside FILE.part, FILE.part.version says of which version of a file it is a part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernel/unique_fd.h"
#include "services/http_fetch.h"

namespace lastack {

class FetchTarget {
 public:
  // `output` as the command line has it; "-" is standard output. Nothing that is there is changed yet.
  static Result<FetchTarget> open(const std::string& output, bool resume);

  // What can be gone on with; nothing, unless it is known of which version it is.
  const HttpPart& there() const { return there_; }
  // Bytes that are there, but not known to be of any version.
  std::uint64_t unknown() const { return unknown_; }
  // Whether --resume could go on with what is there by now.
  bool resumable() const { return resumable_; }
  bool is_file() const { return !part_.empty(); }
  const std::string& part() const { return part_; }

  // The head of the answer: what does not go on with what is there takes its place.
  Result<void> begin(const FetchResult& head);
  // A stream keeps what it cannot write without waiting: waiting().
  Result<void> put(std::uint64_t offset, std::span<const std::byte> bytes);
  bool waiting() const { return at_ < kept_.size(); }
  // To be watched while it is waiting(), and then:
  int descriptor() const { return stream_; }
  Result<void> go_on();
  // All of it is there.
  Result<void> finish(std::uint64_t length);
  // The first error of any of these.
  const std::optional<Error>& trouble() const { return trouble_; }

 private:
  std::string version_file() const { return part_ + ".version"; }
  void read_version(std::uint64_t length);
  Result<void> write_version(const FetchResult& head) const;
  Result<void> in_trouble(Error error);

  std::string name_, part_;
  UniqueFd fd_;
  int stream_ = -1;
  bool never_waits_ = false;  // a stream that is a file in truth
  HttpPart there_;
  std::uint64_t unknown_ = 0;
  bool resumable_ = false;
  std::vector<std::byte> kept_;
  std::size_t at_ = 0;  // in kept_
  std::optional<Error> trouble_;
};

}  // namespace lastack
