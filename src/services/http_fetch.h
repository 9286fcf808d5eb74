// GET of one URL to a descriptor: the whole of it, or the rest from an offset on. Whether all of it has come is known
// by Content-Length, by the last chunk, or, where there is neither, not at all: then the peer's end is believed, a
// reset is not.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "services/http_message.h"
#include "services/service.h"

namespace lastack {

struct FetchResult {
  int status = 0;
  std::uint64_t bytes = 0;             // of the body, as they came in this answer
  std::uint64_t offset = 0;            // where in the whole they belong
  std::optional<std::uint64_t> whole;  // length of the whole, where the server tells it
  bool restarted = false;              // the rest was asked for, and the server has sent everything
};

class HttpFetch final : public SocketOwner {
 public:
  // Takes the body, a piece at a time, with the place it belongs to; an error ends the fetch.
  using Sink = std::function<Result<void>(std::uint64_t offset, std::span<const std::byte> bytes)>;

  HttpFetch(Host& host, SocketEvents& events, Sink sink)
      : host_(host), events_(events), sink_(std::move(sink)) {}
  // `from` more than 0: only the rest, from there on.
  Result<void> start(const Endpoint& to, const HttpUrl& url, std::uint64_t from, Instant now);
  void on_event(SocketId socket, Instant now) override;
  // Gives up.
  void fail(std::string why, Instant now);

  // Called once, when it is done.
  void on_end(std::function<void()> what) { on_end_ = std::move(what); }
  bool done() const { return done_; }
  // Once done.
  const Result<FetchResult>& result() const { return result_; }
  std::uint64_t received() const { return so_far_.bytes; }
  // What connect() has come to, once done; none: it came through, or nothing came back at all.
  bool connected() const { return phase_ != Phase::Connecting; }
  Err connect_error() const { return connect_error_; }

 private:
  enum class Phase : std::uint8_t { Connecting, Sending, Head, Body, ChunkSize, ChunkEnd, Trailer };
  void go_on(Instant now);
  Result<void> take_head(const HttpHead& head);
  // Deals with what is in input_. Whether more of it is needed.
  Result<bool> take_input();
  Result<bool> take_body();
  void finish(Instant now);

  Host& host_;
  SocketEvents& events_;
  Sink sink_;
  std::function<void()> on_end_;
  SocketId socket_{};
  bool open_ = false;
  std::string request_;
  std::size_t sent_ = 0;
  std::uint64_t from_ = 0;
  Phase phase_ = Phase::Connecting;
  Err connect_error_ = Err::none;
  std::string input_;
  std::size_t at_ = 0;                 // in input_
  std::optional<std::uint64_t> left_;  // of the body or the chunk; nothing: until the peer's end
  bool chunked_ = false;
  bool complete_ = false;
  bool done_ = false;
  FetchResult so_far_;
  Result<FetchResult> result_;
};

}  // namespace lastack
