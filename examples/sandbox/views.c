/* views.c - modals and home tabs: which are open, and what a user does in them.
   SPDX-License-Identifier: MIT */
#include "sandbox.h"

enum { MAX_TITLE = 24, MAX_STACK = 3 };

static cJSON *views; /* an array of the open views, the newest last */

static cJSON *all_views(void) {
    if (!views) views = need(cJSON_CreateArray());
    return views;
}

static bool has_type(const cJSON *view, const char *type) {
    return !strcmp(member(view, "type"), type);
}

static cJSON *find_view(const char *id) {
    cJSON *view;
    cJSON_ArrayForEach(view, all_views())
        if (!strcmp(member(view, "id"), id)) return view;
    return NULL;
}

static cJSON *last_modal(void) {
    cJSON *view, *last = NULL;
    cJSON_ArrayForEach(view, all_views())
        if (has_type(view, "modal")) last = view;
    return last;
}

static void close_view(cJSON *view) { cJSON_Delete(cJSON_DetachItemViaPointer(views, view)); }

void forget_views(void) {
    cJSON_Delete(views);
    views = NULL;
}

/* ---- A view of the bot -------------------------------------------------------------- */

/* What is wrong with a view, or NULL. */
static const char *wrong_view(const cJSON *view, const char *type) {
    const cJSON *blocks = cJSON_GetObjectItemCaseSensitive(view, "blocks"), *block;
    const cJSON *title = cJSON_GetObjectItemCaseSensitive(view, "title");
    bool is_modal = !strcmp(type, "modal"), has_input = false;
    if (!cJSON_IsObject(view)) return "must be an object [json-pointer:/view]";
    if (!has_type(view, type)) return "unsupported type [json-pointer:/view/type]";
    if (!cJSON_IsArray(blocks)) return "missing required field: blocks [json-pointer:/view]";
    if (cJSON_GetArraySize(blocks) > MAX_VIEW_BLOCKS)
        return "no more than 100 items allowed [json-pointer:/view/blocks]";
    cJSON_ArrayForEach(block, blocks) {
        if (!*member(block, "type"))
            return "missing required field: type [json-pointer:/view/blocks]";
        has_input |= has_type(block, "input");
    }
    if (!is_modal) return NULL;
    if (!*member(title, "text")) return "missing required field: title [json-pointer:/view]";
    if (characters(member(title, "text")) > MAX_TITLE)
        return "must be less than 25 characters [json-pointer:/view/title/text]";
    if (has_input && !cJSON_GetObjectItemCaseSensitive(view, "submit"))
        return "missing required field: submit [json-pointer:/view]";
    return NULL;
}

static void set_text(cJSON *object, const char *name, const char *text) {
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    need(cJSON_AddStringToObject(object, name, text));
}

/* Gives each block without an id one, as Slack does. */
static void name_blocks(cJSON *view) {
    static unsigned count;
    cJSON *block;
    cJSON_ArrayForEach(block, cJSON_GetObjectItemCaseSensitive(view, "blocks")) {
        char id[16];
        snprintf(id, sizeof id, "b%u", ++count);
        if (!*member(block, "block_id")) set_text(block, "block_id", id);
    }
}

/* Completes the view that the bot has sent, and keeps it. */
static void add_view(cJSON *view, const char *id, const char *root, const char *previous) {
    static const char *const may_be_absent[] = { "callback_id", "private_metadata",
                                                 "external_id" };
    for (size_t i = 0; i < LWS_ARRAY_SIZE(may_be_absent); i++)
        if (!*member(view, may_be_absent[i])) set_text(view, may_be_absent[i], "");
    name_blocks(view);
    set_text(view, "id", id);
    set_text(view, "team_id", "T0SANDBOX");
    set_text(view, "app_id", "A0SANDBOX");
    set_text(view, "bot_id", "B0BOT");
    set_text(view, "hash", new_ts());
    set_text(view, "root_view_id", *root ? root : id);
    set_text(view, "previous_view_id", previous);
    cJSON_DeleteItemFromObjectCaseSensitive(view, "state");
    cJSON_AddItemToObject(view, "state", need(cJSON_Parse("{\"values\":{}}")));
    cJSON_AddItemToArray(all_views(), view);
    if (cJSON_GetArraySize(views) > MAX_VIEWS) cJSON_DeleteItemFromArray(views, 0);
}

static void add_new_view(cJSON *view, const char *root, const char *previous) {
    static unsigned count;
    char id[24];
    snprintf(id, sizeof id, "V0SANDBOX%u", ++count);
    add_view(view, id, root, previous);
}

/* Replaces an open view, which keeps its id and its place. */
static void replace_view(cJSON *old, cJSON *view) {
    char *id = need(strdup(member(old, "id"))), *root = need(strdup(member(old, "root_view_id")));
    char *previous = need(strdup(member(old, "previous_view_id")));
    close_view(old);
    add_view(view, id, root, previous);
    free(id);
    free(root);
    free(previous);
}

static void show_view(const char *verb, const cJSON *view) {
    char *text = need(cJSON_PrintUnformatted(view));
    say("bot/api", "%s a view: %s", verb, text);
    note_seen(text);
    free(text);
}

static char *view_response(const cJSON *view) {
    char *text = need(cJSON_PrintUnformatted(view));
    char *body = json("{'ok':true,'view':%j}", text);
    free(text);
    return body;
}

/* The argument "view", or NULL with the call's error set. */
static cJSON *checked_view(struct call *call, const char *type) {
    cJSON *view = parsed_argument(call->args, "view");
    if (!options.lenient) call->detail = wrong_view(view, type);
    if (!call->detail && cJSON_IsObject(view)) return view;
    cJSON_Delete(view);
    call->error = "invalid_arguments";
    return NULL;
}

char *open_view(struct call *call) {
    cJSON *view = checked_view(call, "modal");
    if (!view) return NULL;
    add_new_view(view, "", "");
    show_view("opened", view);
    return view_response(view);
}

/* The number of views in the stack with this one at the top. */
static int stack_height(const cJSON *view) {
    int height = 0;
    for (; view; view = find_view(member(view, "previous_view_id"))) height++;
    return height;
}

char *push_view(struct call *call) {
    const cJSON *below = last_modal();
    if (!below) return call->error = "invalid_trigger_id", NULL; /* not from a modal */
    if (stack_height(below) >= MAX_STACK) return call->error = "push_limit_reached", NULL;
    cJSON *view = checked_view(call, "modal");
    if (!view) return NULL;
    add_new_view(view, member(below, "root_view_id"), member(below, "id"));
    show_view("pushed", view);
    return view_response(view);
}

char *update_view(struct call *call) {
    const char *id = member(call->args, "view_id"), *hash = member(call->args, "hash");
    const char *external = member(call->args, "external_id");
    cJSON *old = find_view(id), *each;
    cJSON_ArrayForEach(each, all_views())
        if (!*id && *external && !strcmp(member(each, "external_id"), external)) old = each;
    if (!old) return call->error = "not_found", NULL;
    if (*hash && strcmp(hash, member(old, "hash")) != 0)
        return call->error = "hash_conflict", NULL;
    cJSON *view = checked_view(call, member(old, "type"));
    if (!view) return NULL;
    replace_view(old, view);
    show_view("updated", view);
    return view_response(view);
}

/* There is one home tab, because the sandbox has one human. */
char *publish_view(struct call *call) {
    cJSON *old = NULL, *each;
    if (!find_user(member(call->args, "user_id"))) return call->error = "user_not_found", NULL;
    cJSON_ArrayForEach(each, all_views())
        if (has_type(each, "home")) old = each;
    cJSON *view = checked_view(call, "home");
    if (!view) return NULL;
    if (old) replace_view(old, view);
    else add_new_view(view, "", "");
    show_view("published", view);
    return view_response(view);
}

/* ---- What the user does ------------------------------------------------------------- */

const char *view_id(const char *name) {
    const cJSON *view;
    const char *id = NULL;
    cJSON_ArrayForEach(view, all_views()) {
        bool same = !strcmp(member(view, "callback_id"), name) || !strcmp(member(view, "id"), name);
        if (same && has_type(view, "modal")) id = member(view, "id");
    }
    return id;
}

char *view_with(const char *action, struct element *found) {
    for (int i = cJSON_GetArraySize(all_views()) - 1; i >= 0; i--) {
        const cJSON *view = cJSON_GetArrayItem(views, i);
        if (find_element(cJSON_GetObjectItemCaseSensitive(view, "blocks"), action, found))
            return need(cJSON_PrintUnformatted(view));
    }
    return NULL;
}

/* The option with this value. An option that the bot did not list, such as an external one, has its
   value as text. */
static cJSON *option(const cJSON *element, const char *value) {
    const cJSON *each;
    cJSON_ArrayForEach(each, cJSON_GetObjectItemCaseSensitive(element, "options"))
        if (!strcmp(member(each, "value"), value)) return need(cJSON_Duplicate(each, true));
    char *text = json("{'text':{'type':'plain_text','text':'%s'},'value':'%s'}", value, value);
    cJSON *made = need(cJSON_Parse(text));
    free(text);
    return made;
}

/* The place of the value of an element, by its type. */
static const struct value_place {
    const char *type, *name;
    enum { IS_TEXT, IS_OPTION, IS_LIST } kind;
} places[] = {
    { "static_select", "selected_option", IS_OPTION },
    { "external_select", "selected_option", IS_OPTION },
    { "radio_buttons", "selected_option", IS_OPTION },
    { "overflow", "selected_option", IS_OPTION },
    { "checkboxes", "selected_options", IS_LIST },
    { "multi_static_select", "selected_options", IS_LIST },
    { "multi_external_select", "selected_options", IS_LIST },
    { "users_select", "selected_user", IS_TEXT },
    { "channels_select", "selected_channel", IS_TEXT },
    { "conversations_select", "selected_conversation", IS_TEXT },
    { "datepicker", "selected_date", IS_TEXT },
    { "timepicker", "selected_time", IS_TEXT },
    { "", "value", IS_TEXT }, /* all other types */
};

static const struct value_place *place_of(const cJSON *element) {
    const struct value_place *place = places;
    while (*place->type && strcmp(place->type, member(element, "type")) != 0) place++;
    return place;
}

/* Sets what the user has chosen or typed; adds it if the element has a list of values. */
void set_value(cJSON *to, const cJSON *element, const char *value) {
    const struct value_place *place = place_of(element);
    cJSON *list = cJSON_GetObjectItemCaseSensitive(to, place->name);
    if (place->kind == IS_LIST) {
        cJSON_AddItemToArray(list, option(element, value));
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(to, place->name);
    if (place->kind == IS_TEXT) cJSON_AddStringToObject(to, place->name, value);
    else cJSON_AddItemToObject(to, place->name, option(element, value));
}

static cJSON *member_object(cJSON *object, const char *name) {
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item ? item : need(cJSON_AddObjectToObject(object, name));
}

/* The state of an element that the user has not changed. */
static void add_untouched(cJSON *values, const cJSON *block, const cJSON *element) {
    const struct value_place *place = place_of(element);
    cJSON *entry = member_object(member_object(values, member(block, "block_id")),
                                 member(element, "action_id"));
    const char *initial = member(element, "initial_value");
    cJSON_AddStringToObject(entry, "type", member(element, "type"));
    if (place->kind == IS_LIST) cJSON_AddArrayToObject(entry, place->name);
    else if (*initial) cJSON_AddStringToObject(entry, place->name, initial);
    else cJSON_AddNullToObject(entry, place->name);
}

static void add_elements(cJSON *values, const cJSON *block, const cJSON *item) {
    if (!cJSON_IsObject(item) && !cJSON_IsArray(item)) return;
    bool is_input = *member(item, "action_id") && strcmp(member(item, "type"), "button") != 0;
    if (is_input) add_untouched(values, block, item);
    for (const cJSON *child = item->child; child; child = child->next)
        add_elements(values, block, child);
}

/* Takes BLOCK.ACTION=VALUE from the front of `*rest`; a value with spaces is quoted. */
static bool take_value(char **rest, char **block, char **action, char **value) {
    *block = *rest;
    size_t size = strcspn(*rest, ".=");
    if ((*rest)[size] != '.') return false;
    (*rest)[size] = '\0';
    *action = *rest + size + 1;
    *value = strchr(*action, '=');
    if (!*value) return false;
    *(*value)++ = '\0';
    bool is_quoted = **value == '"';
    if (is_quoted) ++*value;
    char *end = *value + strcspn(*value, is_quoted ? "\"" : " ");
    if (is_quoted && !*end) return false;
    *rest = *end ? end + 1 : end;
    *end = '\0';
    *rest += strspn(*rest, " ");
    return true;
}

/* Fills the state with what the user entered. */
static bool fill(cJSON *view, char *rest) {
    cJSON *values = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(view, "state"), "values");
    const cJSON *blocks = cJSON_GetObjectItemCaseSensitive(view, "blocks"), *each;
    cJSON_ArrayForEach(each, blocks) add_elements(values, each, each);
    while (*rest) {
        char *block, *action, *value;
        struct element found;
        if (!take_value(&rest, &block, &action, &value)) return false;
        cJSON *entry = cJSON_GetObjectItemCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(values, block), action);
        if (!entry || !find_element(blocks, action, &found)) {
            warn("the view has no input %s.%s", block, action);
            return false;
        }
        set_value(entry, found.element, value);
    }
    return true;
}

char *submit_view(const char *id, char *values) {
    cJSON *view = need(cJSON_Duplicate(find_view(id), true));
    char *text = fill(view, values) ? need(cJSON_PrintUnformatted(view)) : NULL;
    cJSON_Delete(view);
    return text;
}

/* ---- The bot's reply to a submission ------------------------------------------------ */

static void close_modals(void) {
    for (cJSON *modal = last_modal(); modal; modal = last_modal()) close_view(modal);
}

/* Takes the view of a reply; if it is not valid, prints why and returns NULL. */
static cJSON *reply_view(const cJSON *payload) {
    cJSON *view = parsed_argument(payload, "view");
    const char *wrong = wrong_view(view, "modal");
    if (!wrong) return view;
    say("slack", "invalid view in the reply: %s", wrong);
    cJSON_Delete(view);
    return NULL;
}

void answer_view(const char *id, const cJSON *payload) {
    cJSON *old = find_view(id), *view = NULL;
    const char *action = member(payload, "response_action");
    bool is_update = !strcmp(action, "update"), is_push = !strcmp(action, "push");
    if (!old) return;
    if (is_update || is_push) view = reply_view(payload);
    if (!*action) close_view(old);
    else if (!strcmp(action, "clear")) close_modals();
    if (!view) return;
    if (is_update) replace_view(old, view);
    else add_new_view(view, member(old, "root_view_id"), id);
    show_view(is_update ? "updated" : "pushed", view);
}
