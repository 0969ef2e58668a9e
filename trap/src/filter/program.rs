//! The filter's program, as it is written.

use core::ops::Range;

use sysring_engine::descriptors;
use sysring_sys::raw::general::__NR_clone3;
use sysring_sys::{Errno, Result};

use super::{MARK, Rules};

/// One instruction of the classic BPF machine.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Instruction {
    pub(super) code: u16,
    pub(super) jump_true: u8,
    pub(super) jump_false: u8,
    pub(super) k: u32,
}

pub mod op {
    pub const LOAD: u16 = 0x20;
    pub const JUMP: u16 = 0x05;
    pub const JUMP_EQUAL: u16 = 0x15;
    pub const JUMP_GREATER: u16 = 0x25;
    pub const JUMP_AT_LEAST: u16 = 0x35;
    pub const JUMP_ANY_BIT: u16 = 0x45;
    pub const RETURN: u16 = 0x06;
}

/// `struct seccomp_data`, by offset. Both architectures are little-endian.
pub mod data {
    pub const NR: u32 = 0;
    pub const ARCH: u32 = 4;
    pub const IP: u32 = 8;

    pub const fn arg(n: u32) -> u32 {
        16 + 8 * n
    }
}

pub const TRAP: u32 = 0x0003_0000 | MARK as u32;
pub const ALLOW: u32 = 0x7fff_0000;
pub const ENOSYS: u32 = 0x0005_0000 | 38;

pub const FLOOR: u32 = descriptors::FLOOR.raw() as u32;
pub const SIGN: u32 = 1 << 31;

/// A program in the making. A full buffer stops it from growing; [`Program::judge`] tells.
pub struct Program<'b> {
    code: &'b mut [Instruction],
    len: usize,
    /// To the test of the instruction pointer.
    suspects: Jumps,
    /// From there, to the verdict.
    convicts: Jumps,
}

/// A jump to be aimed later.
pub struct Jump(usize);

/// Jumps to be aimed later, at one place: that of the last, each of which holds the place of the one
/// before. (The first instruction is no jump: zero ends the list.)
pub struct Jumps(usize);

impl<'b> Program<'b> {
    /// An empty one, to be written into `code`.
    pub fn new(code: &'b mut [Instruction]) -> Program<'b> {
        Program { code, len: 0, suspects: Jumps(0), convicts: Jumps(0) }
    }

    fn push(&mut self, code: u16, jump_true: u8, jump_false: u8, k: u32) {
        if let Some(slot) = self.code.get_mut(self.len) {
            *slot = Instruction { code, jump_true, jump_false, k };
        }
        self.len += 1;
    }

    pub fn load(&mut self, offset: u32) {
        self.push(op::LOAD, 0, 0, offset);
    }

    pub fn verdict(&mut self, verdict: u32) {
        self.push(op::RETURN, 0, 0, verdict);
    }

    pub fn jump(&mut self) -> Jump {
        self.push(op::JUMP, 0, 0, 0);
        Jump(self.len - 1)
    }

    /// Goes on here if `test` holds; otherwise jumps. (A conditional jump reaches 255
    /// instructions, a plain one any number: so each is a pair.)
    pub fn unless(&mut self, test: u16, k: u32) -> Jump {
        self.push(test, 1, 0, k);
        self.jump()
    }

    /// Allows the call if `test` holds; goes on otherwise.
    pub fn allow_if(&mut self, test: u16, k: u32) {
        self.push(test, 0, 1, k);
        self.verdict(ALLOW);
    }

    /// Aims a jump here.
    pub fn land(&mut self, jump: Jump) {
        let distance = (self.len - jump.0 - 1) as u32;
        if let Some(slot) = self.code.get_mut(jump.0) {
            slot.k = distance;
        }
    }

    /// Aims all of them here.
    fn land_all(&mut self, Jumps(mut at): Jumps) {
        while at != 0 {
            let before = self.code.get(at).map_or(0, |jump| jump.k as usize);
            self.land(Jump(at));
            at = before;
        }
    }

    /// The call is to be trapped, unless it comes from where the filter looks away.
    pub fn suspect(&mut self) {
        let before = core::mem::replace(&mut self.suspects.0, self.len);
        self.push(op::JUMP, 0, 0, before as u32);
    }

    /// The call is to be trapped.
    fn convict(&mut self) {
        let before = core::mem::replace(&mut self.convicts.0, self.len);
        self.push(op::JUMP, 0, 0, before as u32);
    }

    /// Allows the call unless argument `n` is a descriptor the engine may own.
    pub fn allow_low_descriptor(&mut self, n: u32) {
        self.load(data::arg(n));
        let low = self.unless(op::JUMP_AT_LEAST, FLOOR);
        self.allow_if(op::JUMP_ANY_BIT, SIGN);
        let high = self.jump();
        self.land(low);
        self.verdict(ALLOW);
        self.land(high);
    }

    /// Allows the call if argument `n` is a null pointer.
    pub fn allow_null(&mut self, n: u32) {
        self.load(data::arg(n));
        let not_null = self.unless(op::JUMP_EQUAL, 0);
        self.load(data::arg(n) + 4);
        self.allow_if(op::JUMP_EQUAL, 0);
        self.land(not_null);
    }

    /// One call: `rule` must not fall through.
    pub fn on(&mut self, nr: u32, rule: impl FnOnce(&mut Program<'b>)) {
        let next = self.unless(op::JUMP_EQUAL, nr);
        rule(self);
        self.land(next);
    }

    /// The end of the program, where suspects come to: who is calling?
    ///
    /// # Errors
    /// `E2BIG` if the program did not fit.
    pub fn judge(mut self, rules: &Rules<'_>) -> Result<&'b [Instruction]> {
        let suspects = core::mem::replace(&mut self.suspects, Jumps(0));
        self.land_all(suspects);
        self.load(data::IP);
        let not_the_gate = self.unless(op::JUMP_EQUAL, rules.gate as u32);
        self.load(data::IP + 4);
        self.allow_if(op::JUMP_EQUAL, (rules.gate >> 32) as u32);
        self.land(not_the_gate);
        match rules.ranges {
            None => self.convict(),
            Some(ranges) => self.judge_ranges(ranges),
        }

        let convicts = core::mem::replace(&mut self.convicts, Jumps(0));
        self.land_all(convicts);
        self.load(data::NR);
        let served = self.unless(op::JUMP_EQUAL, __NR_clone3);
        self.verdict(ENOSYS);
        self.land(served);
        self.verdict(TRAP);
        self.code.get(..self.len).ok_or(Errno::E2BIG)
    }

    /// Convicts calls from the ranges, allows others. The machine compares 32 bits: so first the
    /// upper half is found, then where among the ranges of that half.
    fn judge_ranges(&mut self, mut ranges: &[Range<usize>]) {
        self.load(data::IP + 4);
        let mut floor = 0;
        while let Some(first) = ranges.first() {
            let half = first.start.max(floor) >> 32;
            let (start, end) = (half << 32, (half + 1) << 32);
            let inside = ranges.partition_point(|range| range.start < end);
            let elsewhere = self.unless(op::JUMP_EQUAL, half as u32);
            self.load(data::IP);
            self.search(&ranges[..inside], start..end);
            self.land(elsewhere);
            // The last may go on in the next half.
            ranges = &ranges[ranges.partition_point(|range| range.end <= end)..];
            floor = end;
        }
        self.verdict(ALLOW);
    }

    /// Halves what comes into question until little is left.
    fn search(&mut self, ranges: &[Range<usize>], window: Range<usize>) {
        const FEW: usize = 8;

        if ranges.len() > FEW {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let below = self.unless(op::JUMP_AT_LEAST, high[0].start as u32);
            self.search(high, window.clone());
            self.land(below);
            return self.search(low, window);
        }
        // What is in a range jumps to behind the verdict for what is in none.
        let length = |range: &Range<usize>| if range.len() == 1 { 1 } else { 2 };
        let mut found = ranges.iter().map(length).sum::<u8>() + 1;
        for range in ranges {
            let first = range.start.max(window.start) as u32;
            let last = (range.end.min(window.end) - 1) as u32;
            found -= length(range);
            if range.len() == 1 {
                self.push(op::JUMP_EQUAL, found, 0, first);
            } else {
                self.push(op::JUMP_AT_LEAST, 0, 1, first);
                self.push(op::JUMP_GREATER, 0, found, last);
            }
        }
        self.verdict(ALLOW);
        self.convict();
    }
}
