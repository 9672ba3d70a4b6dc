#define RTM_IMPLEMENTATION
#include "rtm.h"
