#include "rejection.h"

#include "digest.h"
#include "log.h"
#include "timestamp.h"

#include <stdio.h>

static bool add(struct buffer *head, const char *name, const char *value)
{
    char escaped[LOG_VALUE_MAX];
    if (value == NULL)
        return true;
    (void)log_escape(text_of(value), escaped, sizeof escaped);
    return buffer_append_string(head, name) && buffer_append_string(head, ": ") &&
           buffer_append_string(head, escaped) && buffer_append_string(head, "\n");
}

bool rejection_build(const struct request *request, const struct problem *problem, int64_t now,
                     struct buffer *head, char name[REJECTION_NAME_SIZE])
{
    char stamp[TIMESTAMP_NAME_SIZE];
    char received[TIMESTAMP_RFC3339_SIZE];
    char hash[DIGEST_HEX_SIZE];
    char status[12];
    timestamp_name(now, stamp);
    timestamp_rfc3339(now, received);
    (void)snprintf(status, sizeof status, "%d", problem->status);
    bool built =
        add(head, "Status", status) && add(head, "Reason", problem->reason) &&
        add(head, "Received", received) && add(head, "Method", request->method_name) &&
        add(head, "Path", request->path_info) && add(head, "Query", request->query_string) &&
        add(head, "Content-Type", request->content_type) &&
        add(head, "Remote-Address", request->remote_addr) && buffer_append_string(head, "\n");
    const struct text parts[] = {{head->data, head->length},
                                 {request->body.data, request->body.length}};
    digest_hex(parts, 2, hash);
    (void)snprintf(name, REJECTION_NAME_SIZE, "%s_rejected_%s.txt", stamp, hash);
    return built;
}
