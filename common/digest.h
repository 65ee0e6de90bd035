/*
 * digest: SHA-256 (FIPS 180-4), by OpenSSL.
 *
 * Calling sequence: digest_start; digest_add for each part; digest_finish; or digest_hex for all of
 * these. None can fail.
 */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include "buffer.h"

#include <openssl/sha.h>

enum { DIGEST_HEX_SIZE = 64 + 1 };

struct digest {
    SHA256_CTX context;
};

/* Begin with nothing. */
void digest_start(struct digest *digest);

/* Add a part, behind those before. */
void digest_add(struct digest *digest, struct text part);

/* The SHA-256 of all parts, as 64 lower-case hexadecimal digits and a NUL. */
void digest_finish(struct digest *digest, char hex[DIGEST_HEX_SIZE]);

/* The same of the `count` parts given. */
void digest_hex(const struct text *parts, int count, char hex[DIGEST_HEX_SIZE]);

#endif
