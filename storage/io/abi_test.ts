import assert from "node:assert/strict";
import { testWith } from "../../test/needs.ts";
import * as abi from "./abi.ts";
import { Errno } from "./errno.ts";

/** What abi.ts says, what it must be on this machine, and how C says it. */
type Row = readonly [ours: number | bigint, known: number | bigint, c: string];

const { Opcode, SetupFlag, Feature } = abi;
const isArm = Deno.build.arch === "aarch64";
const epollEvent = abi.epollEventLayout(Deno.build.arch);

/** Sizes of structures, and where their fields are. */
const LAYOUTS: readonly Row[] = [
  [abi.STATX_BYTES, 256, "sizeof(struct statx)"],
  [abi.STATX_MASK_AT, 0, "offsetof(struct statx, stx_mask)"],
  [abi.STATX_MODE_AT, 28, "offsetof(struct statx, stx_mode)"],
  [abi.STATFS_BYTES, 120, "sizeof(struct statfs)"],
  [abi.STATX_SIZE_AT, 40, "offsetof(struct statx, stx_size)"],
  [abi.STATX_INO_AT, 32, "offsetof(struct statx, stx_ino)"],
  [abi.STATX_BTIME_SECONDS_AT, 80, "offsetof(struct statx, stx_btime.tv_sec)"],
  [abi.STATX_BTIME_NANOSECONDS_AT, 88, "offsetof(struct statx, stx_btime.tv_nsec)"],
  [abi.STATX_RDEV_MAJOR_AT, 128, "offsetof(struct statx, stx_rdev_major)"],
  [abi.STATX_RDEV_MINOR_AT, 132, "offsetof(struct statx, stx_rdev_minor)"],
  [abi.STATX_DEV_MAJOR_AT, 136, "offsetof(struct statx, stx_dev_major)"],
  [abi.STATX_DEV_MINOR_AT, 140, "offsetof(struct statx, stx_dev_minor)"],
  [abi.STATX_DIO_OFFSET_ALIGN_AT, 156, "offsetof(struct statx, stx_dio_offset_align)"],
  [abi.MSGHDR_BYTES, 56, "sizeof(struct msghdr)"],
  [abi.MSGHDR_IOV_AT, 16, "offsetof(struct msghdr, msg_iov)"],
  [abi.MSGHDR_IOVLEN_AT, 24, "offsetof(struct msghdr, msg_iovlen)"],
  [abi.IOVEC_BYTES, 16, "sizeof(struct iovec)"],
  [0, 0, "offsetof(struct iovec, iov_base)"],
  [8, 8, "offsetof(struct iovec, iov_len)"],
  [abi.UNIX_PATH_BYTES_MAX, 108, "sizeof(((struct sockaddr_un *)0)->sun_path)"],
  [2, 2, "offsetof(struct sockaddr_un, sun_path)"],
  [4, 4, "offsetof(struct sockaddr_in, sin_addr)"],
  [8, 8, "offsetof(struct sockaddr_in6, sin6_addr)"],
  [2, 2, "offsetof(struct sockaddr_in, sin_port)"],
  [2, 2, "offsetof(struct sockaddr_in6, sin6_port)"],
  [16, 16, "sizeof(struct sockaddr_in)"],
  [28, 28, "sizeof(struct sockaddr_in6)"],
  [16, 16, "sizeof(struct timespec)"],
  [8, 8, "offsetof(struct timespec, tv_nsec)"],
  [8, 8, "sizeof(size_t)"],
  [8, 8, "sizeof(off_t)"],
  [epollEvent.bytes, isArm ? 16 : 12, "sizeof(struct epoll_event)"],
  [epollEvent.dataAt, isArm ? 8 : 4, "offsetof(struct epoll_event, data)"],
  [abi.URING_PARAMS_BYTES, 120, "sizeof(struct io_uring_params)"],
  [20, 20, "offsetof(struct io_uring_params, features)"],
  [abi.URING_PARAMS_SQ_OFF_AT, 40, "offsetof(struct io_uring_params, sq_off)"],
  [abi.URING_PARAMS_CQ_OFF_AT, 80, "offsetof(struct io_uring_params, cq_off)"],
  [24, 24, "offsetof(struct io_sqring_offsets, array)"],
  [20, 20, "offsetof(struct io_cqring_offsets, cqes)"],
  [abi.SQE_WORDS * 4, 64, "sizeof(struct io_uring_sqe)"],
  [abi.SQE_OPCODE * 4, 0, "offsetof(struct io_uring_sqe, opcode)"],
  [abi.SQE_FD * 4, 4, "offsetof(struct io_uring_sqe, fd)"],
  [abi.SQE_OFFSET * 4, 8, "offsetof(struct io_uring_sqe, off)"],
  [abi.SQE_ADDRESS * 4, 16, "offsetof(struct io_uring_sqe, addr)"],
  [abi.SQE_LENGTH * 4, 24, "offsetof(struct io_uring_sqe, len)"],
  [abi.SQE_FLAGS * 4, 28, "offsetof(struct io_uring_sqe, rw_flags)"],
  [abi.SQE_USER * 4, 32, "offsetof(struct io_uring_sqe, user_data)"],
  [abi.SQE_GROUP * 4, 40, "offsetof(struct io_uring_sqe, buf_group)"],
  [abi.CQE_WORDS * 4, 16, "sizeof(struct io_uring_cqe)"],
  [abi.CQE_RESULT * 4, 8, "offsetof(struct io_uring_cqe, res)"],
  [abi.CQE_FLAGS * 4, 12, "offsetof(struct io_uring_cqe, flags)"],
  [abi.GETEVENTS_ARG_BYTES, 24n, "sizeof(struct io_uring_getevents_arg)"],
  [abi.GETEVENTS_ARG_TIMESPEC_WORD * 4, 16, "offsetof(struct io_uring_getevents_arg, ts)"],
  [abi.RSRC_UPDATE_BYTES, 16, "sizeof(struct io_uring_rsrc_update)"],
  [8, 8, "offsetof(struct io_uring_rsrc_update, data)"],
  [abi.PBUF_REG_BYTES, 40, "sizeof(struct io_uring_buf_reg)"],
  [8, 8, "offsetof(struct io_uring_buf_reg, ring_entries)"],
  [abi.PBUF_ENTRY_BYTES, 16, "sizeof(struct io_uring_buf)"],
  [abi.PBUF_ENTRY_ID_HALFWORD * 2, 12, "offsetof(struct io_uring_buf, bid)"],
  [abi.PBUF_TAIL_HALFWORD * 2, 14, "offsetof(struct io_uring_buf_ring, tail)"],
];

/** Flags and numbers of calls. */
const NUMBERS: readonly Row[] = [
  [abi.O_RDONLY, 0, "O_RDONLY"],
  [abi.O_RDWR, 2, "O_RDWR"],
  [abi.O_EXCL, 0x80, "O_EXCL"],
  [abi.O_NONBLOCK, 0x800, "O_NONBLOCK"],
  [abi.O_CLOEXEC, 0x80000, "O_CLOEXEC"],
  [abi.directFlag(Deno.build.arch), isArm ? 0x10000 : 0x4000, "O_DIRECT"],
  [abi.LOCK_EX_NONBLOCKING, 6, "LOCK_EX | LOCK_NB"],
  [abi.LOCK_UN, 8, "LOCK_UN"],
  [abi.AT_FDCWD, -100, "AT_FDCWD"],
  [abi.AT_EMPTY_PATH, 0x1000, "AT_EMPTY_PATH"],
  [abi.STATX_BASIC_AND_DIO, 0x27ff, "STATX_BASIC_STATS | STATX_DIOALIGN"],
  [abi.STATX_DIOALIGN, 0x2000, "STATX_DIOALIGN"],
  [abi.STATX_BASIC_AND_BIRTH, 0xfff, "STATX_BASIC_STATS | STATX_BTIME"],
  [abi.STATX_BTIME, 0x800, "STATX_BTIME"],
  [abi.S_IFMT, 0xf000, "S_IFMT"],
  [abi.S_IFDIR, 0x4000, "S_IFDIR"],
  [abi.S_IFBLK, 0x6000, "S_IFBLK"],
  [abi.S_IFREG, 0x8000, "S_IFREG"],
  [abi.S_IFSOCK, 0xc000, "S_IFSOCK"],
  [abi.TMPFS_MAGIC, 0x01021994, "TMPFS_MAGIC"],
  [abi.BLKSSZGET, 0x1268n, "BLKSSZGET"],
  [abi.BLKPBSZGET, 0x127bn, "BLKPBSZGET"],
  [abi.BLKGETSIZE64, 0x80081272n, "BLKGETSIZE64"],
  [abi.FALLOC_KEEP_SIZE, 1, "FALLOC_FL_KEEP_SIZE"],
  [abi.FALLOC_PUNCH_HOLE, 2, "FALLOC_FL_PUNCH_HOLE"],
  [abi.FALLOC_ZERO_RANGE, 16, "FALLOC_FL_ZERO_RANGE"],
  [abi.RWF_DSYNC, 2, "RWF_DSYNC"],
  [abi.PROT_READ_WRITE, 3, "PROT_READ | PROT_WRITE"],
  [abi.MAP_SHARED, 1, "MAP_SHARED"],
  [abi.MAP_POPULATE, 0x8000, "MAP_POPULATE"],
  [abi.MAP_PRIVATE_ANONYMOUS, 0x22, "MAP_PRIVATE | MAP_ANONYMOUS"],
  [abi.MADV_DONTNEED, 4, "MADV_DONTNEED"],
  [abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC, 0x80800, "SOCK_NONBLOCK | SOCK_CLOEXEC"],
  [abi.SO_REUSEADDR, 2, "SO_REUSEADDR"],
  [abi.SO_ERROR, 4, "SO_ERROR"],
  [abi.SO_KEEPALIVE, 9, "SO_KEEPALIVE"],
  [abi.SO_LINGER, 13, "SO_LINGER"],
  [abi.TCP_NODELAY, 1, "TCP_NODELAY"],
  [abi.TCP_KEEPIDLE, 4, "TCP_KEEPIDLE"],
  [abi.TCP_KEEPINTVL, 5, "TCP_KEEPINTVL"],
  [abi.TCP_KEEPCNT, 6, "TCP_KEEPCNT"],
  [abi.TCP_CONGESTION, 13, "TCP_CONGESTION"],
  [abi.MSG_DONTWAIT, 0x40, "MSG_DONTWAIT"],
  [abi.MSG_WAITALL, 0x100, "MSG_WAITALL"],
  [abi.MSG_NOSIGNAL, 0x4000, "MSG_NOSIGNAL"],
  [abi.SIGXFSZ, 25, "SIGXFSZ"],
  [abi.SIG_IGN, 1n, "(long)SIG_IGN"],
  [abi.CLOCK_MONOTONIC, 1, "CLOCK_MONOTONIC"],
  [abi.schedulingCalls(Deno.build.arch).get, isArm ? 275 : 315, "SYS_sched_getattr"],
  [abi.schedulingCalls(Deno.build.arch).set, isArm ? 274 : 314, "SYS_sched_setattr"],
  [abi.SCHED_OTHER, 0, "SCHED_OTHER"],
  [abi.PR_SET_TIMERSLACK, 29, "PR_SET_TIMERSLACK"],
  [abi.EFD_CLOEXEC | abi.EFD_NONBLOCK, 0x80800, "EFD_CLOEXEC | EFD_NONBLOCK"],
  [abi.EPOLL_CTL_ADD, 1, "EPOLL_CTL_ADD"],
  [abi.EPOLL_CTL_DEL, 2, "EPOLL_CTL_DEL"],
  [abi.EPOLL_READABLE, 0x2019, "EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR"],
  [abi.EPOLL_WRITABLE, 0x1c, "EPOLLOUT | EPOLLHUP | EPOLLERR"],
  [abi.EPOLLET, 0x80000000, "(unsigned)EPOLLET"],
  [abi.SYS_IO_URING_SETUP, 425, "SYS_io_uring_setup"],
  [abi.SYS_IO_URING_ENTER, 426, "SYS_io_uring_enter"],
  [abi.SYS_IO_URING_REGISTER, 427, "SYS_io_uring_register"],
  [abi.URING_SQES_MMAP_OFFSET, 0x10000000n, "IORING_OFF_SQES"],
  [SetupFlag.CQSIZE, 8, "IORING_SETUP_CQSIZE"],
  [SetupFlag.CLAMP, 16, "IORING_SETUP_CLAMP"],
  [SetupFlag.SUBMIT_ALL, 0x80, "IORING_SETUP_SUBMIT_ALL"],
  [SetupFlag.COOP_TASKRUN, 0x100, "IORING_SETUP_COOP_TASKRUN"],
  [SetupFlag.SINGLE_ISSUER, 0x1000, "IORING_SETUP_SINGLE_ISSUER"],
  [SetupFlag.DEFER_TASKRUN, 0x2000, "IORING_SETUP_DEFER_TASKRUN"],
  [Feature.SINGLE_MMAP, 1, "IORING_FEAT_SINGLE_MMAP"],
  [Feature.NODROP, 2, "IORING_FEAT_NODROP"],
  [Feature.EXT_ARG, 0x100, "IORING_FEAT_EXT_ARG"],
  [abi.ENTER_GETEVENTS, 1, "IORING_ENTER_GETEVENTS"],
  [abi.ENTER_EXT_ARG, 8, "IORING_ENTER_EXT_ARG"],
  [abi.ENTER_REGISTERED_RING, 16, "IORING_ENTER_REGISTERED_RING"],
  [abi.REGISTER_RING_FDS, 20, "IORING_REGISTER_RING_FDS"],
  [abi.UNREGISTER_RING_FDS, 21, "IORING_UNREGISTER_RING_FDS"],
  [abi.REGISTER_PBUF_RING, 22, "IORING_REGISTER_PBUF_RING"],
  [abi.CQE_F_BUFFER, 1, "IORING_CQE_F_BUFFER"],
  [abi.CQE_BUFFER_SHIFT, 16, "IORING_CQE_BUFFER_SHIFT"],
  [abi.SQE_BUFFER_SELECT >> 8, 32, "IOSQE_BUFFER_SELECT"],
  [abi.FSYNC_DATASYNC, 1, "IORING_FSYNC_DATASYNC"],
  [Opcode.FSYNC, 3, "IORING_OP_FSYNC"],
  [Opcode.SENDMSG, 9, "IORING_OP_SENDMSG"],
  [Opcode.ACCEPT, 13, "IORING_OP_ACCEPT"],
  [Opcode.ASYNC_CANCEL, 14, "IORING_OP_ASYNC_CANCEL"],
  [Opcode.CONNECT, 16, "IORING_OP_CONNECT"],
  [Opcode.FALLOCATE, 17, "IORING_OP_FALLOCATE"],
  [Opcode.READ, 22, "IORING_OP_READ"],
  [Opcode.WRITE, 23, "IORING_OP_WRITE"],
  [Opcode.SEND, 26, "IORING_OP_SEND"],
  [Opcode.RECV, 27, "IORING_OP_RECV"],
];

const HEADERS = [
  "stddef.h",
  "stdio.h",
  "signal.h",
  "sched.h",
  "time.h",
  "fcntl.h",
  "errno.h",
  "sys/types.h",
  "sys/stat.h",
  "sys/file.h",
  "sys/mman.h",
  "sys/vfs.h",
  "sys/socket.h",
  "sys/un.h",
  "sys/uio.h",
  "sys/epoll.h",
  "sys/eventfd.h",
  "sys/prctl.h",
  "sys/syscall.h",
  "netinet/in.h",
  "netinet/tcp.h",
  "linux/falloc.h",
  "linux/fs.h",
  "linux/io_uring.h",
  "linux/magic.h",
];

Deno.test("abi.ts has the kernel's numbers of this machine", () => {
  for (const [ours, known, c] of [...LAYOUTS, ...NUMBERS]) assert.equal(ours, known, c);
  assert.ok(abi.SOCKADDR_BYTES_MAX >= 2 + abi.UNIX_PATH_BYTES_MAX);
  assert.ok(abi.MESSAGE_HEAD_BYTES >= Math.max(abi.MSGHDR_BYTES, abi.SOCKADDR_BYTES_MAX));
});

testWith({
  name: "abi.ts and errno.ts agree with the C headers",
  needs: { tools: ["gcc"] },
  fn() {
    const errnos = Object.entries(Errno).map(([name, value]): Row => [value, value, name]);
    const rows = [...LAYOUTS, ...NUMBERS, ...errnos];
    const values = valuesOfC(rows.map(([, , c]) => c));
    rows.forEach(([ours, , c], i) => assert.equal(BigInt(ours), values[i], c));
  },
});

/** What a C program prints for each expression. */
function valuesOfC(expressions: readonly string[]): bigint[] {
  const folder = Deno.makeTempDirSync({ prefix: "dvsan-abi-" });
  try {
    const source = [
      "#define _GNU_SOURCE",
      ...HEADERS.map((header) => `#include <${header}>`),
      "int main(void) {",
      ...expressions.map((expression) => `  printf("%lld\\n", (long long)(${expression}));`),
      "  return 0;",
      "}",
    ].join("\n");
    Deno.writeTextFileSync(`${folder}/abi.c`, source);
    run("gcc", ["-o", `${folder}/abi`, `${folder}/abi.c`]);
    return run(`${folder}/abi`, []).trim().split("\n").map(BigInt);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function run(program: string, args: string[]): string {
  const output = new Deno.Command(program, { args, stdin: "null" }).outputSync();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.ok(output.success, text(output.stderr));
  return text(output.stdout);
}
