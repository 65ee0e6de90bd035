#include "rejection.h"

#include "digest.h"
#include "log.h"
#include "timestamp.h"

#include <stdio.h>

static bool add(struct buffer *head, const char *name, const char *value)
{
    const struct text text = text_of(value);
    const size_t room = 4 * text.length + 8; /* each byte as \xNN */
    if (value == NULL)
        return true;
    if (!buffer_append_string(head, name) || !buffer_append_string(head, ": ") ||
        !buffer_reserve(head, room))
        return false;
    head->length += log_escape(text, head->data + head->length, room);
    return buffer_append_string(head, "\n");
}

static bool add_lines(const struct request *request, const struct problem *reason, int64_t now,
                      struct buffer *head)
{
    char received[TIMESTAMP_RFC3339_SIZE];
    char status[12];
    timestamp_rfc3339(now, received);
    (void)snprintf(status, sizeof status, "%d", reason->status);
    return add(head, "Status", status) && add(head, "Reason", reason->reason) &&
           add(head, "Received", received) && add(head, "Method", request->method_name) &&
           add(head, "Path", request->path_info) && add(head, "Query", request->query_string) &&
           add(head, "URI", request->request_uri) &&
           add(head, "Content-Type", request->content_type) &&
           add(head, "Remote-Address", request->remote_addr) && buffer_append_string(head, "\n");
}

bool rejection_build(const struct request *request, const struct body *body,
                     const struct problem *reason, int64_t now, struct buffer *head,
                     char name[REJECTION_NAME_SIZE], struct problem *problem)
{
    char stamp[TIMESTAMP_NAME_SIZE];
    char hash[DIGEST_HEX_SIZE];
    if (!add_lines(request, reason, now, head))
        return problem_memory(problem);
    if (!body_digest(body, (struct text){head->data, head->length}, hash, problem))
        return false;
    timestamp_name(now, stamp);
    (void)snprintf(name, REJECTION_NAME_SIZE, "%s_rejected_%s.txt", stamp, hash);
    return true;
}
