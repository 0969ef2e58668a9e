//! Several calls at once.

use sysring_sys::{Errno, Result, User};

use super::context::done;
use super::{Attempt, Call, Context, Issued, Order, Placement, Then};

/// A call of a batch, and what became of it. Batches are long: it is kept short.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    nr: u32,
    /// Of a chain: the step that opens the descriptor which this one works on, counted from 1. 0: the
    /// call is as it is.
    pub on: u16,
    placement: Placement,
    became: Became,
    args: [usize; 6],
    /// An answer, an id, an error number, or bytes that have moved: as `became` says.
    value: i64,
    user_data: u64,
    slot: User<i64>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug)]
enum Became {
    /// It has not been issued.
    Nothing,
    /// It would block, and is about to be a request.
    Blocked(Then),
    Done,
    Pending,
    /// It could not be issued.
    Refused,
}

impl Step {
    /// A call that is yet to be issued.
    #[inline]
    #[must_use]
    pub fn new(call: Call, order: Order) -> Step {
        let Call { nr, args } = call;
        let Order { placement, user_data, slot } = order;
        Step { nr, on: 0, placement, became: Became::Nothing, args, value: 0, user_data, slot }
    }

    /// The call.
    #[inline]
    #[must_use]
    pub fn call(&self) -> Call {
        Call { nr: self.nr, args: self.args }
    }

    /// How it is to be issued.
    #[must_use]
    pub fn order(&self) -> Order {
        Order { placement: self.placement, user_data: self.user_data, slot: self.slot }
    }

    /// What became of it; `None`: nothing yet.
    #[inline]
    #[must_use]
    pub fn issued(&self) -> Option<Result<Issued>> {
        match self.became {
            Became::Nothing | Became::Blocked(_) => None,
            Became::Done => Some(Ok(Issued::Done(self.value as isize))),
            Became::Pending => Some(Ok(Issued::Pending(self.value as u64))),
            Became::Refused => Errno::from_raw(self.value as i32).map(Err),
        }
    }

    /// Whether nothing has become of it yet.
    #[inline]
    pub(super) fn is_new(&self) -> bool {
        matches!(self.became, Became::Nothing)
    }

    /// It was answered.
    #[inline]
    pub(super) fn answer(&mut self, answer: isize) {
        self.issue(done(answer, self.slot));
    }

    #[inline]
    fn issue(&mut self, result: Result<Issued>) {
        (self.became, self.value) = match result {
            Ok(Issued::Done(answer)) => (Became::Done, answer as i64),
            Ok(Issued::Pending(id)) => (Became::Pending, id as i64),
            Err(e) => (Became::Refused, e.raw().into()),
        };
    }
}

impl Context {
    /// Issues calls as [`issue`](Context::issue) does, one after the other; those that block become
    /// requests together, and reach the workers as one batch. A step is issued once: what was before
    /// is left as it is. `EINVAL` of a step that is to work on what another opens.
    ///
    /// # Safety
    /// As for `issue`, of each.
    pub unsafe fn issue_all(&self, steps: &mut [Step]) {
        let mut blocked = false;
        for step in steps.iter_mut().filter(|step| step.is_new()) {
            if step.on != 0 {
                step.issue(Err(Errno::EINVAL));
                continue;
            }
            let (call, order) = (step.call(), step.order());
            // SAFETY: passed on to the caller.
            match unsafe { super::attempt(&call, order.placement) } {
                Ok(Attempt::Done(answer)) => step.issue(done(answer, order.slot)),
                Ok(Attempt::Blocked { moved, then }) => {
                    (step.became, step.value) = (Became::Blocked(then), moved as i64);
                    blocked = true;
                }
                Err(e) => step.issue(Err(e)),
            }
        }
        if blocked {
            self.queue_all(steps);
        }
    }

    #[inline(never)]
    fn queue_all(&self, steps: &mut [Step]) {
        let mut queue = self.begin();
        for step in steps {
            if let Became::Blocked(then) = step.became {
                let blocked = Attempt::Blocked { moved: step.value as usize, then };
                let id = match &mut queue {
                    Ok(queue) => queue.add(&step.call(), blocked, &step.order(), None),
                    Err(e) => Err(*e),
                };
                step.issue(id.map(Issued::Pending));
            }
        }
    }
}
