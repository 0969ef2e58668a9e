//! Several calls at once.

use sysring_sys::{Errno, Result};

use super::{Attempt, Call, Context, Issued, Order};

/// A call of a batch, and what became of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    pub call: Call,
    pub order: Order,
    pub became: Became,
    /// Of a chain: the step that opens the descriptor which this one works on, counted from 1. 0: the
    /// call is as it is.
    pub on: u32,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Default)]
pub enum Became {
    /// It has not been issued.
    #[default]
    Nothing,
    /// It would block, and is about to be a request.
    Blocked(Attempt),
    Issued(Issued),
    /// It could not be issued.
    Refused(Errno),
}

impl Step {
    /// What became of it; `None`: nothing yet.
    #[must_use]
    pub fn issued(&self) -> Option<Result<Issued>> {
        match self.became {
            Became::Issued(issued) => Some(Ok(issued)),
            Became::Refused(e) => Some(Err(e)),
            Became::Nothing | Became::Blocked(_) => None,
        }
    }

    fn became(&mut self, result: Result<Issued>) {
        self.became = result.map_or_else(Became::Refused, Became::Issued);
    }
}

impl Context {
    /// Issues calls as [`issue`](Context::issue) does, one after the other; those that block become
    /// requests together, and reach the workers as one batch.
    ///
    /// # Safety
    /// As for `issue`, of each.
    pub unsafe fn issue_all(&self, steps: &mut [Step]) {
        let mut blocked = false;
        for step in &mut *steps {
            // SAFETY: passed on to the caller.
            match unsafe { super::attempt(&step.call, step.order.placement) } {
                Ok(Attempt::Done(answer)) => {
                    let done = self.done(answer, &step.order);
                    step.became(done);
                }
                Ok(attempt) => {
                    step.became = Became::Blocked(attempt);
                    blocked = true;
                }
                Err(e) => step.became(Err(e)),
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
            if let Became::Blocked(attempt) = step.became {
                let id = match &mut queue {
                    Ok(queue) => queue.add(&step.call, attempt, &step.order, None),
                    Err(e) => Err(*e),
                };
                step.became(id.map(Issued::Pending));
            }
        }
    }
}
