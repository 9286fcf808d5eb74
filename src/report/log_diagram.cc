// The sequence diagram in characters. One pass over the events that are drawn: a row is begun by a segment, a call, a
// time-out; what follows of it at the same instant on the same host (changes of state, TIME_WAIT) stands on the row's
// right, and an arrival that comes next makes a whole arrow of a sending.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "bundle/json_text.h"
#include "report/log_columns.h"
#include "report/log_selection.h"
#include "report/log_text.h"
#include "report/log_words.h"

namespace lastack {
namespace {

constexpr std::size_t kMostColumns = 8;
constexpr std::size_t kMostInLegend = 12;
constexpr std::string_view kRed = "\x1b[31m", kYellow = "\x1b[33m", kPlain = "\x1b[0m";

class Diagram {
 public:
  Diagram(const LogTrace& trace, const LogTextOptions& options)
      : trace_(trace),
        options_(options),
        selection_(trace, options),
        columns_(trace, selection_, kMostColumns) {}

  std::string draw() {
    lay_out();
    head();
    for (const TraceEvent& e : trace_.events()) {
      if (selection_.takes(e)) {
        take(e);
      } else if (e.what == Happening::StateChanged && e.connection != kNoConnection) {
        // Of before what is drawn, and of other uses of the same ports.
        states_[{trace_.connections()[e.connection].pair, e.host}] = e.to;
      }
    }
    flush();
    if (rows_ == 0) out_ += "nothing of the log is within what was asked for\n";
    if (left_out_ > 0) {
      out_ += fmt::format("... {} more row{}, until {} ms\n", grouped(left_out_),
                          left_out_ == 1 ? "" : "s", milliseconds(last_at_));
    }
    if (options_.legend) legend();
    return std::move(out_);
  }

 private:
  struct Row {
    const TraceEvent* sent = nullptr;
    const TraceEvent* arrived = nullptr;
    const TraceEvent* lost = nullptr;
    const TraceEvent* other = nullptr;  // a call, a time-out, what the wire does
    std::vector<std::string> notes;
    bool active = false;
    bool states = false;    // one has changed
    bool timewait = false;  // used again, refused, ended by a RST
    std::int64_t at = 0, last_at = 0;
    std::uint16_t host = kWireHost;  // where the last of it happened
    std::uint32_t connection = kNoConnection;
  };

  // --- Rows

  void begin(const TraceEvent& e) {
    flush();
    row_.active = true;
    row_.at = row_.last_at = e.at;
    row_.host = e.host;
    row_.connection = e.connection;
  }
  bool follows(const TraceEvent& e) const {
    return row_.active && row_.host == e.host && row_.last_at == e.at && same_pair(e);
  }
  bool same_pair(const TraceEvent& e) const {
    if (row_.connection == kNoConnection || e.connection == kNoConnection) {
      return row_.connection == e.connection;
    }
    return trace_.connections()[row_.connection].pair == trace_.connections()[e.connection].pair;
  }
  bool under_way(const TraceEvent& e) const {
    return row_.sent != nullptr && e.id != 0 && row_.sent->id == e.id && row_.arrived == nullptr &&
           row_.lost == nullptr;
  }
  void note(std::string text) {
    if (text.empty()) return;
    if (std::find(row_.notes.begin(), row_.notes.end(), text) == row_.notes.end()) {
      row_.notes.push_back(std::move(text));
    }
  }

  void take(const TraceEvent& e) {
    if (e.is_segment() && e.connection == kNoConnection) {
      begin(e);  // has no ends to draw it between
      row_.other = &e;
      return;
    }
    switch (e.what) {
      case Happening::SegmentSent:
        begin(e);
        row_.sent = &e;
        if (e.again) note("again");
        break;
      case Happening::SegmentReceived:
        if (!under_way(e)) begin(e);
        row_.arrived = &e;
        row_.host = e.host;
        row_.last_at = e.at;
        if (row_.sent != nullptr && late_) {
          note(fmt::format("arrives {} ms later", milliseconds(e.at - row_.at)));
        }
        break;
      case Happening::SegmentDropped:
        if (!under_way(e)) begin(e);
        row_.lost = &e;
        if (trace_.text(e.why) != "loss") note("lost: " + cause_words(trace_, e));
        break;
      case Happening::SegmentDelayed:
      case Happening::SegmentDuplicated:
      case Happening::SegmentCorrupted:
        if (!under_way(e)) {
          begin(e);
          row_.other = &e;
        }
        late_ = late_ || e.what == Happening::SegmentDelayed;
        note(event_words(trace_, e) + ": " + cause_words(trace_, e));
        break;
      case Happening::StateChanged:
        if (!follows(e)) {
          begin(e);
          row_.other = &e;
        }
        change_state(e);
        break;
      case Happening::TimeWaitEntered:
        if (!follows(e)) {
          begin(e);
          row_.other = &e;
        }
        return;  // its rule is the state's
      case Happening::TimeWaitEnded:
      case Happening::TimeWaitOverflowed:
      case Happening::TimeWaitSkipped:
      case Happening::TimeWaitEvicted:
      case Happening::TimeWaitAssassinated:
      case Happening::TimeWaitReused:
      case Happening::TimeWaitReopened:
      case Happening::TimeWaitAborted:
        if (!follows(e)) {
          begin(e);
          row_.other = &e;
        } else if (row_.other != nullptr && row_.other->what == Happening::StateChanged) {
          row_.other = &e;
        } else {
          note(event_words(trace_, e));
        }
        row_.timewait = row_.timewait || e.what != Happening::TimeWaitEnded;
        return;
      case Happening::TimerFired:
      case Happening::AppListen:
      case Happening::AppConnect:
      case Happening::AppAccept:
      case Happening::AppRead:
      case Happening::AppWrite:
      case Happening::AppShutdown:
      case Happening::AppClose:
      case Happening::AppAbort:
      case Happening::IcmpReceived:
      case Happening::PathDoubted:
        begin(e);
        row_.other = &e;
        break;
      case Happening::AppRefused:
      case Happening::HostCrashed:
      case Happening::SettingChanged:
        begin(e);
        row_.other = &e;
        note(cause_words(trace_, e));
        break;
    }
    if (e.detail != 0 && e.is_segment()) {
      row_.timewait = true;
      note(shown(trace_.text(e.detail)));
    }
    if (e.what == Happening::SegmentSent && e.window == 0 && e.ack_flag() && !e.rst() &&
        !from_record(e)) {
      note("window 0");
    }
    if (e.rule != 0) note(shown(trace_.text(e.rule)));
  }

  // A record in TIME_WAIT has no window to tell of.
  bool from_record(const TraceEvent& e) const {
    const auto state = states_.find({trace_.connections()[e.connection].pair, e.host});
    return state != states_.end() && state->second == TcpState::TimeWait;
  }

  void change_state(const TraceEvent& e) {
    row_.states = true;
    if (e.connection == kNoConnection) return;
    const std::uint32_t pair = trace_.connections()[e.connection].pair;
    states_[{pair, e.host}] = e.to;
    if (columns_.hosts() > 2) {
      note(fmt::format("{} {}", shown(trace_.hosts()[e.host], 16), to_string(e.to)));
    }
  }

  // --- Lines

  void lay_out() {
    std::size_t time = 8;
    for (const TraceEvent& e : trace_.events()) {
      if (!selection_.takes(e)) continue;
      time = std::max(time, milliseconds(e.at).size());
      last_at_ = std::max(last_at_, e.at);
      if (e.connection != kNoConnection && one_ && *one_ != e.connection) several_ = true;
      if (e.connection != kNoConnection) one_ = e.connection;
    }
    time_ = time;
    left_ = time_ + 2 + (several_ ? 6 : 0);
    const std::size_t n = columns_.list.size();
    const std::size_t width = std::max<std::size_t>(options_.width, 60);
    std::size_t gap = 0;
    if (n == 2) {
      gap = std::clamp<std::size_t>(width < left_ + 58 ? 0 : width - left_ - 58, 34, 48);
    } else if (n > 2) {
      gap =
          std::clamp<std::size_t>((width < left_ + 34 ? 0 : width - left_ - 34) / (n - 1), 14, 34);
    }
    for (std::size_t i = 0; i < n; ++i) columns_.list[i].x = i * gap;
    lane_ = n == 1 ? 24 : (n - 1) * gap + 1;
    right_ = width > left_ + lane_ + 2 + 24 ? width - left_ - lane_ - 2 : 24;
  }

  void head() {
    std::string names;
    for (std::size_t i = 0; i < columns_.list.size(); ++i) {
      const LogColumn& c = columns_.list[i];
      const bool last = i + 1 == columns_.list.size() && i > 0;
      const std::size_t room = last                           ? lane_ - columns(names) - 1
                               : i + 1 < columns_.list.size() ? columns_.list[i + 1].x - c.x - 1
                                                              : lane_;
      const std::string name = shown(c.name, std::max<std::size_t>(room, 2));
      names = padded(std::move(names), last ? lane_ - std::min(lane_, columns(name)) : c.x);
      names += name;
    }
    std::string states;
    if (columns_.hosts() == 2 && columns_.list.size() == 2) {
      states = fmt::format("{} | {}", shown(columns_.list[0].name, 12),
                           shown(columns_.list[1].name, 12));
    }
    line(fmt::format("{:>{}}  {}{}  {}", "ms", time_, several_ ? "conn  " : "",
                     padded(names, lane_), states));
  }
  void line(std::string text) {
    while (!text.empty() && text.back() == ' ') text.pop_back();
    out_ += text + '\n';
  }

  std::string lifelines() const {
    std::string lane(lane_, ' ');
    for (const LogColumn& c : columns_.list) lane[c.x] = '|';
    return lane;
  }

  enum class Shape : std::uint8_t { Whole, Begins, Arrives, Lost };

  // False where the words have no room.
  bool arrow(std::string& lane, std::size_t from, std::size_t to, const std::string& words,
             Shape shape) const {
    const std::size_t a = columns_.list[from].x, b = columns_.list[to].x;
    const std::size_t length = (a < b ? b - a : a - b) - 1;
    // As if it went to the right: from the sender to the receiver.
    std::string text(length, '-');
    const bool fits = words.size() + 6 <= length;
    const std::string label = fits ? ' ' + words + ' ' : "";
    std::size_t label_at = 2;
    const std::size_t half = std::max(length / 2 + 2, label.size() + 4);
    switch (shape) {
      case Shape::Whole:
        text.back() = '>';
        break;
      case Shape::Begins:
        for (std::size_t i = half; i < length; ++i) text[i] = ' ';
        text[std::min(half, length) - 1] = '>';
        break;
      case Shape::Arrives:
        for (std::size_t i = 0; i + half < length; ++i) text[i] = ' ';
        text.back() = '>';
        label_at = length - label.size() - 2;
        break;
      case Shape::Lost: {
        const std::string_view lost = label.size() + 16 <= length ? " lost --X" : "-X";
        const std::size_t end = std::max(length * 4 / 5, label.size() + 2 + lost.size());
        for (std::size_t i = end; i < length; ++i) text[i] = ' ';
        put(text, end - lost.size(), lost, a > b);
        break;
      }
    }
    if (fits) put(text, label_at, label, a > b);
    if (a > b) {
      std::reverse(text.begin(), text.end());
      std::replace(text.begin(), text.end(), '>', '<');
    }
    const std::size_t start = std::min(a, b) + 1;
    for (std::size_t i = 0; i < length; ++i) {
      if (text[i] != ' ' || lane[start + i] != '|') lane[start + i] = text[i];
    }
    return fits;
  }
  // Words are to be read from the left however the arrow goes.
  static void put(std::string& into, std::size_t at, std::string_view words, bool backwards) {
    for (std::size_t i = 0; i < words.size() && at + i < into.size(); ++i) {
      into[at + i] = backwards ? words[words.size() - 1 - i] : words[i];
    }
  }
  void words_at(std::string& lane, std::size_t column, const std::string& text) const {
    const std::string words = printable_ascii(text);
    const std::size_t x = columns_.list[column].x;
    const bool to_the_left = column + 1 == columns_.list.size() && column > 0;
    lane[x] = '*';
    if (to_the_left) {
      const std::size_t size = std::min(words.size(), x - 2);
      lane.replace(x - size - 1, size, words, 0, size);
    } else {
      const std::size_t room = lane.size() > x + 2 ? lane.size() - x - 2 : 0;
      const std::size_t size = std::min(words.size(), room);
      lane.replace(x + 2, size, words, 0, size);
    }
  }

  bool in_log(const TraceEvent& e, bool sender) const {
    const TraceConnection& c = trace_.connections()[e.connection];
    return trace_.host_of(e.sender_is_opener == sender ? c.opener : c.other).has_value();
  }

  void draw_segment(std::string& lane) {
    const TraceEvent& e = row_.sent != nullptr      ? *row_.sent
                          : row_.arrived != nullptr ? *row_.arrived
                                                    : *row_.lost;
    auto [from, to] = columns_.ends(e);
    if (row_.sent != nullptr && row_.arrived != nullptr) to = columns_.ends(*row_.arrived).second;
    std::string words = segment_words(e);
    Shape shape = Shape::Whole;
    if (row_.lost != nullptr) {
      shape = Shape::Lost;
    } else if (row_.arrived == nullptr && in_log(e, false)) {
      shape = Shape::Begins;
    } else if (row_.sent == nullptr && in_log(e, true)) {
      shape = Shape::Arrives;
    }
    const bool followed = shape == Shape::Begins || shape == Shape::Arrives ||
                          (shape == Shape::Lost && row_.sent == nullptr);
    if (followed && e.id != 0) words += fmt::format(" #{}", e.id);
    if (from == to) {
      words_at(lane, from, words + " (to itself)");
    } else if (shape == Shape::Lost && row_.sent == nullptr) {
      const std::size_t a = columns_.list[from].x, b = columns_.list[to].x;
      const std::string text = words + " lost X";
      const std::size_t middle = (a + b) / 2;
      const std::size_t at = middle > text.size() / 2 ? middle - text.size() / 2 : 0;
      for (std::size_t i = 0; i < text.size() && at + i < lane.size(); ++i) lane[at + i] = text[i];
    } else if (!arrow(lane, from, to, words, shape)) {
      row_.notes.insert(row_.notes.begin(), words);
    }
  }

  std::string states() const {
    if (!row_.states || row_.connection == kNoConnection || columns_.hosts() > 2) return "";
    const std::uint32_t pair = trace_.connections()[row_.connection].pair;
    std::string text;
    for (const LogColumn& c : columns_.list) {
      if (!c.host) continue;
      const auto state = states_.find({pair, *c.host});
      const std::string name = state == states_.end() ? "-" : std::string(to_string(state->second));
      text += (text.empty() ? "" : " | ") + name;
    }
    return text;
  }

  void flush() {
    if (!std::exchange(row_.active, false)) return;
    ++rows_;
    if (options_.rows != 0 && rows_ > options_.rows) {
      ++left_out_;
      row_ = {};
      late_ = false;
      return;
    }
    std::string lane = lifelines();
    if (row_.other != nullptr) {
      const TraceEvent& e = *row_.other;
      if (e.host != kWireHost && e.what != Happening::StateChanged) {
        words_at(lane, columns_.of(e.host), event_words(trace_, e));
      } else if (e.host != kWireHost) {
        words_at(lane, columns_.of(e.host), cause_words(trace_, e));
      } else if (e.id != 0) {
        row_.notes.insert(row_.notes.begin(), fmt::format("#{}", e.id));
      }
    } else {
      draw_segment(lane);
    }
    const std::string tag = !several_ ? ""
                            : row_.connection == kNoConnection
                                ? "      "
                                : fmt::format("{:>4}  ", row_.connection + 1);
    const std::string start = fmt::format("{:>{}}  {}", milliseconds(row_.at), time_, tag);
    const bool bad = row_.lost != nullptr || (row_.sent != nullptr && row_.sent->rst()) ||
                     (row_.arrived != nullptr && row_.arrived->rst());
    const std::string_view color = !options_.color ? "" : bad ? kRed : row_.timewait ? kYellow : "";
    for (const std::string& right : right_lines()) {
      std::string text =
          (lane.empty() ? std::string(left_, ' ') + lifelines() : start + lane) + "  " + right;
      while (text.back() == ' ') text.pop_back();
      lane.clear();
      out_ += color;
      out_ += text;
      if (!color.empty()) out_ += kPlain;
      out_ += '\n';
    }
    row_ = {};
    late_ = false;
  }

  // States, then what there is to say, wrapped; one line at least.
  std::vector<std::string> right_lines() const {
    std::string current = states();
    std::vector<std::string> lines;
    std::string notes;
    for (const std::string& one : row_.notes) notes += (notes.empty() ? "" : "; ") + one;
    if (!current.empty() && !notes.empty()) {
      // In a column of their own where there is room for it, else on a line of their own.
      const std::size_t usual =
          std::max<std::size_t>(columns_.hosts() == 2 ? 27 : 12, columns(current));
      if (usual + 2 + columns(notes) <= right_) {
        current = padded(std::move(current), usual) + " ";
      } else if (columns(current) + 2 + columns(notes) <= right_) {
        current += ' ';
      } else {
        lines.push_back(std::exchange(current, " "));
      }
    }
    for (std::size_t at = 0; at < notes.size();) {
      const std::size_t end = std::min(notes.find(' ', at), notes.size());
      const std::string word = notes.substr(at, end - at);
      if (!current.empty() && columns(current) + 1 + columns(word) > right_ && current != " ") {
        lines.push_back(std::exchange(current, " "));
      }
      if (!current.empty()) current += ' ';
      current += word;
      at = end + 1;
    }
    lines.push_back(current);
    return lines;
  }

  void legend() {
    out_ += '\n' + connections_legend(trace_, selection_);
    out_ += "SEQ+LENGTH and ACK count from the SYN of each direction, whose number is 0";
    out_ +=
        "; ' after one: by the count of\nthe use before. #17: a segment whose arrival is in another row. ";
    out_ += columns_.hosts() == 2 ? "Right: the states after the row, and the rule\n"
                                  : "Right: what changed, and the rule\n";
  }

  const LogTrace& trace_;
  const LogTextOptions& options_;
  LogSelection selection_;
  LogColumns columns_;
  std::string out_;
  Row row_;
  bool late_ = false;  // the wire holds it back
  std::map<std::pair<std::uint32_t, std::uint16_t>, TcpState> states_;
  std::optional<std::uint32_t> one_;
  bool several_ = false;
  std::size_t time_ = 8, left_ = 10, lane_ = 0, right_ = 24;
  std::size_t rows_ = 0, left_out_ = 0;
  std::int64_t last_at_ = 0;
};

}  // namespace

std::string connections_legend(const LogTrace& trace, const LogSelection& selection) {
  std::string out;
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < trace.connections().size(); ++i) {
    if (!selection.takes_connection(i)) continue;
    if (++count > kMostInLegend) continue;
    out += fmt::format("connection {:<3} {}\n", i + 1, shown(trace.describe(i), 120));
  }
  if (count > kMostInLegend) {
    out += fmt::format("... {} more connections\n", grouped(count - kMostInLegend));
  }
  return out;
}

std::string sequence_diagram(const LogTrace& trace, const LogTextOptions& options) {
  return Diagram(trace, options).draw();
}

}  // namespace lastack
