#include "unit.h"

#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the environment --- */

static const char *const names[] = {"REQUEST_METHOD", "AUTH_TYPE",   "CONTENT_LENGTH",
                                    "CONTENT_TYPE",   "PATH_INFO",   "QUERY_STRING",
                                    "SCRIPT_NAME",    "REQUEST_URI", "REMOTE_ADDR"};

static void set_all(const char *value)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(value == NULL ? unsetenv(names[i]) : setenv(names[i], value, 1), 0);
}

static struct request request_with(const char *name, const char *value)
{
    struct request request;
    set_all(NULL);
    if (value != NULL)
        assert_int_equal(setenv(name, value, 1), 0);
    request_init(&request);
    return request;
}

/* --- meta-variables --- */

static void test_method(void **state)
{
    static const struct {
        const char *name;
        enum request_method method;
    } rows[] = {{"GET", REQUEST_GET},       {"POST", REQUEST_POST},     {"PUT", REQUEST_PUT},
                {"HEAD", REQUEST_OTHER},    {"DELETE", REQUEST_OTHER},  {"PATCH", REQUEST_OTHER},
                {"OPTIONS", REQUEST_OTHER}, {"post", REQUEST_OTHER},    {"Put", REQUEST_OTHER},
                {"get", REQUEST_OTHER},     {"POSTS", REQUEST_OTHER},   {"POS", REQUEST_OTHER},
                {"PUT ", REQUEST_OTHER},    {" PUT", REQUEST_OTHER},    {"GET\n", REQUEST_OTHER},
                {"", REQUEST_OTHER},        {"NONSENSE", REQUEST_OTHER}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request request = request_with("REQUEST_METHOD", rows[i].name);
        const char *name = request.method_name == NULL ? "" : request.method_name;
        if (request.method != rows[i].method || strcmp(name, rows[i].name) != 0)
            fail_msg("%s: %d, %s", rows[i].name, (int)request.method, name);
    }
}

static void assert_all_absent(const struct request *request)
{
    assert_int_equal(request->method, REQUEST_OTHER);
    assert_null(request->method_name);
    assert_null(request->auth_type);
    assert_null(request->content_length);
    assert_null(request->content_type);
    assert_null(request->path_info);
    assert_null(request->query_string);
    assert_null(request->script_name);
    assert_null(request->request_uri);
    assert_null(request->remote_addr);
}

static void test_unset_variables(void **state)
{
    (void)state;
    struct request request;
    memset(&request, 0x55, sizeof request);
    set_all(NULL);
    request_init(&request);
    assert_all_absent(&request);
}

static void test_empty_variables(void **state)
{
    (void)state;
    struct request request;
    memset(&request, 0x55, sizeof request);
    set_all("");
    request_init(&request);
    assert_all_absent(&request);
}

static void test_set_variables(void **state)
{
    (void)state;
    struct request request;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(setenv(names[i], names[i], 1), 0);
    request_init(&request);
    assert_string_equal(request.method_name, "REQUEST_METHOD");
    assert_string_equal(request.auth_type, "AUTH_TYPE");
    assert_string_equal(request.content_length, "CONTENT_LENGTH");
    assert_string_equal(request.content_type, "CONTENT_TYPE");
    assert_string_equal(request.path_info, "PATH_INFO");
    assert_string_equal(request.query_string, "QUERY_STRING");
    assert_string_equal(request.script_name, "SCRIPT_NAME");
    assert_string_equal(request.request_uri, "REQUEST_URI");
    assert_string_equal(request.remote_addr, "REMOTE_ADDR");
}

/* What a client says in headers is not a meta-variable. */
static void test_headers_of_the_client(void **state)
{
    (void)state;
    char name[64];
    struct request request;
    set_all(NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(name, sizeof name, "HTTP_%s", names[i]);
        assert_int_equal(setenv(name, "client", 1), 0);
    }
    request_init(&request);
    assert_all_absent(&request);
}

/* --- media types --- */

static const struct media_type {
    const char *type;
    bool json;
} media_types[] = {
    {NULL, true},
    {"", true},
    {"application/json", true},
    {"APPLICATION/JSON", true},
    {"Application/Json", true},
    {"application/json;charset=utf-8", true},
    {"application/json; charset=utf-8", true},
    {"application/json ; charset=\"utf-8\"", true},
    {"application/json\t;charset=utf-8", true},
    {"application/json;", true},
    {" application/json", true},
    {"application/json ", true},
    {"application/cloudevents+json", true},
    {"application/cloudevents+json; charset=utf-8", true},
    {"application/vnd.tradecloud.v2+JSON", true},
    {"application/problem+json", true},
    {"application/a+b+json", true},
    {"application/+json", false},
    {"application/", false},
    {"application", false},
    {"application/jso", false},
    {"application/jsonx", false},
    {"application/json+xml", false},
    {"application/json5", false},
    {"application/xjson", false},
    {"application/x-json", false},
    {"application/x+jso", false},
    {"application/x+jsonx", false},
    {"application/x;+json", false},
    {"application/octet-stream; type=application/json", false},
    {"application/json-seq", false},
    {"application/x-www-form-urlencoded", false},
    {"application/xml", false},
    {"text/json", false},
    {"text/xml", false},
    {"text/plain", false},
    {"text/x+json", false},
    {"text/xxxxxxxjson", false}, /* as long as application/json */
    {"text/vnd.tradecloud.v2+json", false},
    {"xapplication/json", false},
    {"json", false},
    {"/json", false},
    {"+json", false},
    {";", false},
    {"; charset=utf-8", false},
    {"multipart/form-data; boundary=application/json", false},
};

static void test_is_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof media_types / sizeof media_types[0]; i++) {
        const char *type = media_types[i].type;
        struct request request = request_with("CONTENT_TYPE", type);
        if (request_is_json(&request) != media_types[i].json)
            fail_msg("%s: taken for %s", type == NULL ? "absent" : type,
                     media_types[i].json ? "something else" : "JSON");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_method),
        cmocka_unit_test(test_unset_variables),
        cmocka_unit_test(test_empty_variables),
        cmocka_unit_test(test_set_variables),
        cmocka_unit_test(test_headers_of_the_client),
        cmocka_unit_test(test_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
