/* The transitions between the states of a session: those that rtm.h's diagram STATES draws, and
   those to FINISHED in the text below it. tests/states.py compares this list with the comment;
   server.h and fuzz/session.c compare it with what the client logs. */
#ifndef STATES_H
#define STATES_H

static const char *const state_transitions[] = {
    "IDLE -> CONNECTING", "CONNECTING -> UPGRADING", "UPGRADING -> OPEN", "OPEN -> CLOSING",
    "CONNECTING -> BACKOFF", "UPGRADING -> BACKOFF", "OPEN -> BACKOFF", "BACKOFF -> CONNECTING",
    "CONNECTING -> FINISHED", "OPEN -> FINISHED", "UPGRADING -> FINISHED", "BACKOFF -> FINISHED",
    "IDLE -> FINISHED", "CLOSING -> FINISHED", NULL
};

#endif
