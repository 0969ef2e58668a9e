//! `io_uring_setup(2)`: what may be asked for, and what is offered.

use sysring_sys::abi::io_uring::{
    CqOffsets, MAX_CQ_ENTRIES, MAX_ENTRIES, Params, SqOffsets, feat, setup,
};
use sysring_sys::{Errno, Fd, Result, User, call};

use crate::shape::Shape;
use crate::sqpoll::SqPoll;
use crate::{descriptors, process, user};

/// The setup flags that are honoured.
pub const FLAGS: u32 = setup::IOPOLL
    | setup::SQPOLL
    | setup::SQ_AFF
    | setup::CQSIZE
    | setup::CLAMP
    | setup::ATTACH_WQ
    | setup::R_DISABLED
    | setup::SUBMIT_ALL
    | setup::COOP_TASKRUN
    | setup::TASKRUN_FLAG
    | setup::SQE128
    | setup::CQE32
    | setup::SINGLE_ISSUER
    | setup::DEFER_TASKRUN
    | setup::NO_MMAP
    | setup::REGISTERED_FD_ONLY
    | setup::NO_SQARRAY
    | setup::HYBRID_IOPOLL
    | setup::CQE_MIXED
    | setup::SQE_MIXED
    | setup::SQ_REWIND;

/// The features that are honoured, and no others.
pub const FEATURES: u32 = feat::SINGLE_MMAP
    | feat::NODROP
    | feat::SUBMIT_STABLE
    | feat::RW_CUR_POS
    | feat::CUR_PERSONALITY
    | feat::FAST_POLL
    | feat::POLL_32BITS
    | feat::SQPOLL_NONFIXED
    | feat::EXT_ARG
    | feat::NATIVE_WORKERS
    | feat::RSRC_TAGS
    | feat::CQE_SKIP
    | feat::LINKED_FILE
    | feat::REG_REG_RING
    | feat::RECVSEND_BUNDLE
    | feat::MIN_TIMEOUT;

/// How long an SQPOLL thread spins when the application does not say: a second.
const DEFAULT_IDLE_MS: u32 = 1000;

/// `io_uring_setup(2)`: a new ring; its descriptor, or its index among the registered ones.
///
/// # Errors
/// `EFAULT`, `EINVAL`, `ENOMEM`, `EMFILE`, `ENFILE`, `EBUSY` (no index left), `ENXIO` (of `wq_fd`),
/// as the kernel's.
pub fn setup(entries: u32, params: User<Params>) -> Result<usize> {
    process::enter()?;
    let mut given = user::read(params)?;
    if given.resv != [0; 3] || given.flags & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    check_flags(given.flags)?;
    let shape = shape(entries, &given)?;
    check_attach(&given)?;
    check_affinity(&given)?;
    let name = descriptors::create(shape, &given)?;
    given.sq_entries = shape.sq_entries;
    given.cq_entries = shape.cq_entries;
    given.features = FEATURES;
    let lent = shape.has(setup::NO_MMAP);
    let lent_at = |address| if lent { address } else { 0 };
    given.sq_off = SqOffsets { user_addr: lent_at(given.sq_off.user_addr), ..shape.sq_offsets() };
    given.cq_off = CqOffsets { user_addr: lent_at(given.cq_off.user_addr), ..shape.cq_offsets() };
    if let Err(e) = user::write(params, &given) {
        name.take_back();
        return Err(e);
    }
    Ok(name.number())
}

/// Combinations that make no sense.
fn check_flags(flags: u32) -> Result<()> {
    let has = |f: u32| flags & f != 0;
    let wrong = has(setup::SQPOLL)
        && has(setup::COOP_TASKRUN | setup::TASKRUN_FLAG | setup::DEFER_TASKRUN)
        || has(setup::TASKRUN_FLAG) && !has(setup::COOP_TASKRUN | setup::DEFER_TASKRUN)
        || has(setup::DEFER_TASKRUN) && !has(setup::SINGLE_ISSUER)
        || has(setup::SQ_AFF) && !has(setup::SQPOLL)
        || has(setup::REGISTERED_FD_ONLY) && !has(setup::NO_MMAP)
        || has(setup::CQE32) && has(setup::CQE_MIXED)
        || has(setup::SQE128) && has(setup::SQE_MIXED)
        || has(setup::SQ_REWIND) && (has(setup::SQPOLL) || !has(setup::NO_SQARRAY))
        || has(setup::HYBRID_IOPOLL) && !has(setup::IOPOLL);
    if wrong { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Sizes: powers of two, within limits or clamped to them.
pub fn shape(entries: u32, given: &Params) -> Result<Shape> {
    let flags = given.flags;
    let clamp = flags & setup::CLAMP != 0;
    let bounded = |n: u32, most: u32| match n {
        0 => Err(Errno::EINVAL),
        n if n <= most => Ok(n.next_power_of_two()),
        _ if clamp => Ok(most),
        _ => Err(Errno::EINVAL),
    };
    let sq_entries = bounded(entries, MAX_ENTRIES)?;
    let cq_entries = if flags & setup::CQSIZE != 0 {
        let cq_entries = bounded(given.cq_entries, MAX_CQ_ENTRIES)?;
        if cq_entries < sq_entries {
            return Err(Errno::EINVAL);
        }
        cq_entries
    } else {
        2 * sq_entries
    };
    if flags & setup::CQE_MIXED != 0 && cq_entries < 2
        || flags & setup::SQE_MIXED != 0 && sq_entries < 2
    {
        return Err(Errno::EOVERFLOW);
    }
    Ok(Shape { flags, sq_entries, cq_entries })
}

/// `ATTACH_WQ`: all rings of a process share the workers anyway; the ring must be one.
fn check_attach(given: &Params) -> Result<()> {
    if given.flags & setup::ATTACH_WQ == 0 {
        return Ok(());
    }
    let fd = Fd::new(given.wq_fd as i32);
    if let Some(held) = descriptors::find(fd) {
        // A thread that submits can be shared only where there is one.
        let polls = held.ring().shape().has(setup::SQPOLL);
        let fits = polls || given.flags & setup::SQPOLL == 0;
        return if fits { Ok(()) } else { Err(Errno::EINVAL) };
    }
    let open = call::fcntl(fd, sysring_sys::raw::general::F_GETFD, 0);
    Err(if open.is_ok() { Errno::EINVAL } else { Errno::ENXIO })
}

fn check_affinity(given: &Params) -> Result<()> {
    if given.flags & setup::SQ_AFF != 0 && given.sq_thread_cpu >= call::cpu_count() {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

impl SqPoll {
    /// What the application asked of the thread.
    pub fn prepare(&self, given: &Params) {
        use core::sync::atomic::Ordering::Relaxed;
        let idle = if given.sq_thread_idle == 0 { DEFAULT_IDLE_MS } else { given.sq_thread_idle };
        self.idle_ms.store(idle, Relaxed);
        let bound = given.flags & setup::SQ_AFF != 0;
        self.cpu.store(if bound { given.sq_thread_cpu + 1 } else { 0 }, Relaxed);
    }
}
