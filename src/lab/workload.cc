#include "lab/workload.h"

namespace lastack {

LoadCounts& LoadCounts::operator+=(const LoadCounts& other) {
  offered += other.offered;
  ok += other.ok;
  failed += other.failed;
  for (const auto& [number, count] : other.errors) errors[number] += count;
  connect_call += other.connect_call;
  connected += other.connected;
  answered += other.answered;
  return *this;
}

}  // namespace lastack
