/* The low-level functions, deprecated though they are: OpenSSL's EVP interface loads its whole
 * configuration at the first use, which takes twice as long as receiving an event. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "digest.h"

#include <openssl/sha.h>

void digest_hex(const struct text *parts, int count, char hex[DIGEST_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256_CTX context;
    /* These return 1 whatever they are given. */
    (void)SHA256_Init(&context);
    for (int i = 0; i < count; i++)
        (void)SHA256_Update(&context, parts[i].data, parts[i].length);
    (void)SHA256_Final(hash, &context);
    for (size_t i = 0; i < sizeof hash; i++) {
        hex[2 * i] = digits[hash[i] >> 4];
        hex[2 * i + 1] = digits[hash[i] & 15];
    }
    hex[2 * sizeof hash] = '\0';
}
