//! A ring begins: it gets memory, the descriptors that show it, and a name.
//!
//! Nobody can come for it before all of that is there, so what fails on the way is undone without
//! anybody having seen it.

use core::ptr;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};

use sysring_sys::abi::io_uring::{Params, setup};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, call};

use super::close::close;
use super::hold::{hold_first, revoke};
use super::own::{keep, let_go};
use super::table::{FLOOR, entry, lose};
use super::{pool, stray, table};
use crate::register::{self, ring_fds};
use crate::ring::Ring;
use crate::shape::Shape;
use crate::{sqpoll, stats, wq_limits};

/// What an application calls a ring by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name {
    Descriptor(Fd),
    /// An index among the registered rings.
    Index(u32),
}

impl Name {
    #[must_use]
    pub(crate) fn number(self) -> usize {
        match self {
            Name::Descriptor(fd) => fd.raw() as usize,
            Name::Index(index) => index as usize,
        }
    }

    /// The application was not told: the ring closes.
    pub(crate) fn take_back(self) {
        match self {
            Name::Descriptor(fd) => drop(close(fd)),
            Name::Index(index) => ring_fds::empty(index),
        }
    }
}

/// Makes a ring and its name.
pub(crate) fn create(shape: Shape, params: &Params) -> Result<Name> {
    create_as(shape, params, None, |ring| open(ring, params))
}

/// Makes a ring without a name for a context, to be closed by [`super::drop_handle`].
///
/// # Errors
/// `ENOMEM`, `EMFILE`, `ENFILE`.
pub(crate) fn create_nameless(events: sysring_events::Ring) -> Result<&'static Ring> {
    /// Nobody looks at the queues of such a ring.
    const SHAPE: Shape = Shape { flags: setup::NO_SQARRAY, sq_entries: 64, cq_entries: 64 };
    create_as(SHAPE, &Params::default(), Some(events), |ring| {
        let eventfd = keep(call::eventfd(0)?)?;
        ring.show(eventfd);
        begin(ring, &Params::default()).map(|()| ring)
    })
}

fn create_as<T>(
    shape: Shape,
    params: &Params,
    events: Option<sysring_events::Ring>,
    open: impl FnOnce(&'static Ring) -> Result<T>,
) -> Result<T> {
    table::make()?;
    stray::look_after_all();
    let taken = pool::take()?;
    // SAFETY: rings are never unmapped, and nobody has a `&mut` to one.
    let ring: &'static Ring = unsafe { &*taken };
    // SAFETY: `refs` is 0 in the pool, and we have taken the ring out. A lookup by a stale pointer may
    // hold a `&Ring`, too, but touches nothing but `refs` while that is 0 (`hold`).
    if let Err(e) = unsafe { ring.renew(shape, params, events) } {
        pool::give_back(taken);
        return Err(e);
    }
    match open(ring) {
        Ok(name) => {
            stats::add(&stats::get().rings, 1);
            Ok(name)
        }
        Err(e) => {
            ring.lock().readiness.close();
            ring.sqpoll.close();
            // SAFETY: `refs` is 0 again, or still: the ring is ours alone.
            unsafe { ring.retire() };
            pool::give_back(taken);
            Err(e)
        }
    }
}

/// Opens a ring under a name, which leads to it once it is whole.
fn open(ring: &'static Ring, params: &Params) -> Result<Name> {
    let eventfd = keep(call::eventfd(0)?)?;
    ring.show(eventfd);
    if ring.shape().has(setup::REGISTERED_FD_ONLY) {
        let index = ring_fds::claim_any(ring).ok_or(Errno::EBUSY)?;
        return begin(ring, params).map(|()| Name::Index(index)).inspect_err(|_| {
            ring_fds::disclaim(index);
        });
    }
    let fd = descriptor(eventfd)?;
    // Relaxed: the name below tells of it, and `hold_first`.
    ring.fd.store(fd.raw(), Relaxed);
    let begun = entry(fd).ok_or(Errno::EMFILE).and_then(|entry| {
        begin(ring, params)?;
        // Release pairs with the Acquire in `get`: the ring is whole. Acquire, with the Release that named
        // what was there: `lose` looks at it.
        lose(entry.swap(ptr::from_ref(ring).cast_mut(), AcqRel));
        Ok(Name::Descriptor(fd))
    });
    begun.inspect_err(|_| let_go(fd))
}

/// The descriptor: an epoll instance with an eventfd in it that says whether there are CQEs.
fn descriptor(eventfd: Fd) -> Result<Fd> {
    let fd = keep(call::epoll_create()?)?;
    if fd < FLOOR {
        // Nobody would tell us what becomes of it.
        let_go(fd);
        return Err(Errno::EMFILE);
    }
    call::epoll_ctl(fd, call::EpollOp::Add, eventfd, g::EPOLLIN, 0)
        .inspect_err(|_| let_go(fd))
        .map(|()| fd)
}

/// The ring can be held from here on.
fn begin(ring: &'static Ring, params: &Params) -> Result<()> {
    register::begin(ring)?;
    // Relaxed: `hold_first` tells of it.
    ring.handles.store(1, Relaxed);
    hold_first(ring);
    wq_limits::expect_ring(ring.shape().sq_entries);
    if ring.shape().has(setup::SQPOLL) {
        ring.sqpoll.prepare(params);
        if let Err(e) = sqpoll::start(ring) {
            revoke(ring);
            return Err(e);
        }
    }
    Ok(())
}
