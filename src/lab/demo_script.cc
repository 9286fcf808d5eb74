#include "lab/demo_script.h"

#include <sys/utsname.h>

namespace lastack {

DemoKernel read_demo_kernel() {
  DemoKernel kernel;
  utsname names{};
  if (uname(&names) == 0) kernel.release = names.release;
  kernel.has_reuse_delay = read_sysctl("net.ipv4.tcp_tw_reuse_delay").has_value();
  return kernel;
}

Duration DemoScript::ports_last() const {
  return Duration(static_cast<Duration::rep>(range.size() / rate * 1e9));
}

Duration DemoScript::length() const {
  Duration length = before_diagnosis + after_diagnosis + pool_part + kernel_part;
  // A pool that is opened while the service is down waits for the first ports to come back.
  if (mode == DemoMode::StandIn) length += hold - ports_last();
  return length;
}

DemoScript demo_script(const DemoOptions& options, const DemoKernel& kernel) {
  DemoScript script;
  script.client = IpAddress::v4(0x0a4d0001);            // 10.77.0.1
  script.database = {IpAddress::v4(0x0a4d0002), 3306};  // 10.77.0.2
  const bool has_delay = kernel.has_reuse_delay && !options.without_reuse_delay;
  script.mode = options.full ? DemoMode::Full : has_delay ? DemoMode::StandIn : DemoMode::NoReturn;

  const std::string reuse = "net.ipv4.tcp_tw_reuse";
  const std::string delay = "net.ipv4.tcp_tw_reuse_delay";
  switch (script.mode) {
    case DemoMode::StandIn:
      // 2.5 s up in every 6: three of them, ending in the third time down.
      script.range = {40000, 40799};
      script.rate = 320;
      script.hold = 6s;
      script.slice = 500ms;
      script.before_diagnosis = 15500ms;
      script.pool_part = 5s;
      script.kernel_part = 5s;
      script.settings = {{reuse, "1"}, {delay, "6000"}};
      script.kernel_remedy = {delay, "1000"};
      script.kernel_remedy_undo = {delay, "6000"};
      break;
    case DemoMode::Full:
      // 10 s up, down until the minute is over, and up again for some seconds.
      script.range = {40000, 40599};
      script.rate = 60;
      script.hold = 60s;
      script.slice = 2s;
      script.before_diagnosis = 16s;
      script.after_diagnosis = 54s;
      script.pool_part = 16s;
      script.kernel_part = 20s;
      // tcp_tw_reuse stays at the kernel's default: 2, which does not cover these addresses, or 0.
      script.kernel_remedy = {reuse, "1"};
      script.kernel_remedy_undo = {reuse, "2"};
      break;
    case DemoMode::NoReturn:
      script.range = {40000, 40799};
      script.rate = 320;
      script.hold = 60s;
      script.slice = 500ms;
      script.before_diagnosis = 5s;
      script.pool_part = 6s;
      script.kernel_part = 6s;
      // 0 rather than the usual 2, which kernels before 4.19 do not know; the same here.
      script.settings = {{reuse, "0"}};
      script.kernel_remedy = {reuse, "1"};
      script.kernel_remedy_undo = {reuse, "0"};
      script.kernel_first = true;
      break;
  }
  script.settings.push_back(
      {"net.ipv4.ip_local_port_range",
       std::to_string(script.range.low) + " " + std::to_string(script.range.high)});
  // Nothing is reused without them, whatever the host is set to.
  script.settings.push_back({"net.ipv4.tcp_timestamps", "1"});
  return script;
}

}  // namespace lastack
