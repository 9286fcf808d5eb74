// A lifecycle log of any bytes: it is read or refused, and what is read is drawn in every way and compared with itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "report/log_diff.h"
#include "report/log_html.h"
#include "report/log_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lastack;
  const auto trace = trace_of(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!trace) return 0;
  LogTextOptions options;
  options.width = size % 200;
  const std::string drawn = sequence_diagram(*trace, options) + event_list(*trace, options);
  // Nothing in it steers a terminal.
  if (drawn.find('\x1b') != drawn.npos) std::abort();
  const std::string page = log_html(*trace, {});
  // Two programs, and nothing of the log ends one of them.
  std::size_t ends = 0;
  for (std::size_t at = page.find("</script"); at != page.npos;
       at = page.find("</script", at + 1)) {
    ++ends;
  }
  if (ends != 2) std::abort();
  if (!diff(*trace, *trace).equal) std::abort();
  return 0;
}
