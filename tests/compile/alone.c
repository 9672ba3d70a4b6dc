#include "rtm.h"
