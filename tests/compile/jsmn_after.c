/* The program uses jsmn itself, with settings of its own, after rtm.h was included. */
#define RTM_IMPLEMENTATION
#include "rtm.h"
#include <jsmn.h>
int main(void) {
    jsmn_parser parser;
    jsmntok_t token[4];
    jsmn_init(&parser);
    return jsmn_parse(&parser, "[1,2]", 5, token, 4) == 3 && rtm_version() ? 0 : 1;
}
