/* ML-DSA-44 (FIPS 204) for one caller: a key pair from its seed, and a hedged signature.
 *
 * Two functions are exported; each returns 0, or is not to be believed. AWS-LC's files come in as one unit, as in its own
 * bcm.c, and ask for two functions of a whole libcrypto: randomness is getrandom(2)'s, and what must be forgotten is
 * overwritten by explicit_bzero(3).
 */
#include "service_indicator/internal.h"

#include "cpucap/cpu_intel.c"
#include "cpucap/cpucap.c"
#include "sha/keccak1600.c"
#include "sha/sha3.c"

#define MLD_CONFIG_FILE "../mldsa_native_config.h" /* beside mldsa/; everything is static, and named by its level */
#define MLD_CONFIG_PARAMETER_SET 44
#define MLD_CONFIG_MULTILEVEL_WITH_SHARED
#include "ml_dsa/mldsa/mldsa_native_bcm.c"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define EXPORTED __attribute__((visibility("default")))

enum { SEED_BYTES = 32, PUBLIC_BYTES = 1312, PRIVATE_BYTES = 2560, SIGNATURE_BYTES = 2420 };

__attribute__((constructor)) static void look_at_the_processor(void) { OPENSSL_cpuid_setup(); }

/* Fills `out`, or ends the process: there is no signature without randomness. */
int RAND_bytes(uint8_t *out, size_t length) {
  while (length > 0) {
    ssize_t got = getrandom(out, length, 0);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      abort();
    }
    out += got;
    length -= (size_t)got;
  }
  return 1;
}

void OPENSSL_cleanse(void *out, size_t length) { explicit_bzero(out, length); }

/* FIPS 204, algorithm 6: the key pair of `seed`. */
EXPORTED int sovereign_mldsa44_keypair(uint8_t public_key[PUBLIC_BYTES], uint8_t private_key[PRIVATE_BYTES],
                                       const uint8_t seed[SEED_BYTES]) {
  return mldsa44_keypair_internal(public_key, private_key, seed);
}

/* FIPS 204, algorithm 2, hedged; a context of more than 255 bytes is refused. On failure `signature` is all zero. */
EXPORTED int sovereign_mldsa44_sign(uint8_t signature[SIGNATURE_BYTES], const uint8_t *message, size_t length,
                                    const uint8_t *context, size_t context_length,
                                    const uint8_t private_key[PRIVATE_BYTES]) {
  return mldsa44_signature(signature, message, length, context, context_length, private_key);
}
