/* SPDX-License-Identifier: MIT */
#include "daemon/engine/cx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/engine/report.h"
#include "daemon/engine/sha.h"

enum { KEY_SIZE = 32, ID_SIZE = 6, MAC_SIZE = CX_TOKEN_SIZE - ID_SIZE };

#define DERIVED_BIT ((uint64_t)1 << 47)

/* ---- The key ------------------------------------------------------------------------ */

static bool
random_bytes(uint8_t *out, size_t size)
{
    ssize_t got;

    do
        got = getrandom(out, size, 0);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)size;
}

/* The directory's own entry must be durable too. */
static bool
sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = fsync(fd) == 0;
    close(fd);
    return good;
}

/* A whole file beside, then in its place: a key that was half written would
 * make tokens that no later start knows. NULL, or what could not be done. */
static const char *
make_key(const char *path, const char *state_dir, uint8_t bytes[KEY_SIZE])
{
    char fresh[520];

    if (!random_bytes(bytes, KEY_SIZE))
        return "get random numbers for";
    snprintf(fresh, sizeof fresh, "%s.new", path);
    (void)unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return "create a file beside";
    bool good = write(fd, bytes, KEY_SIZE) == KEY_SIZE && fsync(fd) == 0;
    int saved = errno;
    close(fd);
    if (good && rename(fresh, path) == 0 && sync_directory(state_dir))
        return NULL;
    if (good)
        saved = errno;
    (void)unlink(fresh);
    errno = saved;
    return "write";
}

/* 1: read; 0: there is none; -1: something is wrong with it, and was reported. */
static int
read_key(const char *path, uint8_t bytes[KEY_SIZE])
{
    uint8_t more[KEY_SIZE + 1];
    struct stat st;

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0) {
        report(REPORT_ERROR, "cannot read %s: %s", path, strerror(errno));
        return -1;
    }
    ssize_t got = read(fd, more, sizeof more);
    bool known = fstat(fd, &st) == 0;
    close(fd);
    if (got != KEY_SIZE || !known) {
        report(REPORT_ERROR,
               "%s is damaged: it must hold the %d bytes that capabilities are made with; "
               "remove it for a new one, and no capability handed out before will be good",
               path, KEY_SIZE);
        return -1;
    }
    if ((st.st_mode & 077) != 0) {
        report(REPORT_ERROR,
               "%s can be read or written by others: who has seen it can make capabilities; "
               "remove it for a new one",
               path);
        return -1;
    }
    memcpy(bytes, more, KEY_SIZE);
    explicit_bzero(more, sizeof more);
    return 1;
}

/* HMAC (RFC 2104): both hashes have taken the padded key, once and for all. */
static void
prepare(struct cx_key *key, const uint8_t bytes[KEY_SIZE])
{
    uint8_t block[SHA256_BLOCK_LENGTH];

    memset(block, 0x36, sizeof block);
    for (int i = 0; i < KEY_SIZE; i++)
        block[i] ^= bytes[i];
    SHA256Init(&key->inner);
    SHA256Update(&key->inner, block, sizeof block);
    memset(block, 0x5c, sizeof block);
    for (int i = 0; i < KEY_SIZE; i++)
        block[i] ^= bytes[i];
    SHA256Init(&key->outer);
    SHA256Update(&key->outer, block, sizeof block);
    explicit_bzero(block, sizeof block);
}

bool
cx_open(struct cx_key *key, const char *state_dir)
{
    uint8_t bytes[KEY_SIZE];
    char path[512];
    const char *failed = NULL;

    if (snprintf(path, sizeof path, "%s/key", state_dir) >= (int)sizeof path) {
        report(REPORT_ERROR, "the state directory's name is too long");
        return false;
    }
    int there = read_key(path, bytes);
    if (there == 0)
        failed = make_key(path, state_dir, bytes);
    if (failed)
        report(REPORT_ERROR, "cannot %s %s: %s", failed, path, strerror(errno));
    if (there < 0 || failed)
        return false;
    prepare(key, bytes);
    explicit_bzero(bytes, sizeof bytes);
    return true;
}

void
cx_close(struct cx_key *key)
{
    explicit_bzero(key, sizeof *key);
}

/* ---- Tokens --------------------------------------------------------------------------- */

static void
big_endian(uint8_t out[4], uint32_t word)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(word >> (24 - 8 * i));
}

/* The hash of the padded key and `size` bytes more, with which the block begins:
 * the block is their last, so it ends with a bit and the size of all in bits. */
static void
hash_last(const SHA2_CTX *begun, size_t size, uint8_t block[SHA_BLOCK_SIZE], uint32_t state[8])
{
    memset(block + size, 0, SHA_BLOCK_SIZE - size);
    block[size] = 0x80;
    big_endian(block + SHA_BLOCK_SIZE - 4, (uint32_t)(8 * (SHA_BLOCK_SIZE + size)));
    memcpy(state, begun->state.st32, 8 * sizeof state[0]);
    sha_block(state, block);
}

void
cx_token(const struct cx_key *key, enum cx_sort sort, uint64_t id, uint8_t out[CX_TOKEN_SIZE])
{
    uint64_t word = (id & (DERIVED_BIT - 1)) | (sort == CX_DERIVED ? DERIVED_BIT : 0);
    uint8_t block[SHA_BLOCK_SIZE] = {0};
    uint32_t state[8];

    for (int i = 0; i < ID_SIZE; i++)
        out[i] = (uint8_t)(word >> (8 * (ID_SIZE - 1 - i)));
    memcpy(block, out, ID_SIZE);
    hash_last(&key->inner, ID_SIZE, block, state);
    for (int i = 0; i < 8; i++)
        big_endian(block + (size_t)4 * i, state[i]);
    hash_last(&key->outer, SHA256_DIGEST_LENGTH, block, state);
    for (int i = 0; i < 3; i++)
        big_endian(block + (size_t)4 * i, state[i]);
    memcpy(out + ID_SIZE, block, MAC_SIZE);
}

void
cx_text(const struct cx_key *key, enum cx_sort sort, uint64_t id, char out[CX_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t token[CX_TOKEN_SIZE];

    cx_token(key, sort, id, token);
    for (int i = 0; i < CX_TOKEN_SIZE; i++) {
        out[2 * i] = digits[token[i] >> 4];
        out[2 * i + 1] = digits[token[i] & 15];
    }
    out[CX_TEXT_SIZE - 1] = '\0';
}

bool
cx_verify(const struct cx_key *key, const uint8_t token[CX_TOKEN_SIZE], enum cx_sort *sort,
          uint64_t *id)
{
    uint8_t good[CX_TOKEN_SIZE];
    uint64_t word = 0;
    unsigned different = 0;

    for (int i = 0; i < ID_SIZE; i++)
        word = word << 8 | token[i];
    *sort = (word & DERIVED_BIT) != 0 ? CX_DERIVED : CX_TASK;
    *id = word & (DERIVED_BIT - 1);
    cx_token(key, *sort, *id, good);
    for (int i = 0; i < CX_TOKEN_SIZE; i++)
        different |= (unsigned)(good[i] ^ token[i]);
    return different == 0;
}
