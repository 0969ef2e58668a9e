//! Classic BPF: the machine that filters are programs for, with the instructions that io_uring
//! allows them.

use core::ptr::NonNull;

use sysring_sys::abi::io_uring::BpfInstruction;
use sysring_sys::{Errno, Result, User};

use crate::memory;
use crate::user;

/// Instructions a program may have.
const MOST: u32 = 4096;
/// Words of scratch memory.
const CELLS: usize = 16;

/// What a program sees: 32-bit words, and nothing else.
pub type Context = [u32; 10];
const CONTEXT_LEN: u32 = size_of::<Context>() as u32;

/// Fields of an instruction's code.
mod code {
    pub const LD: u16 = 0x00;
    pub const LDX: u16 = 0x01;
    pub const ST: u16 = 0x02;
    pub const STX: u16 = 0x03;
    pub const ALU: u16 = 0x04;
    pub const JMP: u16 = 0x05;
    pub const RET: u16 = 0x06;
    pub const MISC: u16 = 0x07;

    pub const IMM: u16 = 0x00;
    pub const ABS: u16 = 0x20;
    pub const MEM: u16 = 0x60;
    pub const LEN: u16 = 0x80;

    /// The operand is the index register.
    pub const X: u16 = 0x08;
    /// `RET` of the accumulator.
    pub const A: u16 = 0x10;

    pub const ADD: u16 = 0x00;
    pub const SUB: u16 = 0x10;
    pub const MUL: u16 = 0x20;
    pub const DIV: u16 = 0x30;
    pub const OR: u16 = 0x40;
    pub const AND: u16 = 0x50;
    pub const LSH: u16 = 0x60;
    pub const RSH: u16 = 0x70;
    pub const NEG: u16 = 0x80;
    pub const XOR: u16 = 0xa0;

    pub const JA: u16 = 0x00;
    pub const JEQ: u16 = 0x10;
    pub const JGT: u16 = 0x20;
    pub const JGE: u16 = 0x30;
    pub const JSET: u16 = 0x40;

    pub const TXA: u16 = 0x80;

    pub fn class(code: u16) -> u16 {
        code & 0x07
    }
    /// The operation of `ALU` and `JMP`, the mode of loads.
    pub fn kind(code: u16) -> u16 {
        code & !(0x07 | X)
    }
}

/// A program that was checked: every jump leads forward and inside, and the last instruction
/// returns.
#[derive(Debug)]
pub struct Program {
    instructions: NonNull<BpfInstruction>,
    len: usize,
}

impl Program {
    /// Copies and checks a program.
    ///
    /// # Errors
    /// `EINVAL`, `EFAULT`, `ENOMEM`.
    pub fn read(from: User<BpfInstruction>, len: u32) -> Result<Program> {
        if len == 0 || len > MOST || from.is_null() {
            return Err(Errno::EINVAL);
        }
        let len = len as usize;
        let block = memory::allocate(len * size_of::<BpfInstruction>())?;
        let instructions = block.cast::<BpfInstruction>();
        // SAFETY: fresh memory of that size and alignment; zeroes are instructions, too.
        unsafe { instructions.as_ptr().write_bytes(0, len) };
        let mut program = Program { instructions, len };
        user::read_slice(program.instructions_mut(), from)?;
        program.check()?;
        Ok(program)
    }

    fn instructions(&self) -> &[BpfInstruction] {
        // SAFETY: allocated and filled for `len`.
        unsafe { core::slice::from_raw_parts(self.instructions.as_ptr(), self.len) }
    }

    fn instructions_mut(&mut self) -> &mut [BpfInstruction] {
        // SAFETY: allocated and filled for `len`, and borrowed as long as the program.
        unsafe { core::slice::from_raw_parts_mut(self.instructions.as_ptr(), self.len) }
    }

    fn check(&self) -> Result<()> {
        let all = self.instructions();
        for (at, i) in all.iter().enumerate() {
            let left = all.len() - at - 1;
            if !is_allowed(*i) || !stays_inside(*i, left) {
                return Err(Errno::EINVAL);
            }
        }
        if code::class(all[all.len() - 1].code) != code::RET {
            return Err(Errno::EINVAL);
        }
        self.check_cells()
    }

    /// No cell of the scratch memory is loaded on a way that has not stored to it.
    fn check_cells(&self) -> Result<()> {
        let all = self.instructions();
        let len = all.len() * size_of::<u16>();
        let block = memory::allocate(len)?;
        // SAFETY: fresh memory of that size; every word is written before it is read.
        let reaching = unsafe {
            let words = block.cast::<u16>().as_ptr();
            words.write_bytes(0xff, all.len());
            core::slice::from_raw_parts_mut(words, all.len())
        };
        let mut stored = 0u16;
        let right = all.iter().enumerate().all(|(at, i)| {
            stored &= reaching[at];
            let (class, kind, k) = (code::class(i.code), code::kind(i.code), i.k as usize);
            match class {
                code::ST | code::STX => stored |= 1 << k,
                code::LD | code::LDX if kind == code::MEM => return stored >> k & 1 != 0,
                code::JMP => {
                    for to in targets(*i) {
                        reaching[at + 1 + to] &= stored;
                    }
                    stored = u16::MAX;
                }
                _ => {}
            }
            true
        });
        // SAFETY: allocated above with this length; `reaching` is not used again.
        unsafe { memory::release(block, len) };
        if right { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// What the program answers for a context.
    #[must_use]
    pub fn run(&self, context: &Context) -> u32 {
        let (mut a, mut x, mut cells) = (0u32, 0u32, [0u32; CELLS]);
        let all = self.instructions();
        let mut at = 0;
        // Jumps lead forward: there is an end.
        while let Some(&BpfInstruction { code: given, jt, jf, k }) = all.get(at) {
            at += 1;
            let (kind, operand) = (code::kind(given), if given & code::X != 0 { x } else { k });
            let cell = k as usize % CELLS;
            match code::class(given) {
                code::LD => a = load(kind, k, cells[cell], context),
                code::LDX => x = load(kind, k, cells[cell], context),
                code::ST => cells[cell] = a,
                code::STX => cells[cell] = x,
                code::ALU => match calculate(kind, a, operand) {
                    Some(result) => a = result,
                    // Division by zero ends a program, with 0.
                    None => return 0,
                },
                code::JMP if kind == code::JA => at += k as usize,
                code::JMP => at += usize::from(if holds(kind, a, operand) { jt } else { jf }),
                code::RET => return if given & code::A != 0 { a } else { k },
                _ if kind == code::TXA => a = x,
                _ => x = a,
            }
        }
        0
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let len = self.len * size_of::<BpfInstruction>();
        // SAFETY: allocated with this length; the program is gone.
        unsafe { memory::release(self.instructions.cast(), len) };
    }
}

fn load(kind: u16, k: u32, cell: u32, context: &Context) -> u32 {
    match kind {
        code::ABS => context.get(k as usize / 4).copied().unwrap_or(0),
        code::MEM => cell,
        code::LEN => CONTEXT_LEN,
        _ => k,
    }
}

fn calculate(kind: u16, a: u32, operand: u32) -> Option<u32> {
    Some(match kind {
        code::ADD => a.wrapping_add(operand),
        code::SUB => a.wrapping_sub(operand),
        code::MUL => a.wrapping_mul(operand),
        code::DIV => return a.checked_div(operand),
        code::OR => a | operand,
        code::AND => a & operand,
        code::XOR => a ^ operand,
        code::LSH => a.wrapping_shl(operand),
        code::RSH => a.wrapping_shr(operand),
        _ => a.wrapping_neg(),
    })
}

fn holds(kind: u16, a: u32, operand: u32) -> bool {
    match kind {
        code::JEQ => a == operand,
        code::JGT => a > operand,
        code::JGE => a >= operand,
        _ => a & operand != 0,
    }
}

/// Whether an instruction is one of those that filters may have.
fn is_allowed(i: BpfInstruction) -> bool {
    let kind = code::kind(i.code);
    let from_x = i.code & code::X != 0;
    match code::class(i.code) {
        // Words of the context, whole ones only.
        code::LD if kind == code::ABS => !from_x && i.k < CONTEXT_LEN && i.k.is_multiple_of(4),
        code::LD | code::LDX => match kind {
            code::IMM | code::LEN => !from_x,
            code::MEM => !from_x && (i.k as usize) < CELLS,
            _ => false,
        },
        code::ST | code::STX => kind == 0 && !from_x && (i.k as usize) < CELLS,
        code::ALU => match kind {
            code::DIV => from_x || i.k != 0,
            code::LSH | code::RSH => from_x || i.k < 32,
            code::ADD | code::SUB | code::MUL | code::OR | code::AND | code::XOR => true,
            code::NEG => !from_x,
            _ => false,
        },
        code::JMP => match kind {
            code::JA => !from_x,
            code::JEQ | code::JGT | code::JGE | code::JSET => true,
            _ => false,
        },
        code::RET => !from_x && (kind == 0 || kind == code::A),
        code::MISC => !from_x && (kind == 0 || kind == code::TXA),
        _ => false,
    }
}

/// Whether what may follow an instruction is there; `left` come behind it.
fn stays_inside(i: BpfInstruction, left: usize) -> bool {
    code::class(i.code) != code::JMP || targets(i).into_iter().all(|to| to < left)
}

/// How many instructions a jump may leave out.
fn targets(i: BpfInstruction) -> [usize; 2] {
    if code::kind(i.code) == code::JA {
        [i.k as usize; 2]
    } else {
        [usize::from(i.jt), usize::from(i.jf)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(instructions: &[(u16, u8, u8, u32)]) -> Result<Program> {
        let list: Vec<_> = instructions
            .iter()
            .map(|&(code, jt, jf, k)| BpfInstruction { code, jt, jf, k })
            .collect();
        Program::read(User::of(list.as_ptr()), list.len() as u32)
    }

    const RET_A: (u16, u8, u8, u32) = (0x16, 0, 0, 0);

    #[test]
    fn words_of_the_context_are_loaded_and_compared() {
        let context: Context = core::array::from_fn(|i| i as u32 * 10);
        let answer = |k, wanted| {
            let list = [(0x20, 0, 0, k), (0x15, 0, 1, wanted), (0x06, 0, 0, 7), (0x06, 0, 0, 0)];
            program(&list).unwrap().run(&context)
        };
        assert_eq!(answer(16, 40), 7);
        assert_eq!(answer(16, 41), 0);
        assert_eq!(answer(36, 90), 7);
        assert_eq!(program(&[(0x80, 0, 0, 0), RET_A]).unwrap().run(&context), 40);
    }

    #[test]
    fn arithmetic_is_of_32_bits_and_division_by_zero_denies() {
        let a_and_x = |op: u16, a, x| {
            let list = [(0x01, 0, 0, x), (0x00, 0, 0, a), (op | 0x08, 0, 0, 0), RET_A];
            program(&list).unwrap().run(&[0; 10])
        };
        assert_eq!(a_and_x(0x04, u32::MAX, 2), 1);
        assert_eq!(a_and_x(0x14, 1, 2), u32::MAX);
        assert_eq!(a_and_x(0x24, 1 << 31, 2), 0);
        assert_eq!(a_and_x(0x34, 7, 2), 3);
        assert_eq!(a_and_x(0x34, 7, 0), 0);
        assert_eq!(a_and_x(0x64, 1, 31), 1 << 31);
        assert_eq!(a_and_x(0xa4, 6, 3), 5);
        assert_eq!(program(&[(0x00, 0, 0, 5), (0x84, 0, 0, 0), RET_A]).unwrap().run(&[0; 10]), !4);
    }

    #[test]
    fn scratch_memory_holds_what_was_stored() {
        let list = [(0x00, 0, 0, 9), (0x02, 0, 0, 3), (0x00, 0, 0, 0), (0x60, 0, 0, 3), RET_A];
        assert_eq!(program(&list).unwrap().run(&[0; 10]), 9);
        // Stored on one of two ways only.
        let list = [(0x15, 0, 1, 0), (0x02, 0, 0, 3), (0x60, 0, 0, 3), RET_A];
        assert_eq!(program(&list).err(), Some(Errno::EINVAL));
    }

    #[test]
    fn what_is_not_allowed_is_refused() {
        for wrong in [
            &[] as &[_],
            // No return at the end, and jumps behind it.
            &[(0x00, 0, 0, 1)],
            &[(0x05, 0, 0, 1), RET_A],
            &[(0x15, 1, 0, 1), RET_A],
            // Bytes, half words, what lies outside, and what is not aligned.
            &[(0x30, 0, 0, 0), RET_A],
            &[(0x28, 0, 0, 0), RET_A],
            &[(0x20, 0, 0, 40), RET_A],
            &[(0x20, 0, 0, 2), RET_A],
            // By an index, a remainder, a division by zero, a shift too far, no such cell.
            &[(0x40, 0, 0, 0), RET_A],
            &[(0x94, 0, 0, 2), RET_A],
            &[(0x34, 0, 0, 0), RET_A],
            &[(0x64, 0, 0, 32), RET_A],
            &[(0x02, 0, 0, 16), RET_A],
            &[(0x60, 0, 0, 0), RET_A],
            &[(0xffff, 0, 0, 0), RET_A],
        ] {
            assert_eq!(program(wrong).err(), Some(Errno::EINVAL), "{wrong:?}");
        }
    }
}
