/*
 * digest: SHA-256 (FIPS 180-4), by OpenSSL.
 */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include "buffer.h"

enum { DIGEST_HEX_SIZE = 64 + 1 };

/* The SHA-256 of `count` parts, one after the other, as 64 lower-case hexadecimal digits and a NUL.
 * Cannot fail. */
void digest_hex(const struct text *parts, int count, char hex[DIGEST_HEX_SIZE]);

#endif
