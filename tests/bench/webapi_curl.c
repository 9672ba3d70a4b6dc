/* webapi_curl - the requests of webapi.c with libcurl's multi interface, one at a time over one
   connection. Like rtm.h it encodes each form and checks that the response is ok; unlike rtm.h it
   does not parse the JSON. */
#define _GNU_SOURCE
#include <curl/curl.h>

#include "bench.h"
#include "webapi.h"

typedef struct answer {
    char text[65536];
    size_t size;
} answer;

static size_t take(char *data, size_t one, size_t size, void *user) {
    answer *a = user;
    (void)one;
    if (size >= sizeof a->text - a->size) return 0;
    memcpy(a->text + a->size, data, size);
    a->size += size;
    a->text[a->size] = '\0';
    return size;
}

static void fail(const char *why) {
    fprintf(stderr, "webapi_curl: %s\n", why);
    exit(1);
}

static void call(CURLM *multi, CURL *easy, const bench *b, const char *method, answer *a) {
    char url[512], form[512];
    int running = 1, left;
    long status = 0;
    char *channel = curl_easy_escape(easy, WEBAPI_CHANNEL, 0);
    char *text = curl_easy_escape(easy, WEBAPI_TEXT, 0);
    snprintf(url, sizeof url, "%s%s", b->base, method);
    snprintf(form, sizeof form, "channel=%s&text=%s", channel, text);
    curl_free(channel);
    curl_free(text);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, form);
    a->size = 0;
    curl_multi_add_handle(multi, easy);
    for (;;) {
        if (curl_multi_perform(multi, &running)) fail("curl_multi_perform");
        if (!running) break;
        if (curl_multi_poll(multi, NULL, 0, 1000, NULL)) fail("curl_multi_poll");
    }
    CURLMsg *done = curl_multi_info_read(multi, &left);
    if (!done || done->data.result) fail(done ? curl_easy_strerror(done->data.result) : "no end");
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(multi, easy);
    if (status != 200 || !strstr(a->text, "\"ok\":true")) fail("the answer is not ok");
}

int main(int argc, char **argv) {
    static bench b;
    static answer a;
    (void)argc;
    bench_begin(&b, argv);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Authorization: Bearer xoxb-bench");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_CAINFO, b.ca);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &a);
    do call(multi, easy, &b, "chat.postMessage", &a);
    while (webapi_response(&b));
    call(multi, easy, &b, "bench.end", &a);
    webapi_print(&b, "libcurl");
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    return 0;
}
