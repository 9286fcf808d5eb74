#include "report/log_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "model/printable.h"

namespace lastack {
namespace {

// Zero width, marks, overrides and isolates of direction (Unicode 15, 23.2 and UAX 9): U+200B to U+200F,
// U+2028 to U+202E, U+2060 to U+206F, U+FEFF. In UTF-8, three bytes each.
bool is_steering(std::string_view three) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(three[i]); };
  if (three.size() < 3) return false;
  if (byte(0) == 0xef) return byte(1) == 0xbb && byte(2) == 0xbf;
  if (byte(0) != 0xe2) return false;
  if (byte(1) == 0x80)
    return (byte(2) >= 0x8b && byte(2) <= 0x8f) || (byte(2) >= 0xa8 && byte(2) <= 0xae);
  return byte(1) == 0x81 && byte(2) >= 0xa0 && byte(2) <= 0xaf;
}

}  // namespace

std::string shown(std::string_view text, std::size_t most) {
  const std::string clean = printable(text);
  std::string out;
  std::size_t used = 0;
  for (std::size_t at = 0; at < clean.size();) {
    std::size_t length = 1;
    while (at + length < clean.size() && (clean[at + length] & 0xC0) == 0x80) ++length;
    if (used + 1 == most && columns(std::string_view(clean).substr(at)) > 1) return out + "~";
    const std::string_view one = std::string_view(clean).substr(at, length);
    out += is_steering(one) ? "?" : one;
    ++used;
    at += length;
  }
  return out;
}

std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(std::string text, std::size_t width) {
  const std::size_t used = columns(text);
  if (used < width) text.append(width - used, ' ');
  return text;
}

std::string milliseconds(std::int64_t nanoseconds) {
  const auto ns = static_cast<std::uint64_t>(nanoseconds);
  const std::uint64_t us = ns / 1000 + (ns % 1000 >= 500 ? 1 : 0);
  return fmt::format("{}.{:03}", grouped(us / 1000), us % 1000);
}

std::string segment_words(const TraceEvent& e) {
  static constexpr std::array<std::pair<int, std::string_view>, 7> kNames = {
      {{1, "SYN"}, {0, "FIN"}, {2, "RST"}, {3, "PSH"}, {5, "URG"}, {6, "ECE"}, {7, "CWR"}}};
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if ((e.flags >> bit & 1) != 0) text += fmt::format("{}{}", text.empty() ? "" : " ", name);
  }
  const bool numbered = !text.empty() || e.length > 0 || !e.ack_flag();
  if (numbered || e.off_sequence) {
    text += fmt::format("{}{}{}", text.empty() ? (e.length > 0 ? "" : "seq ") : " ", e.seq,
                        e.seq_of_before ? "'" : "");
    if (e.length > 0) text += fmt::format("+{}", e.length);
  }
  if (e.ack_flag()) {
    text += fmt::format("{}ACK {}{}", text.empty() ? "" : ", ", e.ack, e.ack_of_before ? "'" : "");
  }
  return text;
}

std::string_view plain_words(Happening what) {
  switch (what) {
    case Happening::SegmentSent:
      return "sent";
    case Happening::SegmentReceived:
      return "arrived";
    case Happening::SegmentDropped:
      return "lost";
    case Happening::SegmentDelayed:
      return "delayed";
    case Happening::SegmentDuplicated:
      return "doubled";
    case Happening::SegmentCorrupted:
      return "corrupted";
    case Happening::AppConnect:
      return "connect()";
    case Happening::AppAccept:
      return "accept()";
    case Happening::AppRead:
      return "read()";
    case Happening::AppWrite:
      return "write()";
    case Happening::AppShutdown:
      return "shutdown()";
    case Happening::AppClose:
      return "close()";
    case Happening::AppAbort:
      return "abort()";
    case Happening::IcmpReceived:
      return "ICMP error arrived";
    case Happening::PathDoubted:
      return "path doubted";
    case Happening::TimeWaitEntered:
      return "TIME_WAIT begins";
    case Happening::TimeWaitEnded:
      return "TIME_WAIT is over";
    case Happening::TimeWaitOverflowed:
      return "no TIME_WAIT: the table is full";
    case Happening::TimeWaitSkipped:
      return "no TIME_WAIT: its length is nothing";
    case Happening::TimeWaitEvicted:
      return "TIME_WAIT ended for a newer one";
    case Happening::TimeWaitAssassinated:
      return "TIME_WAIT ended by a RST";
    case Happening::TimeWaitReused:
      return "TIME_WAIT reused by connect()";
    case Happening::TimeWaitReopened:
      return "TIME_WAIT reopened by a SYN";
    case Happening::TimeWaitAborted:
      return "TIME_WAIT destroyed";
    case Happening::AppRefused:
      return "connect() fails";
    case Happening::HostCrashed:
      return "crash: all memory lost";
    case Happening::SettingChanged:
      return "setting changed";
    case Happening::StateChanged:
    case Happening::TimerFired:
    case Happening::AppListen:
      break;
  }
  return "";
}

std::string event_words(const LogTrace& trace, const TraceEvent& e) {
  switch (e.what) {
    case Happening::StateChanged:
      return fmt::format("{} -> {}", to_string(e.from), to_string(e.to));
    case Happening::TimerFired:
      return fmt::format("time-out: {}", shown(trace.text(e.timer), 40));
    case Happening::AppListen:
      return fmt::format("listen() {}", shown(trace.text(e.detail), 60));
    default:
      return std::string(plain_words(e.what));
  }
}

std::string cause_words(const LogTrace& trace, const TraceEvent& e) {
  if (e.cause != 0) return fmt::format("segment {}", e.cause);
  return shown(trace.text(e.why), 60);
}

}  // namespace lastack
