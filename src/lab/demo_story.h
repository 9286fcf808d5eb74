// The demo's story, told by the first process inside its namespaces.
#pragma once

#include <cstdio>

#include "lab/demo_screen.h"
#include "lab/demo_script.h"

namespace lastack {

struct DemoPage {
  std::FILE* out = nullptr;
  Ink ink;
  std::size_t width = 100;  // of the doctor's page
};

// 0 when it went as told, 1 when it did not; the page says which part.
int tell_demo_story(const DemoScript& script, const DemoPage& page);

}  // namespace lastack
