/* The transitions between the states of a session: those that rtm.h's diagram STATES draws, and
   those to FINISHED in the sentences under it. tests/states.py compares this list with the comment;
   server.h and fuzz/session.c compare it with what the client logs. */
#ifndef STATES_H
#define STATES_H

static const char *const state_transitions[] = {
    "IDLE -> CALLING",     "CALLING -> UPGRADING", "UPGRADING -> OPEN",     "OPEN -> CLOSING",
    "CALLING -> WAITING",  "UPGRADING -> WAITING", "OPEN -> WAITING",       "WAITING -> CALLING",
    "CALLING -> FINISHED", "OPEN -> FINISHED",     "UPGRADING -> FINISHED", "WAITING -> FINISHED",
    "IDLE -> FINISHED",    "CLOSING -> FINISHED",  NULL
};

#endif
