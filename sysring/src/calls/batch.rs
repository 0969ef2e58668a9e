//! Several calls at once.

use core::marker::PhantomData;

use sysring_engine::native;
use sysring_sys::Result;
use sysring_sys::raw::general as g;

use super::{Call, Calls, Issued};

/// A call of a batch, and what became of it.
///
/// It is issued once, for a call may do what cannot be done twice (close a descriptor, say): batches
/// leave steps alone that were issued before, and chains with such a step.
#[derive(Debug)]
#[repr(transparent)]
pub struct Step<'a, 'm> {
    step: native::Step,
    lent: PhantomData<(&'a (), &'m mut ())>,
}

impl<'a, 'm> Step<'a, 'm> {
    /// A call that is yet to be issued.
    #[inline]
    pub fn new(call: Call<'a, 'm>) -> Step<'a, 'm> {
        let (call, order) = call.parts();
        Step { step: native::Step::new(call, order), lent: PhantomData }
    }

    /// In a [chain](Calls::run_chains): has the call work on the descriptor that an earlier step
    /// opens, in place of its own. If there is none, it is not made, and answers `ECANCELED`; `EBADF`
    /// if a step between the two closes it. `EINVAL` if that step opens nothing, this call is not one
    /// of those with a descriptor that `docs/calls.md` lists as kept, or this is no chain.
    #[inline]
    #[must_use]
    pub fn on(mut self, step: usize) -> Step<'a, 'm> {
        self.step.on = u16::try_from(step).unwrap_or(u16::MAX - 1).saturating_add(1);
        self
    }

    /// In a chain: closes the descriptor that an earlier step opens.
    #[inline]
    #[must_use]
    pub fn close(step: usize) -> Step<'a, 'm> {
        // SAFETY: not made as it is, but on what the chain has opened for itself.
        let close = unsafe { Call::raw(g::__NR_close, [usize::MAX, 0, 0, 0, 0, 0]) };
        Step::new(close).on(step)
    }

    /// What became of it; `None`: it has not been issued yet.
    ///
    /// # Errors
    /// Of [`Calls::issue`].
    #[inline]
    #[must_use]
    pub fn issued(&self) -> Option<Result<Issued>> {
        self.step.issued().map(|issued| issued.map(Issued::from_native))
    }

    /// What the call answered; `None`: it has not been issued, or is pending.
    #[inline]
    #[must_use]
    pub fn result(&self) -> Option<Result<usize>> {
        match self.issued()? {
            Ok(Issued::Done(result)) => Some(result),
            Ok(Issued::Pending(_)) => None,
            Err(e) => Some(Err(e)),
        }
    }
}

impl<'a, 'm> From<Call<'a, 'm>> for Step<'a, 'm> {
    fn from(call: Call<'a, 'm>) -> Step<'a, 'm> {
        Step::new(call)
    }
}

/// The engine's view of a batch.
fn native<'s>(steps: &'s mut [Step<'_, '_>]) -> &'s mut [native::Step] {
    // SAFETY: a `Step` is one of the engine's, and nothing else.
    unsafe { &mut *(core::ptr::from_mut(steps) as *mut [native::Step]) }
}

impl<'m> Calls<'m> {
    /// Issues calls as [`issue`](Calls::issue) does, one after the other. Those that block become
    /// pending together, which takes the context's lock once and wakes workers once.
    pub fn issue_all(&self, steps: &mut [Step<'_, 'm>]) {
        // SAFETY: as in `issue`.
        unsafe { self.context.issue_all(native(steps)) };
    }

    /// Makes all calls of a batch, and returns when all are answered.
    ///
    /// They are begun in their order, several at a time: by the calling thread, and by workers where
    /// that pays. While they are quick (names that are cached, say) there is one helper at most, and
    /// if it comes too late the caller has done without it; where they have to wait for a device,
    /// up to 48 are under way. So work on thousands of files costs what its calls do when they are
    /// cached, and overlaps where they are not. No call of the batch is refused for the caller's
    /// sake: what would block is made as it is, and waited for.
    ///
    /// What a call answers is in its step: `EOPNOTSUPP` where it is about the thread that makes it.
    ///
    /// ```
    /// use sysring::calls::{Call, Calls, Statx, StatxFlags, Step};
    /// use sysring::Fd;
    ///
    /// # fn main() -> Result<(), sysring::Errno> {
    /// let calls = Calls::new()?;
    /// let names = [c"/proc/self/exe", c"/no/such/file"];
    /// let mut statuses = [Statx::default(); 2];
    /// let mut steps: Vec<Step> = names
    ///     .iter()
    ///     .zip(&mut statuses)
    ///     .map(|(name, to)| Call::statx(Fd::CWD, name, StatxFlags::default(), to).into())
    ///     .collect();
    /// calls.run_all(&mut steps)?;
    /// assert_eq!(steps[0].result(), Some(Ok(0)));
    /// assert_eq!(steps[1].result(), Some(Err(sysring::Errno::ENOENT)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `EINVAL`: more than 2³¹ calls. `ENOMEM`. No call has been made then.
    pub fn run_all(&self, steps: &mut [Step<'_, '_>]) -> Result<()> {
        // SAFETY: the calls are sound while what they have borrowed is there, which is longer than
        // this runs.
        unsafe { self.context.run_all(native(steps), 1) }
    }

    /// As [`run_all`](Calls::run_all), with chains: the steps of one are made one after the other,
    /// whatever the earlier ones answer, and can work on what those have opened. Several chains are
    /// under way at a time, where that pays.
    ///
    /// ```
    /// use sysring::calls::{Call, Calls, Step};
    /// use sysring::Fd;
    ///
    /// # fn main() -> Result<(), sysring::Errno> {
    /// let calls = Calls::new()?;
    /// let names = [c"/proc/self/stat", c"/proc/self/limits", c"/no/such/file"];
    /// let mut buffers = [[0u8; 4096]; 3];
    /// let mut chains: Vec<[Step; 3]> = names
    ///     .iter()
    ///     .zip(&mut buffers)
    ///     .map(|(name, buffer)| {
    ///         let open = Call::openat(Fd::CWD, name, 0, 0);
    ///         [Step::new(open), Step::new(Call::read(Fd::NONE, buffer)).on(0), Step::close(0)]
    ///     })
    ///     .collect();
    /// calls.run_chains(&mut chains)?;
    /// assert!(chains[0][1].result().is_some_and(|read| read.is_ok_and(|len| len > 0)));
    /// assert_eq!(chains[2][0].result(), Some(Err(sysring::Errno::ENOENT)));
    /// assert_eq!(chains[2][1].result(), Some(Err(sysring::Errno::ECANCELED)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As `run_all`.
    pub fn run_chains<const N: usize>(&self, chains: &mut [[Step<'_, '_>; N]]) -> Result<()> {
        let steps = chains.as_flattened_mut();
        // SAFETY: as in `run_all`; the descriptors that steps are put on are those of the chain.
        unsafe { self.context.run_all(native(steps), N as u32) }
    }
}
