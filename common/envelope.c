#include "envelope.h"

#include "digest.h"
#include "lexeme.h"
#include "timestamp.h"

#include <stdio.h>
#include <string.h>

static bool is_safe(struct text text)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    for (size_t i = 0; i < text.length; i++)
        if (memchr(safe, text.data[i], sizeof safe - 1) == NULL)
            return false;
    return text.length <= ENVELOPE_KEY_MAX;
}

static bool is_fetched(const struct event *event)
{
    return event->kind >= EVENT_ORDER_FETCHED;
}

bool envelope_identify(struct envelope *envelope, const struct event *event,
                       const struct body *body, struct problem *problem)
{
    const struct text id = event->message_id;
    const struct text separator = {"", 1};
    const struct text state[] = {event->subject, separator, event->version, separator,
                                 event->updated};
    if (id.data != NULL && is_safe(id))
        (void)snprintf(envelope->key, sizeof envelope->key, "%.*s", (int)id.length, id.data);
    else if (id.data != NULL)
        digest_hex(&id, 1, envelope->key);
    else if (is_fetched(event) && (event->version.data != NULL || event->updated.data != NULL))
        digest_hex(state, 5, envelope->key);
    else if (!body_digest(body, (struct text){NULL, 0}, envelope->key, problem))
        return false;
    envelope->id = id.data == NULL ? text_of(envelope->key) : id;
    return true;
}

/* Append `"name":"value",` unless the value is absent. */
static bool add(struct buffer *head, const char *name, struct text value)
{
    if (value.data == NULL)
        return true;
    return lexeme_encode(text_of(name), head) && buffer_append_string(head, ":") &&
           lexeme_encode(value, head) && buffer_append_string(head, ",");
}

/* com.tradecloud1.<kind>, and .<eventName> where there is one. */
static bool add_type(struct buffer *head, const struct event *event)
{
    struct buffer type = BUFFER_INIT;
    bool added = buffer_append_string(&type, "com.tradecloud1.") &&
                 buffer_append_string(&type, event_kind_name(event->kind)) &&
                 (event->name.data == NULL ||
                  (buffer_append_string(&type, ".") &&
                   buffer_append(&type, event->name.data, event->name.length))) &&
                 add(head, "type", (struct text){type.data, type.length});
    buffer_release(&type);
    return added;
}

/* The name of the last member, behind spaces that make the head `room` bytes long, if it is not. */
static bool add_data_name(struct buffer *head, size_t room)
{
    static const char name[] = "\"data\":";
    const size_t length = head->length + sizeof name - 1;
    if (length < room) {
        if (!buffer_reserve(head, room - head->length))
            return false;
        memset(head->data + head->length, ' ', room - length);
        head->length += room - length;
    }
    return buffer_append_string(head, name);
}

bool envelope_build(struct envelope *envelope, const struct event *event, const char *source,
                    int64_t time, size_t room)
{
    char stamp[TIMESTAMP_NAME_SIZE];
    char rfc3339[TIMESTAMP_RFC3339_SIZE];
    struct buffer *head = &envelope->head;
    timestamp_name(time, stamp);
    timestamp_rfc3339(time, rfc3339);
    (void)snprintf(envelope->name, sizeof envelope->name, "%s_%s_%s.json", stamp,
                   event_kind_name(event->kind), envelope->key);
    return buffer_append_string(head, "{") && add(head, "specversion", text_of("1.0")) &&
           add(head, "id", envelope->id) && add(head, "source", text_of(source)) &&
           add_type(head, event) && add(head, "subject", event->subject) &&
           add(head, "time", text_of(rfc3339)) &&
           add(head, "datacontenttype", text_of("application/json")) && add_data_name(head, room);
}

void envelope_release(struct envelope *envelope)
{
    buffer_release(&envelope->head);
}
