//! `io_uring_register(2)`.

pub mod probe;
pub mod ring_fds;

use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::NSEC_PER_SEC;
use sysring_sys::abi::io_uring::{
    FileIndexRange, FilesUpdate, RSRC_REGISTER_SPARSE, RsrcRegister, RsrcUpdate2, SyncCancelReg,
    cancel, register, setup,
};
use sysring_sys::{Errno, Fd, Result, User, call};

use crate::cancel::Match;
use crate::complete::Eventfd;
use crate::enter::{check_issuer, ring_of};
use crate::ring::{Locked, Ring};
use crate::wait::{Wait, wait};
use crate::{Caller, descriptors, filetable, process, rsrc, user};

/// `io_uring_register(2)`.
///
/// # Errors
/// As the kernel's: `EBADF`, `EOPNOTSUPP` (no ring), `EEXIST` (not the issuer), `EINVAL` (unknown
/// operation or argument), `EFAULT`, and each operation's own.
pub fn register(fd: u32, opcode: u32, arg: User<u8>, nr_args: u32) -> Result<usize> {
    process::enter()?;
    let registered = opcode & register::USE_REGISTERED_RING != 0;
    let opcode = opcode & !register::USE_REGISTERED_RING;
    if opcode > register::BPF_FILTER {
        return Err(Errno::EINVAL);
    }
    let held = ring_of(fd, registered)?;
    let ring = held.ring();
    if ring.submitter().load(Relaxed) != 0 {
        check_issuer(ring)?;
    }
    match opcode {
        register::RING_FDS => return ring_fds::register(arg.cast(), nr_args),
        register::UNREGISTER_RING_FDS => return ring_fds::unregister(arg.cast(), nr_args),
        register::SYNC_CANCEL => return sync_cancel(ring, arg, nr_args),
        _ => {}
    }
    let mut locked = ring.lock_as_submitter();
    match opcode {
        register::BUFFERS => {
            rsrc::register(&mut locked, arg.cast(), User::NULL, required(arg, nr_args)?)
        }
        register::UNREGISTER_BUFFERS => {
            no_argument(arg, nr_args)?;
            rsrc::unregister(&mut locked)
        }
        register::FILES => {
            filetable::register(&mut locked, arg.cast(), User::NULL, required(arg, nr_args)?)
        }
        register::UNREGISTER_FILES => {
            no_argument(arg, nr_args)?;
            filetable::unregister(&mut locked)
        }
        register::FILES_UPDATE => files_update(&mut locked, arg, nr_args),
        register::EVENTFD => eventfd(&mut locked, arg, nr_args, false),
        register::EVENTFD_ASYNC => eventfd(&mut locked, arg, nr_args, true),
        register::UNREGISTER_EVENTFD => {
            no_argument(arg, nr_args)?;
            let old = locked.eventfd.take().ok_or(Errno::ENXIO)?;
            descriptors::let_go(old.fd);
            Ok(0)
        }
        register::PROBE => probe::probe(arg, nr_args),
        register::ENABLE_RINGS => {
            no_argument(arg, nr_args)?;
            enable(ring)
        }
        register::FILES2 | register::BUFFERS2 => register2(&mut locked, opcode, arg, nr_args),
        register::FILES_UPDATE2 | register::BUFFERS_UPDATE => {
            update2(&mut locked, opcode, arg, nr_args)
        }
        register::FILE_ALLOC_RANGE => file_range(&mut locked, arg, nr_args),
        register::IOWQ_MAX_WORKERS => max_workers(&mut locked, arg, nr_args),
        _ => Err(Errno::EINVAL),
    }
}

/// The count of an array that must be there.
fn required(arg: User<u8>, nr_args: u32) -> Result<u32> {
    if arg.is_null() { Err(Errno::EFAULT) } else { Ok(nr_args) }
}

fn no_argument(arg: User<u8>, nr_args: u32) -> Result<()> {
    if arg.is_null() && nr_args == 0 { Ok(()) } else { Err(Errno::EINVAL) }
}

fn files_update(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if nr_args == 0 {
        return Err(Errno::EINVAL);
    }
    let update = user::read(arg.cast::<FilesUpdate>())?;
    if update.resv != 0 {
        return Err(Errno::EINVAL);
    }
    filetable::update(ring, update.offset, User::new(update.fds), User::NULL, nr_args)
}

fn eventfd(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32, only_async: bool) -> Result<usize> {
    if nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    if ring.eventfd.is_some() {
        return Err(Errno::EBUSY);
    }
    let fd = Fd::new(user::read(arg.cast::<i32>())?);
    if !call::is_eventfd(fd)? {
        return Err(Errno::EINVAL);
    }
    let fd = call::dup_from(fd, descriptors::FLOOR)?;
    descriptors::mark_internal(fd);
    ring.eventfd = Some(Eventfd { fd, only_async });
    Ok(0)
}

fn enable(ring: &Ring) -> Result<usize> {
    if !ring.disabled().load(Relaxed) {
        return Err(Errno::EBADFD);
    }
    if ring.shape.has(setup::SINGLE_ISSUER) {
        let me = call::gettid() as u32;
        let _ = ring.submitter().compare_exchange(0, me, Relaxed, Relaxed);
    }
    ring.disabled().store(false, Relaxed);
    if ring.shape.has(setup::SQPOLL) {
        crate::sqpoll::wake(ring);
    }
    Ok(0)
}

fn register2(ring: &mut Locked<'_>, opcode: u32, arg: User<u8>, size: u32) -> Result<usize> {
    if size as usize != size_of::<RsrcRegister>() {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<RsrcRegister>())?;
    if given.nr == 0 || given.resv2 != 0 || given.flags & !RSRC_REGISTER_SPARSE != 0 {
        return Err(Errno::EINVAL);
    }
    if given.flags & RSRC_REGISTER_SPARSE != 0 && given.data != 0 {
        return Err(Errno::EINVAL);
    }
    let tags = User::new(given.tags);
    if opcode == register::FILES2 {
        filetable::register(ring, User::new(given.data), tags, given.nr)
    } else {
        rsrc::register(ring, User::new(given.data), tags, given.nr)
    }
}

fn update2(ring: &mut Locked<'_>, opcode: u32, arg: User<u8>, size: u32) -> Result<usize> {
    if size as usize != size_of::<RsrcUpdate2>() {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<RsrcUpdate2>())?;
    if given.nr == 0 || given.resv != 0 || given.resv2 != 0 {
        return Err(Errno::EINVAL);
    }
    let tags = User::new(given.tags);
    if opcode == register::FILES_UPDATE2 {
        filetable::update(ring, given.offset, User::new(given.data), tags, given.nr)
    } else {
        rsrc::update(ring, given.offset, User::new(given.data), tags, given.nr)
    }
}

fn file_range(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 0 {
        return Err(Errno::EINVAL);
    }
    let range = user::read(arg.cast::<FileIndexRange>())?;
    if range.resv != 0 {
        return Err(Errno::EINVAL);
    }
    ring.files.set_range(range.off, range.len).map(|()| 0)
}

/// Remembers the limits and answers the old ones; one pool serves all rings of the process.
fn max_workers(ring: &mut Locked<'_>, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 2 {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<[u32; 2]>())?;
    let old = ring.max_workers;
    for (limit, &new) in ring.max_workers.iter_mut().zip(&given) {
        if new != 0 {
            *limit = new;
        }
    }
    user::write(arg.cast(), &old).map(|()| 0)
}

/// Cancels, and waits until what was too late to stop has ended by itself.
fn sync_cancel(ring: &Ring, arg: User<u8>, nr_args: u32) -> Result<usize> {
    if arg.is_null() || nr_args != 1 {
        return Err(Errno::EINVAL);
    }
    let given = user::read(arg.cast::<SyncCancelReg>())?;
    if given.pad != [0; 7] || given.pad2 != [0; 3] {
        return Err(Errno::EINVAL);
    }
    let what = Match::parse(given.flags, given.addr, given.fd, u32::from(given.opcode))?;
    if given.flags & cancel::FD_FIXED != 0 && given.flags & cancel::FD == 0 {
        return Err(Errno::EINVAL);
    }
    let never = given.timeout_sec == -1 && given.timeout_nsec == -1;
    let deadline = (!never).then(|| {
        let time = given.timeout_sec.saturating_mul(NSEC_PER_SEC);
        call::now(call::CLOCK_MONOTONIC).saturating_add(time.saturating_add(given.timeout_nsec))
    });
    let mut locked = ring.lock_as_submitter();
    loop {
        match locked.cancel(&what) {
            Err(Errno::EALREADY) => {}
            answer => return answer,
        }
        // Whatever completes next may be the one.
        let how = Wait { min_complete: locked.cq_ready() + 1, deadline, ..Wait::default() };
        let (again, waited) = wait(locked, how, &Caller::default());
        locked = again;
        waited?;
        if deadline.is_some_and(|at| call::now(call::CLOCK_MONOTONIC) >= at) {
            return Err(Errno::ETIME);
        }
    }
}
