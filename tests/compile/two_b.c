#include "rtm.h"
int other_file(void);
int other_file(void) { return rtm_strerror(RTM_OK) && rtm_version() ? 0 : 1; }
