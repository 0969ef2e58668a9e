//! What a request is like, read off its SQE: whether it waits, and who runs it.

use sysring_engine::op::table::{ROWS, row_flag};
use sysring_sys::abi::io_uring::{Sqe, op, recvsend, socket_op, sqe_flags};

use super::Generator;
use crate::diff::claims::source;
use crate::diff::layout::*;
use crate::diff::program::{Entry, Waits};

impl Generator {
    /// Whether a well-formed request waits until it is cancelled.
    pub(super) fn surely_waits(&self, entry: &Entry) -> bool {
        match entry.sqe.opcode {
            op::TIMEOUT => entry.waits == Waits::Ever,
            op::READ | op::RECV | op::POLL_ADD | op::ACCEPT => {
                matches!(entry.waits, Waits::For(fd, events)
                    if QUIET.contains(&fd) && events & libc::POLLOUT == 0)
            }
            _ => false,
        }
    }

    /// What a request may wait for, read off the SQE itself.
    pub(super) fn waits(&self, entry: &Entry) -> Waits {
        let sqe = &entry.sqe;
        let fd = resolve(sqe);
        let stream = !matches!(kind(fd), Kind::File(_) | Kind::Other | Kind::Bad);
        match sqe.opcode {
            op::READ
            | op::READV
            | op::READ_FIXED
            | op::READV_FIXED
            | op::READ_MULTISHOT
            | op::RECV
            | op::RECVMSG
            | op::ACCEPT
                if stream =>
            {
                Waits::For(fd, libc::POLLIN)
            }
            op::WRITE
            | op::WRITEV
            | op::WRITE_FIXED
            | op::WRITEV_FIXED
            | op::SEND
            | op::SENDMSG
            | op::SEND_ZC
            | op::SENDMSG_ZC
                if stream =>
            {
                Waits::For(fd, libc::POLLOUT)
            }
            op::POLL_ADD => Waits::For(fd, sqe.op_flags as i16),
            op::SPLICE | op::TEE => {
                let from = source(sqe);
                let waits = sqe.op_flags & libc::SPLICE_F_NONBLOCK == 0;
                let blocks = |fd| !NON_BLOCKING.contains(&fd);
                let pipe = matches!(kind(resolve(&from)), Kind::Reader(_));
                // A tee is between pipes.
                let into_pipe = matches!(kind(resolve(sqe)), Kind::Writer(_));
                let takes = sqe.opcode == op::SPLICE || pipe && into_pipe;
                let own = |fd, at| at == u64::MAX || matches!(kind(fd), Kind::File(_));
                let aimed = own(resolve(&from), sqe.addr) && own(resolve(sqe), sqe.off);
                let goes = sqe.len > 0 && kind(resolve(sqe)) != Kind::Bad && !one_pipe(sqe);
                if !(takes
                    && waits
                    && (aimed || sqe.opcode == op::TEE)
                    && goes
                    && blocks(resolve(&from))
                    && blocks(resolve(sqe)))
                {
                    return Waits::No;
                }
                match kind(resolve(&from)) {
                    Kind::File(_) | Kind::Other | Kind::Bad => Waits::No,
                    _ => Waits::For(resolve(&from), libc::POLLIN),
                }
            }
            op::EPOLL_WAIT if sqe.fd == EPOLL => Waits::For(EPOLL, libc::POLLIN),
            // On rings with wide CQEs, which it needs.
            op::URING_CMD if sqe.off == u64::from(socket_op::TX_TIMESTAMP) => Waits::Ever,
            op::TIMEOUT | op::FUTEX_WAIT | op::FUTEX_WAITV | op::WAITID => entry.waits,
            _ => Waits::No,
        }
    }
}

/// Whether it is polled before it is sent or received.
pub(super) fn polls_first(sqe: &Sqe) -> bool {
    let transfers = matches!(
        sqe.opcode,
        op::SEND | op::RECV | op::SENDMSG | op::RECVMSG | op::SEND_ZC | op::SENDMSG_ZC
    );
    transfers && sqe.ioprio & recvsend::POLL_FIRST != 0
}

/// Takes the further shots of a request that cannot be polled for them: one that is submitted while another
/// drains may be a worker's in Linux 6.18, which refuses it otherwise then.
pub(super) fn shoot_once(sqe: &mut Sqe) {
    let is_stream = !matches!(kind(resolve(sqe)), Kind::File(_) | Kind::Other);
    match sqe.opcode {
        _ if is_stream => {}
        op::RECV | op::RECVMSG => sqe.ioprio &= !recvsend::RECV_MULTISHOT,
        op::ACCEPT => sqe.ioprio = 0,
        _ => {}
    }
}

/// What is linked behind a request that a worker has run is run by that worker, where a
/// non-blocking file and a poll to begin with end in `EAGAIN`, where a socket that has failed
/// says so, and where what waits may be missed by who cancels everything. Which requests the kernel gives to workers is its own affair.
pub(super) fn shows_its_thread(sqe: &Sqe) -> bool {
    let polls = polls_first(sqe) || sqe.opcode == op::ACCEPT && sqe.ioprio != 0;
    // It may take its buffer in another way.
    let selects = sqe.flags & sqe_flags::BUFFER_SELECT != 0;
    // A worker does not wait for it.
    let listens = sqe.opcode == op::EPOLL_WAIT;
    NON_BLOCKING.contains(&sqe.fd) || polls || selects || listens
}

/// Whether a receive has no room: a worker that waits in one comes back with nothing as soon as it is
/// woken, though it be to be cancelled.
pub(super) fn receives_nothing(entry: &Entry) -> bool {
    let sqe = &entry.sqe;
    match sqe.opcode {
        op::RECV => sqe.len == 0,
        op::RECVMSG => {
            let vector = entry.memory.iter().find(|(at, _)| *at == sqe.addr.wrapping_add(0x100));
            vector.is_none_or(|(_, list)| {
                list.chunks(16).all(|part| part.iter().skip(8).all(|byte| *byte == 0))
            })
        }
        _ => false,
    }
}

/// Whether a request ends others. Two of one chain could mean the same, which the second finds on
/// its way out, or not any more.
pub(super) fn cancels(sqe: &Sqe) -> bool {
    matches!(sqe.opcode, op::ASYNC_CANCEL | op::POLL_REMOVE | op::TIMEOUT_REMOVE)
}

/// Whether a request has to do with the list of timeouts.
pub(super) fn is_listed(sqe: &Sqe) -> bool {
    sqe.opcode == op::TIMEOUT || cancels(sqe)
}

/// Whether a request wakes words: of two of one chain the same is true as of two of a batch.
pub(super) fn wakes(sqe: &Sqe) -> bool {
    sqe.opcode == op::FUTEX_WAKE
}

/// A NOP's completion is wide.
pub(super) const WIDE: u32 = 1 << 5;

/// Whether a request may be one that posts nothing. Linux 6.18 takes a timeout that posts nothing for
/// one that did, and those that count completions then for reached; and the second half of a wide
/// completion that is not posted comes with that of a later request.
pub(super) fn may_skip(sqe: &Sqe) -> bool {
    sqe.opcode != op::TIMEOUT && (sqe.opcode != op::NOP || sqe.op_flags & WIDE == 0)
}

/// Whether a request that stands alone is over when its submission is.
pub(super) fn runs_at_once(sqe: &Sqe) -> bool {
    sqe.opcode == op::NOP && sqe.flags & sqe_flags::ASYNC == 0 && sqe.personality == 0
}

/// Whether an operation works on the file in `fd`.
pub(super) fn needs_file(opcode: u8) -> bool {
    let row = ROWS.get(opcode as usize).and_then(Option::as_ref);
    row.is_some_and(|row| row.has(row_flag::NEEDS_FILE))
}

/// Whether Linux 6.18 makes a vector of several buffers for a transfer.
pub(super) fn uses_vector(sqe: &Sqe) -> bool {
    let vectored = recvsend::SEND_VECTORIZED | recvsend::BUNDLE;
    match sqe.opcode {
        op::SENDMSG | op::SENDMSG_ZC | op::RECVMSG => true,
        op::SEND | op::SEND_ZC | op::RECV => sqe.ioprio & vectored != 0,
        _ => false,
    }
}

/// Whether an operation writes to its file.
pub(super) fn writes(opcode: u8) -> bool {
    matches!(opcode, op::WRITE | op::WRITEV | op::WRITE_FIXED | op::WRITEV_FIXED)
}

/// Whether the kernel always gives a request to a worker.
pub(super) fn punted(sqe: &Sqe) -> bool {
    let pollable = matches!(
        sqe.opcode,
        op::NOP | op::READ | op::READV | op::RECV | op::RECVMSG | op::ACCEPT | op::POLL_ADD
    );
    !pollable || sqe.flags & sqe_flags::ASYNC != 0
}

/// Whether a splice would go from a pipe to itself, which is refused.
pub(super) fn one_pipe(sqe: &Sqe) -> bool {
    match (kind(resolve(&source(sqe))), kind(resolve(sqe))) {
        (Kind::Reader(from), Kind::Writer(to)) => from == to,
        _ => false,
    }
}

/// The descriptor an SQE means, through the registered table as it is at the start.
#[must_use]
pub fn resolve(sqe: &Sqe) -> i32 {
    if sqe.flags & sqe_flags::FIXED_FILE == 0 {
        return sqe.fd;
    }
    usize::try_from(sqe.fd).ok().and_then(|slot| FIXED.get(slot)).copied().unwrap_or(-1)
}
