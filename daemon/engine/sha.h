/* SPDX-License-Identifier: MIT */
/*
 * One step of SHA-256 (FIPS 180-4): for a short message under a key that was
 * taken before, two of them are a whole HMAC. By the processor's own
 * instructions where it has them, in a fifth of the time; else by libmd.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_SHA_H
#define ASUPERSYNC_DAEMON_ENGINE_SHA_H

#include <stdbool.h>
#include <stdint.h>

enum { SHA_BLOCK_SIZE = 64 };

void sha_block(uint32_t state[8], const uint8_t block[SHA_BLOCK_SIZE]);

/* The two ways; the first is there only where it says so. */
bool sha_has_instructions(void);
void sha_block_by_instructions(uint32_t state[8], const uint8_t block[SHA_BLOCK_SIZE]);
void sha_block_by_library(uint32_t state[8], const uint8_t block[SHA_BLOCK_SIZE]);

#endif
