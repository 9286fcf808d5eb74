#include "cli/checks.h"

#include <fmt/format.h>

#include <charconv>
#include <string>
#include <system_error>

#include "net/device_name.h"

namespace lastack {
namespace {

template <class T>
bool read_number(const std::string& text, T& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stop == end;
}

}  // namespace

CLI::Validator not_empty() {
  return {[](const std::string& text) {
            return text.empty() ? std::string("a name is needed; it is empty") : std::string();
          },
          ""};
}

CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  return {[least, most](std::string& text) {
            std::uint64_t value = 0;
            if (!read_number(text, value) || value < least || value > most) {
              return fmt::format("a whole number from {} to {}, please, not {}", least, most, text);
            }
            text = std::to_string(value);
            return std::string();
          },
          most == UINT64_MAX ? std::string() : fmt::format("{} to {}", least, most)};
}

CLI::Validator number(double least, double most) {
  return {[least, most](const std::string& text) {
            double value = 0;
            const bool good = read_number(text, value) && value >= least && value <= most;
            return good ? std::string()
                        : fmt::format("a number from {} to {}, please, not {}", least, most, text);
          },
          fmt::format("{} to {}", least, most)};
}

CLI::Validator device_name() {
  return {[](const std::string& text) {
            return is_device_name(text) ? std::string()
                                        : fmt::format("{}, not '{}'", kDeviceNameRule, text);
          },
          ""};
}

}  // namespace lastack
