#include "lab/scenario/scenario_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "lab/scenario/claims.h"
#include "lab/scenario/column_page.h"
#include "lab/scenario/measure_names.h"
#include "lab/scenario/measure_words.h"
#include "lab/scenario/part_words.h"
#include "model/printable.h"
#include "model/shell_word.h"

namespace lastack::lab {
namespace {

// Which host each step's socket is on.
std::vector<std::string> hosts_of(const std::vector<StepSpec>& steps) {
  std::map<std::string, std::string> sockets;
  std::vector<std::string> all;
  for (const StepSpec& s : steps) {
    std::string host = s.host;
    if (host.empty() && s.deed == StepSpec::Deed::Accept) host = sockets[s.of];
    if (host.empty() && !s.socket.empty()) host = sockets[s.socket];
    if (!s.socket.empty()) sockets[s.socket] = host;
    all.push_back(host);
  }
  return all;
}

std::string difference_words(const Difference& d) {
  if (d.after.empty()) return fmt::format("{}: none, in place of {}", d.key, on_a_line(d.before));
  return fmt::format("{} = {}{}", d.key, on_a_line(d.after),
                     d.before.empty() ? "" : fmt::format(", in place of {}", on_a_line(d.before)));
}

// Of a list that a variant adds as a whole, "change" or "fault", each of its parts.
std::vector<std::string> added_words(const Scenario& s, std::string_view key) {
  std::vector<std::string> lines;
  const auto add = [&](std::string_view list, const auto& all, auto words) {
    if (key != list) return;
    for (const auto& one : all) lines.push_back(fmt::format("{}: {}", one.name, words(one)));
  };
  add("change", s.changes, change_words);
  add("fault", s.faults, fault_words);
  add("server", s.servers, server_words);
  add("clients", s.clients, clients_words);
  add("pool", s.pools, pool_words);
  add("program", s.programs, program_words);
  return lines;
}

class Words {
 public:
  Words(const ScenarioFile& file, const Scenario& base, std::string base_variant,
        std::string called)
      : file_(file), s_(base), base_(std::move(base_variant)), called_(std::move(called)) {}

  std::string all() {
    head();
    hosts();
    wire();
    programs();
    steps();
    course();
    worlds();
    variants();
    checks();
    measured();
    verdicts();
    if (!file_.advice().empty()) {
      page_.head("what follows");
      page_.prose(file_.advice(), 2);
    }
    page_.line("");
    page_.line(fmt::format("run it: lastack lab run {}   (--measures: all that it measures)",
                           printable(shell_word(called_))));
    page_.line(fmt::format("as it is written: lastack lab show --toml {}",
                           printable(shell_word(called_))));
    return page_.take();
  }

 private:
  using Row = ColumnPage::Row;

  void head() {
    Parts claims(" ");
    for (const std::string& claim : file_.claims()) claims.add(claim);
    page_.prose(fmt::format("{}: {}", file_.name(), file_.title()), 0);
    for (const std::string& row : file_.claims()) {
      for (const ClaimInfo& info : lab::claims()) {
        if (info.row == row) page_.rows({{{"claim " + row, std::string(info.text)}, {}}});
      }
    }
    if (file_.about().empty()) return;
    page_.line("");
    // Paragraphs are parted by an empty line.
    const std::string& about = file_.about();
    for (std::size_t at = 0; at < about.size();) {
      const std::size_t end = std::min(about.find("\n\n", at), about.size());
      std::string part = about.substr(at, end - at);
      std::replace(part.begin(), part.end(), '\n', ' ');
      if (at > 0) page_.line("");
      page_.prose(part, 0);
      at = end + 2;
    }
  }

  void hosts() {
    page_.head("hosts");
    std::vector<Row> rows;
    for (const HostSpec& h : s_.hosts) {
      Row row{{h.name, host_words(h)}, {}};
      for (const auto& [name, value] : h.settings)
        row.below.push_back(fmt::format("{} = {}", name, value));
      rows.push_back(std::move(row));
    }
    page_.rows(rows);
  }

  void wire() {
    page_.head("between them");
    std::vector<Row> rows{{{"the wire", link_words(s_.wire)}, {}}};
    for (const LinkSpec& l : s_.links)
      rows.push_back({{fmt::format("{} - {}", l.from, l.to), link_words(l.options)}, {}});
    for (const NatSpec& n : s_.nats) rows.push_back({{"NAT " + n.name, nat_words(n)}, {}});
    page_.rows(rows);
    list("faults", s_.faults, fault_words);
    list("what changes meanwhile", s_.changes, change_words);
  }

  template <class Spec>
  void list(std::string_view head, const std::vector<Spec>& all,
            std::string (*words)(const Spec&)) {
    if (all.empty()) return;
    page_.head(head);
    std::vector<Row> rows;
    for (const Spec& one : all) rows.push_back({{one.name, words(one)}, {}});
    page_.rows(rows);
  }

  void programs() {
    std::vector<Row> rows;
    for (const ServerSpec& one : s_.servers)
      rows.push_back({{one.name, one.host, "server: " + server_words(one)}, {}});
    for (const ClientsSpec& one : s_.clients)
      rows.push_back({{one.name, one.host, "clients: " + clients_words(one)}, {}});
    for (const PoolSpec& one : s_.pools)
      rows.push_back({{one.name, one.host, "pool: " + pool_words(one)}, {}});
    for (const ProgramSpec& one : s_.programs)
      rows.push_back({{one.name, one.host, "program: " + program_words(one)}, program_more(one)});
    if (rows.empty()) return;
    page_.head("programs, and on which host");
    page_.rows(rows);
  }

  void steps() {
    if (s_.steps.empty()) return;
    page_.head("steps, one after the other, and on which host");
    const std::vector<std::string> hosts = hosts_of(s_.steps);
    std::vector<Row> rows;
    for (std::size_t i = 0; i < s_.steps.size(); ++i)
      rows.push_back({{s_.steps[i].name, hosts[i], deed_words(s_.steps[i])}, {}});
    page_.rows(rows);
  }

  void course() {
    page_.head("course");
    std::vector<Row> rows;
    rows.push_back({{"ends", s_.programs_decide ? "after " + time_words(s_.duration)
                             : s_.programs.empty()
                                 ? "with its last step"
                                 : "with its last step, and the last program that ends by itself"},
                    {}});
    rows.push_back({{"seed", fmt::format("{}; --seed takes another", s_.seed)}, {}});
    if (s_.sample > Duration::zero() && (s_.programs_decide || s_.sample != Duration(50ms)))
      rows.push_back({{"sampled", "every " + time_words(s_.sample)}, {}});
    if (file_.alone())
      rows.push_back({{"alone", "where kernels play, nothing else does meanwhile"}, {}});
    const auto said = [&](std::string_view head, const std::string& words) {
      if (!words.empty()) rows.push_back({{std::string(head), words}, {}});
    };
    said("not on a kernel", file_.not_on_kernel());
    said("long on a kernel", file_.long_on_kernel());
    said("known to differ", file_.differs());
    page_.rows(rows);
  }

  void worlds() {
    std::vector<Row> rows;
    for (const Where where : {Where::Endpoint, Where::Kernel, Where::Mixed}) {
      Row row{{fmt::format("on {}", to_string(where)), ""}, {}};
      Parts p("; ");
      for (const Difference& d : file_.in_world(where)) p.add(difference_words(d));
      row.cells.back() = p.all();
      if (!p.all().empty()) rows.push_back(std::move(row));
    }
    if (rows.empty()) return;
    page_.head("in one world only (--on)");
    page_.rows(rows);
  }

  void variants() {
    if (file_.variants().front().empty()) return;
    page_.head("variants: each is a run of its own");
    std::vector<Row> rows;
    for (const std::string& variant : file_.variants()) {
      std::vector<std::string> lines;
      const auto played = file_.scenario(variant, Where::Endpoint, {});
      for (const Difference& d : file_.differences(base_, variant, Where::Endpoint)) {
        std::vector<std::string> parts;
        if (played && d.before.empty()) parts = added_words(*played, d.key);
        if (parts.empty()) parts.push_back(difference_words(d));
        lines.insert(lines.end(), parts.begin(), parts.end());
      }
      if (lines.empty()) lines.emplace_back("as above");
      for (const AdviceSpec& a : file_.remedies()) {
        if (a.variant != variant) continue;
        Parts of;
        for (const std::string& one : a.instead_of) of.add(one);
        lines.push_back(fmt::format("{} {}: {}", a.helps ? "a remedy for" : "will not help with",
                                    of.all(), a.text));
        if (!a.caution.empty()) lines.push_back("mind: " + a.caution);
      }
      if (file_.proof()) {
        for (const ProofSpec::Part& part : file_.proof()->parts) {
          if (part.variant != variant) continue;
          if (!part.remedy.empty())
            lines.push_back(fmt::format("a remedy that the finding has: {}{}", part.remedy,
                                        part.told.empty() ? "" : ", \"" + part.told + "\""));
          if (!part.no_help.empty())
            lines.push_back(
                fmt::format("what the finding says will not help: \"{}\"", part.no_help));
        }
      }
      const auto own = [&](std::string_view head, const std::string& words,
                           const std::string& whole) {
        if (!words.empty() && words != whole) lines.push_back(fmt::format("{}: {}", head, words));
      };
      own("not on a kernel", file_.not_on_kernel(variant), file_.not_on_kernel());
      own("long on a kernel", file_.long_on_kernel(variant), file_.long_on_kernel());
      own("known to differ", file_.differs(variant), file_.differs());
      Row row{{variant, lines.front()}, {lines.begin() + 1, lines.end()}};
      rows.push_back(std::move(row));
    }
    page_.rows(rows);
  }

  void checks() {
    if (file_.proof()) {
      page_.head("what the doctor finds");
      page_.rows({{{file_.proof()->host, file_.proof()->finding}, {}}});
    }
    if (file_.checks().empty()) return;
    page_.head("what has to hold");
    for (const CheckSpec& c : file_.checks()) {
      Parts where;
      Parts in(", ");
      for (const std::string& v : c.only_in) in.add(v);
      where.add_if(!c.only_in.empty(), "in " + in.all());
      if (c.only_on) where.add(fmt::format("on {}", to_string(*c.only_on)));
      page_.prose(c.check.text(), 2);
      const std::string more =
          where.all() + (where.all().empty() || c.why.empty() ? "" : ": ") + c.why;
      if (!more.empty()) page_.prose(more, 6);
    }
  }

  void measured() {
    std::vector<std::string> names;
    const auto add = [&](const std::string& name) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    };
    for (const CheckSpec& c : file_.checks()) {
      for (const auto& [variant, name] : c.check.names()) add(name);
    }
    for (const VerdictSpec& v : file_.verdicts()) {
      for (const Placeholder& p : placeholders(v.because)) add(p.name);
    }
    if (file_.proof()) {
      for (const ProofSpec::Column& c : file_.proof()->shows) add(c.measure);
    }
    if (names.empty()) return;
    page_.head("what is measured for it");
    std::size_t width = 0;
    for (const std::string& name : names) width = std::max(width, name.size());
    for (const std::string& name : names) {
      std::string words = measure_words(s_, name);
      // It may be of what only a variant has.
      for (auto variant = file_.variants().begin();
           words == name && variant != file_.variants().end(); ++variant) {
        if (const auto played = file_.scenario(*variant, Where::Endpoint, {}))
          words = measure_words(*played, name);
      }
      if (words == name) words.clear();
      if (file_.proof()) {
        for (const ProofSpec::Column& c : file_.proof()->shows) {
          if (c.measure == name)
            words += fmt::format("{}column \"{}\"", words.empty() ? "" : "; ", c.head);
        }
      }
      page_.line(fmt::format("  {:<{}}  {}", printable(name), width, printable(words)));
    }
  }

  void verdicts() {
    if (file_.verdicts().empty()) return;
    page_.head("what it decides, where all of that holds; {...} is what was measured");
    std::vector<Row> rows;
    for (const VerdictSpec& v : file_.verdicts())
      rows.push_back({{v.claim, fmt::format("{}: {}", v.verdict, v.because)}, {}});
    page_.rows(rows);
  }

  const ScenarioFile& file_;
  const Scenario& s_;
  std::string base_;    // what differences of variants are against
  std::string called_;  // a name of the library, or a path
  ColumnPage page_;
};

}  // namespace

Result<std::string> scenario_text(const ScenarioFile& file, const std::string& called) {
  // What variants are variants of; or the first, where only variants can be played.
  std::string variant;
  auto base = file.scenario(variant, Where::Endpoint, {});
  if (!base) {
    variant = file.variants().front();
    base = file.scenario(variant, Where::Endpoint, {});
  }
  if (!base) return tl::unexpected(base.error());
  return Words(file, *base, variant, called).all();
}

}  // namespace lastack::lab
