#define RTM_IMPLEMENTATION
#include "rtm.h"
int other_file(void);
int main(void) { return other_file(); }
