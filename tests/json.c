/* JSON: the check against RFC 8259, the accessors, and UTF-8 against RFC 3629. Inputs end at a
   guard page. The check is compared with a second, plain implementation over all short texts. */
#include "support.h"

#include <ctype.h>
#include <limits.h>

#define T(text) { text, sizeof text - 1 }

typedef struct text {
    const char *data;
    size_t size;
} text;

/* Helpers: the only users of private names ---------------------------------------------------- */

static rtmi_document checked;

static bool is_json(const char *data, size_t size) {
    rtm_json root;
    return rtmi_document_open_at(&checked, at_guard(data, size), size, NULL, &root);
}

static rtmi_document document;

/* Checks a text and opens it; the previous one is closed. */
static rtm_json open_bytes(const char *data, size_t size) {
    char *copy = at_guard(data, size);
    rtm_json root;
    assert_true(rtmi_document_open_at(&document, copy, size, NULL, &root));
    return root;
}

static rtm_json open_text(const char *json) {
    return open_bytes(json, strlen(json));
}

static void release(void) {
    rtmi_document_free(&document);
    test_fail_at = test_fail_ever = 0;
    assert_int_equal(test_blocks, 0);
}

/* Feeds UTF-8 in two pieces, each at the guard: -1 = refused, else the bytes that are missing. */
static int utf8_pieces(const void *data, size_t size, size_t split) {
    rtmi_utf8 state = { 0, 0, 0 };
    if (!rtmi_utf8_check(&state, at_guard(data, split), split)) return -1;
    const char *rest = at_guard((const char *)data + split, size - split);
    return rtmi_utf8_check(&state, rest, size - split) ? state.need : -1;
}

/* Feeds UTF-8 byte by byte: the index of the byte that was refused, or `size`. */
static size_t utf8_refused_at(const void *data, size_t size) {
    rtmi_utf8 state = { 0, 0, 0 };
    for (size_t i = 0; i < size; i++)
        if (!rtmi_utf8_check(&state, at_guard((const char *)data + i, 1), 1)) return i;
    return size;
}

/* The text of the string that `quote` makes of `plain`. */
static void assert_quoted(const char *plain, const char *quoted) {
    rtmi_buf out = { 0 };
    rtmi_json_quote(&out, at_guard(plain, strlen(plain) + 1));
    assert_false(out.failed);
    if (quoted) assert_int_equal(out.size, strlen(quoted));
    if (quoted) assert_memory_equal(out.data, quoted, out.size);
    rtm_json back = open_bytes(out.data, out.size);
    assert_true(rtm_json_equals(back, plain));
    assert_int_equal(rtm_json_string(back, NULL, 0), strlen(plain));
    rtmi_buf_free(&out);
}

static unsigned random_below(unsigned limit) {
    uint32_t number;
    test_random(&number, sizeof number);
    return number % limit;
}

/* A second parser of RFC 8259: functions return the end, or NULL ------------------------------ */

static const char *plain_value(const char *p, const char *end, int depth);

static const char *plain_space(const char *p, const char *end) {
    while (p < end && (*p == 0x20 || *p == 0x09 || *p == 0x0a || *p == 0x0d)) p++;
    return p;
}

static const char *plain_digits(const char *p, const char *end) {
    const char *start = p;
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p == start ? NULL : p;
}

static const char *plain_number(const char *p, const char *end) {
    if (p < end && *p == '-') p++;
    if (p < end && *p == '0') p++;
    else if (!(p = plain_digits(p, end))) return NULL;
    if (p < end && *p == '.' && !(p = plain_digits(p + 1, end))) return NULL;
    if (p == end || (*p != 'e' && *p != 'E')) return p;
    p++;
    if (p < end && (*p == '+' || *p == '-')) p++;
    return plain_digits(p, end);
}

static const char *plain_string(const char *p, const char *end) {
    for (p++; p < end && *p != '"'; p++) {
        if ((unsigned char)*p < 0x20) return NULL;
        if (*p != '\\') continue;
        if (++p == end || !*p || !strchr("\"\\/bfnrtu", *p)) return NULL;
        for (int i = *p == 'u' ? 4 : 0; i; i--)
            if (++p == end || !isxdigit((unsigned char)*p)) return NULL;
    }
    return p < end ? p + 1 : NULL;
}

static const char *plain_list(const char *p, const char *end, int depth) {
    bool object = *p == '{';
    char closer = object ? '}' : ']';
    if (depth == 128) return NULL;
    p = plain_space(p + 1, end);
    if (p < end && *p == closer) return p + 1;
    for (;;) {
        if (object) {
            p = plain_space(p, end);
            if (p == end || *p != '"' || !(p = plain_string(p, end))) return NULL;
            p = plain_space(p, end);
            if (p == end || *p++ != ':') return NULL;
        }
        if (!(p = plain_value(plain_space(p, end), end, depth + 1))) return NULL;
        p = plain_space(p, end);
        if (p == end) return NULL;
        if (*p == closer) return p + 1;
        if (*p++ != ',') return NULL;
    }
}

static const char *plain_value(const char *p, const char *end, int depth) {
    static const char *const word[] = { "true", "false", "null" };
    if (p == end) return NULL;
    if (*p == '"') return plain_string(p, end);
    if (*p == '[' || *p == '{') return plain_list(p, end, depth);
    for (size_t i = 0; i < COUNT(word); i++) {
        size_t length = strlen(word[i]);
        if ((size_t)(end - p) >= length && !memcmp(p, word[i], length)) return p + length;
    }
    return plain_number(p, end);
}

static bool plain_check(const char *data, size_t size) {
    const char *end = data + size, *p = plain_value(plain_space(data, end), end, 0);
    return p && plain_space(p, end) == end;
}

/* Element or member `index` of an array or object, by skipping all before it. */
static text plain_at(rtm_json json, size_t index, text *name) {
    text none = { NULL, 0 };
    *name = none;
    if (!json.size || (*json.text != '[' && *json.text != '{')) return none;
    const char *end = json.text + json.size, *p = plain_space(json.text + 1, end);
    for (; *p != ']' && *p != '}'; index--) {
        const char *from = p;
        if (*json.text == '{') {
            p = plain_string(p, end);
            *name = (text){ from, (size_t)(p - from) };
            from = plain_space(plain_space(p, end) + 1, end);
        }
        p = plain_value(from, end, 0);
        if (!index) return (text){ from, (size_t)(p - from) };
        p = plain_space(p, end);
        if (*p == ',') p = plain_space(p + 1, end);
    }
    *name = none;
    return none;
}

static size_t plain_size(rtm_json json) {
    size_t size = 0;
    text name;
    while (plain_at(json, size, &name).data) size++;
    return size;
}

/* The check ----------------------------------------------------------------------------------- */

static void valid_texts_pass(void **state) {
    static const text valid[] = {
        T("null"), T("true"), T("false"), T("0"), T("-0"), T("1"), T("-1"), T("10"), T("1.0"),
        T("0.0"), T("-0.0e0"), T("1e1"), T("1E+1"), T("1e-1"), T("0e1"), T("0E-0"), T("1.5e00"),
        T("123456789012345678901234567890"), T("1e999999"), T("\"\""), T("\"a\""), T("\" \""),
        T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), T("\"\\u0000\""), T("\"\\uD83d\\uDe00\""),
        T("\"\\ud800\""), T("\"\\udc00\\ud800\""), T("\"\x7f\""), T("\"\xc3\xa9\""), T("\"'\""),
        T("\"\\\\\""), T("\"\\\\\\\\\\\"\""), T("[]"), T("{}"), T("[[]]"), T("[{}]"), T("[1]"),
        T("[1,2]"), T("[ 1 , 2 ]"), T("{\"a\":1}"), T("{\"a\":1,\"a\":2}"), T("{\"\":0}"),
        T("{ \"a\" : [ ] , \"b\" : { } }"), T(" \t\r\n[\t\r\n ]\n\t \r"), T(" 1 "), T("\n\"\"\n"),
        T("{\"a\":{\"b\":{\"c\":[[[{}]]]}}}"), T("[null,true,false,0,\"\",[],{}]"),
        T("[\"]\",\"}\",\",\",\":\"]"), T("{\"}\":\"{\"}"), T("[1e1,2.0,-3]"), T("\"/\""),
        T("{\"\\u0061\":1}"), T("[\"\\n\"]"), T("[\"\xe2\x80\xa8\"]"), T("{\"\\\"\":\"\\\"\"}"),
    };
    (void)state;
    for (size_t i = 0; i < COUNT(valid); i++) {
        if (!is_json(valid[i].data, valid[i].size)) fail_msg("refused: %s", valid[i].data);
        assert_true(plain_check(valid[i].data, valid[i].size));
    }
}

static const text invalid[] = {
    T(""), T(" "), T("\n"), T("nul"), T("nulll"), T("True"), T("NULL"), T("tru"), T("truefalse"),
    T("NaN"), T("nan"), T("Infinity"), T("-Infinity"), T("-"), T("+1"), T("--1"), T("- 1"), T("01"),
    T("-01"), T("00"), T("-00"), T("0x1"), T("1."), T(".1"), T("-.1"), T("1.e1"), T("0.e1"), T("."),
    T("1e"), T("1e+"), T("1E-"), T("1e1.0"), T("e1"), T("1 2"), T("1,"), T("1a"), T("0_1"),
    T("1..2"),
    T("1e++1"), T("\xef\xbb\xbf{}"), T("\xef\xbb\xbf"), T("\xff\xfe{\0}\0"), T("'a'"), T("a"),
    T("\""), T("\"a"), T("\"\\\""), T("\"\\"), T("\"\\u"), T("\"\\u0"), T("\"\\u000"),
    T("\"\\u0000"),
    T("\"\\u000\""), T("\"\\u00g0\""), T("\"\\u 000\""), T("\"\\U0000\""), T("\"\\x00\""),
    T("\"\\a\""), T("\"\\v\""), T("\"\\0\""), T("\"\\'\""), T("\"\\ \""), T("\"\\\n\""),
    T("\"\n\""),
    T("\"\t\""), T("\"\x1f\""), T("\"\0\""), T("\"\\\0\""), T("\"\\u00\0\0\""), T("\"a\"b"),
    T("\"\"\""), T("\"a\" \"b\""), T("\0"), T("1\0"), T("[]\0"), T("\0[]"), T("[\0]"), T("[1\0]"),
    T("["), T("]"), T("[]]"), T("[[]"), T("[1"), T("[1,"), T("[,"), T("[,]"), T("[,1]"), T("[1,]"),
    T("[1,,2]"), T("[1 2]"), T("[1:2]"), T("[1;2]"), T("[\"a\":1]"), T("[}"), T("[1}"), T("[{]}"),
    T("[\"a\",\n4\n,1,"), T("[\"\"],"), T("[]{}"), T("[][]"), T("[1]x"), T("[a]"), T("[-]"),
    T("[\"]"),
    T("[+1]"), T("[1.]"), T("[01]"), T("[1e]"), T("[tru]"), T("[nul]"), T("[\v]"), T("[\f]"),
    T("[\xa0]"), T("[1,\xc2\xa0" "2]"), T("{"), T("}"), T("{}}"), T("{]"), T("{,}"), T("{:}"),
    T("{\"a\"}"),
    T("{\"a\":}"), T("{\"a\":1"), T("{\"a\":1,"), T("{\"a\":1,}"), T("{,\"a\":1}"), T("{\"a\" 1}"),
    T("{\"a\":1 \"b\":2}"), T("{\"a\":1,,\"b\":2}"), T("{\"a\"::1}"), T("{\"a\":1:2}"),
    T("{\"a\",1}"),
    T("{a:1}"), T("{'a':1}"), T("{1:1}"), T("{null:1}"), T("{[]:1}"), T("{{}:1}"), T("{\"a\":1]"),
    T("{\"a\":[}"), T("{\"a\":1}}"), T("{\"a\":1}\"b\""), T("{\"a"), T("{\"a\""), T("{\"a\":"),
    T("{\"a\":\"b}"), T("{\"a\":1}#"), T("{}//"), T("/**/{}"), T("{}/**/"), T("{\"a\":/**/1}"),
    T("{\"a\":1,\"b\"}"), T("{\"a\":1,\"b\":}"), T("{\"a\":1,2}"), T("{\"a\":1,[]}"),
    T("{\"\\x\":1}"),
    T("{\"a\n\":1}"), T("\\u005b]"), T("[\\n]"), T("<.>"), T("*"), T("[1]\x1b"), T("{\"a\":true]"),
};

static void invalid_texts_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(invalid); i++) {
        if (is_json(invalid[i].data, invalid[i].size)) fail_msg("accepted: %s", invalid[i].data);
        assert_false(plain_check(invalid[i].data, invalid[i].size));
    }
}

/* 16 characters, so that a text is a number in base 16. */
static void all_short_texts_agree_with_a_plain_implementation(void **state) {
    static const char alphabet[] = "[]{},:\"\\01-.e+ u";
    (void)state;
    for (size_t size = 1; size <= 5; size++) {
        for (unsigned long code = 0; code < 1ul << 4 * size; code++) {
            char word[5];
            for (size_t i = 0; i < size; i++) word[i] = alphabet[code >> 4 * i & 15];
            if (is_json(word, size) != plain_check(word, size))
                fail_msg("%.*s: they differ", (int)size, word);
        }
    }
}

/* One byte changed, dropped or doubled in a document that has one of everything. */
static void all_small_changes_agree_with_a_plain_implementation(void **state) {
    static const char whole[] = " {\"a\\n\" : [1 , -2.5e+3,\"\\u00e9\\\\\", [ ], { }],"
                                "\"long name\":{\"b\":null,\"\":[true ,false]} } ";
    size_t size = sizeof whole - 1;
    char changed[sizeof whole + 1];
    (void)state;
    assert_true(is_json(whole, size));
    for (size_t at = 0; at < size; at++) {
        memcpy(changed, whole, size);
        for (int byte = 0; byte < 256; byte++) {
            changed[at] = (char)byte;
            if (is_json(changed, size) != plain_check(changed, size))
                fail_msg("byte %d at %zu: they differ", byte, at);
        }
        memmove(changed + at, whole + at + 1, size - at - 1);
        assert_int_equal(is_json(changed, size - 1), plain_check(changed, size - 1));
        memcpy(changed + at, whole + at, size - at);
        memmove(changed + at + 1, whole + at, size - at);
        assert_int_equal(is_json(changed, size + 1), plain_check(changed, size + 1));
        assert_int_equal(is_json(whole, at), plain_check(whole, at));
    }
}

/* The scan reads whole machine words: every byte at every place of strings of every small
   length. */
static void every_byte_in_a_string_is_checked_at_any_position(void **state) {
    (void)state;
    for (size_t length = 1; length <= 24; length++) {
        for (size_t at = 1; at <= length; at++) {
            char string[26];
            memset(string, 'x', sizeof string);
            string[0] = string[length + 1] = '"';
            for (int byte = 0; byte < 256; byte++) {
                string[at] = (char)byte;
                bool good = byte >= 0x20 && byte != '"' && byte != '\\'; /* \x is no escape */
                assert_int_equal(is_json(string, length + 2), good);
            }
            string[at] = 'x';
            assert_false(is_json(string, length + 1)); /* no closing quote */
            if (at == length) continue;
            string[at] = '\\';
            string[at + 1] = '"';
            assert_int_equal(is_json(string, length + 2), true);
            if (at + 1 == length) assert_false(is_json(string, length + 1));
        }
    }
}

static void every_escape_letter_and_hex_digit_is_checked(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char simple[] = "\"\\?\"", unicode[] = "\"\\u0000\"";
        simple[2] = (char)byte;
        assert_int_equal(is_json(simple, 4), byte && strchr("\"\\/bfnrt", byte) != NULL);
        for (size_t at = 3; at < 7; at++) {
            unicode[at] = (char)byte;
            assert_int_equal(is_json(unicode, 8), isxdigit(byte) != 0);
            unicode[at] = '0';
        }
    }
}

static void nest(char *out, const char *opener, size_t levels, const char *middle) {
    *out = '\0';
    for (size_t i = 0; i < levels; i++) strcat(out, opener);
    strcat(out, middle);
    for (size_t i = 0; i < levels; i++) strcat(out, *opener == '[' ? "]" : "}");
}

static void nesting_is_limited_to_128_levels(void **state) {
    char deep[2048];
    (void)state;
    static const struct { const char *opener, *middle; size_t levels; bool good; } row[] = {
        { "[", "", 128, true },       { "[", "", 129, false },       { "[", "1", 128, true },
        { "[", "1", 129, false },     { "{\"a\":", "1", 128, true }, { "{\"a\":", "1", 129, false },
        { "[", "[],[]", 127, true },  { "[", "[],[]", 128, false },  { "{\"a\":", "{}", 127, true },
        { "{\"a\":", "{}", 128, false }, { "[", "{}", 127, true },   { "[", "{}", 128, false } };
    for (size_t i = 0; i < COUNT(row); i++) {
        nest(deep, row[i].opener, row[i].levels, row[i].middle);
        assert_int_equal(is_json(deep, strlen(deep)), row[i].good);
        if (!row[i].good) assert_true(checked.too_deep);
    }
    assert_false(is_json("[1", 2));
    assert_false(checked.too_deep);
    /* The depth counts open arrays and objects only, not closed ones. */
    static char wide[8 * 300 + 2] = "[";
    for (size_t i = 0; i < 300; i++) strcat(wide, i ? ",[[{}]]" : "[[{}]]");
    strcat(wide, "]");
    assert_true(is_json(wide, strlen(wide)));
}

static void a_mebibyte_of_openers_is_refused_at_once(void **state) {
    static char deep[1 << 20];
    static const char *const opener[] = { "[", "{\"a\":", "[{\"\":" };
    (void)state;
    for (size_t kind = 0; kind < COUNT(opener); kind++) {
        for (size_t i = 0; i < sizeof deep; i++) deep[i] = opener[kind][i % strlen(opener[kind])];
        /* Twenty times: this would take hours if it were not refused early. */
        for (int i = 0; i < 20; i++) assert_false(is_json(deep, sizeof deep));
    }
}

/* The accessors ------------------------------------------------------------------------------- */

static void assert_raw(rtm_json json, const char *expected) {
    size_t size = 99;
    const char *raw = rtm_json_raw(json, &size);
    if (!expected) assert_null(raw);
    assert_int_equal(size, expected ? strlen(expected) : 0);
    if (!expected) return;
    assert_non_null(raw);
    if (memcmp(raw, expected, size)) fail_msg("%.*s is not %s", (int)size, raw, expected);
    assert_ptr_equal(rtm_json_raw(json, NULL), raw);
}

static void assert_string(rtm_json json, const char *expected, size_t length) {
    char buffer[256];
    memset(buffer, 'x', sizeof buffer);
    assert_int_equal(rtm_json_string(json, buffer, sizeof buffer), length);
    assert_memory_equal(buffer, expected, length);
    assert_int_equal(buffer[length], '\0');
}

/* Every accessor on every kind of value, also on the missing one. */
static void every_accessor_accepts_every_value(void **state) {
    static const struct {
        const char *json, *string;
        size_t size;
        long long number;
        int truth; /* 2 = the fallback */
        const char *first, *member, *name;
    } row[] = {
        { NULL, NULL, 0, 77, 2, NULL, NULL, NULL },
        { "null", NULL, 0, 77, 2, NULL, NULL, NULL },
        { "true", NULL, 0, 77, 1, NULL, NULL, NULL },
        { "false", NULL, 0, 77, 0, NULL, NULL, NULL },
        { "0", NULL, 0, 0, 2, NULL, NULL, NULL },
        { "-12", NULL, 0, -12, 2, NULL, NULL, NULL },
        { "1.5", NULL, 0, 77, 2, NULL, NULL, NULL },
        { "\"\"", "", 0, 77, 2, NULL, NULL, NULL },
        { "\"true\"", "true", 0, 77, 2, NULL, NULL, NULL },
        { "\"12\"", "12", 0, 77, 2, NULL, NULL, NULL },
        { "\"[1]\"", "[1]", 0, 77, 2, NULL, NULL, NULL },
        { "[]", NULL, 0, 77, 2, NULL, NULL, NULL },
        { "[1]", NULL, 1, 77, 2, "1", NULL, NULL },
        { "[[\"a\"],{\"a\":1}]", NULL, 2, 77, 2, "[\"a\"]", NULL, NULL },
        { "{}", NULL, 0, 77, 2, NULL, NULL, NULL },
        { "{\"a\":true}", NULL, 1, 77, 2, "true", "true", "\"a\"" },
        { "{\"b\":1,\"a\":[1,2],\"c\":{}}", NULL, 3, 77, 2, "1", "[1,2]", "\"b\"" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        rtm_json json = { NULL, 0, NULL };
        if (row[i].json) json = open_text(row[i].json);
        assert_raw(json, row[i].json);
        size_t length = row[i].string ? strlen(row[i].string) : 0;
        assert_string(json, row[i].string ? row[i].string : "", length);
        assert_int_equal(rtm_json_string(json, NULL, 0), length);
        assert_int_equal(rtm_json_equals(json, ""), row[i].string && !*row[i].string);
        assert_int_equal(rtm_json_equals(json, row[i].string), row[i].string != NULL);
        assert_false(rtm_json_equals(json, NULL));
        assert_int_equal(rtm_json_count(json), row[i].size);
        assert_true(rtm_json_int(json, 77) == row[i].number);
        assert_int_equal(rtm_json_bool(json, true), row[i].truth != 0);
        assert_int_equal(rtm_json_bool(json, false), row[i].truth == 1);
        assert_raw(rtm_json_at(json, 0), row[i].first);
        assert_raw(rtm_json_key(json, 0), row[i].name);
        assert_raw(rtm_json_get(json, "0"), row[i].name ? NULL : row[i].first);
        assert_raw(rtm_json_get(json, "a"), row[i].member);
        assert_raw(rtm_json_at(json, row[i].size), NULL);
        assert_raw(rtm_json_at(json, (size_t)-1), NULL);
        assert_raw(rtm_json_key(json, row[i].size), NULL);
        assert_raw(rtm_json_get(json, "nothing.at.all.0"), NULL);
    }
}

static void paths_lead_to_members_and_elements(void **state) {
    static const struct { const char *json, *path, *found; } row[] = {
        { "{\"a\":{\"b\":{\"c\":1}}}", "a.b.c", "1" },
        { "{\"a\":{\"b\":{\"c\":1}}}", "a.b", "{\"c\":1}" },
        { "{\"a\":[{\"b\":1},{\"b\":2}]}", "a.1.b", "2" },
        { "[[1,2],[3,[4,5]]]", "1.1.0", "4" },
        { "[[1,2],[3,[4,5]]]", "1.1", "[4,5]" },
        { "[\"a\",\"\",\"b\"]", "1", "\"\"" },
        { "{\"0\":\"name\"}", "0", "\"name\"" },
        { "{\"a\":[10,11,12,13,14,15,16,17,18,19,20]}", "a.10", "20" },
        { "[1,2]", "2", NULL },
        { "[1,2]", "", NULL },
        { "[1,2]", "-1", NULL },
        { "[1,2]", "+1", NULL },
        { "[1,2]", " 1", NULL },
        { "[1,2]", "1 ", NULL },
        { "[1,2]", "1x", NULL },
        { "[1,2]", "0x1", NULL },
        { "[1,2]", "1.0", NULL },
        { "[1,2]", "4294967296", NULL },
        { "[1,2]", "18446744073709551616", NULL },
        { "[1,2]", "340282366920938463463374607431768211457", NULL },
        { "[1,2]", "a", NULL },
        { "{\"a\":1}", "b", NULL },
        { "{\"a\":1}", "", NULL },
        { "{\"a\":1}", "A", NULL },
        { "{\"a\":1}", "a.", NULL },
        { "{\"a\":1}", ".a", NULL },
        { "{\"a\":1}", "a.b", NULL },
        { "{\"a\":\"b\"}", "a.b", NULL },
        { "{\"a\":null}", "a.b.c", NULL },
        { "{\"a\":null}", "a", "null" },
        { "{\"\":{\"\":5}}", "", "{\"\":5}" },
        { "{\"\":{\"\":5}}", ".", "5" },
        { "{\"a\":{\"\":5}}", "a.", "5" },
        { "{\"a.b\":1}", "a.b", NULL },
        { " { \"a\" : 1 , \"b\" : [ 2 , 3 ] } ", "b.1", "3" },
        { " { \"a\" : [ 2 , 3 ] \n} ", "a", "[ 2 , 3 ]" },
        { "{\"a\" \t:\n-1.5e3 \r,\"b\":0}", "a", "-1.5e3" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++)
        assert_raw(rtm_json_get(open_text(row[i].json), row[i].path), row[i].found);
    assert_raw(rtm_json_get(open_text(" [1] "), NULL), "[1]");
}

/* Texts that could mislead a scan for names. */
static void names_are_not_confused_with_similar_text(void **state) {
    static const struct { const char *json, *path, *found; } row[] = {
        { "{\"a\":1,\"a\":2}", "a", "1" },
        { "{\"a\":{\"x\":1},\"a\":{\"y\":2}}", "a.y", NULL },
        { "{\"\\u0061\":1,\"a\":2}", "a", "1" },
        { "{\"x\":\"a\",\"a\":2}", "a", "2" },
        { "{\"x\":{\"a\":1},\"a\":2}", "a", "2" },
        { "{\"x\":[{\"a\":1}],\"a\":2}", "a", "2" },
        { "{\"x\":{\"a\":1}}", "a", NULL },
        { "{\"x\":\"\\\"a\\\":1\",\"a\":2}", "a", "2" },
        { "{\"x\":\"\\\\\",\"a\":2}", "a", "2" },
        { "{\"x\":\"}{][,:\",\"a\":2}", "a", "2" },
        { "{\"x\":[\"]\",\"}\"],\"a\":2}", "a", "2" },
        { "{\"aa\":1,\"\":2,\"a\":3}", "a", "3" },
        { "{\"aa\":1,\"ab\":2}", "a", NULL },
        { "{\"a\\u0000\":1,\"a\":2}", "a", "2" },
        { "{\"a\\u0000b\":1}", "a", NULL },
        { "{\"caf\\u00e9\":1}", "caf\xc3\xa9", "1" },
        { "{\"caf\xc3\xa9\":1}", "caf\xc3\xa9", "1" },
        { "{\"\\ud83d\\ude00\":1}", "\xf0\x9f\x98\x80", "1" },
        { "{\"\\\"\":1}", "\"", "1" },
        { "{\"\\\\\":1}", "\\", "1" },
        { "{\"\\\\n\":1,\"\\n\":2}", "\\n", "1" },
        { "{\"\\n\":1,\"\\\\n\":2}", "\\n", "2" },
        { "{\"\\n\":1}", "\n", "1" },
        { "{\"\\/\":1}", "/", "1" },
        { "{\"\\/\":1}", "\\/", NULL },
        { "{\"\\u0061\":1}", "\\u0061", NULL },
        { "{\"\\u0061bc\":1}", "abc", "1" },
        { "{\"\\u0061bc\":1}", "abd", NULL },
        { "{\"\\u0061bc\":1}", "abcd", NULL },
        { "{\"\\u0061bc\":1}", "ab", NULL },
        { "{\"type\":\"x\",\"long_name_of_more_than_eight\":1}", "long_name_of_more_than_eight",
          "1" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++)
        assert_raw(rtm_json_get(open_text(row[i].json), row[i].path), row[i].found);
}

/* The members of an inner object are noted, as those of a Socket Mode event: all of them, and no
   members of another object. */
static void the_members_of_an_inner_object_are_noted(void **state) {
    static const struct { const char *json, *found; unsigned members; } row[] = {
        { "{\"a\":1,\"event\":{\"a\":2,\"b\":3},\"x\":{\"a\":4}}", "2", 2 },
        { "{\"event\":{\"b\":{\"a\":2}},\"x\":{\"a\":4}}", NULL, 1 },
        { "{\"event\":{},\"x\":{\"a\":4}}", NULL, 0 },
        { "{\"event\":{ } ,\"x\":{\"a\":4}}", NULL, 0 },
        { "[{\"event\":{}},{\"a\":4}]", NULL, 0 },
        { "{\"event\":[],\"x\":{\"a\":4}}", NULL, 0 },
        { "{\"event\":[{\"a\":2}],\"x\":{\"a\":4}}", NULL, 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        const char *json = row[i].json, *event = strstr(json, "event") + strlen("event\":");
        rtm_json root;
        assert_true(rtmi_document_open_at(&document, json, strlen(json), event, &root));
        assert_int_equal(document.members, row[i].members);
        rtm_json value = { event, (size_t)(rtmi_json_skip(event, root.text + root.size) - event),
                           &document };
        assert_raw(rtm_json_get(value, "a"), row[i].found);
    }
}

static void strings_are_decoded_to_utf8(void **state) {
    static const struct { const char *json; text is; } row[] = {
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", T("\"\\/\b\f\n\r\t") },
        { "\"\\u0000\"", T("\0") },
        { "\"a\\u0000b\"", T("a\0b") },
        { "\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
          T("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf") },
        { "\"\\ud7ff\\ue000\"", T("\xed\x9f\xbf\xee\x80\x80") },
        { "\"\\ud800\\udc00\"", T("\xf0\x90\x80\x80") },
        { "\"\\uDBFF\\uDFFF\"", T("\xf4\x8f\xbf\xbf") },
        { "\"\\ud83d\\ude00!\"", T("\xf0\x9f\x98\x80!") },
        { "\"\\ud83d\"", T("\xef\xbf\xbd") },
        { "\"\\ude00\"", T("\xef\xbf\xbd") },
        { "\"\\ude00\\ud83d\"", T("\xef\xbf\xbd\xef\xbf\xbd") },
        { "\"\\ud83dx\"", T("\xef\xbf\xbdx") },
        { "\"\\ud83d\\n\"", T("\xef\xbf\xbd\n") },
        { "\"\\ud83d\\u0041\"", T("\xef\xbf\xbd" "A") },
        { "\"\\ud83d\\udbff\"", T("\xef\xbf\xbd\xef\xbf\xbd") },
        { "\"\\ud83d\\ue000\"", T("\xef\xbf\xbd\xee\x80\x80") },
        { "\"\\ud83d\\ud83d\\ude00\"", T("\xef\xbf\xbd\xf0\x9f\x98\x80") },
        { "\"\\ud83d\\\\ude00\"", T("\xef\xbf\xbd\\ude00") },
        { "\"\\ud83d \\ude00\"", T("\xef\xbf\xbd \xef\xbf\xbd") },
        { "\"\\\\u0041\"", T("\\u0041") },
        { "\"raw \xc3\xa9 \xf0\x9f\x98\x80\"", T("raw \xc3\xa9 \xf0\x9f\x98\x80") },
        { "\"<@U1> &amp; \\u003c\"", T("<@U1> &amp; <") },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        assert_string(open_text(row[i].json), row[i].is.data, row[i].is.size);
        bool whole = strlen(row[i].is.data) == row[i].is.size;
        assert_int_equal(rtm_json_equals(open_text(row[i].json), row[i].is.data), whole);
    }
}

/* UTF-8 by the table of RFC 3629 section 3. */
static size_t plain_encode(unsigned long code, char out[5]) {
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    memset(out, 0, 5);
    for (size_t i = size - 1; i; i--, code /= 64) out[i] = (char)(0x80 + code % 64);
    out[0] = (char)(lead[size] + code);
    return size;
}

static void every_escaped_character_is_decoded(void **state) {
    char json[32], expected[5];
    (void)state;
    for (unsigned long code = 0; code < 0x10000; code++) {
        bool surrogate = code >= 0xd800 && code < 0xe000;
        size_t size = plain_encode(surrogate ? 0xfffd : code, expected);
        snprintf(json, sizeof json, code & 1 ? "\"\\u%04lx\"" : "\"\\u%04lX\"", code);
        assert_string(open_text(json), expected, size);
    }
    for (unsigned long code = 0x10000; code < 0x110000; code += code % 1024 < 1021 ? 31 : 1) {
        unsigned long high = 0xd800 + (code - 0x10000) / 1024, low = 0xdc00 + code % 1024;
        size_t size = plain_encode(code, expected);
        snprintf(json, sizeof json, "\"\\u%04lX\\u%04lx\"", high, low);
        assert_string(open_text(json), expected, size);
    }
}

static void equals_compares_the_whole_decoded_text(void **state) {
    static const struct { const char *json, *text; bool equal; } row[] = {
        { "\"ping\"", "ping", true },       { "\"ping\"", "pin", false },
        { "\"ping\"", "pings", false },     { "\"ping\"", "Ping", false },
        { "\"p\\u0069ng\"", "ping", true }, { "\"p\\u0069ng\"", "p\\u0069ng", false },
        { "\"\\n\"", "\n", true },          { "\"\\n\"", "n", false },
        { "\"a\\u0000b\"", "a", false },    { "\"\\u0000\"", "", false },
        { "\"\\ud800\"", "\xef\xbf\xbd", true }, { "\"\\u20ac\"", "\xe2\x82\xac", true },
        { "\"\\u20ac\"", "\xe2\x82", false },    { "\"\xe2\x82\xac\"", "\xe2\x82\xac", true },
        { "\"a\\tb\"", "a\tb", true },      { "\"a\\tb\"", "a\t", false },
        { "true", "true", false },          { "12", "12", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++)
        assert_int_equal(rtm_json_equals(open_text(row[i].json), row[i].text), row[i].equal);
}

/* Like snprintf, but never half a character. The buffer ends at a guard page of its own. */
static void strings_are_cut_at_whole_characters(void **state) {
    static const char *const json[] = {
        "\"abc\"", "\"\xc3\xa9\xc3\xa9\"", "\"a\xe2\x82\xac\xe2\x82\xac\"", "\"\xf0\x9f\x98\x80z\"",
        "\"\\u00e9\\u20ac\\ud83d\\ude00\"", "\"a\\nb\xe2\x82\xac\\tc\xf0\x9f\x98\x80\\u20acd\"",
        "\"x\\u20acyy\"", "\"\\u20acy\"", "\"\"", "\"\\ud800\\ud800\"", "\"\xe2\x82\xac\\u20acabc\""
    };
    (void)state;
    for (size_t i = 0; i < COUNT(json); i++) {
        char full[64];
        size_t length = rtm_json_string(open_text(json[i]), full, sizeof full);
        for (size_t size = 1; size < length + 3; size++) {
            size_t kept = length < size ? length : size - 1;
            while (kept < length && ((unsigned char)full[kept] & 0xc0) == 0x80) kept--;
            char dirt[68];
            memset(dirt, 'x', sizeof dirt);
            guarded out = guard(dirt, size);
            assert_int_equal(rtm_json_string(open_text(json[i]), out.data, size), length);
            assert_memory_equal(out.data, full, kept);
            assert_int_equal(out.data[kept], '\0');
            guard_free(&out);
        }
    }
}

static void integers_end_where_long_long_does(void **state) {
    static const struct { const char *json; long long number; } row[] = {
        { "0", 0 }, { "-0", 0 }, { "7", 7 }, { "-7", -7 }, { "2147483648", 2147483648LL },
        { "9223372036854775807", LLONG_MAX }, { "9223372036854775806", LLONG_MAX - 1 },
        { "9223372036854775808", 77 }, { "9223372036854775810", 77 }, { "9999999999999999999", 77 },
        { "18446744073709551616", 77 }, { "18446744073709551617", 77 },
        { "-9223372036854775807", -LLONG_MAX }, { "-9223372036854775808", LLONG_MIN },
        { "-9223372036854775809", 77 }, { "-9223372036854775810", 77 },
        { "-18446744073709551617", 77 }, { "123456789012345678901234567890", 77 },
        { "1.0", 77 }, { "1e2", 77 }, { "1E2", 77 }, { "-1.5", 77 }, { "0.0", 77 }, { "-0.0", 77 },
        { "0e0", 77 }, { "\"7\"", 77 }, { "\"-\"", 77 }, { "true", 77 }, { "null", 77 },
        { "[7]", 77 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        rtm_json list = open_text(row[i].json); /* at the end of the text, and within it */
        if (rtm_json_int(list, 77) != row[i].number) fail_msg("%s", row[i].json);
        char within[64];
        snprintf(within, sizeof within, "{\"a\":%s,\"b\":1}", row[i].json);
        assert_true(rtm_json_int(rtm_json_get(open_text(within), "a"), 77) == row[i].number);
        snprintf(within, sizeof within, "[%s,1]", row[i].json);
        assert_true(rtm_json_int(rtm_json_at(open_text(within), 0), 77) == row[i].number);
    }
    assert_true(rtm_json_int(open_text("\"x\""), LLONG_MIN) == LLONG_MIN);
}

/* Random access against plain_at -------------------------------------------------------------- */

static char made[1 << 16];
static size_t made_size;

static void make(const char *piece) {
    size_t length = strlen(piece);
    memcpy(made + made_size, piece, length);
    made_size += length;
}

static void make_value(unsigned levels) {
    static const char *const scalar[] = { "0", "-1.5e3", "true", "null", "\"\"", "\"a\"",
        "\"[1,2]\"",
        "\"\\\"}\"", "\"\\\\\"", "\"\\ud83d\\ude00\"", "[]", "{}", "[ ]", "12345678901",
        "\"],[\"" };
    unsigned count = random_below(6);
    if (!levels || made_size > sizeof made - 4096 || random_below(4) == 0) {
        make(scalar[random_below(COUNT(scalar))]);
        return;
    }
    bool object = random_below(3) == 0;
    make(object ? "{" : "[");
    for (unsigned i = 0; i < count; i++) {
        if (i) make(random_below(2) ? "," : " ,\n");
        if (random_below(8) == 0) make("\t ");
        if (object) make(i & 1 ? "\"a\":" : "\"b\" : ");
        make_value(levels - 1);
    }
    make(object ? "}" : "]");
}

static void assert_same(rtm_json found, text expected) {
    assert_ptr_equal(found.text, expected.data);
    assert_int_equal(found.size, expected.size);
}

static void assert_same_element(rtm_json json, size_t index) {
    text name, value = plain_at(json, index, &name);
    assert_same(rtm_json_at(json, index), value);
    assert_same(rtm_json_key(json, index), name);
}

/* A pool of values found so far; each step looks into any of them, at any index. */
static void elements_and_members_are_right_whatever_order_they_are_asked_for(void **state) {
    (void)state;
    for (int round = 0; round < 300; round++) {
        rtm_json pool[16];
        size_t known = 1;
        do {
            made_size = 0;
            make_value(6);
        } while (made[0] != '[' && made[0] != '{');
        pool[0] = open_bytes(made, made_size);
        for (int step = 0; step < 120; step++) {
            rtm_json from = pool[random_below((unsigned)known)];
            size_t index = random_below(7);
            assert_same_element(from, index);
            assert_int_equal(rtm_json_count(from), plain_size(from));
            rtm_json to = rtm_json_at(from, index);
            if (*from.text == '{' && random_below(2))
                to = rtm_json_get(from, index & 1 ? "a" : "b");
            if (!to.size || (*to.text != '[' && *to.text != '{')) continue;
            pool[known < COUNT(pool) ? known++ : 1 + random_below(COUNT(pool) - 1)] = to;
        }
    }
    assert_false(document.failed);
}

static void loops_within_loops_meet_every_element(void **state) {
    (void)state;
    char json[1024] = "[1,2]", inner[1024];
    for (int level = 0; level < 6; level++) {
        strcpy(inner, json);
        sprintf(json, "[%.400s,%.400s]", inner, level & 1 ? "[]" : inner);
    }
    rtm_json level[7];
    size_t at[7] = { 0 }, met = 0;
    int depth = 0;
    level[0] = open_text(json);
    while (depth >= 0) {
        if (at[depth] == rtm_json_count(level[depth])) {
            depth--;
            continue;
        }
        assert_same_element(level[depth], at[depth]);
        rtm_json next = rtm_json_at(level[depth], at[depth]++);
        if (*next.text != '[') {
            assert_true(rtm_json_int(next, 0) == (long long)at[depth]);
            met++;
        } else {
            level[++depth] = next;
            at[depth] = 0;
        }
    }
    assert_int_equal(met, 2 * 8);
}

static void loops_over_wide_arrays_take_linear_time(void **state) {
    enum { WIDE = 100000 };
    char *json = malloc(WIDE * 9 + 3), *p = json;
    (void)state;
    assert_non_null(json);
    *p++ = '[';
    for (int i = 0; i < WIDE; i++) p += sprintf(p, "%s[%d,2]", i ? "," : "", i % 1000);
    *p++ = ']';
    rtm_json root = open_bytes(json, (size_t)(p - json));
    /* So wide that quadratic time would be noticed. */
    assert_int_equal(rtm_json_count(root), WIDE);
    for (size_t i = 0; i < WIDE; i++) {
        rtm_json inner = rtm_json_at(root, i);
        assert_true(rtm_json_int(rtm_json_at(inner, 0), -1) == (long long)i % 1000);
        assert_true(rtm_json_int(rtm_json_at(inner, 1), -1) == 2);
    }
    free(json);
    rtmi_document_free(&document);
}

/* Memory -------------------------------------------------------------------------------------- */

#define TEN "0,1,2,3,4,5,6,7,8,9,"
#define FORTY_SEVEN "[" TEN TEN TEN TEN "0,1,2,3,4,5,6]"
static const char sample[] = "{\"blocks\":[{\"type\":\"section\",\"fields\":[1,[2,3],\"x\"]},"
    FORTY_SEVEN "," FORTY_SEVEN "],\"n\":[9,8]}";

/* Results are right, or are fallbacks with `failed` set. */
static void read_sample(void) {
    rtm_json root = open_text(sample);
    long long got[4] = { (long long)rtm_json_count(rtm_json_get(root, "blocks")),
                         rtm_json_int(rtm_json_get(root, "blocks.0.fields.1.1"), -1),
                         rtm_json_int(rtm_json_get(root, "blocks.2.46"), -1),
                         rtm_json_int(rtm_json_get(root, "n.1"), -1) };
    static const long long right[4] = { 3, 3, 6, 8 }, fallback[4] = { 0, -1, -1, -1 };
    bool all = true;
    for (int i = 0; i < 4; i++) {
        assert_true(got[i] == right[i] || got[i] == fallback[i]);
        all = all && got[i] == right[i];
    }
    assert_int_equal(document.failed, !all);
    assert_string(rtm_json_get(root, "blocks.0.type"), "section", all ? 7 : 0);
}

static void without_memory_the_fallback_is_returned_and_failed_is_set(void **state) {
    (void)state;
    for (test_fail_ever = 0; test_fail_ever <= 1; test_fail_ever++) {
        bool failed = true;
        for (int i = 1; failed; i++) {
            rtmi_document_free(&document);
            test_allocations = 0;
            test_fail_at = i;
            if (test_fail_ever) read_sample();
            else rtm_json_get(open_text(sample), "blocks.2.46");
            failed = document.failed;
            assert_true(i < 20);
            assert_true(failed || i == 2); /* there is no other allocation */
            test_fail_at = 0;
            read_sample(); /* the failure has no lasting effect */
            assert_false(document.failed);
            rtmi_document_free(&document);
            assert_int_equal(test_blocks, 0);
        }
    }
    test_fail_ever = 0;
}

static void members_are_found_without_any_memory(void **state) {
    (void)state;
    rtmi_document_free(&document);
    test_allocations = 0;
    rtm_json root = open_text("{\"type\":\"message\",\"item\":{\"channel\":\"C1\"},\"n\":5}");
    assert_true(rtm_json_equals(rtm_json_get(root, "item.channel"), "C1"));
    assert_true(rtm_json_int(rtm_json_get(root, "n"), 0) == 5);
    assert_int_equal(test_allocations, 0);
}

static void a_second_document_of_the_same_size_costs_no_allocation(void **state) {
    (void)state;
    read_sample();
    test_allocations = 0;
    for (int i = 0; i < 10; i++) read_sample();
    assert_int_equal(test_allocations, 0);
}

/* There is exactly one token for each value and name; with the table of elements that is 24 bytes
   each. */
static void a_document_of_any_size_costs_one_allocation_of_24_bytes_a_value(void **state) {
    char json[16384];
    (void)state;
    for (size_t count = 1; count <= 1000; count = count * 3 / 2 + 1) {
        char *p = json + sprintf(json, "[");
        for (size_t i = 0; i < count; i++) p += sprintf(p, "%s{\"n\":%zu}", i ? "," : "", i % 10);
        strcpy(p, "]");
        rtmi_document_free(&document);
        test_allocations = 0;
        assert_int_equal(rtm_json_count(open_text(json)), count);
        assert_int_equal(test_allocations, 1);
        assert_in_range(malloc_usable_size(document.token), 24, 24 * (1 + 3 * count) + 23);
    }
}

/* The error message is written to where the document points; `failed` stays set for a later
   look. */
static void without_memory_the_detail_says_so_at_once(void **state) {
    rtmi_error error = { "" };
    (void)state;
    rtmi_document_free(&document);
    document.error = &error;
    test_allocations = 0;
    test_fail_at = test_fail_ever = 1;
    rtm_json root = open_text("{\"list\":[1,2]}");
    assert_string_equal(error.text, "");
    assert_int_equal(rtm_json_count(rtm_json_get(root, "list")), 0);
    assert_non_null(strstr(error.text, "out of memory"));
    assert_true(document.failed);
    test_fail_at = test_fail_ever = 0;
    document.error = NULL;
}

/* Quoting and UTF-8 --------------------------------------------------------------------------- */

static void what_is_quoted_reads_back(void **state) {
    char every[256];
    (void)state;
    assert_quoted("", "\"\"");
    assert_quoted("a\"b\\c/", "\"a\\\"b\\\\c/\"");
    assert_quoted("\x7f\xc3\xa9\xf0\x9f\x98\x80", "\"\x7f\xc3\xa9\xf0\x9f\x98\x80\"");
    assert_quoted("\\u0041\"\"", "\"\\\\u0041\\\"\\\"\"");
    for (int c = 1; c < 128; c++) every[c - 1] = (char)c;
    every[127] = '\0';
    assert_quoted(every, NULL);
    for (int round = 0; round < 2000; round++) {
        size_t length = random_below(40);
        for (size_t i = 0; i < length; i++) every[i] = "\"\\\n\x01/ab\x1f"[random_below(8)];
        every[length] = '\0';
        assert_quoted(every, NULL);
    }
}

/* What rtm_json_quote writes for a text if `out` has `size` bytes. */
static const char *quote(const char *plain, size_t size, size_t length) {
    static guarded area;
    if (!area.data) area = guard(NULL, 4096);
    char *out = area.data + area.size - size;
    memset(area.data, '?', area.size);
    assert_int_equal(rtm_json_quote(plain, out, size), length);
    if (size < area.size) assert_int_equal(out[-1], '?');
    if (size) assert_non_null(memchr(out, '\0', size));
    return out;
}

static void what_is_escaped_and_what_is_not(void **state) {
    char plain[2] = "", escape[9];
    (void)state;
    for (int c = 1; c < 128; c++) {
        static const char meant[] = "\b\f\n\r\t\"\\", names[] = "bfnrt\"\\";
        const char *at = strchr(meant, c);
        *plain = (char)c;
        if (at) snprintf(escape, sizeof escape, "\"\\%c\"", names[at - meant]);
        else snprintf(escape, sizeof escape, c < ' ' ? "\"\\u%04x\"" : "\"%c\"", (unsigned)c);
        assert_string_equal(quote(plain, 9, strlen(escape)), escape);
    }
    static const char *const kept[] = { "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                        "\xe2\x80\xa8", "\xef\xbb\xbf", "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
    for (size_t i = 0; i < COUNT(kept); i++) {
        snprintf(escape, sizeof escape, "\"%s\"", kept[i]);
        assert_string_equal(quote(kept[i], 9, strlen(escape)), escape);
    }
}

/* As with errors="replace" in Python. */
static void each_maximal_part_that_is_not_utf8_becomes_one_replacement(void **state) {
#define FFFD "\xef\xbf\xbd"
    static const struct { const char *plain, *quoted; } rows[] = {
        { "\x80", FFFD }, { "\xbf\x80", FFFD FFFD }, { "\xff", FFFD }, { "\xfe\xff", FFFD FFFD },
        { "\xc3", FFFD }, { "\xc3z", FFFD "z" }, { "\xc3\xc3", FFFD FFFD },
        { "\xc3\"", FFFD "\\\"" }, { "\xc3\n", FFFD "\\n" }, { "\xc3\xc3\xa9", FFFD "\xc3\xa9" },
        { "\xc0\xaf", FFFD FFFD }, { "\xc1\xbf", FFFD FFFD }, { "\xe0\x80\xaf", FFFD FFFD FFFD },
        { "\xe2\x82", FFFD }, { "a\xe2\x82z", "a" FFFD "z" }, { "\xe2\x28\xa1", FFFD "(" FFFD },
        { "\xe2\x82\xe2\x82\xac", FFFD "\xe2\x82\xac" }, { "\xed\xa0\x80", FFFD FFFD FFFD },
        { "\xed\xbf", FFFD FFFD }, { "\xf0", FFFD }, { "\xf0\x9f", FFFD }, { "\xf0\x9f\x98", FFFD },
        { "\xf0\x9f\x98z", FFFD "z" }, { "\xf0\x80\x80\x80", FFFD FFFD FFFD FFFD },
        { "\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD },
        { "\xf8\x88\x80\x80\x80", FFFD FFFD FFFD FFFD FFFD },
        { "\xf5\xe1\x80\xc2", FFFD FFFD FFFD },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char whole[40];
        snprintf(whole, sizeof whole, "\"%s\"", rows[i].quoted);
        assert_string_equal(quote(rows[i].plain, sizeof whole, strlen(whole)), whole);
    }
}

static void a_quoted_text_is_truncated_at_a_whole_character(void **state) {
    static const struct { const char *in, *out; } pieces[] = {
        { "a", "a" }, { "\"", "\\\"" }, { "\\", "\\\\" }, { "\x01", "\\u0001" },
        { "\xc3\xa9", "\xc3\xa9" }, { "\n", "\\n" }, { "\xe4\xb8\x96", "\xe4\xb8\x96" },
        { "\x1f", "\\u001f" }, { "\xff", FFFD },
        { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" }, { "\xe4\xb8", FFFD }, { "b", "b" },
        { "\xf0\x9f", FFFD },
    };
    (void)state;
    for (size_t from = 0; from <= COUNT(pieces); from++) {
        char plain[100] = "", whole[100] = "\"";
        for (size_t i = from; i < COUNT(pieces); i++) {
            strcat(plain, pieces[i].in);
            strcat(whole, pieces[i].out);
        }
        strcat(whole, "\"");
        for (size_t size = 0; size < strlen(whole) + 9; size++) {
            char kept[100] = "\"";
            for (size_t i = from; i < COUNT(pieces); i++) {
                if (strlen(kept) + strlen(pieces[i].out) + 2 > size) break;
                strcat(kept, pieces[i].out);
            }
            strcat(kept, "\"");
            const char *out = quote(plain, size, strlen(whole));
            if (size) assert_string_equal(out, size < 3 ? "" : kept);
            if (size > 2) assert_true(is_json(out, strlen(out)));
        }
    }
#undef FFFD
}

static void null_is_quoted_as_an_empty_string(void **state) {
    (void)state;
    for (int empty = 0; empty < 2; empty++)
        for (size_t size = 0; size < 9; size++) {
            const char *out = quote(empty ? "" : NULL, size, 2);
            if (size) assert_string_equal(out, size < 3 ? "" : "\"\"");
        }
    assert_int_equal(rtm_json_quote("a\n", NULL, 0), 5);
    assert_int_equal(rtm_json_quote("a\n", NULL, 100), 5);
    assert_int_equal(rtm_json_quote(NULL, NULL, 100), 2);
}

static void quoting_without_memory_leaves_a_mark(void **state) {
    char long_text[1000];
    (void)state;
    memset(long_text, '"', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    for (int before = 0; before < 2; before++) { /* the string is the first in its buffer or not */
        rtmi_buf out = { 0 };
        if (before) rtmi_json_quote(&out, "a");
        test_allocations = 0;
        test_fail_at = 1;
        rtmi_json_quote(&out, long_text);
        assert_true(out.failed);
        test_fail_at = 0;
        rtmi_json_quote(&out, "b"); /* nothing is added after a piece that is missing */
        assert_true(out.failed);
        assert_int_equal(out.size, before ? 3 : 0);
        rtmi_buf_free(&out);
        assert_int_equal(test_blocks, document.token ? 1 : 0);
    }
}

/* The table of RFC 3629 section 4: how many bytes of these can begin a text. *need = how many the
   character at the end still lacks. */
static size_t plain_utf8(const unsigned char *data, size_t size, int *need) {
    static const unsigned char row[][6] = { /* bytes, lead from, to, second from, to */
        { 1, 0x00, 0x7f, 0x80, 0xbf }, { 2, 0xc2, 0xdf, 0x80, 0xbf }, { 3, 0xe0, 0xe0, 0xa0, 0xbf },
        { 3, 0xe1, 0xec, 0x80, 0xbf }, { 3, 0xed, 0xed, 0x80, 0x9f }, { 3, 0xee, 0xef, 0x80, 0xbf },
        { 4, 0xf0, 0xf0, 0x90, 0xbf }, { 4, 0xf1, 0xf3, 0x80, 0xbf },
        { 4, 0xf4, 0xf4, 0x80, 0x8f } };
    size_t at = 0;
    for (*need = 0; at < size;) {
        size_t kind = 0;
        while (kind < COUNT(row) && (data[at] < row[kind][1] || data[at] > row[kind][2])) kind++;
        if (kind == COUNT(row)) return at;
        at++;
        for (int i = 1; i < row[kind][0]; i++, at++) {
            *need = row[kind][0] - i;
            if (at == size) return at;
            if (data[at] < (i == 1 ? row[kind][3] : 0x80)) return at;
            if (data[at] > (i == 1 ? row[kind][4] : 0xbf)) return at;
        }
        *need = 0;
    }
    return at;
}

static void assert_utf8_agrees(const unsigned char *data, size_t size) {
    int need;
    size_t good = plain_utf8(data, size, &need);
    assert_int_equal(utf8_refused_at(data, size), good);
    for (size_t split = 0; split <= size; split++)
        assert_int_equal(utf8_pieces(data, size, split), good == size ? need : -1);
}

/* Every lead byte, with continuation bytes on both sides of every boundary. */
static void utf8_agrees_with_the_table_at_all_boundaries(void **state) {
    static const unsigned char edge[] = { 0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
        0xff };
    (void)state;
    for (unsigned lead = 0; lead < 256; lead++) {
        for (unsigned code = 0; code < 1000; code++) {
            unsigned char four[4] = { (unsigned char)lead, edge[code / 100], edge[code / 10 % 10],
                                      edge[code % 10] };
            assert_utf8_agrees(four, 4);
        }
        for (unsigned second = 0; second < 256; second++) {
            unsigned char two[2] = { (unsigned char)lead, (unsigned char)second };
            assert_utf8_agrees(two, 2);
            assert_utf8_agrees(two, 1);
        }
    }
}

static void every_character_is_utf8_and_no_surrogate_is(void **state) {
    char bytes[5];
    (void)state;
    for (unsigned long code = 0; code < 0x120000; code++) {
        size_t size = plain_encode(code, bytes);
        bool good = code < 0x110000 && (code < 0xd800 || code > 0xdfff);
        assert_int_equal(rtmi_is_utf8(bytes, size), good);
    }
}

/* ASCII is read in machine words: one other character at any place of a longer text, any split. */
static void utf8_within_ascii_is_checked_at_any_position(void **state) {
    static const text piece[] = { T("\xc3\xa9"), T("\xe2\x82\xac"), T("\xf0\x9f\x98\x80"),
        T("\x80"),
        T("\xff"), T("\xc3"), T("\xe2\x82"), T("\xed\xa0\x80"), T("\xc0\xaf"),
        T("\xf4\x90\x80\x80") };
    unsigned char line[32];
    (void)state;
    for (size_t i = 0; i < COUNT(piece); i++) {
        for (size_t size = piece[i].size; size <= 28; size++) {
            for (size_t at = 0; at + piece[i].size <= size; at++) {
                memset(line, 'a', sizeof line);
                memcpy(line + at, piece[i].data, piece[i].size);
                assert_utf8_agrees(line, size);
            }
        }
    }
}

static void nothing_is_leaked(void **state) {
    (void)state;
    release();
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_pass),
        cmocka_unit_test(invalid_texts_are_refused),
        cmocka_unit_test(all_short_texts_agree_with_a_plain_implementation),
        cmocka_unit_test(all_small_changes_agree_with_a_plain_implementation),
        cmocka_unit_test(every_byte_in_a_string_is_checked_at_any_position),
        cmocka_unit_test(every_escape_letter_and_hex_digit_is_checked),
        cmocka_unit_test(nesting_is_limited_to_128_levels),
        cmocka_unit_test(a_mebibyte_of_openers_is_refused_at_once),
        cmocka_unit_test(every_accessor_accepts_every_value),
        cmocka_unit_test(paths_lead_to_members_and_elements),
        cmocka_unit_test(names_are_not_confused_with_similar_text),
        cmocka_unit_test(the_members_of_an_inner_object_are_noted),
        cmocka_unit_test(strings_are_decoded_to_utf8),
        cmocka_unit_test(every_escaped_character_is_decoded),
        cmocka_unit_test(equals_compares_the_whole_decoded_text),
        cmocka_unit_test(strings_are_cut_at_whole_characters),
        cmocka_unit_test(integers_end_where_long_long_does),
        cmocka_unit_test(elements_and_members_are_right_whatever_order_they_are_asked_for),
        cmocka_unit_test(loops_within_loops_meet_every_element),
        cmocka_unit_test(loops_over_wide_arrays_take_linear_time),
        cmocka_unit_test(without_memory_the_fallback_is_returned_and_failed_is_set),
        cmocka_unit_test(members_are_found_without_any_memory),
        cmocka_unit_test(a_second_document_of_the_same_size_costs_no_allocation),
        cmocka_unit_test(a_document_of_any_size_costs_one_allocation_of_24_bytes_a_value),
        cmocka_unit_test(without_memory_the_detail_says_so_at_once),
        cmocka_unit_test(what_is_quoted_reads_back),
        cmocka_unit_test(what_is_escaped_and_what_is_not),
        cmocka_unit_test(each_maximal_part_that_is_not_utf8_becomes_one_replacement),
        cmocka_unit_test(a_quoted_text_is_truncated_at_a_whole_character),
        cmocka_unit_test(null_is_quoted_as_an_empty_string),
        cmocka_unit_test(quoting_without_memory_leaves_a_mark),
        cmocka_unit_test(utf8_agrees_with_the_table_at_all_boundaries),
        cmocka_unit_test(every_character_is_utf8_and_no_surrogate_is),
        cmocka_unit_test(utf8_within_ascii_is_checked_at_any_position),
        cmocka_unit_test(nothing_is_leaked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
