/* linear SHAPE N - loops over a document of that shape with about N values, with the accessors
   only. For linear.sh, which counts the instructions. */
#define RTM_IMPLEMENTATION
#include "rtm.h"

/* Shapes: the element that is N times in the outermost array; in six_siblings, six such arrays are
   members of an object. */
static const struct { const char *name, *element; } shapes[] = {
    { "five_deep", "[[[[1,2],[3]],[[4]]]]" },
    { "three_deep", "[[1,2],[3],[4],[5],[6],[7]]" },
    { "objects", "{\"a\":{\"b\":1,\"c\":[]},\"d\":[2]}" },
    { "random", "[1]" },
    { "six_siblings", "1" },
};
enum { RANDOM = 3, SIX_BESIDE = 4, SHAPES = 5 };
static const char *const names[6] = { "a", "b", "c", "d", "e", "f" };

static unsigned long met; /* so that the compiler removes nothing */

static void walk(rtm_json json) {
    size_t size = rtm_json_count(json);
    met += (unsigned long)rtm_json_int(json, 0) + rtm_json_string(rtm_json_key(json, 0), NULL, 0);
    for (size_t i = 0; i < size; i++) walk(rtm_json_at(json, i));
}

/* Element i of each, then element i + 1 of each. */
static void walk_siblings(rtm_json root, size_t count) {
    rtm_json list[6];
    for (size_t k = 0; k < 6; k++) list[k] = rtm_json_get(root, names[k]);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < 6; k++) walk(rtm_json_at(list[k], i));
}

static void walk_random(rtm_json root, size_t count) {
    unsigned long at = 1;
    for (size_t i = 0; i < count; i++) {
        at = (at * 1103515245 + 12345) & 0x7fffffff;
        walk(rtm_json_at(root, at % count));
    }
}

int main(int argc, char **argv) {
    rtmi_document document = { 0 };
    rtmi_buf json = { 0 };
    rtm_json root;
    size_t shape = 0, count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    while (shape < SHAPES && (!count || strcmp(argv[1], shapes[shape].name))) shape++;
    if (shape == SHAPES) return 2;
    bool siblings = shape == SIX_BESIDE;
    for (size_t k = 0; k < (siblings ? 6 : 1); k++) {
        if (siblings) rtmi_buf_text(&json, k ? ",\"" : "{\"", names[k], "\":");
        for (size_t i = 0; i < count; i++)
            rtmi_buf_text(&json, i ? "," : "[", shapes[shape].element);
        rtmi_buf_text(&json, "]");
    }
    rtmi_buf_text(&json, siblings ? "}" : "");
    if (!rtmi_document_open(&document, json.data, json.size, &root)) return 1;
    if (siblings) walk_siblings(root, count);
    else if (shape == RANDOM) walk_random(root, count);
    else walk(root);
    printf("%lu\n", met);
    bool failed = document.failed;
    rtmi_document_free(&document);
    rtmi_buf_free(&json);
    return failed;
}
