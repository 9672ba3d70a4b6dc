/* methods.c - the Web API: one small workspace with two people, and what was said in it.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

#define METHOD(name) static char *name(UNUSED struct call *call)
#define ARG(name) member(call->args, name)

/* ---- What was said ------------------------------------------------------------------ */

static cJSON *channels; /* by name: an array of messages each, the oldest first */

static cJSON *messages_of(const char *channel) {
    if (!channels) channels = need(cJSON_CreateObject());
    cJSON *messages = cJSON_GetObjectItemCaseSensitive(channels, channel);
    return messages ? messages : need(cJSON_AddArrayToObject(channels, channel));
}

static bool is_known(const char *channel) {
    return !strcmp(channel, "C0SANDBOX") || cJSON_GetObjectItemCaseSensitive(channels, channel);
}

static cJSON *find_message(const char *channel, const char *ts) {
    cJSON *messages = is_known(channel) ? messages_of(channel) : NULL, *message;
    cJSON_ArrayForEach(message, messages)
        if (!strcmp(member(message, "ts"), ts)) return message;
    return NULL;
}

void keep(const char *channel, const char *event) {
    cJSON *messages = messages_of(channel);
    cJSON_AddItemToArray(messages, need(cJSON_Parse(event)));
    if (cJSON_GetArraySize(messages) > MAX_MESSAGES) cJSON_DeleteItemFromArray(messages, 0);
}

/* An argument that is JSON: as such, or as a text in a form. "" when there is none. */
static char *json_argument(const cJSON *args, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(args, name);
    cJSON *parsed = cJSON_IsString(item) ? cJSON_Parse(item->valuestring)
                                         : item ? cJSON_Duplicate(item, true) : NULL;
    char *text = parsed ? cJSON_PrintUnformatted(parsed) : strdup("");
    cJSON_Delete(parsed);
    return need(text);
}

static void add_texts(FILE *to, const cJSON *item) {
    const char *name = item->string ? item->string : "";
    if (cJSON_IsString(item) && (!strcmp(name, "text") || !strcmp(name, "title")))
        fprintf(to, " %s", item->valuestring);
    for (const cJSON *child = cJSON_IsString(item) ? NULL : item->child; child; child = child->next)
        add_texts(to, child);
}

char *message_text(const cJSON *message) {
    static const char *const parts[] = { "blocks", "attachments", "files" };
    char *text = NULL;
    size_t size;
    FILE *to = need(open_memstream(&text, &size));
    fputs(member(message, "text"), to);
    for (size_t i = 0; i < LWS_ARRAY_SIZE(parts); i++) {
        char *part = json_argument(message, parts[i]);
        cJSON *parsed = cJSON_Parse(part);
        if (parsed) fprintf(to, "%s[%s]", ftell(to) ? " " : "", parts[i]);
        if (parsed) add_texts(to, parsed);
        cJSON_Delete(parsed);
        free(part);
    }
    fclose(to);
    return need(text);
}

/* A message of the bot, with `more` members, told to all; its event, to be freed. */
char *post(const char *channel, const char *text, const char *more, const char *thread) {
    const char *ts = new_ts();
    char *tail = json(*thread ? ",'thread_ts':'%s'" : "", thread);
    char *event = json("{'type':'message','subtype':'bot_message','channel':'%s','text':'%s',"
                       "'ts':'%s','username':'sandbox-bot','bot_id':'B0BOT','team':'T0SANDBOX'"
                       "%j%j}", channel, text, ts, tail, more);
    cJSON *parsed = need(cJSON_Parse(event));
    char *shown = message_text(parsed);
    say("bot/api", "posted%s%s: %s", *thread ? " in thread " : "", thread, shown);
    note_seen(shown);
    keep(channel, event);
    broadcast_event(event);
    cJSON_Delete(parsed);
    free(shown);
    free(tail);
    return event;
}

/* One page of an array: {"ok":true,NAME:[...],"has_more":...,...}. The cursor is the time stamp (or
   id) of the last item of the page before. */
static char *page(struct call *call, const char *name, const cJSON *items, const char *key,
                  bool newest_first) {
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(call->args, "limit"), *last = NULL;
    int limit = cJSON_IsNumber(number) ? number->valueint : atoi(ARG("limit"));
    const char *cursor = ARG("cursor");
    bool skipping = *cursor != '\0';
    if (limit < 1 || limit > 1000) limit = 100;
    cJSON *some = need(cJSON_CreateArray());
    int left = 0, count = cJSON_GetArraySize(items);
    for (int i = 0; i < count; i++) {
        const cJSON *item = cJSON_GetArrayItem(items, newest_first ? count - 1 - i : i);
        if (skipping) {
            skipping = strcmp(member(item, key), cursor) != 0;
        } else if (cJSON_GetArraySize(some) < limit) {
            cJSON_AddItemReferenceToArray(some, (cJSON *)(uintptr_t)item);
            last = item;
        } else {
            left++;
        }
    }
    char *list = need(cJSON_PrintUnformatted(some));
    cJSON_Delete(some);
    if (skipping) return free(list), call->error = "invalid_cursor", NULL;
    char *body = json("{'ok':true,'%s':%j,'has_more':%j,'response_metadata':{'next_cursor':'%s'}}",
                      name, list, left ? "true" : "false", left ? member(last, key) : "");
    free(list);
    return body;
}

/* ---- chat --------------------------------------------------------------------------- */

/* Is there anything in a message to come? Else that is the call's error. */
static bool has_content(struct call *call) {
    char *text = message_text(call->args);
    if (!*text) call->error = "no_text";
    free(text);
    return !call->error;
}

METHOD(post_message) {
    if (!has_content(call)) return NULL;
    char *blocks = json_argument(call->args, "blocks");
    char *attachments = json_argument(call->args, "attachments");
    char *head = json(*blocks ? ",'blocks':%j" : "", blocks);
    char *more = json(*attachments ? "%j,'attachments':%j" : "%j", head, attachments);
    char *event = post(ARG("channel"), ARG("text"), more, ARG("thread_ts"));
    cJSON *parsed = need(cJSON_Parse(event));
    char *body = json("{'ok':true,'channel':'%s','ts':'%s','message':%j}", ARG("channel"),
                      member(parsed, "ts"), event);
    cJSON_Delete(parsed);
    free(event);
    free(more);
    free(head);
    free(blocks);
    free(attachments);
    return body;
}

METHOD(post_ephemeral) {
    if (!has_content(call)) return NULL;
    char *text = message_text(call->args);
    say("bot/api", "posted, for %s alone: %s", ARG("user"), text);
    note_seen(text);
    free(text);
    return json("{'ok':true,'message_ts':'%s'}", new_ts());
}

METHOD(update_message) {
    cJSON *message = find_message(ARG("channel"), ARG("ts"));
    char *blocks = json_argument(call->args, "blocks");
    if (has_content(call) && message) {
        char *text = message_text(call->args);
        cJSON_ReplaceItemInObjectCaseSensitive(message, "text", cJSON_CreateString(ARG("text")));
        cJSON_DeleteItemFromObjectCaseSensitive(message, "blocks");
        if (*blocks) cJSON_AddItemToObject(message, "blocks", cJSON_Parse(blocks));
        say("bot/api", "changed: %s", text);
        note_seen(text);
        free(text);
    } else if (!message && !call->error) {
        call->error = "message_not_found";
    }
    free(blocks);
    if (call->error) return NULL;
    char *changed = need(cJSON_PrintUnformatted(message));
    broadcast_and_free(json("{'type':'message','subtype':'message_changed','channel':'%s',"
                            "'message':%j,'ts':'%s'}", ARG("channel"), changed, new_ts()));
    free(changed);
    return json("{'ok':true,'channel':'%s','ts':'%s','text':'%s'}", ARG("channel"), ARG("ts"),
                ARG("text"));
}

METHOD(delete_message) {
    cJSON *message = find_message(ARG("channel"), ARG("ts"));
    if (!message) return call->error = "message_not_found", NULL;
    cJSON_Delete(cJSON_DetachItemViaPointer(messages_of(ARG("channel")), message));
    say("bot/api", "deleted %s", ARG("ts"));
    broadcast_and_free(json("{'type':'message','subtype':'message_deleted','channel':'%s',"
                            "'deleted_ts':'%s','ts':'%s'}", ARG("channel"), ARG("ts"), new_ts()));
    return json("{'ok':true,'channel':'%s','ts':'%s'}", ARG("channel"), ARG("ts"));
}

METHOD(add_reaction) {
    if (!find_message(ARG("channel"), ARG("timestamp"))) call->error = "message_not_found";
    if (call->error) return NULL;
    say("bot/api", "reacted with :%s:", ARG("name"));
    broadcast_and_free(json("{'type':'reaction_added','user':'U0BOT','reaction':'%s','item':"
                            "{'type':'message','channel':'%s','ts':'%s'}}", ARG("name"),
                            ARG("channel"), ARG("timestamp")));
    return json("{'ok':true}");
}

/* ---- People and channels ------------------------------------------------------------ */

static const char people[] =
    "[{\"id\":\"U0BOT\",\"name\":\"sandbox-bot\",\"is_bot\":true,\"team_id\":\"T0SANDBOX\","
    "\"profile\":{\"bot_id\":\"B0BOT\",\"display_name\":\"sandbox-bot\"}},"
    "{\"id\":\"U0HUMAN\",\"name\":\"human\",\"real_name\":\"Ada Human\",\"is_bot\":false,"
    "\"team_id\":\"T0SANDBOX\",\"profile\":{\"display_name\":\"human\","
    "\"real_name\":\"Ada Human\"}}]";

METHOD(users_info) {
    cJSON *all = need(cJSON_Parse(people)), *user;
    char *body = NULL;
    cJSON_ArrayForEach(user, all) {
        if (strcmp(member(user, "id"), ARG("user")) != 0) continue;
        char *text = need(cJSON_PrintUnformatted(user));
        body = json("{'ok':true,'user':%j}", text);
        free(text);
    }
    cJSON_Delete(all);
    if (!body) call->error = "user_not_found";
    return body;
}

METHOD(users_list) {
    cJSON *all = need(cJSON_Parse(people));
    char *body = page(call, "members", all, "id", false);
    cJSON_Delete(all);
    return body;
}

METHOD(conversations_list) {
    messages_of("C0SANDBOX");
    cJSON *all = need(cJSON_CreateArray()), *channel;
    cJSON_ArrayForEach(channel, channels) {
        cJSON *item = need(cJSON_CreateObject());
        cJSON_AddStringToObject(item, "id", channel->string);
        cJSON_AddStringToObject(item, "name", strcmp(channel->string, "C0SANDBOX") ? channel->string
                                                                                   : "general");
        cJSON_AddBoolToObject(item, "is_channel", *channel->string == 'C');
        cJSON_AddBoolToObject(item, "is_member", true);
        cJSON_AddItemToArray(all, item);
    }
    char *body = page(call, "channels", all, "id", false);
    cJSON_Delete(all);
    return body;
}

/* The messages of a thread; without one those that are not below another, the newest first. */
static char *page_of(struct call *call, const char *thread) {
    const cJSON *message;
    if (!is_known(ARG("channel"))) return call->error = "channel_not_found", NULL;
    if (thread && !find_message(ARG("channel"), thread))
        return call->error = "thread_not_found", NULL;
    cJSON *some = need(cJSON_CreateArray());
    cJSON_ArrayForEach(message, messages_of(ARG("channel"))) {
        const char *ts = member(message, "ts"), *top = member(message, "thread_ts");
        if (strcmp(ts, ARG("oldest")) <= 0) continue; /* time stamps are of one length */
        if (thread ? !strcmp(ts, thread) || !strcmp(top, thread) : !*top || !strcmp(ts, top))
            cJSON_AddItemReferenceToArray(some, (cJSON *)(uintptr_t)message);
    }
    char *body = page(call, "messages", some, "ts", !thread);
    cJSON_Delete(some);
    return body;
}

METHOD(conversations_history) { return page_of(call, NULL); }
METHOD(conversations_replies) { return page_of(call, ARG("ts")); }

METHOD(conversations_open) {
    char id[64];
    snprintf(id, sizeof id, "D%.62s", ARG("users"));
    messages_of(id);
    return json("{'ok':true,'channel':{'id':'%s'}}", id);
}

/* ---- The rest ----------------------------------------------------------------------- */

METHOD(rtm_connect) {
    if (orders.fail_count > 0) {
        orders.fail_count--;
        call->error = orders.fail_code;
        return NULL;
    }
    return json("{'ok':true,'url':'%s','self':{'id':'U0BOT','name':'sandbox-bot'},"
                "'team':{'id':'T0SANDBOX','name':'Sandbox','domain':'sandbox'}}",
                new_url(call->conn, false));
}

METHOD(connections_open) {
    if (orders.fail_count > 0) {
        orders.fail_count--;
        call->error = orders.fail_code;
        return NULL;
    }
    return json("{'ok':true,'url':'%s'}", new_url(call->conn, true));
}

METHOD(auth_test) {
    return json("{'ok':true,'url':'https:\\/\\/sandbox.slack.com\\/','team':'Sandbox',"
                "'user':'sandbox-bot','team_id':'T0SANDBOX','user_id':'U0BOT','bot_id':'B0BOT'}");
}

METHOD(api_test) {
    char *args = need(cJSON_PrintUnformatted(call->args)), *body = NULL;
    if (*ARG("error")) {
        static char error[64];
        snprintf(error, sizeof error, "%.63s", ARG("error"));
        call->error = error;
    } else {
        body = json("{'ok':true,'args':%j}", args);
    }
    free(args);
    return body;
}

METHOD(bots_info) {
    return json("{'ok':true,'bot':{'id':'B0BOT','name':'sandbox-bot','app_id':'A0SANDBOX',"
                "'user_id':'U0BOT','deleted':false}}");
}

METHOD(team_info) {
    return json("{'ok':true,'team':{'id':'T0SANDBOX','name':'Sandbox','domain':'sandbox'}}");
}

METHOD(views_open) {
    char *view = json_argument(call->args, "view");
    say("bot/api", "opened a view: %s", view);
    note_seen(view);
    char *body = json("{'ok':true,'view':%j}", *view ? view : "{}");
    free(view);
    return body;
}

/* Rotation: each refresh token is good for one use, and the bot token before ends with it. */
static struct { unsigned count; char bot[48], refresh[48]; } rotation;

const char *accept_bot_token(const char *token) {
    return rotation.count && strcmp(token, rotation.bot) ? "token_expired" : NULL;
}

METHOD(oauth_access) {
    if (strcmp(ARG("grant_type"), "refresh_token")) return call->error = "invalid_grant_type", NULL;
    if (strncmp(ARG("refresh_token"), "xoxe-", 5) ||
        (rotation.count && strcmp(ARG("refresh_token"), rotation.refresh)))
        return call->error = "invalid_refresh_token", NULL;
    rotation.count++;
    snprintf(rotation.bot, sizeof rotation.bot, "xoxe.xoxb-1-sandbox-%u", rotation.count);
    snprintf(rotation.refresh, sizeof rotation.refresh, "xoxe-1-sandbox-%u", rotation.count);
    return json("{'ok':true,'app_id':'A0SANDBOX','token_type':'bot','access_token':'%s',"
                "'refresh_token':'%s','expires_in':43200,'bot_user_id':'U0BOT',"
                "'team':{'id':'T0SANDBOX','name':'Sandbox'}}", rotation.bot, rotation.refresh);
}

#define CHANNEL "channel:channel_not_found"

static const struct method methods[] = {
    { "api.test", api_test, NULL, NULL, NO_TOKEN },
    { "apps.connections.open", connections_open, NULL, "ok, new url", APP_TOKEN },
    { "auth.test", auth_test, NULL, "ok", ANY_TOKEN },
    { "bots.info", bots_info, NULL, NULL, BOT_TOKEN },
    { "chat.delete", delete_message, CHANNEL " ts:invalid_arguments", NULL, BOT_TOKEN },
    { "chat.postEphemeral", post_ephemeral, CHANNEL " user:user_not_in_channel", NULL, BOT_TOKEN },
    { "chat.postMessage", post_message, CHANNEL, NULL, BOT_TOKEN },
    { "chat.update", update_message, CHANNEL " ts:invalid_arguments", NULL, BOT_TOKEN },
    { "conversations.history", conversations_history, CHANNEL, NULL, BOT_TOKEN },
    { "conversations.list", conversations_list, NULL, NULL, BOT_TOKEN },
    { "conversations.open", conversations_open, "users:users_list_not_supplied", NULL, BOT_TOKEN },
    { "conversations.replies", conversations_replies, CHANNEL " ts:thread_not_found", NULL,
      BOT_TOKEN },
    { "files.completeUploadExternal", complete_upload, "files:invalid_arguments", NULL, BOT_TOKEN },
    { "files.getUploadURLExternal", get_upload_url,
      "filename:invalid_arguments length:invalid_arguments", NULL, BOT_TOKEN },
    { "oauth.v2.access", oauth_access,
      "client_id:invalid_client_id client_secret:bad_client_secret", "ok, new token", NO_TOKEN },
    { "reactions.add", add_reaction, "name:invalid_name " CHANNEL " timestamp:bad_timestamp", NULL,
      BOT_TOKEN },
    { "rtm.connect", rtm_connect, NULL, "ok, new url", BOT_TOKEN },
    { "rtm.start", rtm_connect, NULL, "ok, new url", BOT_TOKEN },
    { "team.info", team_info, NULL, NULL, BOT_TOKEN },
    { "users.info", users_info, "user:user_not_found", NULL, BOT_TOKEN },
    { "users.list", users_list, NULL, NULL, BOT_TOKEN },
    { "views.open", views_open, "trigger_id:invalid_arguments view:invalid_arguments", NULL,
      BOT_TOKEN },
};

const struct method *find_method(const char *name) {
    for (size_t i = 0; i < LWS_ARRAY_SIZE(methods); i++)
        if (!strcmp(methods[i].name, name)) return &methods[i];
    return NULL;
}
