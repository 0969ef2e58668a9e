//! For each operation a request that is right, from which one field at a time is made wrong.

use sysring_sys::abi::io_uring::{FILE_INDEX_ALLOC, Sqe, op, recvsend};

use super::world::*;

/// `FUTEX2_SIZE_U32`, `FUTEX2_PRIVATE`, `FUTEX_BITSET_MATCH_ANY`.
const FUTEX: i32 = 2;
const PRIVATE: i32 = 128;
const MATCH_ANY: u64 = 0xffff_ffff;

pub struct Base {
    pub name: &'static str,
    sqe: Sqe,
    /// It may rightly say nothing for a while.
    pub may_wait: bool,
}

impl Base {
    pub fn sqe(&self, _: &World) -> Sqe {
        self.sqe
    }

    /// Values that make the request do harm, or something that has no end.
    pub fn is_excluded(&self, field: &str, value: u64) -> bool {
        match (self.sqe.opcode, field) {
            // Gives memory away that both sides need.
            (op::MADVISE, "len" | "off") => value > 0x1000,
            // A disk full of nothing.
            (op::FALLOCATE, "addr" | "off") => (1 << 32..1 << 60).contains(&value),
            _ => false,
        }
    }
}

macro_rules! bases {
    ($($name:ident $(($note:literal))? $(waits $waits:literal)?: $($field:ident $value:expr),*;)*) => {
        vec![$(Base {
            name: concat!(stringify!($name) $(, " ", $note)?),
            sqe: Sqe { opcode: op::$name, $($field: $value,)* ..Sqe::default() },
            may_wait: false $(|| $waits)?,
        }),*]
    };
}

/// Options of sockets in general, as a command names them: the level, and above it the number.
const SO_REUSEADDR: u64 = 1 | (libc::SO_REUSEADDR as u64) << 32;
const SO_TYPE: u64 = 1 | (libc::SO_TYPE as u64) << 32;

/// All operations that the engine has.
pub fn all() -> Vec<Base> {
    let mut all = bases! {
        NOP: fd -1;
        READV: fd FILE, addr VECTOR, len 2;
        WRITEV: fd FILE, addr VECTOR, len 2;
        FSYNC: fd FILE;
        READ_FIXED: fd FILE, addr BUFFER, len 8;
        WRITE_FIXED: fd FILE, addr BUFFER, len 8;
        POLL_ADD waits true: fd PIPE_READ, op_flags 1;
        POLL_REMOVE: fd -1, addr 99;
        SYNC_FILE_RANGE: fd FILE;
        SENDMSG waits true: fd SOCKET, addr MESSAGE, len 1;
        RECVMSG waits true: fd SOCKET, addr MESSAGE, len 1;
        TIMEOUT waits true: fd -1, addr TIME, len 1;
        TIMEOUT_REMOVE: fd -1, addr 99;
        ACCEPT waits true: fd LISTENER;
        ASYNC_CANCEL: fd -1, addr 99;
        LINK_TIMEOUT waits true: fd -1, addr TIME, len 1;
        CONNECT waits true: fd FRESH, addr ADDRESS, off 2;
        FALLOCATE: fd FILE, addr 4096;
        OPENAT: fd FOLDER, addr NAME;
        CLOSE: fd OTHER_READ;
        FILES_UPDATE: fd -1, addr FILES, len 1, off 1;
        STATX: fd FOLDER, addr NAME, off RESULT, len 0x7ff;
        READ waits true: fd FILE, addr BUFFER, len 8;
        READ ("a pipe") waits true: fd PIPE_READ, addr BUFFER, len 8;
        WRITE waits true: fd FILE, addr BUFFER, len 8;
        WRITE ("a pipe") waits true: fd PIPE_WRITE, addr BUFFER, len 8;
        FADVISE: fd FILE, len 4096, op_flags 4;
        MADVISE: addr BUFFER, len 4096, op_flags 4, fd -1;
        SEND waits true: fd SOCKET, addr BUFFER, len 8;
        SEND ("a vector") waits true: fd SOCKET, addr VECTOR, len 2, ioprio recvsend::SEND_VECTORIZED;
        RECV waits true: fd SOCKET, addr BUFFER, len 8;
        OPENAT2: fd FOLDER, addr NAME, len 24, off HOW;
        EPOLL_CTL: fd EPOLL, len 1, off PIPE_READ as u64, addr EVENTS;
        SPLICE waits true: fd OTHER_WRITE, len 8, addr u64::MAX, off u64::MAX, file_index PIPE_READ as u32;
        TEE waits true: fd OTHER_WRITE, len 8, file_index PIPE_READ as u32;
        SHUTDOWN: fd SOCKET, len 2;
        RENAMEAT: fd FOLDER, addr NAME, off NEW_NAME, len FOLDER as u32;
        UNLINKAT: fd FOLDER, addr NAME;
        MKDIRAT: fd FOLDER, addr NEW_NAME, len 0o755;
        SYMLINKAT: fd FOLDER, addr NAME, off NEW_NAME;
        LINKAT: fd FOLDER, addr NAME, off NEW_NAME, len FOLDER as u32;
        MSG_RING: fd FILE, len 5, off 6;
        FSETXATTR: fd FILE, addr ATTRIBUTE, off BUFFER, len 4;
        SETXATTR: addr ATTRIBUTE, off BUFFER, len 4, addr3 NAME;
        FGETXATTR: fd FILE, addr ATTRIBUTE, off BUFFER, len 64;
        GETXATTR: addr ATTRIBUTE, off BUFFER, len 64, addr3 NAME;
        SOCKET: fd 1, off 1;
        URING_CMD: fd TCP;
        URING_CMD ("for what is unsent"): fd TCP, off 1;
        URING_CMD ("for an option"): fd TCP, off 2, addr SO_TYPE, addr3 RESULT, file_index 4;
        URING_CMD ("to set an option"): fd TCP, off 3, addr SO_REUSEADDR, addr3 BUFFER, file_index 4;
        URING_CMD ("to the null device"): fd NULL, off 7;
        SEND_ZC waits true: fd TCP, addr BUFFER, len 8;
        SEND_ZC ("that reports") waits true: fd TCP, addr BUFFER, len 8, ioprio recvsend::SEND_ZC_REPORT_USAGE;
        SEND_ZC ("a vector") waits true: fd TCP, addr VECTOR, len 2, ioprio recvsend::SEND_VECTORIZED;
        SEND_ZC ("a registered buffer") waits true: fd TCP, addr BUFFER, len 8, ioprio recvsend::FIXED_BUF;
        SENDMSG_ZC waits true: fd TCP, addr MESSAGE, len 1;
        SENDMSG_ZC ("a registered buffer") waits true: fd TCP, addr MESSAGE, len 1, ioprio recvsend::FIXED_BUF;
        WAITID: fd 1, off RESULT, len 1, file_index 4;
        WAITID ("any child, at once"): off RESULT, file_index 5;
        FUTEX_WAIT waits true: fd FUTEX, addr RESULT, addr3 MATCH_ANY;
        FUTEX_WAIT ("of numbers that differ"): fd FUTEX, addr RESULT, addr3 MATCH_ANY, off 5;
        FUTEX_WAIT ("a private one") waits true: fd FUTEX | PRIVATE, addr RESULT, addr3 MATCH_ANY;
        FUTEX_WAKE: fd FUTEX, addr RESULT, off 1, addr3 MATCH_ANY;
        FUTEX_WAKE ("a private one"): fd FUTEX | PRIVATE, addr RESULT, off 1, addr3 MATCH_ANY;
        FUTEX_WAITV waits true: addr FUTEXES, len 2;
        FIXED_FD_INSTALL: fd 0, flags 1;
        FTRUNCATE: fd FILE, off 100;
        BIND: fd FRESH, addr ADDRESS, off 2;
        LISTEN: fd LISTENER, len 5;
        EPOLL_WAIT waits true: fd EPOLL, addr EVENTS, len 1;
        READV_FIXED: fd FILE, addr VECTOR, len 2;
        WRITEV_FIXED: fd FILE, addr VECTOR, len 2;
        PIPE: addr RESULT;
        PIPE ("slots"): addr RESULT, file_index FILE_INDEX_ALLOC;
        PIPE ("a slot and the next"): addr RESULT, file_index 2;
        OPENAT ("a slot"): fd FOLDER, addr NAME, file_index FILE_INDEX_ALLOC;
        CLOSE ("a slot"): file_index 1;
    };
    all.retain(|base| sysring_engine::op::table::row(base.sqe.opcode).is_some());
    all
}
