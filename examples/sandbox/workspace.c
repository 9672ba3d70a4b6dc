/* workspace.c - a small workspace: two users, its channels, and their messages.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

static cJSON *channels; /* by id: an array of messages for each channel, the oldest first */
static size_t kept_size;

static const char people[] =
    "[{\"id\":\"U0BOT\",\"name\":\"sandbox-bot\",\"is_bot\":true,\"team_id\":\"T0SANDBOX\","
    "\"profile\":{\"bot_id\":\"B0BOT\",\"display_name\":\"sandbox-bot\"}},"
    "{\"id\":\"U0HUMAN\",\"name\":\"human\",\"real_name\":\"Ada Human\",\"is_bot\":false,"
    "\"team_id\":\"T0SANDBOX\",\"profile\":{\"display_name\":\"human\","
    "\"real_name\":\"Ada Human\",\"email\":\"human@sandbox.example\"}}]";

const cJSON *all_users(void) {
    static cJSON *users;
    if (!users) users = need(cJSON_Parse(people));
    return users;
}

const cJSON *find_user(const char *id) {
    const cJSON *user;
    cJSON_ArrayForEach(user, all_users())
        if (!strcmp(member(user, "id"), id)) return user;
    return NULL;
}

/* ---- Channels ----------------------------------------------------------------------- */

const cJSON *all_channels(void) {
    if (!channels) {
        channels = need(cJSON_CreateObject());
        need(cJSON_AddArrayToObject(channels, "C0SANDBOX"));
    }
    return channels;
}

cJSON *messages_of(const char *channel) {
    return cJSON_GetObjectItemCaseSensitive(all_channels(), channel);
}

bool add_channel(const char *id) {
    if (messages_of(id)) return true;
    if (cJSON_GetArraySize(channels) >= MAX_CHANNELS) {
        say("slack", "%s: refused: there are already %d channels", id, MAX_CHANNELS);
        return false;
    }
    need(cJSON_AddArrayToObject(channels, id));
    return true;
}

const char *find_channel(const char *name) {
    static char direct[64];
    if (!strcmp(name, "general") || !strcmp(name, "#general")) return "C0SANDBOX";
    if (find_user(name)) { /* a direct message */
        snprintf(direct, sizeof direct, "D%.62s", name);
        return add_channel(direct) ? direct : NULL;
    }
    if (messages_of(name)) return name;
    return options.lenient && *name && add_channel(name) ? name : NULL;
}

char *channel_object(const char *id) {
    const char *name = strcmp(id, "C0SANDBOX") ? id : "general";
    bool is_direct = *id == 'D';
    return json("{'id':'%s','name':'%s','is_channel':%j,'is_im':%j,'is_private':%j,"
                "'is_member':true,'is_archived':false,'num_members':2}", id, name,
                *id == 'C' ? "true" : "false", is_direct ? "true" : "false",
                is_direct ? "true" : "false");
}

/* ---- Messages ----------------------------------------------------------------------- */

static size_t size_of(const cJSON *message) {
    char *text = need(cJSON_PrintUnformatted(message));
    size_t size = strlen(text);
    free(text);
    return size;
}

static void drop_oldest(cJSON *messages) {
    kept_size -= size_of(messages->child);
    cJSON_DeleteItemFromArray(messages, 0);
}

static cJSON *largest_channel(void) {
    cJSON *largest = channels->child, *channel;
    cJSON_ArrayForEach(channel, channels)
        if (cJSON_GetArraySize(channel) > cJSON_GetArraySize(largest)) largest = channel;
    return largest;
}

void keep(const char *channel, const char *event) {
    cJSON *messages = messages_of(channel);
    if (!messages) return;
    cJSON *message = need(cJSON_Parse(event));
    kept_size += size_of(message);
    cJSON_AddItemToArray(messages, message);
    if (cJSON_GetArraySize(messages) > MAX_MESSAGES) drop_oldest(messages);
    while (kept_size > MAX_KEPT) drop_oldest(largest_channel());
}

cJSON *find_message(const char *channel, const char *ts) {
    cJSON *message;
    cJSON_ArrayForEach(message, messages_of(channel))
        if (!strcmp(member(message, "ts"), ts)) return message;
    return NULL;
}

/* Replaces a member of a stored message; NULL removes it. */
void set_member(cJSON *message, const char *name, cJSON *value) {
    kept_size -= size_of(message);
    cJSON_DeleteItemFromObjectCaseSensitive(message, name);
    if (value) cJSON_AddItemToObject(message, name, value);
    kept_size += size_of(message);
}

void delete_message(const char *channel, cJSON *message) {
    kept_size -= size_of(message);
    cJSON_Delete(cJSON_DetachItemViaPointer(messages_of(channel), message));
}

/* ---- Their contents ----------------------------------------------------------------- */

cJSON *parsed_argument(const cJSON *args, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(args, name);
    if (cJSON_IsString(item)) return cJSON_Parse(item->valuestring);
    return item ? cJSON_Duplicate(item, true) : NULL;
}

char *json_argument(const cJSON *args, const char *name) {
    cJSON *parsed = parsed_argument(args, name);
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
        cJSON *parsed = parsed_argument(message, parts[i]);
        if (parsed) fprintf(to, "%s[%s]", ftell(to) ? " " : "", parts[i]);
        if (parsed) add_texts(to, parsed);
        cJSON_Delete(parsed);
    }
    fclose(to);
    return need(text);
}

static const cJSON *element_in(const cJSON *item, const char *action) {
    if (!strcmp(member(item, "action_id"), action)) return item;
    const cJSON *child, *found = NULL;
    if (!cJSON_IsObject(item) && !cJSON_IsArray(item)) return NULL;
    for (child = item->child; child && !found; child = child->next)
        found = element_in(child, action);
    return found;
}

bool find_element(const cJSON *blocks, const char *action, struct element *found) {
    const cJSON *block;
    cJSON_ArrayForEach(block, blocks) {
        found->block = block;
        found->element = element_in(block, action);
        if (found->element) return true;
    }
    return false;
}

/* The newest message with this action; else the newest message; NULL if there is none. */
const cJSON *message_with(const char *action, struct element *found, const char **channel) {
    const cJSON *each, *message, *newest = NULL;
    bool has_action = false;
    cJSON_ArrayForEach(each, all_channels()) {
        cJSON_ArrayForEach(message, each) {
            struct element element;
            const cJSON *blocks = cJSON_GetObjectItemCaseSensitive(message, "blocks");
            bool has = find_element(blocks, action, &element);
            if (has_action && !has) continue;
            bool newer = !newest || strcmp(member(message, "ts"), member(newest, "ts")) > 0;
            if (!newer && has == has_action) continue;
            newest = message;
            *channel = each->string;
            has_action = has;
            if (has) *found = element;
        }
    }
    if (!has_action) *found = (struct element){ NULL, NULL };
    return newest;
}

/* Sends the event of a message from the bot to all clients, and returns it; to be freed. */
char *post(const char *channel, const char *text, const char *more, const char *thread) {
    const char *ts = new_ts();
    char *tail = json(*thread ? ",'thread_ts':'%s'" : "", thread);
    char *event = json("{'type':'message','subtype':'bot_message','channel':'%s',"
                       "'channel_type':'%s','text':'%s','ts':'%s','username':'sandbox-bot',"
                       "'bot_id':'B0BOT','team':'T0SANDBOX'%j%j}", channel, channel_type(channel),
                       text, ts, tail, more);
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

const char *channel_type(const char *channel) { return *channel == 'D' ? "im" : "channel"; }

/* ---- What the user types ------------------------------------------------------------ */

/* The size of a reference to a user or channel at `text`, such as <@U0BOT>, or 0. */
static size_t reference_size(const char *text) {
    if (strncmp(text, "<@U", 3) != 0 && strncmp(text, "<#C", 3) != 0) return 0;
    size_t size = 3 + strspn(text + 3, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    return text[size] == '>' ? size + 1 : 0;
}

/* Writes what Slack sends for the start of `text`; returns the number of bytes used. */
static size_t put_typed(FILE *to, const char *text) {
    static const char *const names[][2] = {
        { "@sandbox-bot", "<@U0BOT>" },    { "@human", "<@U0HUMAN>" },   { "@here", "<!here>" },
        { "@channel", "<!channel>" },      { "@everyone", "<!everyone>" }, { "&", "&amp;" },
        { "<", "&lt;" },                   { ">", "&gt;" },
    };
    size_t size = reference_size(text);
    if (size) return fwrite(text, 1, size, to);
    for (size_t i = 0; i < LWS_ARRAY_SIZE(names); i++) {
        if (strncmp(text, names[i][0], strlen(names[i][0])) != 0) continue;
        fputs(names[i][1], to);
        return strlen(names[i][0]);
    }
    putc(*text, to);
    return 1;
}

char *escape_typed(const char *text) {
    char *escaped = NULL;
    size_t size;
    if (options.lenient) return need(strdup(text));
    FILE *to = need(open_memstream(&escaped, &size));
    while (*text) text += put_typed(to, text);
    fclose(to);
    return need(escaped);
}
