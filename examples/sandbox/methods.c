/* methods.c - the methods of the Web API.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

#define METHOD(name) static char *name(UNUSED struct call *call)
#define ARG(name) member(call->args, name)

/* One page of an array: {"ok":true,NAME:[...],"has_more":...,...}. The cursor is the time stamp (or
   id) of the last item of the previous page. */
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

/* The channel of a call; NULL, with the call's error set, if there is none. */
static const char *channel_of(struct call *call) {
    const char *channel = find_channel(ARG("channel"));
    if (!channel) call->error = "channel_not_found";
    return channel;
}

static cJSON *message_of(struct call *call, const char *ts_name) {
    const char *channel = channel_of(call);
    cJSON *message = channel ? find_message(channel, ARG(ts_name)) : NULL;
    if (channel && !message) call->error = "message_not_found";
    return message;
}

static void check_content(struct call *call) {
    char *text = message_text(call->args);
    if (!*text) call->error = "no_text";
    else if (!options.lenient && characters(ARG("text")) > MAX_TEXT) call->error = "msg_too_long";
    free(text);
}

/* What is wrong with the blocks, or NULL. */
static const char *wrong_blocks(const cJSON *blocks) {
    const cJSON *block;
    if (!cJSON_IsArray(blocks)) return "must be an array [json-pointer:/blocks]";
    if (cJSON_GetArraySize(blocks) > MAX_BLOCKS)
        return "no more than 50 items allowed [json-pointer:/blocks]";
    cJSON_ArrayForEach(block, blocks)
        if (!*member(block, "type")) return "missing required field: type [json-pointer:/blocks]";
    return NULL;
}

static void check_blocks(struct call *call) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->args, "blocks");
    bool empty = !item || (cJSON_IsString(item) && !*item->valuestring);
    if (empty || options.lenient) return;
    cJSON *blocks = parsed_argument(call->args, "blocks");
    call->detail = wrong_blocks(blocks);
    if (call->detail) call->error = "invalid_blocks";
    cJSON_Delete(blocks);
}

static bool is_time_stamp(const char *text) {
    size_t whole = strspn(text, "0123456789");
    return whole && text[whole] == '.' && strspn(text + whole + 1, "0123456789") == 6 &&
           !text[whole + 7];
}

void check_thread(struct call *call, const char *channel) {
    const char *thread = ARG("thread_ts");
    if (!*thread || options.lenient) return;
    if (!is_time_stamp(thread)) call->error = "invalid_thread_ts";
    else if (!find_message(channel, thread)) call->error = "thread_not_found";
}

/* Checks a message to be posted. Returns its channel, or NULL with the call's error set. */
static const char *check_message(struct call *call) {
    const char *channel = channel_of(call);
    if (!call->error) check_content(call);
    if (!call->error) check_blocks(call);
    if (!call->error) check_thread(call, channel);
    return call->error ? NULL : channel;
}

METHOD(post_message) {
    const char *channel = check_message(call);
    if (!channel) return NULL;
    char *blocks = json_argument(call->args, "blocks");
    char *attachments = json_argument(call->args, "attachments");
    char *head = json(*blocks ? ",'blocks':%j" : "", blocks);
    char *more = json(*attachments ? "%j,'attachments':%j" : "%j", head, attachments);
    char *event = post(channel, ARG("text"), more, ARG("thread_ts"));
    cJSON *parsed = need(cJSON_Parse(event));
    char *body = json("{'ok':true,'channel':'%s','ts':'%s','message':%j}", channel,
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
    if (!check_message(call)) return NULL;
    if (!options.lenient && !find_user(ARG("user")))
        return call->error = "user_not_in_channel", NULL;
    char *text = message_text(call->args);
    say("bot/api", "posted, only for %s: %s", ARG("user"), text);
    note_seen(text);
    free(text);
    return json("{'ok':true,'message_ts':'%s'}", new_ts());
}

METHOD(update_message) {
    cJSON *message = NULL;
    if (!channel_of(call)) return NULL;
    check_content(call);
    if (!call->error) check_blocks(call);
    if (!call->error) message = message_of(call, "ts");
    if (!message) return NULL;
    char *text = message_text(call->args);
    set_member(message, "text", need(cJSON_CreateString(ARG("text"))));
    set_member(message, "blocks", parsed_argument(call->args, "blocks"));
    say("bot/api", "changed: %s", text);
    note_seen(text);
    free(text);
    char *changed = need(cJSON_PrintUnformatted(message));
    broadcast_and_free(json("{'type':'message','subtype':'message_changed','channel':'%s',"
                            "'message':%j,'ts':'%s'}", member(message, "channel"), changed,
                            new_ts()));
    free(changed);
    return json("{'ok':true,'channel':'%s','ts':'%s','text':'%s'}", member(message, "channel"),
                ARG("ts"), ARG("text"));
}

METHOD(remove_message) {
    cJSON *message = message_of(call, "ts");
    if (!message) return NULL;
    const char *channel = find_channel(ARG("channel"));
    delete_message(channel, message);
    say("bot/api", "deleted %s", ARG("ts"));
    broadcast_and_free(json("{'type':'message','subtype':'message_deleted','channel':'%s',"
                            "'deleted_ts':'%s','ts':'%s'}", channel, ARG("ts"), new_ts()));
    return json("{'ok':true,'channel':'%s','ts':'%s'}", channel, ARG("ts"));
}

METHOD(get_permalink) {
    const cJSON *message = message_of(call, "message_ts");
    if (!message) return NULL;
    const char *ts = member(message, "ts"), *dot = strchr(ts, '.');
    char digits[40];
    snprintf(digits, sizeof digits, "%.*s%s", (int)(dot - ts), ts, dot + 1);
    return json("{'ok':true,'channel':'%s','permalink':"
                "'https://sandbox.slack.com/archives/%s/p%s'}", find_channel(ARG("channel")),
                find_channel(ARG("channel")), digits);
}

/* ---- Reactions and pins ------------------------------------------------------------- */

/* The bot's reaction of this name to the message, or -1. */
static int find_reaction(const cJSON *reactions, const char *name) {
    int count = cJSON_GetArraySize(reactions);
    for (int i = 0; i < count; i++)
        if (!strcmp(member(cJSON_GetArrayItem(reactions, i), "name"), name)) return i;
    return -1;
}

static void tell_reaction(struct call *call, const char *type, const cJSON *message) {
    broadcast_and_free(json("{'type':'%s','user':'U0BOT','reaction':'%s','item':"
                            "{'type':'message','channel':'%s','ts':'%s'}}", type, ARG("name"),
                            member(message, "channel"), ARG("timestamp")));
}

METHOD(add_reaction) {
    cJSON *message = message_of(call, "timestamp");
    if (!message) return NULL;
    const cJSON *reactions = cJSON_GetObjectItemCaseSensitive(message, "reactions");
    bool again = find_reaction(reactions, ARG("name")) >= 0;
    if (again && !options.lenient) return call->error = "already_reacted", NULL;
    if (cJSON_GetArraySize(reactions) >= MAX_REACTIONS)
        return call->error = "too_many_emoji", NULL;
    cJSON *changed = reactions ? cJSON_Duplicate(reactions, true) : cJSON_CreateArray();
    char *entry = json("{'name':'%s','users':['U0BOT'],'count':1}", ARG("name"));
    if (!again) cJSON_AddItemToArray(need(changed), need(cJSON_Parse(entry)));
    free(entry);
    set_member(message, "reactions", changed);
    say("bot/api", "reacted with :%s:", ARG("name"));
    tell_reaction(call, "reaction_added", message);
    return json("{'ok':true}");
}

METHOD(remove_reaction) {
    cJSON *message = message_of(call, "timestamp");
    if (!message) return NULL;
    const cJSON *reactions = cJSON_GetObjectItemCaseSensitive(message, "reactions");
    int found = find_reaction(reactions, ARG("name"));
    if (found < 0) return call->error = "no_reaction", NULL;
    cJSON *changed = need(cJSON_Duplicate(reactions, true));
    cJSON_DeleteItemFromArray(changed, found);
    set_member(message, "reactions", changed);
    say("bot/api", "removed the reaction :%s:", ARG("name"));
    tell_reaction(call, "reaction_removed", message);
    return json("{'ok':true}");
}

METHOD(add_pin) {
    cJSON *message = message_of(call, "timestamp");
    if (!message) return NULL;
    if (cJSON_GetObjectItemCaseSensitive(message, "pinned_to"))
        return call->error = "already_pinned", NULL;
    const char *channel = member(message, "channel");
    set_member(message, "pinned_to", need(cJSON_CreateStringArray(&channel, 1)));
    say("bot/api", "pinned %s", ARG("timestamp"));
    return json("{'ok':true}");
}

/* ---- Users and channels ------------------------------------------------------------- */

static char *user_response(const cJSON *user) {
    char *text = need(cJSON_PrintUnformatted(user));
    char *body = json("{'ok':true,'user':%j}", text);
    free(text);
    return body;
}

METHOD(users_info) {
    const cJSON *user = find_user(ARG("user"));
    if (!user) return call->error = "user_not_found", NULL;
    return user_response(user);
}

METHOD(users_lookup) {
    const cJSON *user;
    cJSON_ArrayForEach(user, all_users()) {
        const cJSON *profile = cJSON_GetObjectItemCaseSensitive(user, "profile");
        if (!strcasecmp(member(profile, "email"), ARG("email"))) return user_response(user);
    }
    return call->error = "users_not_found", NULL;
}

METHOD(users_list) { return page(call, "members", all_users(), "id", false); }

METHOD(conversations_list) {
    cJSON *all = need(cJSON_CreateArray());
    const cJSON *channel;
    cJSON_ArrayForEach(channel, all_channels()) {
        char *object = channel_object(channel->string);
        cJSON_AddItemToArray(all, need(cJSON_Parse(object)));
        free(object);
    }
    char *body = page(call, "channels", all, "id", false);
    cJSON_Delete(all);
    return body;
}

/* A channel that exists already: reading from a channel does not create it. */
static const char *existing_channel(struct call *call) {
    const char *name = ARG("channel");
    if (options.lenient && !messages_of(name)) return call->error = "channel_not_found", NULL;
    return channel_of(call);
}

METHOD(conversations_info) {
    const char *channel = existing_channel(call);
    if (!channel) return NULL;
    char *object = channel_object(channel);
    char *body = json("{'ok':true,'channel':%j}", object);
    free(object);
    return body;
}

METHOD(conversations_members) {
    if (!existing_channel(call)) return NULL;
    return json("{'ok':true,'members':['U0BOT','U0HUMAN'],"
                "'response_metadata':{'next_cursor':''}}");
}

METHOD(conversations_join) {
    const char *channel = existing_channel(call);
    if (!channel) return NULL;
    if (*channel == 'D') return call->error = "method_not_supported_for_channel_type", NULL;
    char *object = channel_object(channel);
    char *body = json("{'ok':true,'channel':%j,'warning':'already_in_channel',"
                      "'response_metadata':{'warnings':['already_in_channel']}}", object);
    free(object);
    return body;
}

/* The messages of a thread; without a thread, the messages outside threads, newest first. */
static char *page_of(struct call *call, const char *thread) {
    const cJSON *message;
    const char *channel = existing_channel(call);
    if (!channel) return NULL;
    if (thread && !find_message(channel, thread)) return call->error = "thread_not_found", NULL;
    cJSON *some = need(cJSON_CreateArray());
    cJSON_ArrayForEach(message, messages_of(channel)) {
        const char *ts = member(message, "ts"), *top = member(message, "thread_ts");
        if (strcmp(ts, ARG("oldest")) <= 0) continue; /* all time stamps have the same length */
        if (thread ? !strcmp(ts, thread) || !strcmp(top, thread) : !*top || !strcmp(ts, top))
            cJSON_AddItemReferenceToArray(some, (cJSON *)(uintptr_t)message);
    }
    char *body = page(call, "messages", some, "ts", !thread);
    cJSON_Delete(some);
    return body;
}

METHOD(conversations_history) { return page_of(call, NULL); }
METHOD(conversations_replies) { return page_of(call, ARG("ts")); }

/* Is each of these users, separated by commas, in the workspace? */
static bool are_users(const char *list) {
    char *copy = need(strdup(list)), *rest = copy;
    bool all = true;
    while (all && rest) all = find_user(strsep(&rest, ","));
    free(copy);
    return all;
}

METHOD(conversations_open) {
    char id[64];
    if (!options.lenient && !are_users(ARG("users"))) return call->error = "user_not_found", NULL;
    snprintf(id, sizeof id, "D%.62s", ARG("users"));
    if (!add_channel(id)) return call->error = "channel_not_found", NULL;
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

/* Token rotation: a refresh token can be used once, and invalidates the previous bot token. */
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
#define TIMESTAMP "timestamp:bad_timestamp"

static const struct method methods[] = {
    { "api.test", api_test, NULL, NULL, NO_TOKEN },
    { "apps.connections.open", connections_open, NULL, "ok, new url", APP_TOKEN },
    { "auth.test", auth_test, NULL, "ok", ANY_TOKEN },
    { "bots.info", bots_info, NULL, NULL, BOT_TOKEN },
    { "chat.delete", remove_message, CHANNEL " ts:invalid_arguments", NULL, BOT_TOKEN },
    { "chat.getPermalink", get_permalink, CHANNEL " message_ts:message_not_found", NULL,
      BOT_TOKEN },
    { "chat.postEphemeral", post_ephemeral, CHANNEL " user:user_not_in_channel", NULL, BOT_TOKEN },
    { "chat.postMessage", post_message, CHANNEL, NULL, BOT_TOKEN },
    { "chat.update", update_message, CHANNEL " ts:invalid_arguments", NULL, BOT_TOKEN },
    { "conversations.history", conversations_history, CHANNEL, NULL, BOT_TOKEN },
    { "conversations.info", conversations_info, CHANNEL, NULL, BOT_TOKEN },
    { "conversations.join", conversations_join, CHANNEL, NULL, BOT_TOKEN },
    { "conversations.list", conversations_list, NULL, NULL, BOT_TOKEN },
    { "conversations.members", conversations_members, CHANNEL, NULL, BOT_TOKEN },
    { "conversations.open", conversations_open, "users:users_list_not_supplied", NULL, BOT_TOKEN },
    { "conversations.replies", conversations_replies, CHANNEL " ts:thread_not_found", NULL,
      BOT_TOKEN },
    { "files.completeUploadExternal", complete_upload, "files:invalid_arguments", NULL, BOT_TOKEN },
    { "files.getUploadURLExternal", get_upload_url,
      "filename:invalid_arguments length:invalid_arguments", NULL, BOT_TOKEN },
    { "files.list", list_files, NULL, NULL, BOT_TOKEN },
    { "oauth.v2.access", oauth_access,
      "client_id:invalid_client_id client_secret:bad_client_secret", "ok, new token", NO_TOKEN },
    { "pins.add", add_pin, CHANNEL " " TIMESTAMP, NULL, BOT_TOKEN },
    { "reactions.add", add_reaction, "name:invalid_name " CHANNEL " " TIMESTAMP, NULL, BOT_TOKEN },
    { "reactions.remove", remove_reaction, "name:invalid_name " CHANNEL " " TIMESTAMP, NULL,
      BOT_TOKEN },
    { "rtm.connect", rtm_connect, NULL, "ok, new url", BOT_TOKEN },
    { "rtm.start", rtm_connect, NULL, "ok, new url", BOT_TOKEN },
    { "team.info", team_info, NULL, NULL, BOT_TOKEN },
    { "users.info", users_info, "user:user_not_found", NULL, BOT_TOKEN },
    { "users.list", users_list, NULL, NULL, BOT_TOKEN },
    { "users.lookupByEmail", users_lookup, "email:users_not_found", NULL, BOT_TOKEN },
    { "views.open", open_view, "trigger_id:invalid_arguments view:invalid_arguments", NULL,
      BOT_TOKEN },
    { "views.publish", publish_view, "user_id:invalid_arguments view:invalid_arguments", NULL,
      BOT_TOKEN },
    { "views.push", push_view, "trigger_id:invalid_arguments view:invalid_arguments", NULL,
      BOT_TOKEN },
    { "views.update", update_view, "view:invalid_arguments", NULL, BOT_TOKEN },
};

const struct method *find_method(const char *name) {
    for (size_t i = 0; i < LWS_ARRAY_SIZE(methods); i++)
        if (!strcmp(methods[i].name, name)) return &methods[i];
    return NULL;
}

/* Prints the names of all methods, in lines as wide as the terminal. */
void list_methods(void) {
    char line[80] = "";
    for (size_t i = 0; i < LWS_ARRAY_SIZE(methods); i++) {
        size_t used = strlen(line);
        if (used + strlen(methods[i].name) + 1 >= sizeof line) {
            say("sandbox", " %s", line);
            used = 0;
        }
        snprintf(line + used, sizeof line - used, " %s", methods[i].name);
    }
    say("sandbox", " %s", line);
}
