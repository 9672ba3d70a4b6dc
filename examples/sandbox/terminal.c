/* terminal.c - where a person sits before it: colours, and an editor for the line that is typed.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"
#include <histedit.h>
#include <locale.h>
#include <wchar.h>

static EditLine *editor; /* NULL: stdin is no terminal */
static History *lines;
static bool hung_up;
static const char prompt[] = "> ";

/* Is it a terminal that understands escape sequences? */
static bool is_capable(FILE *to) {
    const char *term = getenv("TERM");
    return isatty(fileno(to)) && term && strcmp(term, "dumb") != 0;
}

const char *colour_of(FILE *to, const char *actor) {
    static const char *const colours[][2] = {
        { "bot", "\033[32m" }, { "bot/api", "\033[32m" }, { "human", "\033[36m" },
        { "slack", "\033[33m" } };
    const char *no_color = getenv("NO_COLOR");
    if (!is_capable(to) || (no_color && *no_color)) return "";
    if (to == stderr) return "\033[31m";
    for (size_t i = 0; i < LWS_ARRAY_SIZE(colours); i++)
        if (!strcmp(colours[i][0], actor)) return colours[i][1];
    return "\033[2m";
}

/* The rows that the prompt and the first `size` bytes of the line fill, less one. */
static int rows(const LineInfo *line, size_t size) {
    int columns = 80, cells = (int)strlen(prompt);
    el_get(editor, EL_GETTC, "co", &columns, (void *)NULL);
    for (size_t i = 0; i < size; i++) cells += (line->buffer[i] & 0xC0) != 0x80;
    return columns > 0 ? cells / columns : 0;
}

/* What is printed stands above the line that is typed: it goes before, and comes back after. */
void hide_line(void) {
    if (!editor) return;
    const LineInfo *line = el_line(editor);
    int up = rows(line, (size_t)(line->cursor - line->buffer));
    if (up) printf("\033[%dA", up);
    printf("\r\033[J");
    fflush(stdout);
}

void show_line(void) {
    fflush(stdout);
    if (editor) el_set(editor, EL_REFRESH);
}

static char *get_prompt(UNUSED EditLine *el) { return (char *)(uintptr_t)prompt; }

/* One character. The rest of one, or of a key's escape sequence, follows at once, or was none:
   whoever presses the escape key alone does not stop the server. */
static int get_character(UNUSED EditLine *el, wchar_t *character) {
    mbstate_t state = { 0 };
    for (;;) {
        struct pollfd fd = { STDIN_FILENO, POLLIN, 0 };
        char byte;
        if (poll(&fd, 1, 200) == 0) return *character = L'\a', 1;
        if (read(STDIN_FILENO, &byte, 1) != 1) return hung_up = true, 0;
        size_t size = mbrtowc(character, &byte, 1, &state);
        if (size == (size_t)-1) return *character = L'?', 1;
        if (size != (size_t)-2) return 1;
    }
}

/* Tab: the rest of a command's name, as far as there is one way to go on. */
static unsigned char complete(EditLine *el, UNUSED int key) {
    const LineInfo *line = el_line(el);
    char rest[32] = "";
    size_t size = (size_t)(line->cursor - line->buffer);
    if (!size || line->buffer[0] != '/') return CC_ERROR;
    complete_command(line->buffer + 1, size - 1, rest, sizeof rest);
    return *rest && el_insertstr(el, rest) == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
}

bool open_terminal(void) {
    HistEvent event;
    if (!isatty(STDIN_FILENO) || !is_capable(stdout)) return false;
    setlocale(LC_CTYPE, "");
    editor = need(el_init("sandbox", stdin, stdout, stderr));
    lines = need(history_init());
    history(lines, &event, H_SETSIZE, 100);
    history(lines, &event, H_SETUNIQUE, 1);
    el_set(editor, EL_HIST, history, lines);
    el_set(editor, EL_PROMPT, get_prompt);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_GETCFN, get_character);
    el_set(editor, EL_ADDFN, "complete-command", "Complete a command", complete);
    el_set(editor, EL_BIND, "\t", "complete-command", (void *)NULL);
    el_set(editor, EL_UNBUFFERED, 1); /* shows the prompt */
    return true;
}

/* A key was pressed: the whole line that it ends, to be freed; NULL when it ends none, with *eof at
   the end of all. */
char *edit_line(bool *eof) {
    HistEvent event;
    int count = 0;
    const char *typed = el_gets(editor, &count);
    *eof = hung_up || (count == 1 && *typed == '\004');
    if (*eof || count <= 0 || (typed[count - 1] != '\n' && typed[count - 1] != '\r')) return NULL;
    if (count > 1) history(lines, &event, H_ENTER, typed);
    char *line = need(strdup(typed));
    el_set(editor, EL_UNBUFFERED, 0); /* an empty line again, and the prompt */
    el_set(editor, EL_UNBUFFERED, 1);
    return line;
}

void close_terminal(void) {
    if (!editor) return;
    hide_line();
    el_set(editor, EL_UNBUFFERED, 0);
    el_end(editor);
    history_end(lines);
    editor = NULL;
}
