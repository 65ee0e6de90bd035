/* The low-level functions, deprecated though they are: OpenSSL's EVP interface loads its whole
 * configuration at the first use, which takes twice as long as receiving an event. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "digest.h"

/* OpenSSL's return 1 whatever they are given. */

void digest_start(struct digest *digest)
{
    (void)SHA256_Init(&digest->context);
}

void digest_add(struct digest *digest, struct text part)
{
    (void)SHA256_Update(&digest->context, part.data, part.length);
}

void digest_finish(struct digest *digest, char hex[DIGEST_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[SHA256_DIGEST_LENGTH];
    (void)SHA256_Final(hash, &digest->context);
    for (size_t i = 0; i < sizeof hash; i++) {
        hex[2 * i] = digits[hash[i] >> 4];
        hex[2 * i + 1] = digits[hash[i] & 15];
    }
    hex[2 * sizeof hash] = '\0';
}

void digest_hex(const struct text *parts, int count, char hex[DIGEST_HEX_SIZE])
{
    struct digest digest;
    digest_start(&digest);
    for (int i = 0; i < count; i++)
        digest_add(&digest, parts[i]);
    digest_finish(&digest, hex);
}
