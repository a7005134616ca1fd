/**
 * Numbers and struct layouts of the Linux interface that the kernel adapters use, on x86-64 and
 * aarch64. Offsets are in bytes unless the name says words (32 bits); abi_test.ts checks sizes and
 * offsets against the system's C headers where a compiler is there.
 */

// Files (asm-generic/fcntl.h; O_DIRECT is the one that differs, see directFlag()).
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_EXCL = 0o200;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const F_GETFL = 3;
export const F_SETPIPE_SZ = 1031;
export const SPLICE_F_NONBLOCK = 2;
export const SPLICE_F_MORE = 4;
export const FIONREAD = 0x541Bn;
export const F_SETFL = 4;
export const LOCK_EX_NONBLOCKING = 2 | 4;
export const LOCK_UN = 8;
export const AT_FDCWD = -100;
export const AT_EMPTY_PATH = 0x1000;

/** O_DIRECT (asm/fcntl.h of each architecture). */
export function directFlag(arch: string): number {
  return arch === "aarch64" ? 0o200000 : 0o40000;
}

// statx(2): struct statx is laid out alike everywhere.
export const STATX_BYTES = 256;
export const STATX_BASIC_AND_DIO = 0x7ff | 0x2000;
export const STATX_MASK_AT = 0;
export const STATX_MODE_AT = 28;
export const STATX_SIZE_AT = 40;
export const STATX_DIO_OFFSET_ALIGN_AT = 156;
export const STATX_DIOALIGN = 0x2000;
export const STATX_BASIC_AND_BIRTH = 0x7ff | 0x800;
export const STATX_BTIME = 0x800;
export const STATX_INO_AT = 32;
export const STATX_BTIME_SECONDS_AT = 80;
export const STATX_BTIME_NANOSECONDS_AT = 88;
export const STATX_RDEV_MAJOR_AT = 128;
export const STATX_RDEV_MINOR_AT = 132;
export const STATX_DEV_MAJOR_AT = 136;
export const STATX_DEV_MINOR_AT = 140;
export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFBLK = 0o060000;
export const S_IFREG = 0o100000;
export const S_IFSOCK = 0o140000;

// statfs(2): the file system's type comes first in struct statfs (linux/magic.h).
export const STATFS_BYTES = 120;
export const TMPFS_MAGIC = 0x0102_1994;
export const MSDOS_SUPER_MAGIC = 0x4d44;
export const EXFAT_SUPER_MAGIC = 0x2011_bab0;

// ioctls of block devices (linux/fs.h).
export const BLKSSZGET = 0x1268n;
export const BLKPBSZGET = 0x127bn;
export const BLKGETSIZE64 = 0x80081272n;

// fallocate(2) and pwritev2(2).
export const SEEK_END = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;
export const FADV_WILLNEED = 3;
export const FADV_DONTNEED = 4;
export const FALLOC_KEEP_SIZE = 1;
export const FALLOC_PUNCH_HOLE = 2;
export const FALLOC_ZERO_RANGE = 16;
export const RWF_DSYNC = 2;

// Memory.
export const PROT_READ_WRITE = 3;
export const MAP_SHARED = 1;
export const MAP_POPULATE = 0x8000;
export const MAP_PRIVATE_ANONYMOUS = 0x22;
export const MADV_DONTNEED = 4;
/** A page at least; what counts on whole ones elsewhere loses nothing but speed. */
export const PAGE_BYTES = 4096;
export const PAGE_BYTES_MAX = 65536;

// Sockets.
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_CONGESTION = 13;
export const SHUT_RDWR = 2;
export const MSG_DONTWAIT = 0x40;
export const MSG_MORE = 0x8000;
export const MSG_WAITALL = 0x100;
export const MSG_NOSIGNAL = 0x4000;
/** Large enough for sockaddr_in, sockaddr_in6 and sockaddr_un. */
export const SOCKADDR_BYTES_MAX = 112;
/** Bytes of sockaddr_un.sun_path, its closing NUL included. */
export const UNIX_PATH_BYTES_MAX = 108;

// struct msghdr on 64-bit machines, and struct iovec.
export const MSGHDR_BYTES = 56;
export const MSGHDR_IOV_AT = 16;
export const MSGHDR_IOVLEN_AT = 24;
export const IOVEC_BYTES = 16;

// sched_getattr(2), sched_setattr(2): struct sched_attr as it was at first is enough.
export const SCHED_ATTR_BYTES = 56;
export const SCHED_ATTR_POLICY_AT = 4;
export const SCHED_ATTR_RUNTIME_AT = 24;
export const SCHED_OTHER = 0;

export function schedulingCalls(arch: string): { get: number; set: number } {
  return arch === "aarch64" ? { get: 275, set: 274 } : { get: 315, set: 314 };
}

// Time, eventfd.
export const PR_SET_TIMERSLACK = 29;
export const CLOCK_MONOTONIC = 1;
export const EFD_CLOEXEC = 0o2000000;
export const EFD_NONBLOCK = 0o4000;

// epoll(7). struct epoll_event is packed on x86-64 only.
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 16;
export const EPOLLRDHUP = 0x2000;
export const EPOLLET = 0x80000000;
/** No more comes after what is there. */
export const EPOLL_OVER = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
export const EPOLL_READABLE = EPOLLIN | EPOLL_OVER;
export const EPOLL_WRITABLE = EPOLLOUT | EPOLLHUP | EPOLLERR;
export const EPOLL_WATCHED = (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) >>> 0;

export function epollEventLayout(arch: string): { bytes: number; dataAt: number } {
  return arch === "aarch64" ? { bytes: 16, dataAt: 8 } : { bytes: 12, dataAt: 4 };
}

/** Of each handle: room for a msghdr or a sockaddr, then the iovecs of one gathered send. */
export const MESSAGE_HEAD_BYTES = 128;

/** A write met the process's limit of file sizes (RLIMIT_FSIZE). */
export const SIGXFSZ = 25;
export const SIG_IGN = 1n;

// io_uring: the three system calls have one number on every architecture.
export const SYS_IO_URING_SETUP = 425;
export const SYS_IO_URING_ENTER = 426;
export const SYS_IO_URING_REGISTER = 427;

// struct io_uring_params, with io_sqring_offsets at 40 and io_cqring_offsets at 80.
export const URING_PARAMS_BYTES = 120;
export const URING_PARAMS_SQ_OFF_AT = 40;
export const URING_PARAMS_CQ_OFF_AT = 80;
export const URING_SQES_MMAP_OFFSET = 0x1000_0000n;

export const SetupFlag = {
  CQSIZE: 1 << 3,
  CLAMP: 1 << 4,
  SUBMIT_ALL: 1 << 7,
  COOP_TASKRUN: 1 << 8,
  SINGLE_ISSUER: 1 << 12,
  DEFER_TASKRUN: 1 << 13,
  TASKRUN_FLAG: 1 << 9,
} as const;

export const Feature = {
  SINGLE_MMAP: 1 << 0,
  NODROP: 1 << 1,
  EXT_ARG: 1 << 8,
} as const;

export const ENTER_GETEVENTS = 1;
export const ENTER_EXT_ARG = 8;
export const ENTER_REGISTERED_RING = 16;
/** struct io_uring_getevents_arg: sigmask, its size, a minimum wait, and the timespec. */
export const GETEVENTS_ARG_BYTES = 24n;
export const GETEVENTS_ARG_TIMESPEC_WORD = 4;

/** In the flags of the submission ring: results wait for the next io_uring_enter. */
export const SQ_TASKRUN = 4;

export const REGISTER_RING_FDS = 20;
export const UNREGISTER_RING_FDS = 21;
export const REGISTER_PBUF_RING = 22;
/** struct io_uring_rsrc_update: a place, RSRC_UPDATE_ANY for any, and a value. */
export const RSRC_UPDATE_BYTES = 16;
export const RSRC_UPDATE_ANY = 0xffff_ffff;
export const PBUF_REG_BYTES = 40;
/** The tail of a buffer ring lies over the reserved half of its first entry. */
export const PBUF_TAIL_HALFWORD = 7;
export const PBUF_ENTRY_BYTES = 16;
export const PBUF_ENTRY_ID_HALFWORD = 6;

/** Words (32 bits) of a submission queue entry; 64-bit fields take two, low word first. */
export const SQE_WORDS = 16;
export const SQE_OPCODE = 0;
export const SQE_FD = 1;
export const SQE_OFFSET = 2;
export const SQE_ADDRESS = 4;
export const SQE_LENGTH = 6;
export const SQE_FLAGS = 7;
export const SQE_USER = 8;
export const SQE_GROUP = 10;
/** Words of a completion queue entry. */
export const CQE_WORDS = 4;
export const CQE_RESULT = 2;
export const CQE_FLAGS = 3;
export const CQE_F_BUFFER = 1;
export const CQE_BUFFER_SHIFT = 16;
/** IOSQE_BUFFER_SELECT, in the byte after the opcode. */
export const SQE_BUFFER_SELECT = (1 << 5) << 8;
/** IORING_RECVSEND_POLL_FIRST, in the halfword after that. */
export const SQE_POLL_FIRST = 1 << 16;
/** In the flags of a timeout: its time is one of the clock, not a length. */
export const TIMEOUT_ABSOLUTE = 1;

export const Opcode = {
  FSYNC: 3,
  SENDMSG: 9,
  TIMEOUT: 11,
  ACCEPT: 13,
  ASYNC_CANCEL: 14,
  CONNECT: 16,
  FALLOCATE: 17,
  READ: 22,
  WRITE: 23,
  FADVISE: 24,
  SEND: 26,
  RECV: 27,
} as const;

export const FSYNC_DATASYNC = 1;
