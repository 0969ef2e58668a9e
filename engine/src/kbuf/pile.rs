//! A group that operations fill: first in, first out.

use core::ptr::NonNull;

use sysring_sys::Result;

use super::Taken;
use crate::memory;

/// Buffers one after the other in memory, with numbers one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub next: Option<NonNull<Run>>,
    pub address: u64,
    /// How much of each may be used.
    pub len: u32,
    /// From one to the next.
    pub stride: u32,
    pub id: u16,
    pub count: u32,
}

/// First in, first out; what is given back comes first again.
#[derive(Debug, Default)]
pub struct Pile {
    first: Option<NonNull<Run>>,
    last: Option<NonNull<Run>>,
    /// Buffers in all runs.
    count: u32,
}

impl Pile {
    /// Buffers that may be in a pile: with more, numbers of 16 bits could not tell them apart.
    const MOST: u32 = u16::MAX as u32;

    /// How many more may be provided.
    pub fn room(&self) -> u32 {
        Self::MOST.saturating_sub(self.count)
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub fn push_back(&mut self, run: Run) -> Result<()> {
        let block = new_run(run)?;
        match self.last {
            // SAFETY: listed runs are alive and reached through the pile only.
            Some(mut last) => unsafe { last.as_mut() }.next = Some(block),
            None => self.first = Some(block),
        }
        self.last = Some(block);
        self.count += run.count;
        Ok(())
    }

    /// Without memory the buffer is lost to the group, as one that is never given back.
    pub fn push_front(&mut self, mut run: Run) {
        run.next = self.first;
        if let Ok(block) = new_run(run) {
            self.first = Some(block);
            self.last = self.last.or(Some(block));
            self.count += run.count;
        }
    }

    pub fn pop(&mut self) -> Option<Taken> {
        let mut block = self.first?;
        // SAFETY: listed runs are alive and reached through the pile only.
        let run = unsafe { block.as_mut() };
        let taken = Taken { address: run.address, len: run.len, id: run.id, ..Taken::NONE };
        run.address = run.address.wrapping_add(u64::from(run.stride));
        run.id = run.id.wrapping_add(1);
        run.count -= 1;
        self.count -= 1;
        if run.count == 0 {
            self.drop_first();
        }
        Some(taken)
    }

    fn drop_first(&mut self) {
        if let Some(block) = self.first {
            // SAFETY: as in `pop`; it leaves the list before it is released.
            unsafe {
                self.first = block.as_ref().next;
                memory::release(block.cast(), size_of::<Run>());
            }
            if self.first.is_none() {
                self.last = None;
            }
        }
    }

    pub fn clear(&mut self) {
        while self.first.is_some() {
            self.drop_first();
        }
    }
}

fn new_run(run: Run) -> Result<NonNull<Run>> {
    let block = memory::allocate(size_of::<Run>())?.cast::<Run>();
    // SAFETY: just allocated, large and aligned enough.
    unsafe { block.write(run) };
    Ok(block)
}
