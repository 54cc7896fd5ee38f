/*
 * Preloaded into the real hub by the tests of faults. It does three things and changes nothing else:
 *
 * - It records, in one order, what the process does to the files below one folder (names, writes,
 *   syncs) and what it says over sockets. RENKEI_SHIM_TRACE names the record, RENKEI_SHIM_BELOW the
 *   folder. trace.rs reads it.
 * - It moves the wall clock, lets calls on files below the folder fail or take long, and ends the process
 *   when it writes certain bytes, as the words in the file RENKEI_SHIM_CONTROL say at that moment.
 *   shim.rs writes them.
 *
 * A write is recorded when it was done, a sync when it begins and again when it has succeeded, bytes
 * on a socket before they leave. So nothing happened later than the record says, and no sync covers
 * more than it did. Every call goes straight to the kernel, so that no function here needs the one it
 * replaces.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* One entry of the record; `length` bytes follow it. */
struct entry {
    uint64_t file;   /* inode, or the descriptor of a socket */
    uint64_t number; /* offset, length, or the number of a sync */
    uint32_t length;
    uint32_t kind;
};

enum kind {
    NAMED = 'F',   /* a name that was there was opened */
    CREATED = 'N', /* a name was made for a new file */
    FOLDER = 'M',  /* a name was made for a new folder */
    RENAMED = 'R', /* two names, a NUL between */
    REMOVED = 'U',
    WROTE = 'W',
    CUT = 'T', /* to a length */
    SYNC_BEGINS = 'B',
    SYNC_DONE = 'E',
    SAID = 'S'
};

/* What the tests ask for; all zero = nothing. */
struct control {
    int64_t clock_seconds;
    int32_t fail_write; /* an errno for writes and for changes of names */
    int32_t fail_sync;
    int32_t fail_open;
    int32_t slow_sync; /* milliseconds that a sync takes longer */
    char poison[32];   /* whoever writes these bytes is ended */
};

static const struct control nothing;
static volatile const struct control *control = &nothing;
static int record = -1;
static char below[PATH_MAX];
static size_t below_length;
static uint64_t syncs;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("RENKEI_SHIM_BELOW");
    const char *trace = getenv("RENKEI_SHIM_TRACE");
    const char *asked = getenv("RENKEI_SHIM_CONTROL");
    if (folder) {
        below_length = strlen(folder);
        if (below_length >= sizeof below) abort();
        memcpy(below, folder, below_length);
    }
    if (trace) {
        record = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (record < 0) abort();
    }
    if (asked) {
        int file = (int)syscall(SYS_openat, AT_FDCWD, asked, O_RDONLY | O_CLOEXEC, 0);
        void *words = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, file, 0);
        if (words == MAP_FAILED) abort();
        control = words;
    }
}

static int fail(int error) {
    errno = error;
    return -1;
}

/* ---- the record; the callers hold `order` ---- */

static void put_parts(enum kind kind, uint64_t file, uint64_t number, const struct iovec *parts, size_t length) {
    if (record < 0) return;
    struct entry entry = { file, number, (uint32_t)length, kind };
    if (syscall(SYS_write, record, &entry, sizeof entry) != sizeof entry) abort();
    for (; length > 0; parts++) {
        const char *bytes = parts->iov_base;
        size_t left = parts->iov_len < length ? parts->iov_len : length;
        length -= left;
        while (left > 0) {
            long done = syscall(SYS_write, record, bytes, left);
            if (done <= 0) abort();
            bytes += done;
            left -= (size_t)done;
        }
    }
}

static void put(enum kind kind, uint64_t file, uint64_t number, const void *bytes, size_t length) {
    struct iovec part = { (void *)bytes, length };
    put_parts(kind, file, number, &part, length);
}

/* ---- whose file is it ---- */

static int is_below(const char *path) {
    return below_length && strncmp(path, below, below_length) == 0
        && (path[below_length] == '/' || path[below_length] == 0);
}

/* The inode of a descriptor of something below the folder; 0 = something else. */
static uint64_t inode_below(int fd) {
    char link[64], path[PATH_MAX];
    struct stat found;
    if (!below_length || fstat(fd, &found) != 0) return 0;
    if (!S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path) ? found.st_ino : 0;
}

/* ---- names ---- */

static int opened(int folder, const char *path, int flags, mode_t mode) {
    if (!is_below(path)) return (int)syscall(SYS_openat, folder, path, flags, mode);
    if (control->fail_open) return fail(control->fail_open);
    if (control->fail_write && (flags & (O_CREAT | O_TRUNC))) {
        struct stat there;
        if ((flags & O_TRUNC) || stat(path, &there) != 0) return fail(control->fail_write);
    }
    pthread_mutex_lock(&order);
    struct stat found;
    int existed = lstat(path, &found) == 0;
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    int error = errno;
    if (fd >= 0 && fstat(fd, &found) == 0) {
        put(existed ? NAMED : CREATED, found.st_ino, 0, path, strlen(path));
        if (existed && (flags & O_TRUNC)) put(CUT, found.st_ino, 0, NULL, 0);
    }
    pthread_mutex_unlock(&order);
    errno = error;
    return fd;
}

#define MODE                                                                     \
    va_list more;                                                                \
    va_start(more, flags);                                                       \
    mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(more, mode_t) : 0;  \
    va_end(more)

int open(const char *path, int flags, ...) { MODE; return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE; return opened(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE; return opened(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE; return opened(folder, path, flags, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int mkdirat(int folder, const char *path, mode_t mode) {
    int ours = is_below(path);
    if (ours && control->fail_write) return fail(control->fail_write);
    pthread_mutex_lock(&order);
    int done = (int)syscall(SYS_mkdirat, folder, path, mode), error = errno;
    struct stat found;
    if (ours && done == 0 && lstat(path, &found) == 0) put(FOLDER, found.st_ino, 0, path, strlen(path));
    pthread_mutex_unlock(&order);
    errno = error;
    return done;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int folder, const char *path, int flags) {
    int ours = is_below(path);
    if (ours && control->fail_write) return fail(control->fail_write);
    pthread_mutex_lock(&order);
    int done = (int)syscall(SYS_unlinkat, folder, path, flags), error = errno;
    if (ours && done == 0) put(REMOVED, 0, 0, path, strlen(path));
    pthread_mutex_unlock(&order);
    errno = error;
    return done;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    int ours = is_below(old) || is_below(new);
    if (ours && control->fail_write) return fail(control->fail_write);
    /* A file that comes in from outside or leaves would make the record incomplete. */
    if (ours && record >= 0 && (!is_below(old) || !is_below(new))) abort();
    pthread_mutex_lock(&order);
    int done = (int)syscall(SYS_renameat2, from, old, to, new, flags), error = errno;
    if (ours && done == 0) {
        char names[2 * PATH_MAX];
        size_t length = strlen(old) + 1;
        memcpy(names, old, length);
        memcpy(names + length, new, strlen(new));
        put(RENAMED, 0, 0, names, length + strlen(new));
    }
    pthread_mutex_unlock(&order);
    errno = error;
    return done;
}
int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int from, const char *old, int to, const char *new) { return renameat2(from, old, to, new, 0); }

int linkat(int from, const char *old, int to, const char *new, int flags) {
    /* Nobody links below the folder; the replay does not know how. */
    if (record >= 0 && (is_below(old) || is_below(new))) abort();
    return (int)syscall(SYS_linkat, from, old, to, new, flags);
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

/* ---- bytes of files, and of sockets that are written to like files ---- */

static void end_if_poisoned(const struct iovec *parts, int count) {
    char poison[sizeof control->poison];
    memcpy(poison, (const void *)control->poison, sizeof poison);
    for (int i = 0; i < count; i++)
        if (memmem(parts[i].iov_base, parts[i].iov_len, poison, strnlen(poison, sizeof poison))) abort();
}

static ssize_t wrote(int fd, const struct iovec *parts, int count, off_t at) {
    struct stat found;
    if ((below_length || record >= 0) && fstat(fd, &found) == 0) {
        uint64_t inode = S_ISREG(found.st_mode) ? inode_below(fd) : 0;
        if (inode) {
            if (control->fail_write) return fail(control->fail_write);
            if (control->poison[0]) end_if_poisoned(parts, count);
            pthread_mutex_lock(&order);
            off_t offset = at;
            if (at < 0) offset = (fcntl(fd, F_GETFL) & O_APPEND) ? found.st_size : lseek(fd, 0, SEEK_CUR);
            long done = at < 0 ? syscall(SYS_writev, fd, parts, count)
                               : syscall(SYS_pwritev, fd, parts, count, (unsigned long)at, 0UL);
            int error = errno;
            if (done > 0) put_parts(WROTE, inode, (uint64_t)offset, parts, (size_t)done);
            pthread_mutex_unlock(&order);
            errno = error;
            return done;
        }
        if (record >= 0 && S_ISSOCK(found.st_mode)) {
            size_t length = 0;
            for (int i = 0; i < count; i++) length += parts[i].iov_len;
            pthread_mutex_lock(&order);
            put_parts(SAID, (uint64_t)fd, 0, parts, length);
            pthread_mutex_unlock(&order);
        }
    }
    return at < 0 ? syscall(SYS_writev, fd, parts, count)
                  : syscall(SYS_pwritev, fd, parts, count, (unsigned long)at, 0UL);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec part = { (void *)bytes, length };
    return wrote(fd, &part, 1, -1);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return wrote(fd, parts, count, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    struct iovec part = { (void *)bytes, length };
    return wrote(fd, &part, 1, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return pwrite(fd, bytes, length, at); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return wrote(fd, parts, count, at); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) { return wrote(fd, parts, count, at); }

int ftruncate(int fd, off_t length) {
    uint64_t inode = inode_below(fd);
    if (inode && control->fail_write) return fail(control->fail_write);
    pthread_mutex_lock(&order);
    int done = (int)syscall(SYS_ftruncate, fd, length), error = errno;
    if (inode && done == 0) put(CUT, inode, (uint64_t)length, NULL, 0);
    pthread_mutex_unlock(&order);
    errno = error;
    return done;
}
int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

int fallocate(int fd, int mode, off_t from, off_t length) {
    if (record >= 0 && inode_below(fd)) return fail(EOPNOTSUPP);
    return (int)syscall(SYS_fallocate, fd, mode, from, length);
}
int fallocate64(int fd, int mode, off_t from, off_t length) { return fallocate(fd, mode, from, length); }

/* ---- syncs ---- */

static int synced(int fd, long call) {
    uint64_t inode = inode_below(fd), number = 0;
    if (!inode) return (int)syscall(call, fd);
    if (control->fail_sync) return fail(control->fail_sync);
    if (control->slow_sync) {
        struct timespec wait = { control->slow_sync / 1000, control->slow_sync % 1000 * 1000000L };
        nanosleep(&wait, NULL);
    }
    pthread_mutex_lock(&order);
    number = ++syncs;
    put(SYNC_BEGINS, inode, number, NULL, 0);
    pthread_mutex_unlock(&order);
    int done = (int)syscall(call, fd), error = errno;
    if (done == 0) {
        pthread_mutex_lock(&order);
        put(SYNC_DONE, inode, number, NULL, 0);
        pthread_mutex_unlock(&order);
    }
    errno = error;
    return done;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

/* ---- sockets ---- */

static void said(int fd, const struct iovec *parts, size_t count) {
    if (record < 0) return;
    size_t length = 0;
    for (size_t i = 0; i < count; i++) length += parts[i].iov_len;
    pthread_mutex_lock(&order);
    put_parts(SAID, (uint64_t)fd, 0, parts, length);
    pthread_mutex_unlock(&order);
}
ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
    struct iovec part = { (void *)bytes, length };
    said(fd, &part, 1);
    return syscall(SYS_sendto, fd, bytes, length, flags, to, size);
}
ssize_t send(int fd, const void *bytes, size_t length, int flags) { return sendto(fd, bytes, length, flags, NULL, 0); }
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    said(fd, message->msg_iov, message->msg_iovlen);
    return syscall(SYS_sendmsg, fd, message, flags);
}

/* ---- the wall clock ---- */

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = (int)syscall(SYS_clock_gettime, clock, now);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += control->clock_seconds;
    return done;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec read;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &read) != 0) return -1;
    now->tv_sec = read.tv_sec;
    now->tv_usec = read.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec read;
    if (clock_gettime(CLOCK_REALTIME, &read) != 0) return -1;
    if (now) *now = read.tv_sec;
    return read.tv_sec;
}
