/* Bytes that are in memory already, as a body. They are not copied, and not to be released. */
#ifndef TESTS_UNIT_BODY_OF_H
#define TESTS_UNIT_BODY_OF_H

#include "body.h"

#include <stdint.h>

static inline struct body body_of(struct text bytes)
{
    return (struct body){.window = {(char *)(uintptr_t)bytes.data, bytes.length, bytes.length}};
}

#endif
