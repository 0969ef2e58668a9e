//! The operations, a row each. What the road needs to know of one is here, and nowhere else.

use core::ptr;

use sysring_sys::abi::io_uring::op;
use sysring_sys::odds::likely;
use sysring_sys::{Errno, Result};

use super::{
    cancel, epoll, fs, futex, kbuf, msg_ring, net, nop, open, poll, rsrc, rw, send_zc, socket,
    splice, sync, timeout, uring_cmd, waitid, xattr,
};
use crate::filter::{SILENT, Teller};
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::Req;

/// Properties of an operation.
pub mod row_flag {
    /// Works on the file in `fd`.
    pub const NEEDS_FILE: u16 = 1 << 0;
    /// `ioprio` may be set.
    pub const IOPRIO: u16 = 1 << 1;
    /// May take its buffer from a group.
    pub const BUFFER_SELECT: u16 = 1 << 2;
    /// What its system call answers is told, and never breaks a link: so it is in the kernel, which
    /// does not look at the results of these.
    pub const KEEPS_LINK: u16 = 1 << 3;
    /// May be sent to a ring with IOPOLL.
    pub const POLLED: u16 = 1 << 4;
    /// The kernel keeps those under way in a list, and counts differently when it cancels there.
    pub const FUTEX_LIST: u16 = 1 << 5;
    /// The same, in another list.
    pub const WAITID_LIST: u16 = 1 << 6;
    /// In one of the two.
    pub const LISTS: u16 = FUTEX_LIST | WAITID_LIST;
    /// Its SQE has 128 bytes.
    pub const WIDE_SQE: u16 = 1 << 7;
    /// The engine's own: nobody cancels it.
    pub const ITS_OWN: u16 = 1 << 9;
    /// What it may do depends on who asks: in a link, too, it is for a thread with the credentials
    /// of the submitter.
    pub const AS_SUBMITTER: u16 = 1 << 8;
    /// That it was cancelled breaks no link.
    pub const CANCELS_SOFTLY: u16 = 1 << 10;
    /// There is no such operation.
    pub const UNKNOWN: u16 = 1 << 11;
    /// What a worker does for it ends by itself: it waits for a disk at most, or for who holds a
    /// directory, never for what others may not do.
    pub const BOUNDED: u16 = 1 << 12;
}

/// What the road knows of an operation: a line of the processor's cache, and what is rarely asked.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Row {
    /// Validates, and copies what must not be read twice. Under the ring's lock.
    pub prepare: fn(&mut Locked<'_>, Req) -> Result<()>,
    /// An attempt that does not block. Under the ring's lock.
    pub issue: fn(&mut Locked<'_>, Req) -> Issued,
    /// Tells the result, where that is not done by a CQE; whether there was room for it.
    pub tell: Option<fn(&mut Locked<'_>, Req) -> bool>,
    /// Its properties, of [`row_flag`].
    pub flags: u16,
    /// Copies what the submitter may reuse, before the request leaves the submission.
    pub stabilise: Option<fn(Req) -> Result<()>>,
    /// On a worker or a sleeper, where it may block: system calls and the request's own memory, no ring.
    pub work: Option<fn(Req) -> i32>,
    /// What its file is to be ready for (`EPOLL*`), where that call would else wait for others: who may not
    /// be kept by it asks first.
    pub ready: Option<fn(Req) -> u32>,
    /// Back under the lock, with the worker's or the kernel's result in `res`.
    pub finish: Option<fn(&mut Locked<'_>, Req) -> Issued>,
    /// What is to be done when it is cancelled where it waits.
    pub cancelled: Option<fn(Req)>,
    /// What filters are told of a request.
    pub teller: &'static Teller,
    /// As the field calls it.
    pub name: &'static str,
    /// The kernel that had it first.
    pub since: &'static str,
    /// Where it is less than the kernel's, and why.
    pub note: &'static str,
}

impl Row {
    /// Whether it has one of these properties.
    #[inline(always)]
    #[must_use]
    pub fn has(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// `issue`, where it is worth being inlined: then no `ret` stands between the system calls of a batch of
    /// such, and that is dear on some processors (`sysring_sys::arch`).
    #[inline(always)]
    pub fn attempt(&self, ring: &mut Locked<'_>, req: Req) -> Issued {
        type Issue = fn(&mut Locked<'_>, Req) -> Issued;
        if likely(ptr::fn_addr_eq(self.issue, rw::issue as Issue)) {
            rw::issue(ring, req)
        } else if ptr::fn_addr_eq(self.issue, rw::issue_fixed as Issue) {
            rw::issue_fixed(ring, req)
        } else {
            (self.issue)(ring, req)
        }
    }
}

use row_flag::{
    AS_SUBMITTER, BOUNDED, BUFFER_SELECT, CANCELS_SOFTLY, FUTEX_LIST, IOPRIO, KEEPS_LINK,
    NEEDS_FILE, POLLED, WAITID_LIST, WIDE_SQE,
};

const FILE_IO: u16 = NEEDS_FILE | IOPRIO | POLLED;
const SOCKET_IO: u16 = NEEDS_FILE | IOPRIO;
/// Reads may take their buffer from a group, and a plain send.
const SELECTS: u16 = BUFFER_SELECT;

macro_rules! rows {
    ($($code:ident since $since:literal flags $flags:expr, $prepare:path, $issue:path
        $(, stabilise $stabilise:path)? $(, work $work:path)? $(, ready $ready:path)? $(, finish $finish:path)? $(, cancelled $cancelled:path)?
        $(, tells $teller:path)? $(, note $note:literal)?;)*) => {{
        let mut rows = [const { None }; op::COUNT];
        $(
            #[allow(unused_mut, unused_assignments)]
            {
                let mut row = Row {
                    name: stringify!($code),
                    since: $since,
                    flags: $flags,
                    prepare: $prepare,
                    issue: $issue,
                    ..UNKNOWN
                };
                $(row.stabilise = Some($stabilise);)?
                $(row.work = Some($work);)?
                $(row.ready = Some($ready);)?
                $(row.finish = Some($finish);)?
                $(row.cancelled = Some($cancelled);)?
                $(row.teller = &$teller;)?
                $(row.note = $note;)?
                rows[op::$code as usize] = Some(row);
            }
        )*
        rows
    }};
}

/// By operation code; `None` is answered `EINVAL`, as by a kernel that is too old for it.
pub static ROWS: [Option<Row>; op::COUNT] = rows! {
    NOP since "5.1" flags POLLED, nop::prepare, nop::issue;
    READV since "5.1" flags FILE_IO | SELECTS, rw::prepare_vectored, rw::issue_vectored, work rw::work, ready rw::readiness, finish rw::finish;
    WRITEV since "5.1" flags FILE_IO, rw::prepare_vectored, rw::issue_vectored, work rw::work, ready rw::readiness, finish rw::finish;
    FSYNC since "5.1" flags NEEDS_FILE | KEEPS_LINK | BOUNDED, sync::prepare_fsync, sync::issue_on_worker, work sync::work_fsync,
        note "a range syncs the whole file: no system call syncs part of one with its metadata";
    READ_FIXED since "5.1" flags FILE_IO, rw::prepare_fixed, rw::issue_fixed, work rw::work, ready rw::readiness, finish rw::finish;
    WRITE_FIXED since "5.1" flags FILE_IO, rw::prepare_fixed, rw::issue_fixed, work rw::work, ready rw::readiness, finish rw::finish;
    POLL_ADD since "5.1" flags NEEDS_FILE, poll::prepare_add, poll::issue_add;
    POLL_REMOVE since "5.1" flags 0, poll::prepare_remove, poll::issue_remove;
    SYNC_FILE_RANGE since "5.2" flags NEEDS_FILE | KEEPS_LINK | BOUNDED, sync::prepare_sync_file_range, sync::issue_on_worker,
        work sync::work_sync_file_range;
    SENDMSG since "5.3" flags SOCKET_IO, net::prepare_send, net::issue, work net::work, ready net::readiness, finish net::finish;
    RECVMSG since "5.3" flags SOCKET_IO | SELECTS, net::prepare_recv, net::issue, work net::work, ready net::readiness, finish net::finish;
    TIMEOUT since "5.4" flags 0, timeout::prepare, timeout::issue;
    TIMEOUT_REMOVE since "5.5" flags 0, timeout::prepare_remove, timeout::issue_remove;
    ACCEPT since "5.5" flags SOCKET_IO, socket::prepare_accept, socket::issue_accept;
    ASYNC_CANCEL since "5.5" flags 0, cancel::prepare, cancel::issue;
    LINK_TIMEOUT since "5.5" flags 0, timeout::prepare, timeout::issue_linked;
    CONNECT since "5.5" flags NEEDS_FILE | AS_SUBMITTER, socket::prepare_connect, socket::issue_connect, tells socket::CONNECT_TELLER;
    FALLOCATE since "5.6" flags NEEDS_FILE | KEEPS_LINK | BOUNDED, sync::prepare_fallocate, sync::issue_on_worker,
        work sync::work_fallocate;
    OPENAT since "5.6" flags AS_SUBMITTER, open::prepare_openat, open::issue, work open::work, finish open::finish, tells open::TELLER;
    CLOSE since "5.6" flags 0, open::prepare_close, open::issue_close, work open::work_close;
    FILES_UPDATE since "5.6" flags POLLED, rsrc::prepare, rsrc::issue;
    STATX since "5.6" flags KEEPS_LINK | AS_SUBMITTER | BOUNDED, fs::prepare_statx, fs::issue_statx, work fs::work_statx;
    READ since "5.6" flags FILE_IO | SELECTS, rw::prepare, rw::issue, work rw::work, ready rw::readiness, finish rw::finish;
    WRITE since "5.6" flags FILE_IO, rw::prepare, rw::issue, work rw::work, ready rw::readiness, finish rw::finish;
    FADVISE since "5.6" flags NEEDS_FILE | BOUNDED, sync::prepare_fadvise, sync::issue_fadvise, work sync::work_fadvise;
    MADVISE since "5.6" flags KEEPS_LINK | BOUNDED, sync::prepare_madvise, sync::issue_on_worker, work sync::work_madvise;
    SEND since "5.6" flags SOCKET_IO | SELECTS, net::prepare_send, net::issue, work net::work, ready net::readiness, finish net::finish;
    RECV since "5.6" flags SOCKET_IO | SELECTS, net::prepare_recv, net::issue, work net::work, ready net::readiness, finish net::finish;
    OPENAT2 since "5.6" flags AS_SUBMITTER, open::prepare_openat2, open::issue, work open::work, finish open::finish, tells open::TELLER;
    EPOLL_CTL since "5.6" flags 0, epoll::prepare, epoll::issue;
    SPLICE since "5.7" flags NEEDS_FILE, splice::prepare, splice::issue, work splice::work, finish splice::finish;
    PROVIDE_BUFFERS since "5.7" flags POLLED, kbuf::prepare_provide, kbuf::issue_provide;
    REMOVE_BUFFERS since "5.7" flags POLLED, kbuf::prepare_remove, kbuf::issue_remove;
    TEE since "5.8" flags NEEDS_FILE, splice::prepare, splice::issue, work splice::work, finish splice::finish;
    SHUTDOWN since "5.11" flags NEEDS_FILE | KEEPS_LINK, socket::prepare_shutdown, socket::issue_shutdown;
    RENAMEAT since "5.11" flags KEEPS_LINK | AS_SUBMITTER | BOUNDED, fs::prepare_renameat, fs::issue_on_worker, work fs::work_renameat;
    UNLINKAT since "5.11" flags KEEPS_LINK | AS_SUBMITTER | BOUNDED, fs::prepare_unlinkat, fs::issue_on_worker, work fs::work_unlinkat;
    MKDIRAT since "5.15" flags KEEPS_LINK | AS_SUBMITTER | BOUNDED, fs::prepare_mkdirat, fs::issue_on_worker, work fs::work_mkdirat;
    SYMLINKAT since "5.15" flags KEEPS_LINK | AS_SUBMITTER | BOUNDED, fs::prepare_symlinkat, fs::issue_on_worker, work fs::work_symlinkat;
    LINKAT since "5.15" flags KEEPS_LINK | AS_SUBMITTER | BOUNDED, fs::prepare_linkat, fs::issue_on_worker, work fs::work_linkat;
    MSG_RING since "5.18" flags NEEDS_FILE | POLLED, msg_ring::prepare, msg_ring::issue,
        note "to rings of the same process";
    FSETXATTR since "5.19" flags NEEDS_FILE | KEEPS_LINK | AS_SUBMITTER, xattr::prepare, xattr::issue;
    SETXATTR since "5.19" flags KEEPS_LINK | AS_SUBMITTER, xattr::prepare, xattr::issue;
    FGETXATTR since "5.19" flags NEEDS_FILE | KEEPS_LINK | AS_SUBMITTER, xattr::prepare, xattr::issue;
    GETXATTR since "5.19" flags KEEPS_LINK | AS_SUBMITTER, xattr::prepare, xattr::issue;
    SOCKET since "5.19" flags KEEPS_LINK | AS_SUBMITTER, socket::prepare_socket, socket::issue_socket, tells socket::SOCKET_TELLER;
    URING_CMD since "5.19" flags NEEDS_FILE | SELECTS | POLLED, uring_cmd::prepare, uring_cmd::issue,
        work uring_cmd::work,
        note "to sockets, block devices (DISCARD) and the null device. Not made: NVMe passthrough and btrfs' encoded I/O, which `ioctl(2)` has, too. ublk, FUSE and others take commands from the kernel's io_uring only. TX_TIMESTAMP takes all that waits in a socket's error queue";
    SEND_ZC since "6.0" flags SOCKET_IO, send_zc::prepare, send_zc::issue, work net::work, ready net::readiness, finish net::finish,
        note "the data is copied, as the kernel does where it must: the notification says so and follows at once";
    SENDMSG_ZC since "6.1" flags SOCKET_IO, send_zc::prepare, send_zc::issue, work net::work, ready net::readiness, finish net::finish,
        note "as `SEND_ZC`";
    READ_MULTISHOT since "6.7" flags NEEDS_FILE | SELECTS, rw::prepare_multishot, rw::issue_multishot;
    WAITID since "6.7" flags WAITID_LIST, waitid::prepare, waitid::issue, work waitid::work, finish waitid::finish,
        cancelled waitid::cancelled, note "with `__WNOTHREAD` for one child's end only";
    FUTEX_WAIT since "6.7" flags FUTEX_LIST | CANCELS_SOFTLY, futex::prepare, futex::issue_wait, work futex::work, finish futex::finish;
    FUTEX_WAKE since "6.7" flags 0, futex::prepare, futex::issue_wake;
    FUTEX_WAITV since "6.7" flags FUTEX_LIST | CANCELS_SOFTLY, futex::prepare_vector, futex::issue_wait_vector, work futex::work, finish futex::finish,
        note "of several that are woken at once the last is told; for more than one it needs futex_waitv(2), Linux 5.16";
    FIXED_FD_INSTALL since "6.8" flags NEEDS_FILE, open::prepare_install, open::issue_install;
    FTRUNCATE since "6.9" flags NEEDS_FILE | KEEPS_LINK | BOUNDED, sync::prepare_ftruncate, sync::issue_on_worker,
        work sync::work_ftruncate;
    BIND since "6.11" flags NEEDS_FILE | AS_SUBMITTER, socket::prepare_bind, socket::issue_bind;
    LISTEN since "6.11" flags NEEDS_FILE, socket::prepare_listen, socket::issue_listen;
    EPOLL_WAIT since "6.15" flags NEEDS_FILE, epoll::prepare_wait, epoll::issue_wait;
    READV_FIXED since "6.15" flags FILE_IO, rw::prepare_vectored_fixed, rw::issue_vectored_fixed, work rw::work, ready rw::readiness, finish rw::finish;
    WRITEV_FIXED since "6.15" flags FILE_IO, rw::prepare_vectored_fixed, rw::issue_vectored_fixed, work rw::work, ready rw::readiness, finish rw::finish;
    NOP128 since "6.19" flags POLLED | WIDE_SQE, nop::prepare, nop::issue;
    URING_CMD128 since "6.19" flags NEEDS_FILE | SELECTS | POLLED | WIDE_SQE, uring_cmd::prepare, uring_cmd::issue,
        work uring_cmd::work, note "as `URING_CMD`, of whose files none reads the second half";
    PIPE since "6.16" flags 0, open::prepare_pipe, open::issue_pipe;
};

/// The row of codes that are no operation's. Others have what it has where they say nothing.
pub const UNKNOWN: Row = Row {
    name: "",
    since: "",
    flags: row_flag::UNKNOWN,
    prepare: |_, _| Err(Errno::EINVAL),
    issue: |_, _| Issued::Done(Errno::EINVAL.to_res()),
    stabilise: None,
    work: None,
    ready: None,
    finish: None,
    cancelled: None,
    tell: None,
    teller: &SILENT,
    note: "",
};

/// The row of a code an application gave.
#[inline(always)]
#[must_use]
pub fn row(code: u8) -> Option<&'static Row> {
    ROWS.get(usize::from(code))?.as_ref()
}

/// The same; where there is none, one that says so.
#[inline(always)]
#[must_use]
pub fn of(code: u8) -> &'static Row {
    // A load, and no more: this is asked for each entry.
    static BY_CODE: [&Row; 256] = {
        let mut rows = [&UNKNOWN; 256];
        let mut code = 0;
        while code < ROWS.len() {
            if let Some(row) = &ROWS[code] {
                rows[code] = row;
            }
            code += 1;
        }
        rows
    };
    BY_CODE[usize::from(code)]
}
