/* The program uses jsmn itself, with settings of its own, before rtm.h is included. */
#include <jsmn.h>
#define RTM_IMPLEMENTATION
#include "rtm.h"
int main(void) {
    jsmn_parser parser;
    jsmntok_t token[4];
    jsmn_init(&parser);
    return jsmn_parse(&parser, "[1,2]", 5, token, 4) == 3 && rtm_version() ? 0 : 1;
}
