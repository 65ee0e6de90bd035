#include "problem.h"

#include <stdarg.h>
#include <stdio.h>

bool problem_set(struct problem *problem, int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    problem->status = status;
    (void)vsnprintf(problem->reason, sizeof problem->reason, format, arguments);
    va_end(arguments);
    return false;
}

bool problem_memory(struct problem *problem)
{
    return problem_set(problem, 503,
                       "out of memory: a body needs its own size and a little more; raise the "
                       "memory limit of the web server's CGI processes");
}
