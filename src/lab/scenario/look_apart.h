// The doctor's look at a host whose programs run in this process: taken by a process of its own, as `lastack doctor` would
// take it, so that neither the descriptors it needs nor their limit are those of the programs.
#pragma once

#include "lab/unique_fd.h"
#include "lastack/host_snapshot.h"
#include "lastack/kernel.h"
#include "lastack/result.h"

namespace lastack::lab {

// Descriptors of the calling process are not limited by what its programs may have, as long as one of these lives.
class UnlimitedDescriptors {
 public:
  UnlimitedDescriptors();
  ~UnlimitedDescriptors();
  UnlimitedDescriptors(const UnlimitedDescriptors&) = delete;

 private:
  unsigned long long before_ = 0;
  bool raised_ = false;
};

class LookApart {
 public:
  // What it needs is opened here: later there may be no descriptor left.
  static Result<LookApart> open();
  // In the namespace in which the calling thread is. The caller has one thread, and waits.
  Result<HostSnapshot> look(const LookOptions& options);

 private:
  LookApart(UniqueFd here, UniqueFd there) : here_(std::move(here)), there_(std::move(there)) {}
  UniqueFd here_, there_;  // the two ends of a line
};

}  // namespace lastack::lab
