//! Sends with a notification. The data is copied, and so the notification follows at once; but who
//! asks is told so, and all that can go wrong goes wrong as in the kernel.

use sysring_sys::abi::io_uring::{NOTIF_USAGE_ZC_COPIED, op, recvsend};
use sysring_sys::{Errno, Fd, Result};

use super::{message, must_be_zero, net, rw, socket};
use crate::issue::Issued;
use crate::locked::Locked;
use crate::request::{Req, flag};

const MSG_ZEROCOPY: u32 = 0x400_0000;

const KNOWN: u16 = recvsend::POLL_FIRST
    | recvsend::FIXED_BUF
    | recvsend::SEND_ZC_REPORT_USAGE
    | recvsend::SEND_VECTORIZED;

pub fn prepare(ring: &mut Locked<'_>, mut req: Req) -> Result<()> {
    must_be_zero!(req, addr3, pad2);
    if req.has(flag::CQE_SKIP) {
        return Err(Errno::EINVAL);
    }
    // What fails from here on is followed by a notification, too.
    let mut notice = ring.promise_notice(req)?;
    if req.sqe.ioprio & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    if req.sqe.ioprio & recvsend::SEND_ZC_REPORT_USAGE != 0 {
        notice.res = NOTIF_USAGE_ZC_COPIED as i32;
    }
    net::note_nowait(req);
    // To the kernel it says nothing here; to the system call it would mean another notification.
    req.sqe.op_flags &= !MSG_ZEROCOPY;
    if req.sqe.opcode == op::SENDMSG_ZC {
        must_be_zero!(req, off, file_index);
        return message::copy(req);
    }
    net::prepare_destination_and_data(req)
}

pub fn issue(ring: &mut Locked<'_>, req: Req) -> Issued {
    if !req.has(flag::POLLED)
        && let Err(e) = check(ring, req)
    {
        return Issued::Done(e.to_res());
    }
    if is_fixed(req)
        && (req.has(flag::POLLED) || req.sqe.ioprio & recvsend::POLL_FIRST == 0)
        && let Err(e) = import(ring, req)
    {
        return Issued::Done(e.to_res());
    }
    let issued = net::issue(ring, req);
    if issued == Issued::Set
        && req.res == Errno::EFAULT.to_res()
        && let Some(mut notice) = req.notice
    {
        // What could not be read was not copied either.
        notice.res = 0;
    }
    issued
}

/// What the kernel finds wrong before it waits for anything; of a message, its buffers first.
fn check(ring: &mut Locked<'_>, req: Req) -> Result<()> {
    if is_fixed(req) && req.sqe.opcode == op::SENDMSG_ZC {
        import(ring, req)?;
    }
    check_socket(req.file.fd)
}

/// Whether it sends from a registered buffer.
#[must_use]
pub fn is_fixed(req: Req) -> bool {
    let sends = matches!(req.sqe.opcode, op::SEND_ZC | op::SENDMSG_ZC);
    sends && req.sqe.ioprio & recvsend::FIXED_BUF != 0
}

/// Checks that the data lies in the registered buffer, once: who unregisters it later does not
/// stop a send that is under way.
fn import(ring: &mut Locked<'_>, req: Req) -> Result<()> {
    if req.has(flag::BUFFER_FOUND) {
        return Ok(());
    }
    let (buffers, index) = (&ring.buffers, req.sqe.buf_index);
    let buffer = if req.sqe.opcode == op::SENDMSG_ZC {
        buffers.check_vector(index, message::segments(&req))?
    } else {
        buffers.find(index, req.sqe.addr, u64::from(req.sqe.len))?
    };
    rw::keep_buffer(ring, req, buffer);
    Ok(())
}

/// The kernel sends without a copy through TCP and UDP only.
fn check_socket(fd: Fd) -> Result<()> {
    const SO_PROTOCOL: i32 = 38;
    const TCP: u32 = 6;
    const UDP: u32 = 17;
    const UDP_LITE: u32 = 136;
    let protocol = socket::option(fd, SO_PROTOCOL)?;
    // Other families have protocols with these numbers, too.
    match protocol {
        TCP | UDP | UDP_LITE if socket::is_inet(fd) => Ok(()),
        _ => Err(Errno::EOPNOTSUPP),
    }
}
