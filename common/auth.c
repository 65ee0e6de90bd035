#include "auth.h"

bool auth_check(const struct request *request, struct problem *problem)
{
    if (request->auth_type != NULL)
        return true;
    return problem_set(
        problem, 401,
        "nobody is authenticated: the web server did not set AUTH_TYPE; protect this "
        "location as the shipped configuration does");
}
