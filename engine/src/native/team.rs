//! A batch of calls, made by the thread that has it and by those who help.
//!
//! The caller works itself: calls that are quick are made in place, back to back, and a helper that
//! comes late finds nothing left. Helpers are workers, invited by requests: one where the rest will
//! take long enough to be worth it, and two more for each piece that has been slow, for then a thread
//! waits for a device, and others can. So a hot batch costs what its calls do, and a cold one has as
//! many calls under way as help.

use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use sysring_sys::abi::io_uring::Sqe;
use sysring_sys::raw::general as g;
use sysring_sys::vdso::monotonic;
use sysring_sys::{Errno, Result, call};

use super::batch::Step;
use super::context::Context;
use super::table::{self, How, NONE};
use super::{Call, Issued, is_foreign};
use crate::issue;
use crate::op::table::{Row, UNKNOWN, row_flag};
use crate::request::Req;
use crate::ring::Ring;
use crate::{memory, process};

/// The operation code of an invitation: none of io_uring's.
pub const CODE: u8 = 0xfe;

pub static ROW: Row = Row {
    name: "invitation",
    flags: row_flag::ITS_OWN,
    prepare: |_, _| Ok(()),
    issue: |_, _| issue::Issued::Work,
    work: Some(help),
    tell: Some(|ring, req| {
        ring.invitations -= 1;
        let_go(team_of(req));
        true
    }),
    ..UNKNOWN
};

/// A batch is worth a helper while it will take so much longer, in nanoseconds: to wake one on an idle
/// processor takes up to half of that.
const WORTH_A_HELPER: u64 = 200_000;
/// Helpers at most: more calls at a time a device does not serve faster.
const MOST_HELPERS: u32 = 47;
/// Calls taken at once while they are quick.
const PIECE: u32 = 16;
/// A piece has waited for something if it took so long, and so long for each call in it.
const SLOW: u64 = 20_000;
const SLOW_EACH: u64 = 2_000;

/// What those who work on a batch share.
struct Team {
    ring: *const Ring,
    steps: *mut Step,
    /// Chains, and the steps of each.
    total: u32,
    len: u32,
    /// The first chain that nobody has taken.
    next: AtomicU32,
    /// Chains that are answered: who waits for the last sleeps on this.
    answered: AtomicU32,
    /// Pieces that were slow.
    slow: AtomicU32,
    /// Helpers that were invited.
    invited: AtomicU32,
    /// The caller, and invitations.
    refs: AtomicU32,
}

fn team_of(req: Req) -> NonNull<Team> {
    // SAFETY: `invite` has put it there, and the invitation counts as a reference.
    unsafe { NonNull::new_unchecked(req.sqe.addr as usize as *mut Team) }
}

fn let_go(team: NonNull<Team>) {
    // SAFETY: the caller has a reference, which it gives up; the last frees what `gather` allocated.
    unsafe {
        // AcqRel: all use of it comes before the last reference goes.
        if team.as_ref().refs.fetch_sub(1, AcqRel) == 1 {
            memory::release(team.cast(), size_of::<Team>());
        }
    }
}

impl Team {
    /// Takes chains and makes their calls until none is left.
    fn work(&self) {
        let most = (PIECE / self.len).max(1);
        let mut piece = if self.invited.load(Relaxed) > 1 { 1 } else { most };
        let mut waited = call::times_waited();
        let began = monotonic();
        let (mut before, mut done) = (began, 0);
        loop {
            // Relaxed: the steps are there for whoever got to know of the team.
            let first = self.next.fetch_add(piece, Relaxed);
            if first >= self.total {
                return;
            }
            let count = piece.min(self.total - first);
            for chain in first..first + count {
                // SAFETY: inside the steps, which stay until all are answered, and ours alone: each
                // chain is taken once.
                let chain = unsafe {
                    let len = self.len as usize;
                    core::slice::from_raw_parts_mut(self.steps.add(chain as usize * len), len)
                };
                make(chain);
            }
            // Release pairs with the Acquire of the caller: it sees the answers.
            if self.answered.fetch_add(count, Release) + count == self.total {
                call::futex_wake(&self.answered, 1);
                return;
            }
            done += count;
            let now = monotonic();
            let calls = u64::from(count) * u64::from(self.len);
            let mut slow = now.saturating_sub(before) > SLOW + SLOW_EACH * calls;
            before = now;
            if slow {
                // Or the processor was taken away, which a helper would not mend.
                let times = call::times_waited();
                slow = times != waited;
                waited = times;
            }
            let left = self.total.saturating_sub(first + count);
            piece = if slow { 1 } else { most.min(1 + left / 16) };
            if slow {
                self.slow.fetch_add(1, Relaxed);
                self.invite_for(2);
            } else if self.invited.load(Relaxed) == 0 {
                let each = now.saturating_sub(began) / u64::from(done);
                if each * u64::from(left) > WORTH_A_HELPER && call::cpu_count() > 1 {
                    self.invite_for(1);
                }
            }
        }
    }

    /// Invites as many helpers, if there is work for them.
    fn invite_for(&self, more: u32) {
        let left = self.total.saturating_sub(self.next.load(Relaxed));
        let invited = self.invited.load(Relaxed);
        let more = more.min(left).min(MOST_HELPERS.saturating_sub(invited));
        if more != 0
            && self.invited.compare_exchange(invited, invited + more, Relaxed, Relaxed).is_ok()
        {
            invite(NonNull::from(self), more, false);
        }
    }
}

/// Makes the calls of a chain, one after the other. A step is issued once: a chain with one that was
/// is left as it is.
#[inline]
fn make(chain: &mut [Step]) {
    if !chain.iter().all(Step::is_new) {
        return;
    }
    for index in 0..chain.len() {
        let (before, rest) = chain.split_at_mut(index);
        let Some(step) = rest.first_mut() else { return };
        let answer = match step.on {
            0 => answer(&step.call()),
            on => match opened(before, on).and_then(|fd| on_descriptor(&step.call(), fd)) {
                Ok(call) => answer(&call),
                Err(e) => e.to_res() as isize,
            },
        };
        step.answer(answer);
    }
}

/// The descriptor that a step of a chain, counted from 1, has opened.
fn opened(before: &[Step], on: u16) -> Result<usize> {
    let step = before.get(on as usize - 1).ok_or(Errno::EINVAL)?;
    let fd = match step.issued() {
        Some(Ok(Issued::Done(fd))) if table::opens(step.call().nr) => {
            usize::try_from(fd).map_err(|_| Errno::ECANCELED)?
        }
        _ => return Err(Errno::EINVAL),
    };
    // Once the chain has closed it, the number may be another file's.
    let is_closed = before.iter().any(|step| step.on == on && step.call().nr == g::__NR_close);
    if is_closed { Err(Errno::EBADF) } else { Ok(fd) }
}

/// A call on another descriptor.
fn on_descriptor(call: &Call, fd: usize) -> Result<Call> {
    match table::row(call.nr) {
        Some(row) if row.fd != NONE => Ok(call.with(row.fd, fd)),
        _ if call.nr == g::__NR_close => Ok(call.with(0, fd)),
        _ => Err(Errno::EINVAL),
    }
}

/// A step's answer. What is the calling thread's business must not be a helper's.
fn answer(call: &Call) -> isize {
    match table::how(call.nr) {
        How::Own | How::Refused => Errno::EOPNOTSUPP.to_res() as isize,
        _ if is_foreign(call.nr) => Errno::ENOSYS.to_res() as isize,
        _ => call.answer(),
    }
}

/// On a worker.
fn help(req: Req) -> i32 {
    // SAFETY: the invitation has a reference until it is told.
    unsafe { team_of(req).as_ref() }.work();
    0
}

/// Invites helpers. Where there is no memory for it, there are fewer.
#[inline(never)]
fn invite(team: NonNull<Team>, count: u32, submitter: bool) {
    // SAFETY: the caller has a reference; the ring stays as long as its context, which waits for the
    // batch, or as its requests, of which the calling helper is one.
    let (shared, ring) = unsafe { (team.as_ref(), &*team.as_ref().ring) };
    let mut locked = if submitter { ring.lock_as_submitter() } else { ring.lock() };
    if locked.closing {
        return;
    }
    for _ in 0..count {
        let Ok(mut req) = locked.slab.take(ring) else { return };
        locked.outstanding += 1;
        locked.invitations += 1;
        shared.refs.fetch_add(1, Relaxed);
        let addr = team.as_ptr() as usize as u64;
        req.begin(&Sqe { opcode: CODE, addr, ..Sqe::default() }, &ROW);
        locked.carry_on(req, issue::Issued::Work);
    }
}

impl Context {
    /// Makes all calls of a batch, and returns when all are answered. The batch is of chains of `len`
    /// steps: they are begun in their order, several are under way at a time, by this thread and by
    /// workers, and the steps of each are made one after the other by whoever has it. A chain with a
    /// step that was issued before is left as it is.
    ///
    /// # Safety
    /// The calls are sound for this process while this runs.
    ///
    /// # Errors
    /// `EINVAL`: more than 2³¹ steps, or `len` does not divide them. `ENOMEM`.
    pub unsafe fn run_all(&self, steps: &mut [Step], len: u32) -> Result<()> {
        process::enter()?;
        let Some(first) = steps.first().map(|step| step.call().nr) else { return Ok(()) };
        let count = u32::try_from(steps.len()).ok().filter(|&count| count <= u32::MAX / 2);
        let count = count.filter(|&count| len != 0 && count % len == 0).ok_or(Errno::EINVAL)?;
        let total = count / len;
        let team = gather(self.ring, steps, total, len)?;
        // SAFETY: `gather` gave us one of its references; `let_go` returns it.
        let shared = unsafe { team.as_ref() };
        // As many as were of use to the latest of its kind are asked at once.
        let helpers = self.useful_helpers(first).min(total / 2);
        if helpers != 0 {
            shared.invited.store(helpers, Relaxed);
            invite(team, helpers, true);
        }
        shared.work();
        loop {
            // Acquire pairs with the Release of who answered.
            let answered = shared.answered.load(Acquire);
            if answered >= total {
                break;
            }
            let _ = call::futex_wait(&shared.answered, answered, None);
        }
        let was_cold = shared.slow.load(Relaxed) > total / 16;
        self.remember_helpers(first, if was_cold { shared.invited.load(Relaxed) } else { 0 });
        let_go(team);
        Ok(())
    }
}

fn gather(ring: &'static Ring, steps: &mut [Step], total: u32, len: u32) -> Result<NonNull<Team>> {
    let team = memory::allocate(size_of::<Team>())?.cast::<Team>();
    // SAFETY: the block is large enough, aligned, and ours.
    unsafe {
        team.write(Team {
            ring,
            steps: steps.as_mut_ptr(),
            total,
            len,
            next: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            slow: AtomicU32::new(0),
            invited: AtomicU32::new(0),
            refs: AtomicU32::new(1),
        });
    }
    Ok(team)
}
