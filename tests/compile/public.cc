#include "rtm.h"
#include "rtm.h"

static void hear(rtm_client *, const rtm_event *event, void *user_data) {
    *static_cast<int *>(user_data) += event->id + int(rtm_json_int(event->data, 0));
}

int main() {
    rtm_client *client = nullptr;
    rtm_config config = rtm_config();
    int heard = 0;
    config.token = "xoxb-1";
    if (rtm_create(&config, &client) != RTM_OK) return 1;
    rtm_result result = rtm_on(client, "*", hear, &heard);
    rtm_destroy(client);
    return result == RTM_OK && heard == 0 ? 0 : 1;
}
