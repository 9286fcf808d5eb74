// The one class for this, under the name by which this room includes it.
#pragma once

#include "kernel/unique_fd.h"
