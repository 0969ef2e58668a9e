//! Several calls at once.

use core::marker::PhantomData;

use sysring_engine::native::{self, Became};
use sysring_sys::Result;

use super::{Call, Calls, Issued};

/// A call of a batch, and what became of it.
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
        Step { step: native::Step { call, order, became: Became::Nothing }, lent: PhantomData }
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
        unsafe { self.context.run_all(native(steps)) }
    }
}
