//! Filters: programs that are asked about each request of an operation, and may refuse it.
//!
//! As restrictions, they keep a program to what it meant to do, and are no wall against code in
//! the same process.

use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};

use sysring_sys::abi::io_uring::op;
use sysring_sys::{Errno, Result};

use crate::cbpf::{Context, Program};
use crate::memory;
use crate::request::Req;

/// What an operation tells filters of a request, behind what all of them do.
pub type Told = [u32; 6];

/// How an operation tells it.
#[derive(Debug)]
pub struct Teller {
    /// Bytes that mean something.
    pub size: u8,
    pub tell: fn(Req, &mut Told),
}

/// The teller of an operation; of most there is nothing to tell.
pub static SILENT: Teller = Teller { size: 0, tell: |_, _| {} };

/// A program in front of others. Never changed once it is in a set, and shared between sets.
#[derive(Debug)]
struct Filter {
    refs: AtomicU32,
    program: Program,
    next: Head,
}

/// The filters of one operation.
#[derive(Clone, Copy, Debug)]
enum Head {
    None,
    /// Nothing passes.
    Deny,
    Ask(NonNull<Filter>),
}

/// A set of filters, by operation.
#[derive(Debug)]
pub struct Filters {
    /// `None`: nothing is filtered.
    heads: Option<NonNull<[Head; op::COUNT]>>,
}

// SAFETY: filters are immutable but for their counts, which are atomic; a set is changed under the
// lock of whoever has it.
unsafe impl Send for Filters {}

impl Filters {
    pub const NONE: Filters = Filters { heads: None };

    #[must_use]
    pub fn is_none(&self) -> bool {
        self.heads.is_none()
    }

    fn heads(&self) -> &[Head] {
        // SAFETY: allocated and filled by `heads_mut`.
        self.heads.map_or(&[], |heads| unsafe { heads.as_ref() })
    }

    fn heads_mut(&mut self) -> Result<&mut [Head; op::COUNT]> {
        let mut heads = match self.heads {
            Some(heads) => heads,
            None => {
                let heads = memory::allocate(size_of::<[Head; op::COUNT]>())?.cast();
                // SAFETY: fresh memory of that size, aligned to more than it asks for.
                unsafe { heads.write([Head::None; op::COUNT]) };
                *self.heads.insert(heads)
            }
        };
        // SAFETY: filled, and borrowed as long as the set.
        Ok(unsafe { heads.as_mut() })
    }

    /// Puts a program in front of what an operation has; where `deny_rest`, those that have none
    /// are refused from now on.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn add(&mut self, opcode: u8, program: Program, deny_rest: bool) -> Result<()> {
        let filter = memory::allocate(size_of::<Filter>())?.cast::<Filter>();
        let heads = self.heads_mut()?;
        let head = &mut heads[usize::from(opcode)];
        // SAFETY: fresh memory of that size, aligned to more than it asks for.
        unsafe { filter.write(Filter { refs: AtomicU32::new(1), program, next: *head }) };
        *head = Head::Ask(filter);
        if deny_rest {
            for head in heads.iter_mut().filter(|head| matches!(head, Head::None)) {
                *head = Head::Deny;
            }
        }
        Ok(())
    }

    /// The same filters for another.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn share(&self) -> Result<Filters> {
        let mut shared = Filters::NONE;
        if !self.is_none() {
            shared.heads_mut()?.copy_from_slice(self.heads());
            for head in self.heads() {
                if let Head::Ask(filter) = head {
                    // SAFETY: a filter lives as long as a set has it.
                    unsafe { filter.as_ref() }.refs.fetch_add(1, Relaxed);
                }
            }
        }
        Ok(shared)
    }

    /// Whether a request passes.
    ///
    /// # Errors
    /// `EACCES`.
    #[inline(always)]
    pub fn check(&self, req: Req) -> Result<()> {
        if self.is_none() { Ok(()) } else { self.ask(req) }
    }

    #[cold]
    fn ask(&self, req: Req) -> Result<()> {
        let opcode = req.sqe.opcode;
        let mut head = self.heads().get(usize::from(opcode)).copied().unwrap_or(Head::None);
        let mut context = None;
        loop {
            match head {
                Head::None => return Ok(()),
                Head::Deny => return Err(Errno::EACCES),
                Head::Ask(filter) => {
                    // SAFETY: a filter lives as long as a set has it, or one that it stands before.
                    let filter = unsafe { filter.as_ref() };
                    let context = context.get_or_insert_with(|| describe(req));
                    if filter.program.run(context) == 0 {
                        return Err(Errno::EACCES);
                    }
                    head = filter.next;
                }
            }
        }
    }
}

impl Drop for Filters {
    fn drop(&mut self) {
        let Some(heads) = self.heads.take() else { return };
        // SAFETY: filled by `heads_mut`, and not used again.
        for head in unsafe { heads.read() } {
            release(head);
        }
        // SAFETY: allocated with this length.
        unsafe { memory::release(heads.cast(), size_of::<[Head; op::COUNT]>()) };
    }
}

/// One less has these filters; those that nobody has go.
fn release(mut head: Head) {
    while let Head::Ask(filter) = head {
        // SAFETY: a filter lives as long as it is had. The Acquire half of the last one pairs with
        // the Release half of the others: all use of it comes before.
        if unsafe { filter.as_ref() }.refs.fetch_sub(1, AcqRel) != 1 {
            return;
        }
        // SAFETY: nobody else has it; allocated with this length by `add`.
        unsafe {
            head = filter.as_ref().next;
            filter.as_ptr().drop_in_place();
            memory::release(filter.cast(), size_of::<Filter>());
        }
    }
}

/// What filters are told of a request.
fn describe(req: Req) -> Context {
    let teller = req.row.teller;
    let mut told = Told::default();
    (teller.tell)(req, &mut told);
    let user_data = req.sqe.user_data.to_ne_bytes();
    let half = |at: usize| {
        u32::from_ne_bytes([user_data[at], user_data[at + 1], user_data[at + 2], user_data[at + 3]])
    };
    let what = u32::from_ne_bytes([req.sqe.opcode, req.sqe.flags, teller.size, 0]);
    let mut context = [half(0), half(4), what, 0, 0, 0, 0, 0, 0, 0];
    context[4..].copy_from_slice(&told);
    context
}
