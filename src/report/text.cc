// The page for people: one screen, aligned, the sentence first, then the evidence, then what to do.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "doctor/text.h"
#include "lastack/report.h"
#include "model/printable.h"

namespace lastack {

namespace {

constexpr std::size_t kIndent = 3;

// Columns of UTF-8 text, near enough: every character that is not a continuation byte takes one.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

class Page {
 public:
  explicit Page(const TextStyle& style)
      : style_(style), width_(std::max<std::size_t>(style.width, 60)) {}

  void line(const std::string& text = "") { out_ += text + "\n"; }

  // Words are kept whole; lines after the first start at `hanging`.
  void wrapped(const std::string& first, const std::string& text, std::size_t hanging) {
    std::string current = first;
    std::size_t at = columns(first);
    bool fresh = true;  // nothing but the indent so far
    std::size_t start = 0;
    const std::string clean = printable(text);
    while (start < clean.size()) {
      const std::size_t end = std::min(clean.find(' ', start), clean.size());
      const std::string_view word(clean.data() + start, end - start);
      const std::size_t size = columns(word);
      if (!fresh && at + 1 + size > width_) {
        line(current);
        current.assign(hanging, ' ');
        at = hanging;
        fresh = true;
      }
      if (!fresh) {
        current += ' ';
        ++at;
      }
      current += word;
      at += size;
      fresh = false;
      start = end + 1;
    }
    line(current);
  }

  // Left and right on one line where they fit.
  void between(const std::string& left, const std::string& right) {
    const std::size_t used = columns(left) + columns(right);
    if (used + 2 > width_) {
      line(left);
      line(right);
    } else {
      line(left + std::string(width_ - used, ' ') + right);
    }
  }

  std::string marked(Severity severity, const std::string& text) const {
    if (!style_.color) return text;
    switch (severity) {
      case Severity::Problem:
        return "\x1b[1;31m" + text + "\x1b[0m";
      case Severity::Warning:
        return "\x1b[33m" + text + "\x1b[0m";
      case Severity::Notice:
        return text;
    }
    return text;
  }

  // Commands are never wrapped: they are there to be copied.
  void command(const std::string& label, const std::string& text) {
    line(std::string(kIndent + 3, ' ') + label + printable(text));
  }

  std::string take() { return std::move(out_); }

 private:
  TextStyle style_;
  std::size_t width_;
  std::string out_;
};

void header(const Diagnosis& d, Page& page) {
  std::size_t problems = 0, warnings = 0, notices = 0;
  for (const Finding& f : d.findings) {
    (f.severity == Severity::Problem   ? problems
     : f.severity == Severity::Warning ? warnings
                                       : notices) += 1;
  }
  std::string verdict;
  const auto append = [&](std::size_t n, const char* noun) {
    if (n > 0) verdict += (verdict.empty() ? "" : ", ") + plural(n, noun);
  };
  append(problems, "problem");
  append(warnings, "warning");
  if (verdict.empty()) {
    verdict = !d.looked   ? d.not_read.empty() ? "settings and counters show no trouble"
                                               : "no socket could be read"
              : d.guessed ? "healthy, as far as could be seen"
                          : "healthy";
  }
  append(notices, "notice");

  std::string where = d.namespaces.size() == 1 ? "namespace " + printable(d.namespaces[0])
                                               : plural(d.namespaces.size(), "namespace");
  const std::string looks = d.sampled_s > 0 ? fmt::format("2 samples, {} apart", span(d.sampled_s))
                                            : fmt::format("1 sample, {:.2f} s", d.took_s);
  // A number is a kernel's; what is none says itself what it is.
  const bool numbered = !d.kernel.empty() && d.kernel[0] >= '0' && d.kernel[0] <= '9';
  page.between(fmt::format("{} · {}{} · {} · {}", printable(d.hostname), numbered ? "Linux " : "",
                           printable(d.kernel), where, looks),
               verdict);
}

void full(const Finding& f, bool many_namespaces, const TextStyle& style, Page& page) {
  page.line();
  std::string sentence = f.sentence;
  if (many_namespaces && !f.net_namespace.empty()) sentence += " [" + f.net_namespace + "]";
  const std::string id = f.id + std::string(f.id.size() < 26 ? 26 - f.id.size() : 2, ' ');
  page.wrapped(page.marked(f.severity, fmt::format("{:<7}", loud(f.severity))) + "  " + id,
               sentence, kIndent);
  const std::string indent(kIndent, ' ');
  for (const std::string& detail : f.details) page.wrapped(indent, detail, kIndent + 2);
  if (!f.who_closed_first.empty() && !f.who_closed_first.starts_with("does not matter")) {
    page.wrapped(indent, "who closes first: " + f.who_closed_first, kIndent + 2);
  }
  page.wrapped(indent, "why: " + f.why, kIndent + 2);
  if (!f.remedies.empty()) {
    page.line(indent + (f.remedies.size() == 1 ? "What helps" : "What helps, best first"));
    std::size_t n = 0;
    for (const Remedy& r : f.remedies) {
      page.wrapped(fmt::format("{}{}. ", indent, ++n), r.text, kIndent + 3);
      for (const std::string& c : r.commands) page.command("", c);
      if (!r.undo.empty()) page.command("undo   ", r.undo);
      if (!r.check.empty() && (style.verbose || !r.commands.empty()))
        page.command("check  ", r.check);
      if (!r.caution.empty())
        page.wrapped(std::string(kIndent + 3, ' '), "mind: " + r.caution, kIndent + 5);
    }
  }
  if (!f.will_not_help.empty()) {
    std::string list;
    for (const std::string& w : f.will_not_help) list += (list.empty() ? "" : "; ") + w;
    page.wrapped(indent, "will not help: " + list, kIndent + 2);
  }
  if (style.verbose) {
    for (const Evidence& e : f.evidence) {
      const std::string value = std::visit(
          [](const auto& v) -> std::string {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<T, std::string>) {
              return v;
            } else if constexpr (std::is_same_v<T, bool>) {
              return v ? "yes" : "no";
            } else {
              return fmt::format("{}", v);
            }
          },
          e.value);
      page.line(indent + "  " + e.name + " " + printable(value));
    }
  }
}

// A notice is one line and, if it says who closed, one more.
void brief(const Finding& f, bool many_namespaces, Page& page) {
  std::string sentence = f.sentence;
  if (many_namespaces && !f.net_namespace.empty()) sentence += " [" + f.net_namespace + "]";
  page.wrapped(fmt::format("{:<7}  ", loud(f.severity)) + f.id +
                   std::string(f.id.size() < 26 ? 26 - f.id.size() : 2, ' '),
               sentence, kIndent + 8);
}

void headroom_table(const Diagnosis& d, Page& page) {
  if (d.headroom.empty()) return;
  page.line();
  page.line(fmt::format("{:>8} {:>8} {:>7} {:>9} {:>9} {:>9}  {}", "taken", "ports", "share",
                        "TIME_WAIT", "opens/s", "sustains", "destination"));
  for (const Headroom& h : d.headroom) {
    page.line(fmt::format("{:>8} {:>8} {:>6.1f}% {:>9} {:>9.1f} {:>9.1f}  {} -> {}{}",
                          grouped(std::uint64_t{h.taken}), grouped(std::uint64_t{h.capacity}),
                          h.share() * 100, grouped(h.time_wait), h.opens_per_second,
                          h.sustains_per_second, h.source.to_string(), h.remote.to_string(),
                          d.namespaces.size() > 1 ? " [" + printable(h.net_namespace) + "]" : ""));
  }
}

}  // namespace

std::string to_text(const Diagnosis& d, const TextStyle& style) {
  Page page(style);
  header(d, page);
  const bool many = d.namespaces.size() > 1;
  for (const Finding& f : d.findings) {
    if (f.severity != Severity::Notice || style.verbose) full(f, many, style, page);
  }
  const bool any_brief =
      !style.verbose && std::any_of(d.findings.begin(), d.findings.end(), [](const Finding& f) {
        return f.severity == Severity::Notice;
      });
  if (any_brief) {
    page.line();
    for (const Finding& f : d.findings) {
      if (f.severity == Severity::Notice) brief(f, many, page);
    }
  }
  page.line();
  std::size_t label_width = 0;
  for (const auto& [label, text] : d.summary) label_width = std::max(label_width, columns(label));
  label_width = std::min<std::size_t>(label_width, 32);
  if (!d.not_read.empty()) label_width = std::max<std::size_t>(label_width, 13);
  const auto labelled = [&](const std::string& label, const std::string& text) {
    const std::string padded =
        label + std::string(columns(label) < label_width ? label_width - columns(label) : 0, ' ') +
        "  ";
    page.wrapped(padded, text, columns(padded));
  };
  for (const auto& [label, text] : d.summary) labelled(printable(label), text);
  bool first = true;
  for (const NotRead& n : d.not_read) {
    labelled(first ? "not looked at" : "",
             n.what + " (" + n.why + (n.mend.empty() ? "" : "; " + n.mend) + ")");
    first = false;
  }
  if (style.verbose) headroom_table(d, page);
  const bool told = std::any_of(d.findings.begin(), d.findings.end(),
                                [](const Finding& f) { return f.severity != Severity::Notice; });
  if (told && !style.verbose) {
    page.line();
    page.line("lastack doctor --verbose shows everything; lastack explain " +
              d.findings.front().id + " tells how it comes about");
  }
  return page.take();
}

}  // namespace lastack
