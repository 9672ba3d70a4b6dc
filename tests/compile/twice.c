#include "rtm.h"
#include "rtm.h"
rtm_result twice(void);
rtm_result twice(void) { return RTM_OK; }
