//! A batch of calls, made by the thread that has it and by those who help.
//!
//! The caller works itself: calls that are quick are made in place, back to back, and a helper that
//! comes late finds nothing left. Helpers are workers, invited by requests: one where the batch is
//! long enough to be worth it, and one more for each piece that has been slow, for then a thread
//! waits for a device, and another can. So a hot batch costs what its calls do, and a cold one has as
//! many calls under way as help.

use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use sysring_sys::abi::io_uring::Sqe;
use sysring_sys::vdso::monotonic;
use sysring_sys::{Errno, Result, call};

use super::batch::{Became, Step};
use super::context::Context;
use super::table::{self, How};
use super::{Call, FOREIGN, Issued};
use crate::filter::SILENT;
use crate::issue;
use crate::op::table::{Row, row_flag};
use crate::request::Req;
use crate::ring::Ring;
use crate::{memory, process};

/// The operation code of an invitation: none of io_uring's.
pub const CODE: u8 = 0xfe;

pub static ROW: Row = Row {
    name: "invitation",
    since: "",
    flags: row_flag::ITS_OWN,
    prepare: |_, _| Ok(()),
    issue: |_, _| issue::Issued::Work,
    stabilise: None,
    work: Some(help),
    finish: None,
    teller: &SILENT,
    cancelled: None,
    tell: Some(|ring, req| {
        ring.invitations -= 1;
        let_go(team_of(req));
        true
    }),
    note: "",
};

/// A batch is worth a helper from here on: it takes longer than to wake one.
const WORTH_A_HELPER: u32 = 32;
/// Helpers at most: more calls at a time a device does not serve faster.
const MOST_HELPERS: u32 = 47;
/// Calls taken at once while they are quick.
const PIECE: u32 = 8;
/// A piece has waited for something if it took so long, and so long for each call in it.
const SLOW: u64 = 20_000;
const SLOW_EACH: u64 = 2_000;

/// What those who work on a batch share.
struct Team {
    ring: *const Ring,
    steps: *mut Step,
    total: u32,
    /// The first step that nobody has taken.
    next: AtomicU32,
    /// Steps that are answered: who waits for the last sleeps on this.
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
    /// Takes steps and makes their calls until none is left.
    fn work(&self) {
        let mut piece = if self.invited.load(Relaxed) > 1 { 1 } else { PIECE };
        let mut waited = call::times_waited();
        let mut before = monotonic();
        loop {
            // Relaxed: the steps are there for whoever got to know of the team.
            let first = self.next.fetch_add(piece, Relaxed);
            if first >= self.total {
                return;
            }
            let count = piece.min(self.total - first);
            for index in first..first + count {
                // SAFETY: inside the steps, which stay until all are answered, and ours alone: each
                // index is taken once.
                let step = unsafe { &mut *self.steps.add(index as usize) };
                step.became = Became::Issued(Issued::Done(answer(&step.call)));
            }
            // Release pairs with the Acquire of the caller: it sees the answers.
            if self.answered.fetch_add(count, Release) + count == self.total {
                call::futex_wake(&self.answered, 1);
                return;
            }
            let now = monotonic();
            let mut slow = now.saturating_sub(before) > SLOW + SLOW_EACH * u64::from(count);
            before = now;
            if slow {
                // Or the processor was taken away, which a helper would not mend.
                let times = call::times_waited();
                slow = times != waited;
                waited = times;
            }
            piece = if slow { 1 } else { PIECE.min(1 + (self.total - first) / 16) };
            if slow {
                self.slow.fetch_add(1, Relaxed);
                self.invite_for(2);
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

/// A step's answer. What is the calling thread's business must not be a helper's.
fn answer(call: &Call) -> isize {
    match table::how(call.nr) {
        How::Own | How::Refused => Errno::EOPNOTSUPP.to_res() as isize,
        _ if call.nr & FOREIGN != 0 => Errno::ENOSYS.to_res() as isize,
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
        req.begin(&Sqe { opcode: CODE, addr: team.as_ptr() as usize as u64, ..Sqe::default() });
        locked.carry_on(req, issue::Issued::Work);
    }
}

impl Context {
    /// Makes all calls of a batch, and returns when all are answered. They are begun in their order,
    /// and several are made at a time, by this thread and by workers.
    ///
    /// # Safety
    /// The calls are sound for this process while this runs.
    ///
    /// # Errors
    /// `EINVAL`: more than 2³¹ calls. `ENOMEM`.
    pub unsafe fn run_all(&self, steps: &mut [Step]) -> Result<()> {
        process::enter()?;
        let total = u32::try_from(steps.len()).ok().filter(|&total| total <= u32::MAX / 2);
        let total = total.ok_or(Errno::EINVAL)?;
        let team = gather(self.ring(), steps, total)?;
        let first = steps.first().map_or(0, |step| step.call.nr);
        // SAFETY: we have a reference.
        let shared = unsafe { team.as_ref() };
        if total >= WORTH_A_HELPER {
            let count = self.useful_helpers(first).min(total / 8);
            shared.invited.store(count, Relaxed);
            invite(team, count, true);
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
        // As many as were of use are asked at once the next time.
        let was_cold = shared.slow.load(Relaxed) > total / 16;
        self.remember_helpers(first, if was_cold { shared.invited.load(Relaxed) } else { 1 });
        let_go(team);
        Ok(())
    }
}

fn gather(ring: &'static Ring, steps: &mut [Step], total: u32) -> Result<NonNull<Team>> {
    let team = memory::allocate(size_of::<Team>())?.cast::<Team>();
    // SAFETY: the block is large enough, aligned, and ours.
    unsafe {
        team.write(Team {
            ring,
            steps: steps.as_mut_ptr(),
            total,
            next: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            slow: AtomicU32::new(0),
            invited: AtomicU32::new(0),
            refs: AtomicU32::new(1),
        });
    }
    Ok(team)
}
