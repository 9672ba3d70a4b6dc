/* terminal.c - for input from a terminal: colours, and an editor for the line that is typed.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"
#include <histedit.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <wchar.h>

static EditLine *editor; /* NULL: stdin is no terminal */
static History *lines;
static bool hung_up;
static const char prompt[] = "> ";

/* Whether a stream is a terminal that understands escape sequences. */
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

/* The columns that a character takes; the editor shows a control character as ^X. */
static int width_of(wchar_t character) {
    int width = wcwidth(character);
    return width >= 0 ? width : 2;
}

/* The number of rows of the prompt and the first `size` bytes of the line, minus one. The editor
   has broken them into rows of `drawn` columns; if the terminal now has fewer `columns`, it has
   broken the rows again. A wide character that does not fit in a row is in the next row. */
static int rows(const LineInfo *line, size_t size, int drawn, int columns) {
    int column = (int)strlen(prompt), row = 0;
    mbstate_t state = { 0 };
    for (size_t at = 0; at < size;) {
        wchar_t character;
        size_t length = mbrtowc(&character, line->buffer + at, size - at, &state);
        if (length == 0 || length > size - at) break;
        int width = width_of(character);
        if (column + width > drawn) {
            row += 1 + (column - 1) / columns;
            column = 0;
        }
        column += width;
        at += length;
    }
    return column == drawn ? row + 1 + (column - 1) / columns : row + column / columns;
}

static int columns_now(void) {
    int columns = 80;
    el_get(editor, EL_GETTC, "co", &columns, (void *)NULL);
    return columns > 0 ? columns : 80;
}

static struct winsize known_size;

/* Whether the size of the terminal has changed since the editor last read it. */
static bool has_other_size(void) {
    struct winsize size;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0) return false;
    return size.ws_col != known_size.ws_col || size.ws_row != known_size.ws_row;
}

static void adapt_size(void) {
    if (!has_other_size()) return;
    ioctl(STDIN_FILENO, TIOCGWINSZ, &known_size);
    el_resize(editor);
}

/* Output is printed above the line that is being typed: the line is erased before, and drawn again
   afterwards. */
void hide_line(void) {
    if (!editor) return;
    int drawn = columns_now();
    adapt_size();
    const LineInfo *line = el_line(editor);
    int up = rows(line, (size_t)(line->cursor - line->buffer), drawn, columns_now());
    if (up) printf("\033[%dA", up);
    printf("\r\033[J");
    fflush(stdout);
}

void show_line(void) {
    fflush(stdout);
    if (editor) el_set(editor, EL_REFRESH);
}

static char *get_prompt(UNUSED EditLine *el) { return (char *)(uintptr_t)prompt; }

/* Reads one character, of one or more bytes. Further bytes, or those of a key's escape sequence,
   must follow at once: else pressing only the escape key would stop the server. */
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

/* Tab: completes a command's name, as far as it is unique. */
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
    adapt_size();
    return true;
}

/* Called when a key was pressed. Returns the line if the key ends it, to be freed; else NULL. Sets
   *eof at the end of the input. */
char *edit_line(bool *eof) {
    HistEvent event;
    int count = 0;
    if (has_other_size()) {
        hide_line();
        show_line();
    }
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
