/* SPDX-License-Identifier: MIT */
/* A file system for SQLite that does what the real one does, except where the
 * plan of a test says otherwise (crash.h). */
#include "daemon/engine/crash.h"

#if defined ASUP_CRASH_POINTS && ASUP_CRASH_POINTS

#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this one */
};

static sqlite3_vfs fault_vfs;
static sqlite3_io_methods fault_methods;

static sqlite3_file *
real_of(sqlite3_file *f)
{
    return ((struct fault_file *)f)->real;
}

static int
code_of(enum fault fault, int io_code)
{
    switch (fault) {
    case FAULT_FULL:
        return SQLITE_FULL;
    case FAULT_READONLY:
        return SQLITE_READONLY;
    case FAULT_IO:
    case FAULT_TORN:
        return io_code;
    case FAULT_NONE:
        break;
    }
    return SQLITE_OK;
}

static int
fault_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int
fault_read(sqlite3_file *f, void *data, int size, sqlite3_int64 at)
{
    return real_of(f)->pMethods->xRead(real_of(f), data, size, at);
}

static int
fault_write(sqlite3_file *f, const void *data, int size, sqlite3_int64 at)
{
    enum fault fault = crash_fault(FAULT_WRITE);

    if (fault == FAULT_TORN) {
        (void)real_of(f)->pMethods->xWrite(real_of(f), data, size / 2, at);
        crash_now();
    }
    int code = code_of(fault, SQLITE_IOERR_WRITE);
    return code ? code : real_of(f)->pMethods->xWrite(real_of(f), data, size, at);
}

static int
fault_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int code = code_of(crash_fault(FAULT_TRUNCATE), SQLITE_IOERR_TRUNCATE);

    return code ? code : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int
fault_sync(sqlite3_file *f, int flags)
{
    int code = code_of(crash_fault(FAULT_SYNC), SQLITE_IOERR_FSYNC);

    return code ? code : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int
fault_file_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int
fault_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int
fault_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int
fault_check_lock(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int
fault_control(sqlite3_file *f, int what, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), what, arg);
}

static int
fault_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int
fault_characteristics(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int
fault_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int
fault_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void
fault_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int
fault_shm_unmap(sqlite3_file *f, int delete)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), delete);
}

static int
fault_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags, int *out)
{
    sqlite3_vfs *real = vfs->pAppData;
    struct fault_file *file = (struct fault_file *)f;
    int code = code_of(crash_fault(FAULT_OPEN), SQLITE_CANTOPEN);

    f->pMethods = NULL;
    if (code)
        return code;
    file->real = (sqlite3_file *)(file + 1);
    code = real->xOpen(real, name, file->real, flags, out);
    if (file->real->pMethods)
        f->pMethods = &fault_methods;
    return code;
}

void
fault_install(void)
{
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);

    if (!getenv("ASUP_CRASH_PLAN") || real == &fault_vfs)
        return;
    fault_methods = (sqlite3_io_methods){
        .iVersion = 2, /* memory maps of the database are left out */
        .xClose = fault_close,
        .xRead = fault_read,
        .xWrite = fault_write,
        .xTruncate = fault_truncate,
        .xSync = fault_sync,
        .xFileSize = fault_file_size,
        .xLock = fault_lock,
        .xUnlock = fault_unlock,
        .xCheckReservedLock = fault_check_lock,
        .xFileControl = fault_control,
        .xSectorSize = fault_sector,
        .xDeviceCharacteristics = fault_characteristics,
        .xShmMap = fault_shm_map,
        .xShmLock = fault_shm_lock,
        .xShmBarrier = fault_shm_barrier,
        .xShmUnmap = fault_shm_unmap,
    };
    fault_vfs = *real; /* the rest needs no wrapping: it takes its own pAppData only to open */
    fault_vfs.pAppData = real;
    fault_vfs.zName = "asup-fault";
    fault_vfs.szOsFile = (int)sizeof(struct fault_file) + real->szOsFile;
    fault_vfs.xOpen = fault_open;
    fault_vfs.pNext = NULL;
    sqlite3_vfs_register(&fault_vfs, 1);
}

#endif
