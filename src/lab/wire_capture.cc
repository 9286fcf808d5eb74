#include "lab/wire_capture.h"

#include <fmt/format.h>

#include <algorithm>

#include "lastack/packet_view.h"
#include "report/log_words.h"

namespace lastack {
namespace {

constexpr std::size_t kRemembered = std::size_t{1} << 16;  // packets, for copies that come late
constexpr std::size_t kMostWaiting = 100'000;              // connections, of a place
constexpr std::size_t kMostAtEnd = 100;                    // lines

std::string seconds_of(Instant at) {
  return fmt::format("{:.6f} s", static_cast<double>(at.time_since_epoch().count()) / 1e9);
}

// What a host did by itself, a call or a time-out, and not because a segment came.
bool by_itself(std::string_view why) {
  return why.ends_with("()") || why.starts_with("time-out") || why == "eviction";
}

// Empty: not worth a comment.
std::string words_of(const LifecycleEvent& e) {
  const std::string rule = e.rule.empty() ? "" : fmt::format(" ({})", e.rule);
  switch (e.what) {
    case Happening::StateChanged:
      return fmt::format("{} -> {}{}", to_string(e.from.value_or(TcpState::Closed)),
                         to_string(e.to.value_or(TcpState::Closed)), rule);
    case Happening::SegmentSent:
      return by_itself(e.why) ? e.why : "";
    case Happening::AppConnect:
      return e.incarnation > 1
                 ? fmt::format("connect(), use {} of these addresses and ports", e.incarnation)
                 : "connect()";
    case Happening::AppShutdown:
    case Happening::AppClose:
    case Happening::AppAbort:
    case Happening::IcmpReceived:
    case Happening::TimeWaitEnded:
    case Happening::TimeWaitOverflowed:
    case Happening::TimeWaitSkipped:
    case Happening::TimeWaitEvicted:
    case Happening::TimeWaitAssassinated:
    case Happening::TimeWaitReused:
    case Happening::TimeWaitReopened:
      return std::string(plain_words(e.what));
    default:
      return "";
  }
}

std::string fate_of(const WireNote& note, const std::string& fault) {
  const std::string by = fault.empty() ? "a fault" : "fault " + fault;
  switch (note.event) {
    case WireEvent::Lost:
      return "lost: by chance, or the link is down";
    case WireEvent::QueueFull:
      return "lost: the link's queue is full";
    case WireEvent::TooBig:
      return "lost: bigger than the link's MTU";
    case WireEvent::Unroutable:
      return "lost: nobody has that address";
    case WireEvent::Dropped:
      return "lost: " + by;
    case WireEvent::Delayed:
      return note.arrives == Instant::max()
                 ? fmt::format("held back for ever by {}", by)
                 : fmt::format("held back by {}: arrives at {}", by, seconds_of(note.arrives));
    case WireEvent::Corrupted:
      return "corrupted on the way";
    case WireEvent::Duplicated:
      return fmt::format("doubled{}: a copy arrives at {}", fault.empty() ? "" : " by " + by,
                         seconds_of(note.arrives));
    case WireEvent::Reordered:
      return fmt::format("overtaken: arrives at {}", seconds_of(note.arrives));
    case WireEvent::Replayed:
      return fmt::format("arrives again at {}", seconds_of(note.arrives));
    case WireEvent::Sent:
    case WireEvent::Delivered:
    case WireEvent::Gone:
      break;
  }
  return "";
}

}  // namespace

WireCapture::WireCapture(std::string_view program, std::string_view about,
                         const std::vector<Place>& places, Sink sink)
    : sink_(std::move(sink)), waiting_(places.size()), fates_(kRemembered) {
  append_pcapng_section(block_, program, about);
  std::vector<std::pair<IpAddress, std::string>> names;
  for (const Place& place : places) {
    const auto number = static_cast<std::uint32_t>(places_.size());
    places_[place.node] = number;
    by_name_[place.interface.name] = number;
    waiting_[number].tells_why = place.tells_why;
    append_pcapng_interface(block_, place.interface);
    for (const IpAddress& address : place.interface.addresses)
      names.emplace_back(address, place.interface.name);
  }
  append_pcapng_names(block_, names);
  sink_(block_);
}

void WireCapture::watch(VirtualNetwork& network, LifecycleRecorder& log) {
  log_ = &log;
  log.read_by([this](const LifecycleEvent& event) { happened(event); });
  network.add_tap([this](const WireNote& n) { note(n); });
}

void WireCapture::struck(const std::string& fault) {
  fault_ += (fault_.empty() ? "" : ", ") + fault;
}

void WireCapture::refused(const std::string& place, const Endpoint& remote, Err error) {
  const auto found = by_name_.find(place);
  if (found != by_name_.end()) ++waiting_[found->second].refused[{remote, error}];
}

void WireCapture::moved(NodeId before, NodeId now) {
  const auto found = places_.find(before);
  if (found == places_.end()) return;
  const std::uint32_t place = found->second;
  places_.erase(found);
  places_[now] = place;
}

void WireCapture::note(const WireNote& note) {
  Fate& fate = fates_[note.number % kRemembered];
  if (note.event == WireEvent::Sent || note.event == WireEvent::Delivered) {
    flush();
    const bool sent = note.event == WireEvent::Sent;
    if (sent) fate = {note.number};
    const auto place = places_.find(sent ? note.from : note.to);
    if (place == places_.end()) return;
    begin(note, place->second, sent ? PcapngDirection::Outbound : PcapngDirection::Inbound);
    if (sent || fate.number != note.number) return;
    if (fate.corrupted) open_->comments.emplace_back("corrupted on the way");
    if (fate.arrived) open_->comments.emplace_back("a copy: it has arrived before");
    fate.arrived = true;
    return;
  }
  if (note.event == WireEvent::Corrupted && fate.number == note.number) fate.corrupted = true;
  const std::string words = fate_of(note, fault_);
  if (open_ && open_->number == note.number && !words.empty()) open_->comments.push_back(words);
}

void WireCapture::begin(const WireNote& note, std::uint32_t place, PcapngDirection direction) {
  Waiting& waiting = waiting_[place];
  ++waiting.packets;
  open_ = Seen{};
  open_->place = place;
  open_->at = note.at;
  open_->bytes.assign(note.bytes.begin(), note.bytes.end());
  open_->direction = direction;
  open_->number = note.number;
  for (const auto& [whom, times] : waiting.refused) {
    open_->comments.push_back(fmt::format("before this: connect() to {}: {}{}",
                                          whom.first.to_string(), to_string(whom.second),
                                          times > 1 ? fmt::format(", {} times", times) : ""));
  }
  waiting.refused.clear();
  const auto view = PacketView::of(note.bytes);
  if (!view) return;
  const bool out = direction == PcapngDirection::Outbound;
  open_->tuple = out ? view->tuple : FourTuple{view->tuple.remote, view->tuple.local};
  const auto take = [&](std::vector<Told>& all) {
    for (Told& told : all) {
      open_->comments.push_back(told.at == note.at
                                    ? std::move(told.what)
                                    : fmt::format("at {}: {}", seconds_of(told.at), told.what));
    }
  };
  if (const auto mine = waiting.of_connection.find(open_->tuple);
      mine != waiting.of_connection.end()) {
    take(mine->second);
    waiting.of_connection.erase(mine);
  }
  if (!out) return;
  if (const auto mine = sent_.find(log_->segment_of(note.number)); mine != sent_.end()) {
    take(mine->second);
    sent_.erase(mine);
  }
}

void WireCapture::happened(const LifecycleEvent& event) {
  const auto place = by_name_.find(event.host);
  if (place == by_name_.end() || !event.tuple) return;
  std::string words = words_of(event);
  if (words.empty()) return;
  if (event.what == Happening::SegmentSent) {
    // A call that is told already, and led to it.
    const Waiting& waiting = waiting_[place->second];
    if (!waiting.tells_why) return;
    const auto told = waiting.of_connection.find(*event.tuple);
    const bool known = told != waiting.of_connection.end() &&
                       std::any_of(told->second.begin(), told->second.end(),
                                   [&](const Told& t) { return t.what.starts_with(words); });
    if (!known) sent_[event.segment_id].push_back({event.at, std::move(words)});
    return;
  }
  const bool of_open = open_ && open_->direction == PcapngDirection::Inbound &&
                       open_->place == place->second && open_->tuple == *event.tuple &&
                       !event.why.empty() && !by_itself(event.why);
  if (of_open) {
    open_->comments.push_back(std::move(words));
  } else {
    tell(place->second, *event.tuple, event.at, std::move(words));
  }
}

void WireCapture::tell(std::uint32_t place, const FourTuple& tuple, Instant at, std::string what) {
  Waiting& waiting = waiting_[place];
  if (waiting.of_connection.size() >= kMostWaiting && !waiting.of_connection.contains(tuple)) {
    ++waiting.left_out;
    return;
  }
  waiting.of_connection[tuple].push_back({at, std::move(what)});
}

void WireCapture::flush() {
  fault_.clear();
  if (!open_) return;
  block_.clear();
  const std::string comment = fmt::format("{}", fmt::join(open_->comments, "; "));
  append_pcapng_packet(block_, {.interface = open_->place,
                                .at = open_->at,
                                .bytes = open_->bytes,
                                .direction = open_->direction,
                                .id = open_->number,
                                .comment = comment});
  sink_(block_);
  open_.reset();
}

void WireCapture::finish(Instant at) {
  flush();
  for (std::uint32_t place = 0; place < waiting_.size(); ++place) {
    const Waiting& waiting = waiting_[place];
    std::vector<std::string> lines;
    std::size_t more = waiting.left_out;
    for (const auto& [whom, times] : waiting.refused)
      lines.push_back(fmt::format("connect() to {}: {}, {} times", whom.first.to_string(),
                                  to_string(whom.second), times));
    std::vector<std::pair<Instant, std::string>> rest;
    for (const auto& [tuple, all] : waiting.of_connection) {
      for (const Told& told : all) {
        rest.emplace_back(
            told.at, fmt::format("at {}: {} {}: {}", seconds_of(told.at), tuple.local.to_string(),
                                 tuple.remote.to_string(), told.what));
      }
    }
    std::sort(rest.begin(), rest.end());
    for (auto& [when, line] : rest) {
      if (lines.size() < kMostAtEnd) {
        lines.push_back(std::move(line));
      } else {
        ++more;
      }
    }
    if (more > 0) lines.push_back(fmt::format("and {} more", more));
    block_.clear();
    append_pcapng_statistics(block_, place, at, waiting.packets,
                             fmt::format("{}", fmt::join(lines, "\n")));
    sink_(block_);
  }
}

}  // namespace lastack
