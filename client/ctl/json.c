/* The writer keeps what is open on a small stack; before each value it writes what must stand
 * there: a comma, a line break, the key. A wrong use (a value without a key in an object, an end
 * too many) is a mistake of this program and is asserted.
 *
 * In strings what JSON demands is escaped, and the control characters that JSON allows but a
 * terminal may obey (DEL and C1). Everything else passes as the UTF-8 it is. */
#include "client/ctl/json.h"

#include <assert.h>
#include <inttypes.h>

#define LINE_DEPTH 2u /* values nested deeper stay on one line */

void ga_json_init(struct ga_json *json, FILE *out)
{
    *json = (struct ga_json){.out = out};
}

static void write_ascii(FILE *out, unsigned char c)
{
    static const char *const escapes[] = {
        ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n",  ['\r'] = "\\r",
        ['\t'] = "\\t", ['"'] = "\\\"", ['\\'] = "\\\\",
    };
    if (c < sizeof(escapes) / sizeof(escapes[0]) && escapes[c])
        fputs(escapes[c], out);
    else if (c < 0x20 || c == 0x7f)
        fprintf(out, "\\u%04x", (unsigned)c);
    else
        fputc(c, out);
}

static void write_string(FILE *out, const char *text)
{
    const unsigned char *next = (const unsigned char *)text;
    fputc('"', out);
    for (; *next != '\0'; next++) {
        /* U+0080 to U+009F, two bytes each. */
        bool is_c1 = next[0] == 0xc2 && next[1] >= 0x80 && next[1] <= 0x9f;
        if (is_c1)
            fprintf(out, "\\u%04x", (unsigned)*++next);
        else if (*next < 0x80)
            write_ascii(out, *next);
        else
            fputc(*next, out);
    }
    fputc('"', out);
}

static void break_line(struct ga_json *json)
{
    fprintf(json->out, "\n%*s", (int)(2 * json->depth), "");
}

/* Whether what is innermost has a line for each member. */
static bool is_on_lines(const struct ga_json *json)
{
    return json->depth <= LINE_DEPTH && !json->one_line;
}

static void before_value(struct ga_json *json, const char *key)
{
    if (json->depth == 0) {
        assert(!key);
        return;
    }
    unsigned top = json->depth - 1;
    assert(json->is_object[top] == (key != NULL));
    if (json->has_member[top])
        fputc(',', json->out);
    if (is_on_lines(json))
        break_line(json);
    else if (json->has_member[top])
        fputc(' ', json->out);
    json->has_member[top] = true;
    if (key) {
        write_string(json->out, key);
        fputs(": ", json->out);
    }
}

static void begin(struct ga_json *json, const char *key, bool is_object)
{
    before_value(json, key);
    assert(json->depth < GA_JSON_DEPTH_MAX);
    json->is_object[json->depth] = is_object;
    json->has_member[json->depth] = false;
    json->depth++;
    fputc(is_object ? '{' : '[', json->out);
}

void ga_json_begin_object(struct ga_json *json, const char *key)
{
    begin(json, key, true);
}

void ga_json_begin_list(struct ga_json *json, const char *key)
{
    begin(json, key, false);
}

void ga_json_end(struct ga_json *json)
{
    assert(json->depth > 0);
    bool on_lines = is_on_lines(json);
    json->depth--;
    if (on_lines && json->has_member[json->depth])
        break_line(json);
    fputc(json->is_object[json->depth] ? '}' : ']', json->out);
    if (json->depth == 0)
        fputc('\n', json->out);
}

void ga_json_string(struct ga_json *json, const char *key, const char *text)
{
    if (!text) {
        ga_json_null(json, key);
        return;
    }
    before_value(json, key);
    write_string(json->out, text);
}

void ga_json_number(struct ga_json *json, const char *key, uint64_t number)
{
    before_value(json, key);
    fprintf(json->out, "%" PRIu64, number);
}

void ga_json_address(struct ga_json *json, const char *key, uint64_t address)
{
    before_value(json, key);
    fprintf(json->out, "\"0x%" PRIx64 "\"", address);
}

void ga_json_bool(struct ga_json *json, const char *key, bool value)
{
    before_value(json, key);
    fputs(value ? "true" : "false", json->out);
}

void ga_json_null(struct ga_json *json, const char *key)
{
    before_value(json, key);
    fputs("null", json->out);
}
