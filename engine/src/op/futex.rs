//! FUTEX_WAIT, FUTEX_WAITV and FUTEX_WAKE.
//!
//! The kernel has a request in a futex's queue when its submission returns. Here a sleeper has to be
//! there, and nobody can see whether it is: so it goes to sleep on words of its own, from where one
//! sleeper at a time is moved to the application's (`FUTEX_CMP_REQUEUE`), which tells how many it
//! moved. Requests take their places in the order of submission, and every wake finds its waiter.
//!
//! Requests do not share a sleeper: of several words that were woken `futex_waitv` names one, and
//! the wakes of the others would be lost.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::io_uring::op;
use sysring_sys::abi::{FutexWaitv, Timespec};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, User, call};

use super::must_be_zero;
use crate::issue::{Issued, res};
use crate::locked::Locked;
use crate::request::{Req, flag};
use crate::sleeper::{self, Sleeper, WORDS};
use crate::user;

/// `FUTEX2_*`.
const KNOWN: u32 = g::FUTEX2_SIZE_MASK | NEWER | g::FUTEX2_PRIVATE;
/// What `futex(2)` has no words for.
const NEWER: u32 = g::FUTEX2_NUMA | g::FUTEX2_MPOL;

/// The mask of a wait that every wake ends (`FUTEX_BITSET_MATCH_ANY`).
const ANY: u64 = 0xffff_ffff;

/// A time that is over: with it a wait tells what it would do, and does not.
const OVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What every futex is checked for before it is looked at.
fn check(flags: u32, values: &[u64]) -> Result<()> {
    let known = flags & !KNOWN == 0 && flags & g::FUTEX2_SIZE_MASK == g::FUTEX2_SIZE_U32;
    // A word holds 32 bits.
    if known && values.iter().all(|v| v >> 32 == 0) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// FUTEX_WAIT and FUTEX_WAKE.
pub fn prepare(_: &mut Locked<'_>, req: Req) -> Result<()> {
    must_be_zero!(req, len, op_flags, buf_index, file_index);
    check(req.sqe.fd as u32, &[req.sqe.off, req.sqe.addr3])
}

pub fn prepare_vector(_: &mut Locked<'_>, mut req: Req) -> Result<()> {
    must_be_zero!(req, fd, buf_index, file_index, off, op_flags, addr3);
    let count = req.sqe.len as usize;
    if count == 0 || count > WORDS {
        return Err(Errno::EINVAL);
    }
    let from = User::<FutexWaitv>::new(req.sqe.addr);
    let to = req.copied.reserve(count * size_of::<FutexWaitv>())?.cast::<FutexWaitv>();
    for i in 0..count {
        let futex = user::read(from.add(i))?;
        check(futex.flags, &[futex.val])?;
        if futex.__reserved != 0 {
            return Err(Errno::EINVAL);
        }
        // SAFETY: inside the block just allocated.
        unsafe { to.add(i).write(futex) };
    }
    Ok(())
}

pub fn issue_wake(_: &mut Locked<'_>, req: Req) -> Issued {
    let (word, flags) = (User::new(req.sqe.addr), req.sqe.fd as u32);
    let (count, mask) = (req.sqe.off as i32, req.sqe.addr3);
    // Of none to be woken `futex(2)` makes one.
    if flags & NEWER == 0 && count != 0 {
        let private = flags & g::FUTEX2_PRIVATE != 0;
        return Issued::of(call::futex_wake_bitset(word, count, mask as u32, private));
    }
    Issued::of(match call::futex2_wake(word, mask, count, flags) {
        Err(Errno::ENOSYS) if flags & NEWER != 0 || mask == 0 => Err(Errno::EINVAL),
        Err(Errno::ENOSYS | Errno::EPERM) => wake_nobody(word),
        answer => answer,
    })
}

fn wake_nobody(word: User<u32>) -> Result<usize> {
    if !word.address().is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    user::read(word).map(|_| 0)
}

pub fn issue_wait(ring: &mut Locked<'_>, req: Req) -> Issued {
    if req.sqe.addr3 == 0 {
        return Issued::Done(Errno::EINVAL.to_res());
    }
    let flags = req.sqe.fd as u32;
    let futex = FutexWaitv { val: req.sqe.off, uaddr: req.sqe.addr, flags, __reserved: 0 };
    issue(ring, req, &[futex])
}

pub fn issue_wait_vector(ring: &mut Locked<'_>, req: Req) -> Issued {
    issue(ring, req, vector(&req))
}

/// The copy of a FUTEX_WAITV's vector.
fn vector(req: &Req) -> &[FutexWaitv] {
    match req.copied.start() {
        // SAFETY: `prepare_vector` has filled as many as there are to be.
        Some(start) => unsafe {
            core::slice::from_raw_parts(start.cast().as_ptr(), req.sqe.len as usize)
        },
        None => &[],
    }
}

fn issue(ring: &mut Locked<'_>, req: Req, futexes: &[FutexWaitv]) -> Issued {
    // The kernel's own words on what is wrong with them, and whether there is a reason to wait.
    match wait(req, futexes, Some(&OVER)) {
        Err(Errno::ETIMEDOUT) => {}
        answer => return Issued::Done(res(answer)),
    }
    let sleeper = match sleeper::give(req) {
        Ok(sleeper) => sleeper,
        Err(e) => return Issued::Done(e.to_res()),
    };
    if let Err(e) = attach(sleeper, futexes) {
        match sleeper.abort() {
            Some(answer) if answer == Errno::EINTR.to_res() => return Issued::Done(e.to_res()),
            Some(answer) => return Issued::Done(answer),
            None => {}
        }
    }
    ring.leave_to_sleeper(req)
}

/// Waits for futexes, at the application's addresses.
fn wait(req: Req, futexes: &[FutexWaitv], until: Option<&Timespec>) -> Result<usize> {
    match futexes {
        [futex] if req.sqe.opcode == op::FUTEX_WAIT => {
            wait_for_one(futex, req.sqe.addr3, until).map(|()| 0)
        }
        _ => match (call::futex_waitv(futexes, until), futexes) {
            // Before Linux 5.16, and in gVisor.
            (Err(Errno::ENOSYS), [futex]) => wait_for_one(futex, ANY, until).map(|()| 0),
            (Err(Errno::ENOSYS), _) => Err(Errno::EOPNOTSUPP),
            (answer, _) => answer,
        },
    }
}

fn wait_for_one(futex: &FutexWaitv, mask: u64, until: Option<&Timespec>) -> Result<()> {
    if futex.flags & NEWER == 0 {
        let (word, private) = (User::new(futex.uaddr), futex.flags & g::FUTEX2_PRIVATE != 0);
        return call::futex_wait_bitset(word, futex.val as u32, mask as u32, private, until);
    }
    match call::futex2_wait(futex, mask, until) {
        // Such a kernel knows no such flags.
        Err(Errno::ENOSYS) => Err(Errno::EINVAL),
        answer => answer,
    }
}

/// Moves a sleeper that sleeps on its own words, or is about to, to the application's.
///
/// # Errors
/// `EAGAIN`: they hold something else by now. What the kernel has against an address.
fn attach(sleeper: &Sleeper, futexes: &[FutexWaitv]) -> Result<()> {
    for (futex, own) in futexes.iter().zip(&sleeper.words) {
        let own_word = User::of(own.value.as_ptr());
        let mut looks = 0;
        loop {
            match move_one(own_word, 0, futex) {
                Ok(0) => {}
                Ok(_) => break,
                // It was interrupted, and goes to the application's words by itself.
                Err(Errno::EAGAIN) if own.value.load(Relaxed) != 0 => break,
                Err(e) => return Err(e),
            }
            if sleeper.is_over() {
                return Ok(());
            }
            if !is_worth_a_look(&mut looks) {
                break;
            }
        }
        // A sleep that is interrupted by a stop of the process begins anew: not here, from now on.
        own.value.store(1, Relaxed);
        // Or it has begun before that.
        move_one(own_word, 1, futex)?;
    }
    // Whoever changes a word and then wakes finds the sleeper from here on. Who has done so before
    // is found now.
    for futex in futexes {
        if u64::from(user::read(User::<u32>::new(futex.uaddr))?) != futex.val {
            return Err(Errno::EAGAIN);
        }
    }
    Ok(())
}

/// Moves who sleeps on `own` to the futex; how many that were.
fn move_one(own: User<u32>, holds: u32, futex: &FutexWaitv) -> Result<usize> {
    let moved = if futex.flags & NEWER == 0 {
        let private = futex.flags & g::FUTEX2_PRIVATE != 0;
        call::futex_requeue_one(own, holds, User::new(futex.uaddr), private)?
    } else {
        call::futex2_requeue_one(&[own_futex(own, holds, futex), *futex])?
    };
    if moved != 0 && TOLD.load(Relaxed) != YES {
        TOLD.store(YES, Relaxed);
    }
    Ok(moved)
}

/// What a sleeper sleeps on until it is moved to `futex`.
fn own_futex(own: User<u32>, holds: u32, futex: &FutexWaitv) -> FutexWaitv {
    FutexWaitv { val: u64::from(holds), uaddr: own.address(), ..*futex }
}

/// Looks that are taken in quick succession at a sleeper that is about to fall asleep.
const QUICK_LOOKS: u32 = 100;
/// Looks after which the kernel is not believed to tell how many it has moved, and as many as are
/// taken of one that does not.
const LAST_LOOK: u32 = QUICK_LOOKS + 1000;
const LAST_LOOK_UNTOLD: u32 = QUICK_LOOKS + 10;

/// Whether the kernel tells how many sleepers it has moved. gVisor does not: there a sleeper that
/// was given time to fall asleep is in the queue, and one that takes longer will look at the
/// futex's value before it is.
static TOLD: AtomicU32 = AtomicU32::new(UNKNOWN);
const UNKNOWN: u32 = 0;
const YES: u32 = 1;
const NO: u32 = 2;

/// Lets the sleeper have its turn; `false`: for long enough.
fn is_worth_a_look(looks: &mut u32) -> bool {
    *looks += 1;
    if *looks < QUICK_LOOKS {
        call::sched_yield();
        return true;
    }
    // It may have a lower priority than we.
    call::nanosleep(20_000);
    match TOLD.load(Relaxed) {
        YES => true,
        NO => *looks < LAST_LOOK_UNTOLD,
        _ if *looks < LAST_LOOK => true,
        _ => {
            TOLD.store(NO, Relaxed);
            false
        }
    }
}

/// On a sleeper.
pub fn work(req: Req) -> i32 {
    // SAFETY: this runs on the sleeper that the request was given to.
    let sleeper = unsafe { sleeper::of(req) };
    let flags = req.sqe.fd as u32;
    let one = [FutexWaitv { val: req.sqe.off, uaddr: req.sqe.addr, flags, __reserved: 0 }];
    let futexes = if req.sqe.opcode == op::FUTEX_WAIT { &one } else { vector(&req) };
    let mut own = [own_futex(User::NULL, 0, &one[0]); WORDS];
    for ((own, word), futex) in own.iter_mut().zip(&sleeper.words).zip(futexes) {
        *own = own_futex(User::of(word.value.as_ptr()), 0, futex);
    }
    let words = &sleeper.words[..futexes.len()];
    let is_to_sleep_on =
        |answer| matches!(answer, Err(Errno::EAGAIN | Errno::EINTR)) && !sleeper.is_recalled();
    let mut answer = wait(req, &own[..futexes.len()], None);
    // Interrupted, and not by us: the place in the queue is lost, and has to be taken anew; its own
    // for as long as nobody has moved it, for who moves it waits for it there.
    while is_to_sleep_on(answer) && words.iter().all(|word| word.value.load(Relaxed) == 0) {
        answer = wait(req, &own[..futexes.len()], None);
    }
    if is_to_sleep_on(answer) {
        // Nobody is to wait for it at the rest of its words.
        words.iter().for_each(|word| word.value.store(1, Relaxed));
    }
    while is_to_sleep_on(answer) {
        answer = match wait(req, futexes, None) {
            Err(Errno::EAGAIN) => Ok(changed(futexes)),
            answer => answer,
        };
    }
    match answer {
        // It never came to sleep.
        Err(Errno::EAGAIN) => Errno::EINTR.to_res(),
        answer => res(answer),
    }
}

/// A wait that is cancelled breaks no link, as in the kernel.
pub fn finish(_: &mut Locked<'_>, mut req: Req) -> Issued {
    if req.has(flag::CANCELED) && req.res == Errno::EINTR.to_res() {
        req.res = Errno::ECANCELED.to_res();
        return Issued::Set;
    }
    Issued::Done(req.res)
}

/// Which of them has changed: whoever did that woke it.
fn changed(futexes: &[FutexWaitv]) -> usize {
    let holds = |futex: &FutexWaitv| {
        user::read(User::<u32>::new(futex.uaddr)).is_ok_and(|value| u64::from(value) == futex.val)
    };
    futexes.iter().position(|futex| !holds(futex)).unwrap_or(0)
}
