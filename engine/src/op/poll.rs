//! POLL_ADD and POLL_REMOVE.

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::{poll, setup};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use super::must_be_zero;
use crate::issue::Issued;
use crate::locked::Locked;
use crate::poll::Armed;
use crate::request::{At, Req, Stage, flag};
use crate::ring::fd_of;
use crate::{descriptors, driver};

/// Which events, and not how often.
const WHICH: u32 = 0xffff;
/// What poll reports whether it was asked for or not.
const ALWAYS: u32 = g::EPOLLERR | g::EPOLLHUP | g::EPOLLRDHUP;
/// What a regular file is always ready for.
const FILE_READY: u32 = g::EPOLLIN | g::EPOLLOUT | g::EPOLLRDNORM | g::EPOLLWRNORM;

/// The events of an SQE as `epoll` names them, with how often (`EPOLLONESHOT`, `EPOLLET`).
fn parse(req: Req, flags: u32) -> u32 {
    // An exclusive waiter could not be armed again: this one is woken with the others.
    let ours = g::EPOLLET | g::EPOLLONESHOT | g::EPOLLWAKEUP | g::EPOLLEXCLUSIVE;
    let once = flags & poll::ADD_MULTI == 0 || req.sqe.op_flags & g::EPOLLONESHOT != 0;
    req.sqe.op_flags & !ours | if once { g::EPOLLONESHOT } else { g::EPOLLET }
}

fn set_events(mut req: Req, events: u32) {
    req.events = events;
    if events & g::EPOLLONESHOT == 0 {
        req.set(flag::MULTISHOT);
    } else {
        req.clear(flag::MULTISHOT);
    }
}

pub fn prepare_add(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    must_be_zero!(req, buf_index, off, addr);
    let flags = req.sqe.len;
    if flags & !poll::ADD_MULTI != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & poll::ADD_MULTI != 0 && req.has(flag::CQE_SKIP) {
        return Err(Errno::EINVAL);
    }
    set_events(req, parse(req, flags));
    req.revents = 0;
    Ok(())
}

/// First issue, and again whenever epoll, or a worker in its place, has something to tell
/// (`revents`).
pub fn issue_add(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    if req.has(flag::ARMED) || req.revents != 0 {
        return triggered(ring, req);
    }
    if descriptors::watched_by_operation(req.file.fd) {
        driver::polls_a_ring(ring.ring);
    }
    req.sequence = ring.told;
    ring.readiness.polls = true;
    let asked = req.events;
    if !req.has(flag::MULTISHOT) {
        match call::poll_now(req.file.fd, (asked & WHICH) as u16 | ALWAYS as u16) {
            Err(e) => return Issued::Done(e.to_res()),
            Ok(_) if room_to_submit(req) & asked != 0 => {
                return Issued::Done((room_to_submit(req) & asked) as i32);
            }
            Ok(ready) if u32::from(ready) & POLLNVAL != 0 => {
                return Issued::Done(Errno::EBADF.to_res());
            }
            Ok(ready) if u32::from(ready) & (asked | ALWAYS) != 0 => {
                return Issued::Done((u32::from(ready) & (asked | ALWAYS)) as i32);
            }
            Ok(_) => {}
        }
    }
    match ring.arm(req, asked | g::EPOLLRDHUP) {
        Armed::Yes if req.has(flag::MULTISHOT) => {
            // Armed edge-triggered: if it is ready already, epoll says so once. It is asked when the
            // submission is over, and what happens until then is one event, as in the kernel.
            ring.readiness.armed_edge = true;
            Issued::Held
        }
        Armed::Yes => Issued::Held,
        // Never ready for anything else either: the kernel refuses such a poll.
        Armed::AlwaysReady if asked & FILE_READY == 0 => Issued::Done(Errno::EINVAL.to_res()),
        Armed::AlwaysReady => Issued::Done((asked & FILE_READY) as i32),
        Armed::Refused => match call::file_flags(req.file.fd) {
            Ok(flags) if flags & g::O_PATH != 0 => Issued::Done(Errno::EBADF.to_res()),
            Ok(_) if !req.has(flag::MULTISHOT) => {
                ring.have_watched(req, asked);
                Issued::Held
            }
            Ok(_) => Issued::Done(Errno::ENOMEM.to_res()),
            Err(e) => Issued::Done(e.to_res()),
        },
    }
}

const POLLNVAL: u32 = 0x20;

/// A ring is writable while its submission queue has room; its descriptor, an epoll instance,
/// cannot say so itself.
fn room_to_submit(req: Req) -> u32 {
    let Some(held) = descriptors::get_anew(req.file.fd) else { return 0 };
    let target = held.ring();
    // The queues of such a ring may be exchanged by its owner, who is somebody else or ourselves.
    let exchanged = target.shape().has(setup::DEFER_TASKRUN) && !core::ptr::eq(target, req.ring);
    let room = || target.sq_pending() < target.layout().sq_entries;
    let room =
        if exchanged { target.try_lock_as_guest().is_none_or(|_kept| room()) } else { room() };
    if room { g::EPOLLOUT | g::EPOLLWRNORM } else { 0 }
}

fn triggered(ring: &mut Locked<'_>, mut req: Req) -> Issued {
    let ready = req.revents & (req.events | ALWAYS) & !(g::EPOLLET | g::EPOLLONESHOT);
    if ready == 0 {
        let events = req.events;
        return match ring.arm(req, events) {
            Armed::Yes => Issued::Held,
            _ => Issued::Done(Errno::ENOMEM.to_res()),
        };
    }
    if !req.has(flag::MULTISHOT) {
        return Issued::Done(ready as i32);
    }
    // One that hears of what its own ring has told would hear of its own completion next, and so
    // on: it ends here.
    let told = core::mem::replace(&mut req.sequence, ring.told) != ring.told;
    if told && ring.is_heard_at(req.file.fd) {
        return Issued::Done(ready as i32);
    }
    if !ring.post_more(req.sqe.user_data, ready as i32, 0) {
        return Issued::Done(ready as i32);
    }
    req.stage = At::new(Stage::Parked);
    Issued::Held
}

impl Locked<'_> {
    /// Whether a file becomes ready with this ring's completions: its eventfd, or an epoll instance
    /// with the ring in it.
    fn is_heard_at(&self, fd: Fd) -> bool {
        if let Some(eventfd) = self.eventfd
            && call::is_eventfd(fd) == Ok(true)
        {
            // Where the two cannot be compared, better an end too early than none.
            return call::same_file(eventfd.fd, fd).unwrap_or(true);
        }
        let shown = fd_of(self.ring);
        // Its number may be another file's by now, which is not to be touched.
        if !self.ring.watched.load(Relaxed) || !descriptors::leads_to(shown, self.ring) {
            return false;
        }
        let added = call::epoll_ctl(fd, call::EpollOp::Add, shown, 0, 0);
        if added.is_ok() {
            let _ = call::epoll_ctl(fd, call::EpollOp::Del, shown, 0, 0);
        }
        added == Err(Errno::EEXIST)
    }
}

pub fn prepare_remove(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, buf_index, file_index);
    let flags = req.sqe.len;
    let updates = poll::UPDATE_EVENTS | poll::UPDATE_USER_DATA;
    if flags & !(updates | poll::ADD_MULTI) != 0 {
        return Err(Errno::EINVAL);
    }
    // Meaningless without a new user_data or new events.
    if flags == poll::ADD_MULTI
        || flags & poll::UPDATE_EVENTS == 0 && req.sqe.op_flags != 0
        || flags & poll::UPDATE_USER_DATA == 0 && req.sqe.off != 0
    {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

pub fn issue_remove(ring: &mut Locked<'_>, req: Req) -> Issued {
    let Some(target) = ring.find_poll(req.sqe.addr) else {
        return Issued::Done(Errno::ENOENT.to_res());
    };
    let flags = req.sqe.len;
    if flags & (poll::UPDATE_EVENTS | poll::UPDATE_USER_DATA) == 0 {
        ring.take_down(target);
        return Issued::Done(0);
    }
    if flags & poll::UPDATE_USER_DATA != 0 {
        ring.rename(target, req.sqe.off);
    }
    if flags & poll::UPDATE_EVENTS != 0 {
        // How often it tells stays as it was, whatever is said now.
        let often = target.events & !WHICH;
        set_events(target, req.sqe.op_flags & WHICH | g::EPOLLRDHUP | often);
    }
    // Armed again with what is now wanted: if it is ready for that already, it is told at once.
    let events = target.events;
    if ring.arm(target, events) != Armed::Yes {
        ring.complete(target, Errno::ECANCELED.to_res(), 0);
        return Issued::Done(Errno::ENOMEM.to_res());
    }
    ring.readiness.armed_edge = true;
    ring.refile(target);
    Issued::Done(0)
}
