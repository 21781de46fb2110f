/* SPDX-License-Identifier: MIT */
#include "daemon/engine/sha.h"

#include <sys/types.h>

#include <sha2.h>

void
sha_block_by_library(uint32_t state[8], const uint8_t block[SHA_BLOCK_SIZE])
{
    SHA256Transform(state, block);
}

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

bool
sha_has_instructions(void)
{
    const unsigned ssse3 = 1U << 9;
    const unsigned sse41 = 1U << 19;
    const unsigned sha = 1U << 29;
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (ssse3 | sse41)) != (ssse3 | sse41))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & sha) != 0;
}

/* The instructions want a, b, e, f in one register and c, d, g, h in the other,
 * the first highest; two make two rounds each of the four whose words are added
 * up in `sum`. */
__attribute__((target("sha,sse4.1,ssse3"))) void
sha_block_by_instructions(uint32_t state[8], const uint8_t block[SHA_BLOCK_SIZE])
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(void *)state), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(void *)(state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(badc, efgh, 8);
    __m128i cdgh = _mm_blend_epi16(efgh, badc, 0xf0);
    const __m128i abef_old = abef;
    const __m128i cdgh_old = cdgh;
    __m128i words[16];

#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        const __m128i *constants = (const __m128i *)(const void *)(round_constants + (size_t)4 * i);

        if (i < 4)
            words[i] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(const void *)(block + (size_t)16 * i)), swap);
        else
            words[i] =
                _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(words[i - 4], words[i - 3]),
                                                   _mm_alignr_epi8(words[i - 1], words[i - 2], 4)),
                                     words[i - 1]);
        __m128i sum = _mm_add_epi32(words[i], _mm_loadu_si128(constants));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
    }
    abef = _mm_add_epi32(abef, abef_old);
    cdgh = _mm_add_epi32(cdgh, cdgh_old);
    __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
    __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

#else

bool
sha_has_instructions(void)
{
    return false;
}

void
sha_block_by_instructions(uint32_t state[8], const uint8_t block[SHA_BLOCK_SIZE])
{
    sha_block_by_library(state, block);
}

#endif

void
sha_block(uint32_t state[8], const uint8_t block[SHA_BLOCK_SIZE])
{
    static int known; /* 0: not yet; what every thread would find out is the same */

    if (known == 0)
        known = sha_has_instructions() ? 1 : -1;
    if (known > 0)
        sha_block_by_instructions(state, block);
    else
        sha_block_by_library(state, block);
}
