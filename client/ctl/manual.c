/* As much of mdoc as goallocctl(1) uses. Words are set one after the other, with a blank between
 * them unless a macro or punctuation says otherwise; a macro that is not known here is left out,
 * and its words are set as they are. */
#include "client/ctl/manual.h"

#include <string.h>

#define WIDTH      80u
#define INDENT     2u
#define WORD_BYTES 160
#define LINE_BYTES 512

struct setter {
    FILE *out;
    unsigned column; /* 0 = at the beginning of a line */
    unsigned indent;
    bool glue;      /* no blank before the next word */
    char opened[8]; /* brackets and quotes, which the next word begins with */
    bool blank;     /* an empty line before the next word */
    unsigned depth; /* of lists in the item */
    bool any;
};

/* ---- setting words ---- */

static void end_line(struct setter *s)
{
    if (s->column > 0)
        fputc('\n', s->out);
    s->column = 0;
}

/* Escapes stand for one character each here. */
static void unescape(const char *word, char ret[static WORD_BYTES])
{
    static const struct {
        const char *escape;
        const char *text;
    } escapes[] = {{"\\(lq", "\""}, {"\\(rq", "\""}, {"\\(dq", "\""}, {"\\e", "\\"},
                   {"\\-", "-"},    {"\\&", ""},     {"\\(aq", "'"},  {"\\ ", " "}};
    size_t n = 0;
    while (*word && n + 2 < WORD_BYTES) {
        bool found = false;
        for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]) && !found; i++) {
            size_t length = strlen(escapes[i].escape);
            found = strncmp(word, escapes[i].escape, length) == 0;
            if (found) {
                n += (size_t)snprintf(ret + n, WORD_BYTES - n, "%s", escapes[i].text);
                word += length;
            }
        }
        if (!found)
            ret[n++] = *word++;
    }
    ret[n] = '\0';
}

static void set(struct setter *s, const char *raw)
{
    char plain[WORD_BYTES];
    char word[WORD_BYTES + 8];
    unescape(raw, plain);
    snprintf(word, sizeof(word), "%s%s", s->opened, plain);
    s->opened[0] = '\0';
    unsigned length = (unsigned)strlen(word);
    if (s->blank && s->any) {
        end_line(s);
        fputc('\n', s->out);
    }
    s->blank = false;
    if (s->column > 0 && s->column + !s->glue + length > WIDTH)
        end_line(s);
    if (s->column == 0)
        s->column = (unsigned)fprintf(s->out, "%*s", (int)s->indent, "");
    else if (!s->glue)
        s->column += (unsigned)fprintf(s->out, " ");
    s->column += (unsigned)fprintf(s->out, "%s", word);
    s->glue = false;
    s->any = true;
}

static void open_bracket(struct setter *s, const char *bracket)
{
    size_t length = strlen(s->opened);
    snprintf(s->opened + length, sizeof(s->opened) - length, "%s", bracket);
}

static bool is_closing(const char *word)
{
    return word[0] && strchr(".,;:)?!", word[0]) && word[1] == '\0';
}

/* ---- macros ---- */

/* The next word of a line; words in double quotes are one. False at its end. */
static bool next(const char **line, char ret[static WORD_BYTES])
{
    const char *p = *line + strspn(*line, " ");
    bool quoted = *p == '"';
    p += quoted;
    size_t length = strcspn(p, quoted ? "\"" : " ");
    if (*p == '\0')
        return false;
    snprintf(ret, WORD_BYTES, "%.*s", (int)length, p);
    p += length;
    *line = p + (quoted && *p == '"');
    return true;
}

static void set_words(struct setter *s, const char *before, const char *line, const char *behind);

/* Set what stands behind a macro that makes something of each of its words. */
static void set_text(struct setter *s, const char *text)
{
    char word[WORD_BYTES] = "";
    while (next(&text, word))
        set(s, word);
}

static bool is_macro(const char *word)
{
    static const char *const macros[] = {"Ar", "Cm", "Dq", "Dv", "Em", "Er", "Ev", "Fl",
                                         "Fn", "Li", "Nm", "No", "Ns", "Oc", "Oo", "Op",
                                         "Pa", "Pq", "Ql", "Sx", "Sy", "Va", "Vt", "Xr"};
    for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++)
        if (strcmp(macros[i], word) == 0)
            return true;
    return false;
}

/* before and behind: what each word is put into. */
static void set_one(struct setter *s, const char *before, const char *word, const char *behind)
{
    char whole[2 * WORD_BYTES];
    if (is_closing(word))
        s->glue = true;
    else
        snprintf(whole, sizeof(whole), "%s%s%s", before, word, behind);
    whole[WORD_BYTES - 1] = '\0';
    set(s, is_closing(word) ? word : whole);
}

/* A macro whose words are put into something as a whole: [ ], ( ), quotes. */
static void enclose(struct setter *s, const char *open, const char *line, const char *close)
{
    char tail[WORD_BYTES] = "";
    char inner[LINE_BYTES];
    snprintf(inner, sizeof(inner), "%s", line + strspn(line, " "));
    size_t length = strlen(inner);
    if (length > 2 && inner[length - 2] == ' ' && is_closing(inner + length - 1)) {
        snprintf(tail, sizeof(tail), "%s", inner + length - 1);
        inner[length - 2] = '\0';
    }
    open_bracket(s, open);
    set_words(s, "", inner, "");
    s->glue = true;
    set(s, close);
    if (tail[0]) {
        s->glue = true;
        set(s, tail);
    }
}

static void call(struct setter *s, const char *macro, const char **line)
{
    char word[WORD_BYTES] = "";
    if (strcmp(macro, "Op") == 0 || strcmp(macro, "Oo") == 0) {
        enclose(s, "[", *line, "]");
    } else if (strcmp(macro, "Pq") == 0) {
        enclose(s, "(", *line, ")");
    } else if (strcmp(macro, "Dq") == 0) {
        enclose(s, "\"", *line, "\"");
    } else if (strcmp(macro, "Ql") == 0) {
        enclose(s, "'", *line, "'");
    } else if (strcmp(macro, "Xr") == 0) {
        char section[WORD_BYTES] = "";
        if (!next(line, word) || !next(line, section))
            return;
        set(s, word);
        s->glue = true;
        set(s, "(");
        s->glue = true;
        set(s, section);
        s->glue = true;
        set(s, ")");
        set_words(s, "", *line, "");
    } else if (strcmp(macro, "Fl") == 0) {
        set_words(s, "-", *line, "");
    } else if (strcmp(macro, "Ev") == 0) {
        set_words(s, "$", *line, "");
    } else if (strcmp(macro, "Fn") == 0) {
        set_words(s, "", *line, "()");
    } else if (strcmp(macro, "Nm") == 0 &&
               (!next(line, word) || is_macro(word) || is_closing(word))) {
        set(s, "goallocctl");
        if (is_macro(word))
            call(s, word, line);
        else if (is_closing(word))
            set_one(s, "", word, "");
    } else if (strcmp(macro, "Nm") == 0) {
        set(s, word);
        set_words(s, "", *line, "");
    } else {
        set_words(s, "", *line, "");
    }
}

static void set_words(struct setter *s, const char *before, const char *line, const char *behind)
{
    char word[WORD_BYTES] = "";
    while (next(&line, word)) {
        if (is_macro(word)) {
            call(s, word, &line);
            return;
        }
        if (strcmp(word, "|") == 0)
            set(s, word);
        else
            set_one(s, before, word, behind);
    }
}

static void set_macro(struct setter *s, const char *line)
{
    char macro[WORD_BYTES] = "";
    if (!next(&line, macro))
        return;
    if (strcmp(macro, "Pp") == 0) {
        s->blank = true;
    } else if (strcmp(macro, "Bl") == 0) {
        s->depth++;
        s->indent += INDENT;
    } else if (strcmp(macro, "El") == 0) {
        s->depth--;
        s->indent -= INDENT;
        end_line(s);
    } else if (strcmp(macro, "It") == 0) {
        end_line(s);
        set_words(s, "", line, "");
        end_line(s);
    } else if (strcmp(macro, "Dl") == 0) {
        end_line(s);
        s->column = (unsigned)fprintf(s->out, "%*s", (int)(s->indent + INDENT), "");
        s->glue = true;
        set_words(s, "", line, "");
        end_line(s);
    } else if (strcmp(macro, "Po") == 0) {
        open_bracket(s, "(");
    } else if (strcmp(macro, "Pc") == 0) {
        s->glue = true;
        set(s, ")");
        s->glue = true;
        set_text(s, line);
    } else if (is_macro(macro)) {
        call(s, macro, &line);
    } else {
        set_text(s, line);
    }
}

/* ---- the command's item ---- */

static const char *take_line(const char *page, char ret[static LINE_BYTES])
{
    size_t length = strcspn(page, "\n");
    snprintf(ret, LINE_BYTES, "%.*s", (int)length, page);
    return page + length + (page[length] == '\n');
}

static const char *find(const char *page, const char *command)
{
    char line[LINE_BYTES];
    size_t length = strlen(command);
    while (*page) {
        page = take_line(page, line);
        if (strncmp(line, ".It Cm ", 7) == 0 && strncmp(line + 7, command, length) == 0 &&
            (line[7 + length] == '\0' || line[7 + length] == ' '))
            return page;
    }
    return NULL;
}

bool ga_manual_print(const char *page, const char *command, FILE *out)
{
    struct setter s = {.out = out};
    char line[LINE_BYTES];
    page = find(page, command);
    if (!page)
        return false;
    while (*page) {
        page = take_line(page, line);
        bool ends = strncmp(line, ".It ", 4) == 0 || strncmp(line, ".El", 3) == 0;
        if ((ends && s.depth == 0) || strncmp(line, ".Sh", 3) == 0)
            break;
        if (strncmp(line, ".\\\"", 3) == 0)
            continue;
        if (line[0] == '.')
            set_macro(&s, line + 1);
        else
            set_text(&s, line);
    }
    end_line(&s);
    return s.any;
}
