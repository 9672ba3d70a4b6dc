/* Declarations first, the implementation later in the same file, and once more after that. */
#include "rtm.h"
static rtm_client *bot;
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include "rtm.h"
int main(void) { return rtm_create(NULL, &bot) == RTM_E_ARGUMENT && !bot ? 0 : 1; }
