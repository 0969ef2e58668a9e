//! Requests in line. Each is in one queue at a time, so a word in the request is all the memory that
//! it takes: to queue cannot fail.

use super::handle::Req;

/// A queue of requests, first in first out, threaded through `queued`.
#[derive(Debug, Default)]
pub struct Queue {
    head: Option<Req>,
    tail: Option<Req>,
}

impl Queue {
    pub const fn new() -> Queue {
        Queue { head: None, tail: None }
    }

    pub fn push(&mut self, mut req: Req) {
        req.queued = None;
        match self.tail.replace(req) {
            Some(mut last) => last.queued = Some(req),
            None => self.head = Some(req),
        }
    }

    pub fn pop(&mut self) -> Option<Req> {
        let mut first = self.head?;
        self.head = first.queued.take();
        if self.head.is_none() {
            self.tail = None;
        }
        Some(first)
    }

    /// Calls `act` for every member.
    pub fn each(&self, mut act: impl FnMut(Req)) {
        let mut at = self.head;
        while let Some(req) = at {
            act(req);
            at = req.queued;
        }
    }

    /// Moves everything of another queue to the end of this one.
    pub fn append(&mut self, other: &mut Queue) {
        let Some(first) = other.head.take() else { return };
        let last = other.tail.take();
        match self.tail {
            Some(mut tail) => tail.queued = Some(first),
            None => self.head = Some(first),
        }
        self.tail = last;
    }

    #[must_use]
    pub fn first(&self) -> Option<Req> {
        self.head
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Takes `req` out, wherever it is; whether it was there.
    pub fn remove(&mut self, req: Req) -> bool {
        let mut before: Option<Req> = None;
        let mut at = self.head;
        while let Some(mut here) = at {
            if here == req {
                let next = here.queued.take();
                match before {
                    Some(mut b) => b.queued = next,
                    None => self.head = next,
                }
                if self.tail == Some(req) {
                    self.tail = before;
                }
                return true;
            }
            before = at;
            at = here.queued;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Slab;

    #[test]
    fn a_queue_keeps_its_order_and_lets_any_member_go() {
        let mut slab = Slab::new();
        let reqs: [Req; 5] = core::array::from_fn(|_| slab.take(core::ptr::null()).unwrap());
        let mut queue = Queue::new();
        for r in reqs {
            queue.push(r);
        }
        assert!(queue.remove(reqs[2]));
        assert!(!queue.remove(reqs[2]));
        assert!(queue.remove(reqs[4]));
        queue.push(reqs[2]);
        let out: Vec<_> = core::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(out, [reqs[0], reqs[1], reqs[3], reqs[2]]);
        // SAFETY: the handles above are not used again.
        unsafe { slab.destroy() };
    }
}
