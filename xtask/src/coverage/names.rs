//! What io_uring has, by name: for what the engine's own tables do not hold.

use sysring_sys::abi::io_uring::{enter, feat, register, setup, sqe_flags};

/// Something the kernel has.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    pub name: &'static str,
    pub since: &'static str,
    /// Why the engine lacks it, where it always will.
    pub note: &'static str,
}

/// A flag or feature bit.
#[derive(Clone, Copy, Debug)]
pub struct Bit {
    pub value: u32,
    pub name: &'static str,
    pub since: &'static str,
    pub note: &'static str,
}

const fn named(name: &'static str, since: &'static str) -> Named {
    Named { name, since, note: "" }
}

const fn never(name: &'static str, since: &'static str, note: &'static str) -> Named {
    Named { name, since, note }
}

const fn bit(value: u32, name: &'static str, since: &'static str) -> Bit {
    Bit { value, name, since, note: "" }
}

const fn noted(value: u32, name: &'static str, since: &'static str, note: &'static str) -> Bit {
    Bit { value, name, since, note }
}

/// By code.
pub const OPERATIONS: [Named; sysring_sys::abi::io_uring::op::COUNT] = [
    named("NOP", "5.1"),
    named("READV", "5.1"),
    named("WRITEV", "5.1"),
    named("FSYNC", "5.1"),
    named("READ_FIXED", "5.1"),
    named("WRITE_FIXED", "5.1"),
    named("POLL_ADD", "5.1"),
    named("POLL_REMOVE", "5.1"),
    named("SYNC_FILE_RANGE", "5.2"),
    named("SENDMSG", "5.3"),
    named("RECVMSG", "5.3"),
    named("TIMEOUT", "5.4"),
    named("TIMEOUT_REMOVE", "5.5"),
    named("ACCEPT", "5.5"),
    named("ASYNC_CANCEL", "5.5"),
    named("LINK_TIMEOUT", "5.5"),
    named("CONNECT", "5.5"),
    named("FALLOCATE", "5.6"),
    named("OPENAT", "5.6"),
    named("CLOSE", "5.6"),
    named("FILES_UPDATE", "5.6"),
    named("STATX", "5.6"),
    named("READ", "5.6"),
    named("WRITE", "5.6"),
    named("FADVISE", "5.6"),
    named("MADVISE", "5.6"),
    named("SEND", "5.6"),
    named("RECV", "5.6"),
    named("OPENAT2", "5.6"),
    named("EPOLL_CTL", "5.6"),
    named("SPLICE", "5.7"),
    named("PROVIDE_BUFFERS", "5.7"),
    named("REMOVE_BUFFERS", "5.7"),
    named("TEE", "5.8"),
    named("SHUTDOWN", "5.11"),
    named("RENAMEAT", "5.11"),
    named("UNLINKAT", "5.11"),
    named("MKDIRAT", "5.15"),
    named("SYMLINKAT", "5.15"),
    named("LINKAT", "5.15"),
    named("MSG_RING", "5.18"),
    named("FSETXATTR", "5.19"),
    named("SETXATTR", "5.19"),
    named("FGETXATTR", "5.19"),
    named("GETXATTR", "5.19"),
    named("SOCKET", "5.19"),
    named("URING_CMD", "5.19"),
    named("SEND_ZC", "6.0"),
    named("SENDMSG_ZC", "6.1"),
    named("READ_MULTISHOT", "6.7"),
    named("WAITID", "6.7"),
    named("FUTEX_WAIT", "6.7"),
    named("FUTEX_WAKE", "6.7"),
    named("FUTEX_WAITV", "6.7"),
    named("FIXED_FD_INSTALL", "6.8"),
    named("FTRUNCATE", "6.9"),
    named("BIND", "6.11"),
    named("LISTEN", "6.11"),
    never("RECV_ZC", "6.15", "needs queues of a network card that only the kernel can bind"),
    named("EPOLL_WAIT", "6.15"),
    named("READV_FIXED", "6.15"),
    named("WRITEV_FIXED", "6.15"),
    named("PIPE", "6.16"),
    named("NOP128", "6.19"),
    named("URING_CMD128", "6.19"),
];

/// By number.
pub const REGISTER: [Named; register::COUNT] = [
    named("BUFFERS", "5.1"),
    named("UNREGISTER_BUFFERS", "5.1"),
    named("FILES", "5.1"),
    named("UNREGISTER_FILES", "5.1"),
    named("EVENTFD", "5.2"),
    named("UNREGISTER_EVENTFD", "5.2"),
    named("FILES_UPDATE", "5.5"),
    named("EVENTFD_ASYNC", "5.6"),
    named("PROBE", "5.6"),
    named("PERSONALITY", "5.6"),
    named("UNREGISTER_PERSONALITY", "5.6"),
    named("RESTRICTIONS", "5.10"),
    named("ENABLE_RINGS", "5.10"),
    named("FILES2", "5.13"),
    named("FILES_UPDATE2", "5.13"),
    named("BUFFERS2", "5.13"),
    named("BUFFERS_UPDATE", "5.13"),
    named("IOWQ_AFF", "5.14"),
    named("UNREGISTER_IOWQ_AFF", "5.14"),
    named("IOWQ_MAX_WORKERS", "5.15"),
    named("RING_FDS", "5.18"),
    named("UNREGISTER_RING_FDS", "5.18"),
    named("PBUF_RING", "5.19"),
    named("UNREGISTER_PBUF_RING", "5.19"),
    named("SYNC_CANCEL", "6.0"),
    named("FILE_ALLOC_RANGE", "6.0"),
    named("PBUF_STATUS", "6.8"),
    named("NAPI", "6.9"),
    named("UNREGISTER_NAPI", "6.9"),
    named("CLOCK", "6.12"),
    named("CLONE_BUFFERS", "6.12"),
    named("SEND_MSG_RING", "6.13"),
    never("ZCRX_IFQ", "6.15", "needs queues of a network card that only the kernel can bind"),
    named("RESIZE_RINGS", "6.13"),
    named("MEM_REGION", "6.13"),
    named("QUERY", "6.18"),
    never("ZCRX_CTRL", "6.19", "as `ZCRX_IFQ`"),
    named("BPF_FILTER", "7.0"),
];

pub const SETUP: [Bit; 21] = [
    noted(
        setup::IOPOLL,
        "IOPOLL",
        "5.1",
        "the device is not polled: its completions come by interrupt, and are told to who enters. A device \
         without queues for polling, where the kernel answers `EOPNOTSUPP`, is served all the same",
    ),
    bit(setup::SQPOLL, "SQPOLL", "5.1"),
    bit(setup::SQ_AFF, "SQ_AFF", "5.1"),
    bit(setup::CQSIZE, "CQSIZE", "5.5"),
    bit(setup::CLAMP, "CLAMP", "5.6"),
    bit(setup::ATTACH_WQ, "ATTACH_WQ", "5.6"),
    bit(setup::R_DISABLED, "R_DISABLED", "5.10"),
    bit(setup::SUBMIT_ALL, "SUBMIT_ALL", "5.18"),
    bit(setup::COOP_TASKRUN, "COOP_TASKRUN", "5.19"),
    bit(setup::TASKRUN_FLAG, "TASKRUN_FLAG", "5.19"),
    bit(setup::SQE128, "SQE128", "5.19"),
    bit(setup::CQE32, "CQE32", "5.19"),
    bit(setup::SINGLE_ISSUER, "SINGLE_ISSUER", "6.0"),
    bit(setup::DEFER_TASKRUN, "DEFER_TASKRUN", "6.1"),
    bit(setup::NO_MMAP, "NO_MMAP", "6.5"),
    bit(setup::REGISTERED_FD_ONLY, "REGISTERED_FD_ONLY", "6.5"),
    bit(setup::NO_SQARRAY, "NO_SQARRAY", "6.6"),
    noted(setup::HYBRID_IOPOLL, "HYBRID_IOPOLL", "6.13", "as `IOPOLL`"),
    bit(setup::CQE_MIXED, "CQE_MIXED", "6.18"),
    bit(setup::SQE_MIXED, "SQE_MIXED", "6.19"),
    bit(setup::SQ_REWIND, "SQ_REWIND", "7.0"),
];

pub const ENTER: [Bit; 8] = [
    bit(enter::GETEVENTS, "GETEVENTS", "5.1"),
    bit(enter::SQ_WAKEUP, "SQ_WAKEUP", "5.1"),
    bit(enter::SQ_WAIT, "SQ_WAIT", "5.10"),
    bit(enter::EXT_ARG, "EXT_ARG", "5.11"),
    bit(enter::REGISTERED_RING, "REGISTERED_RING", "5.18"),
    bit(enter::ABS_TIMER, "ABS_TIMER", "6.12"),
    bit(enter::EXT_ARG_REG, "EXT_ARG_REG", "6.13"),
    noted(
        enter::NO_IOWAIT,
        "NO_IOWAIT",
        "6.15",
        "taken and of no effect: waiting in user space is never counted as iowait",
    ),
];

pub const SQE: [Bit; 7] = [
    bit(sqe_flags::FIXED_FILE as u32, "FIXED_FILE", "5.1"),
    bit(sqe_flags::IO_DRAIN as u32, "IO_DRAIN", "5.2"),
    bit(sqe_flags::IO_LINK as u32, "IO_LINK", "5.3"),
    bit(sqe_flags::IO_HARDLINK as u32, "IO_HARDLINK", "5.5"),
    bit(sqe_flags::ASYNC as u32, "ASYNC", "5.6"),
    bit(sqe_flags::BUFFER_SELECT as u32, "BUFFER_SELECT", "5.7"),
    bit(sqe_flags::CQE_SKIP_SUCCESS as u32, "CQE_SKIP_SUCCESS", "5.17"),
];

pub const FEATURES: [Bit; 18] = [
    bit(feat::SINGLE_MMAP, "SINGLE_MMAP", "5.4"),
    bit(feat::NODROP, "NODROP", "5.5"),
    bit(feat::SUBMIT_STABLE, "SUBMIT_STABLE", "5.5"),
    bit(feat::RW_CUR_POS, "RW_CUR_POS", "5.6"),
    bit(feat::CUR_PERSONALITY, "CUR_PERSONALITY", "5.6"),
    bit(feat::FAST_POLL, "FAST_POLL", "5.7"),
    bit(feat::POLL_32BITS, "POLL_32BITS", "5.9"),
    bit(feat::SQPOLL_NONFIXED, "SQPOLL_NONFIXED", "5.11"),
    bit(feat::EXT_ARG, "EXT_ARG", "5.11"),
    bit(feat::NATIVE_WORKERS, "NATIVE_WORKERS", "5.12"),
    bit(feat::RSRC_TAGS, "RSRC_TAGS", "5.13"),
    bit(feat::CQE_SKIP, "CQE_SKIP", "5.17"),
    bit(feat::LINKED_FILE, "LINKED_FILE", "5.17"),
    bit(feat::REG_REG_RING, "REG_REG_RING", "6.3"),
    bit(feat::RECVSEND_BUNDLE, "RECVSEND_BUNDLE", "6.10"),
    bit(feat::MIN_TIMEOUT, "MIN_TIMEOUT", "6.12"),
    noted(
        feat::RW_ATTR,
        "RW_ATTR",
        "6.14",
        "protection information travels with a request; no system call carries it",
    ),
    noted(feat::NO_IOWAIT, "NO_IOWAIT", "6.15", "only the kernel accounts iowait"),
];
