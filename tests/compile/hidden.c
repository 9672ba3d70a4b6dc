/* A strict C99 program that included a system header first: POSIX cannot be had any more. */
#include <stdio.h>
#define RTM_IMPLEMENTATION
#include "rtm.h"
