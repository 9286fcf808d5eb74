// Reading a TOML table whose keys are known: what is of the wrong kind, out of range, or not known at all is an error
// with its place and, of a word, the nearest that there is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lastack::lab {
// toml++ 3.3 asserts what a hostile file can make untrue, and in builds without assertions takes it for granted: files
// that include it here are built with them, and they throw std::logic_error.
[[noreturn]] void no_toml();
}  // namespace lastack::lab
#define TOML_ASSERT(holds) (static_cast<bool>(holds) ? void() : ::lastack::lab::no_toml())
#include <toml++/toml.h>

#include "lastack/ip_address.h"
#include "lastack/result.h"
#include "lastack/time.h"

namespace lastack::lab {

// Thrown while a file is read, and never leaves scenario_file.cc.
struct Misread {
  Error error;
};

// Where what stands in a table has come from, for errors: toml++ forgets the places of what is copied.
struct TomlSource {
  std::string file;                      // how it is called
  const toml::table* written = nullptr;  // as it was read
  std::map<std::string, std::string>
      puts;  // by path, "clients[0].rate": what has put it there, "--set ...: "

  // "x.toml:3:4: "
  std::string place(const toml::source_position& at) const;
  // Of what has this path.
  std::string place(const std::string& path) const;
};

class TomlTable {
 public:
  // `path`: how the table is called, "host.client".
  TomlTable(const toml::table& table, std::string path, const TomlSource& source)
      : TomlTable(table, path, path, source) {}

  bool has(std::string_view key) const { return table_.contains(key); }

  std::optional<std::string> text(std::string_view key);
  std::optional<bool> flag(std::string_view key);
  std::optional<std::int64_t> whole(std::string_view key, std::int64_t least, std::int64_t most);
  std::optional<double> number(std::string_view key, double least, double most);
  // "20 ms", "1.5 s", "2 min", "1 h", or a number of seconds; 0 and up.
  std::optional<Duration> duration(std::string_view key);
  std::optional<IpAddress> address(std::string_view key);
  std::vector<IpAddress> addresses(std::string_view key);
  // One text, or a list of them.
  std::vector<std::string> texts(std::string_view key);
  // A word of a list, by its index.
  std::optional<std::size_t> word(std::string_view key, std::span<const std::string_view> words);
  // A word, a number or a flag as text: the value of a sysctl.
  std::string scalar(std::string_view key);
  std::optional<TomlTable> table(std::string_view key);
  std::vector<TomlTable> tables(std::string_view key);  // a list of tables
  std::vector<std::string> keys() const;
  // What it has, nearly as it stands in the file.
  std::string written(std::string_view key) const;

  const toml::node* node(std::string_view key);
  // Every key has been asked for; else the first that was not is an error.
  void finish() const;
  [[noreturn]] void wrong(const toml::node* at, std::string_view what) const;
  [[noreturn]] void wrong(std::string_view key, std::string_view what);
  // As a variant and --set name it: "script.steps.step5.within".
  std::string name_of(std::string_view key) const;
  // "x.toml:3:4: ", or what has put it there; nothing: of the table itself.
  std::string place(const toml::node* at) const;
  const toml::table& raw() const { return table_; }

 private:
  TomlTable(const toml::table& table, std::string path, std::string called,
            const TomlSource& source)
      : table_(table), path_(std::move(path)), called_(std::move(called)), source_(source) {}
  std::string path_of(std::string_view key) const;

  const toml::table& table_;
  std::string path_;    // of TomlSource: "script.steps[4]"
  std::string called_;  // "script.steps.step5"
  const TomlSource& source_;
  mutable std::vector<std::string> asked_;
};

// Names are put together with dots and colons, and so have neither: letters, digits, '-' and '_', a letter first.
std::string plain_name(TomlTable& table, std::string_view key, const std::string& name);
// What the n-th of a list is called, from 0: by its name, or by the list and its number from 1, "step5", "clients2".
std::string name_in_list(std::string_view list, const toml::node& one, std::size_t n);
// The keys in the order of the file; a table of toml++ is in that of its keys.
std::vector<std::string> in_file_order(const toml::table& table);
// "the nearest is ..." or all there are, where they are few.
std::string hint(std::string_view word, std::span<const std::string_view> words);
// Nothing: not a duration.
std::optional<Duration> parse_duration(std::string_view text);

}  // namespace lastack::lab
