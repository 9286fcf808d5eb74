// The words of a page: what happened, why, what to change, the proof that it helps; below the drawings what was checked
// and how to run it again. Everything is text of somebody else, and is escaped.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "report/log_html.h"

namespace lastack {
namespace {

std::string capital(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

// A file beside this one, as a link: whatever is not plain in a path is put as %XX.
std::string link_to(std::string_view file, std::string_view words) {
  std::string href = "./";
  for (const char c : file) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    href += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return fmt::format("<a href=\"{}\">{}</a>", href, escaped_html(words));
}

std::string pieces_html(const std::vector<ReportText::Piece>& pieces) {
  std::string out;
  for (const ReportText::Piece& p : pieces) {
    const std::string text = escaped_html(p.text);
    out += p.measured ? "<b>" + text + "</b>" : text;
  }
  return out;
}

// "TIME_WAIT keeps old duplicates out of a new connection - true". A name of a setting stays as it is written.
std::string claim_html(const ReportText::Claim& c) {
  const std::string first = c.text.substr(0, c.text.find(' '));
  std::string out = escaped_html(first.find('_') == std::string::npos ? capital(c.text) : c.text);
  out += c.stands ? fmt::format(" &ndash; <span class=\"word\">{}</span>", escaped_html(c.verdict))
                  : " &ndash; <span class=\"word no\">not confirmed</span>";
  if (!c.id.empty()) out += fmt::format(" <small class=\"id\">{}</small>", escaped_html(c.id));
  return out;
}

void happened(std::string& out, const ReportText& text) {
  if (!text.failed.empty()) {
    out +=
        fmt::format("<div class=\"failed\" role=\"alert\"><b>{} not hold:</b><ul>\n",
                    text.failed.size() == 1 ? "One condition does"
                                            : fmt::format("{} conditions do", text.failed.size()));
    for (const std::string& one : text.failed) out += "<li>" + marked_html(one) + "</li>\n";
    out += "</ul></div>\n";
  }
  if (!text.verdict.empty()) out += "<p class=\"verdict\">" + escaped_html(text.verdict) + "</p>\n";
  for (std::size_t i = 0; i < text.claims.size(); ++i) {
    const ReportText::Claim& c = text.claims[i];
    if (i == 1) out += "<ul class=\"claims\">\n";
    out += i == 0 ? "<p class=\"verdict\">" : "<li>";
    out += claim_html(c);
    out += i == 0 ? "</p>\n" : "";
    const std::string because = pieces_html(c.because);
    if (!because.empty())
      out += fmt::format("<{0} class=\"because\">{1}</{0}>\n", i == 0 ? "p" : "div", because);
    if (i > 0) out += "</li>\n";
  }
  if (text.claims.size() > 1) out += "</ul>\n";
}

void row_html(std::string& out, std::string_view head, const std::string& code,
              const std::string& words) {
  out += fmt::format("<tr><th scope=\"row\">{}</th><td><code>{}</code>", escaped_html(head),
                     escaped_html(code));
  if (!words.empty()) out += " <span class=\"meta\">" + escaped_html(words) + "</span>";
  out += "</td></tr>\n";
}

void steps_html(std::string& out, const ReportText::Remedy& r) {
  std::string changed, table;
  std::vector<std::string> checks;  // each once
  for (const ReportText::Step& s : r.steps) {
    // What does not help is not to be typed.
    if (!r.helps || (s.command.empty() && s.call.empty())) {
      changed += (changed.empty() ? "" : "; ") +
                 escaped_html((s.place.empty() ? "" : "on " + s.place + " ") + s.words);
    }
    if (!r.helps) continue;
    if (!s.command.empty())
      row_html(table, s.place.empty() ? "do" : "on " + s.place, s.command, s.words);
    if (!s.undo.empty()) row_html(table, "undo", s.undo, "");
    if (!s.check.empty() && !s.command.empty())
      row_html(table, "your value", s.check, "what your host has now");
    if (!s.keep.empty()) row_html(table, "for good", s.keep, "");
    if (!s.call.empty()) row_html(table, "in the program", s.call, s.words);
    if (!s.check.empty() && s.command.empty() &&
        std::find(checks.begin(), checks.end(), s.check) == checks.end())
      checks.push_back(s.check);
  }
  if (!r.check.empty() && r.helps) row_html(table, "see that it worked", r.check, "");
  if (!changed.empty())
    out += fmt::format("<p class=\"changed\">{} in the run: ", r.helps ? "Changed" : "Tried") +
           changed + "</p>\n";
  for (const std::string& check : checks) {
    row_html(
        table, "your value", check,
        check.starts_with("sysctl ")
            ? "what your host has now"
            : "what there is of it on your host: how many connections, how fast, who closes first");
  }
  if (!table.empty()) out += "<table class=\"steps\">\n" + table + "</table>\n";
}

void remedies(std::string& out, const ReportText& text, bool helps) {
  bool begun = false;
  for (const ReportText::Remedy& r : text.change) {
    if (r.helps != helps) continue;
    if (!begun) out += helps ? "<ol class=\"remedies\">\n" : "<ul class=\"remedies\">\n";
    begun = true;
    out += r.here ? "<li class=\"here\">" : "<li>";
    out += "<p><b>" + marked_html(r.text) + "</b>";
    if (!r.name.empty()) {
      out += " <small class=\"id\">" +
             (r.file.empty() || r.here ? escaped_html(r.name) : link_to(r.file, r.name)) +
             (r.here ? ", shown here" : "") + "</small>";
    }
    out += "</p>\n";
    if (!r.gain.empty()) out += "<p class=\"gain\">" + escaped_html(r.gain) + "</p>\n";
    if (!r.price.empty())
      out += "<p class=\"price\">At the price of " + escaped_html(r.price) + "</p>\n";
    if (!r.note.empty()) out += "<p class=\"meta\">" + escaped_html(r.note) + "</p>\n";
    steps_html(out, r);
    if (!r.caution.empty())
      out += "<p class=\"caution\">Caution: " + marked_html(r.caution) + "</p>\n";
    out += "</li>\n";
  }
  if (begun) out += helps ? "</ol>\n" : "</ul>\n";
}

void change(std::string& out, const ReportText& text) {
  if (text.change.empty() && text.advice.empty() && !text.looked_for_change) return;
  out += "<h2 id=\"change\">What to change</h2>\n";
  if (!text.advice.empty()) out += "<p>" + marked_html(text.advice) + "</p>\n";
  if (text.change.empty() && text.advice.empty())
    out += "<p>Nothing: this shows how it works. None of its variants is a remedy.</p>\n";
  const bool typed =
      std::any_of(text.change.begin(), text.change.end(), [](const ReportText::Remedy& r) {
        return std::any_of(r.steps.begin(), r.steps.end(),
                           [](const ReportText::Step& step) { return !step.command.empty(); });
      });
  if (typed) {
    out +=
        "<p>Values and undo lines are those of this run, at its size: choose those of your host; \"your value\" shows "
        "what it has. What sysctl sets lasts until the machine restarts, a file in <code>/etc/sysctl.d</code> for "
        "good (<code>sysctl --system</code> reads it at once). A container has settings of its own: give them when it is "
        "made (<code>docker run --sysctl NAME=VALUE</code>; Kubernetes: <code>securityContext.sysctls</code> of the "
        "pod), or, as root of the machine, to one that runs: <code>nsenter -t PID -n sysctl -w NAME=VALUE</code>, "
        "PID being a process in it.</p>\n";
  }
  remedies(out, text, true);
  bool useless = false;
  for (const ReportText::Remedy& r : text.change) useless = useless || !r.helps;
  if (useless) out += "<h3>Will not help</h3>\n";
  remedies(out, text, false);
}

void proof(std::string& out, const ReportText& text) {
  if (text.proof.empty()) return;
  out +=
      "<h2 id=\"proof\">Proof</h2>\n<p class=\"meta\">Measured in this run: without a change, and "
      "with each. Better and worse are marked where it is known which is which.</p>\n"
      "<div class=\"wide\"><table class=\"facts proof\"><tr><th></th>";
  for (const std::string& head : text.proof_heads)
    out += "<th scope=\"col\">" + escaped_html(head) + "</th>";
  out += "</tr>\n";
  for (const ReportText::ProofRow& row : text.proof) {
    out += "<tr><th scope=\"row\">" + escaped_html(row.name) + "</th>";
    for (const ReportText::Cell& cell : row.cells) {
      const bool better = cell.mark == ReportText::Mark::Better;
      out += cell.mark == ReportText::Mark::None ? "<td>"
             : better                            ? "<td class=\"better\">"
                                                 : "<td class=\"worse\">";
      out += escaped_html(cell.text);
      if (cell.mark != ReportText::Mark::None)
        out += better ? " <small>better</small>" : " <small>worse</small>";
      if (!cell.more.empty()) out += " <span class=\"more\">" + escaped_html(cell.more) + "</span>";
      out += "</td>";
    }
    out += "</tr>\n";
  }
  out += "</table></div>\n";
}

}  // namespace

std::string marked_html(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  const std::string plain = escaped_html(text);
  std::string out;
  for (std::size_t at = 0; at < plain.size();) {
    const char c = plain[at];
    if (plain.compare(at, 2, "\n\n") == 0) {
      out += "<br><br>";
      while (at < plain.size() && plain[at] == '\n') ++at;
      continue;
    }
    // *stress* begins after a blank and ends before one; `code` wherever it is. Both on one line.
    const bool opens =
        at == 0 || plain[at - 1] == ' ' || plain[at - 1] == '(' || plain[at - 1] == '\n';
    if (c == '`' || (c == '*' && opens)) {
      const std::size_t end = plain.find_first_of(c == '`' ? "`\n" : "*\n", at + 1);
      const bool closes = end != std::string::npos && plain[end] == c && end > at + 1 &&
                          plain[at + 1] != ' ' && plain[end - 1] != ' ';
      if (closes) {
        const std::string tag = c == '`' ? "code" : "em";
        out += fmt::format("<{0}>{1}</{0}>", tag, plain.substr(at + 1, end - at - 1));
        at = end + 1;
        continue;
      }
    }
    out += c;
    ++at;
  }
  return out;
}

std::string summary_html(const ReportText& text) {
  std::string out;
  if (text.pages.size() > 1) {
    out += "<nav class=\"pages\" aria-label=\"variants\">";
    for (const ReportText::Page& page : text.pages) {
      out += page.here ? "<b>" + escaped_html(page.name) + "</b> "
                       : link_to(page.file, page.name) + " ";
    }
    out += "</nav>\n";
  }
  happened(out, text);
  out += "<div class=\"charts\" id=\"key\"></div>\n";
  if (!text.cause.empty()) out += "<h2>Why</h2>\n<p>" + marked_html(text.cause) + "</p>\n";
  if (!text.evidence.empty()) {
    out += "<h2>Evidence</h2>\n<table class=\"facts\">\n";
    for (const ReportText::Row& row : text.evidence) {
      out += "<tr><th scope=\"row\">" + escaped_html(row.name) + "</th><td>" +
             escaped_html(row.value) + "</td></tr>\n";
    }
    out += "</table>\n";
  }
  change(out, text);
  proof(out, text);
  return out;
}

std::string appendix_html(const ReportText& text) {
  std::string out;
  if (!text.conditions.empty()) {
    out += "<h2>What was checked</h2>\n<div class=\"wide\"><table class=\"facts\">\n";
    for (const ReportText::Condition& c : text.conditions) {
      out += fmt::format(
          "<tr class=\"{}\"><td>{}</td><td>{}<br><code class=\"meta\">{}</code></td><td>{}</td></tr>\n",
          c.holds ? "holds" : "fails", c.holds ? "holds" : "<b>does not hold</b>",
          escaped_html(c.says), escaped_html(c.text), escaped_html(c.measured));
    }
    out += "</table></div>\n";
  }
  if (!text.replay.empty()) {
    out += "<h2>Run it again</h2>\n";
    for (const ReportText::Row& row : text.replay)
      out += "<p>" + escaped_html(row.name) + "</p><pre>" + escaped_html(row.value) + "</pre>\n";
  }
  return out;
}

}  // namespace lastack
