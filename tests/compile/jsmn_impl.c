/* jsmn's own implementation, for a program that includes it elsewhere with JSMN_HEADER. */
#undef JSMN_HEADER
#include <jsmn.h>
