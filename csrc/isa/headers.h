/* System headers come before any target pragma. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../table.h"
#include "../threads.h"
