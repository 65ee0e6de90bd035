/*
 * auth: who may be served.
 */
#ifndef COMMON_AUTH_H
#define COMMON_AUTH_H

#include "problem.h"
#include "request.h"

#include <stdbool.h>

/*
 * Whether the web server has authenticated the caller. Only AUTH_TYPE proves that: the server sets
 * it where it demands and checks credentials, and a client cannot (its headers arrive with HTTP_
 * before their names). REMOTE_USER proves nothing: nginx fills it from unchecked credentials.
 * Returns false with a 401 otherwise.
 */
bool auth_check(const struct request *request, struct problem *problem);

#endif
