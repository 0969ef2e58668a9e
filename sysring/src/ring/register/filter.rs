//! Programs that are asked about each entry of an operation.

use core::fmt;

use sysring_sys::Errno;
use sysring_sys::abi::io_uring::{Bpf, BpfInstruction, bpf, op, register};

use super::Register;

/// The most instructions that a [`Filter`] has.
const MOST: usize = 64;

/// Instructions of classic BPF: what filters need of them.
const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const REFUSE: BpfInstruction = BpfInstruction { code: RETURN, jt: 0, jf: 0, k: 0 };
const ALLOW: BpfInstruction = BpfInstruction { code: RETURN, jt: 0, jf: 0, k: 1 };

/// Rules for what the entries of one operation may ask for: [`Register::filter`], or, for all rings
/// to come, [`task::filter`](crate::task::filter). An entry that breaks one completes with `EACCES`.
///
/// The rules are a program of classic BPF, which [`Filter::instructions`] shows.
///
/// ```
/// use sysring::{Field, Filter, op};
///
/// const AF_INET: u32 = 2;
/// const AF_INET6: u32 = 10;
/// const O_ACCMODE: u64 = 3;
/// const O_CREAT: u64 = 0o100;
///
/// // Sockets of the internet alone.
/// const SOCKETS: Filter = Filter::new(op::Socket::CODE)
///     .one_of(Field::SOCKET_FAMILY, &[AF_INET, AF_INET6]);
/// // Files are opened to be read; no other operation is done but those two.
/// const FILES: Filter = Filter::new(op::OpenAt::CODE)
///     .without(Field::OPEN_FLAGS, O_ACCMODE | O_CREAT)
///     .deny_rest();
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct Filter {
    code: u8,
    flags: u32,
    /// Bytes of what the operation tells that the program looks at.
    told: u8,
    len: usize,
    /// Ends with a return at any time.
    program: [BpfInstruction; MOST],
}

/// Something that an operation tells [filters](Filter).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    at: u8,
    words: u8,
}

impl Field {
    /// Of [`op::Socket`](crate::op::Socket): the address family (`AF_*`).
    pub const SOCKET_FAMILY: Field = Field { at: 16, words: 1 };
    /// Of [`op::Socket`](crate::op::Socket): the type, with its flags (`SOCK_*`).
    pub const SOCKET_TYPE: Field = Field { at: 20, words: 1 };
    /// Of [`op::Socket`](crate::op::Socket): the protocol.
    pub const SOCKET_PROTOCOL: Field = Field { at: 24, words: 1 };
    /// Of [`op::OpenAt`](crate::op::OpenAt) and [`op::OpenAt2`](crate::op::OpenAt2): the flags (`O_*`).
    pub const OPEN_FLAGS: Field = Field { at: 16, words: 2 };
    /// Of the same: the mode of a new file.
    pub const OPEN_MODE: Field = Field { at: 24, words: 2 };
    /// Of [`op::OpenAt2`](crate::op::OpenAt2): how paths are walked (`RESOLVE_*`).
    pub const OPEN_RESOLVE: Field = Field { at: 32, words: 2 };

    /// Where the operation's own part begins in what a program sees.
    const START: u8 = 16;

    const fn word(self, which: u8) -> BpfInstruction {
        BpfInstruction { code: LOAD, jt: 0, jf: 0, k: (self.at + 4 * which) as u32 }
    }
}

impl Filter {
    /// Entries of this operation pass, as far as no rule is added that says otherwise.
    pub const fn new(code: u8) -> Filter {
        let mut program = [REFUSE; MOST];
        program[0] = ALLOW;
        Filter { code, flags: 0, told: 0, len: 1, program }
    }

    /// Entries of this operation do not pass.
    pub const fn deny(code: u8) -> Filter {
        Filter { program: [REFUSE; MOST], ..Filter::new(code) }
    }

    /// The field must be one of these values.
    ///
    /// # Panics
    /// If the rules are longer than 64 instructions: these take three, and one for each value.
    pub const fn one_of(mut self, field: Field, values: &[u32]) -> Filter {
        self = self.looks_at(field);
        if field.words == 2 {
            self = self.then(field.word(1));
            // The upper half is zero, or there is no value that it could have.
            self = self.then(BpfInstruction { code: IF_EQUAL, jt: 1, jf: 0, k: 0 }).then(REFUSE);
        }
        self = self.then(field.word(0));
        let mut at = 0;
        while at < values.len() {
            // Over the comparisons that follow, and the refusal.
            let over = (values.len() - at) as u8;
            self = self.then(BpfInstruction { code: IF_EQUAL, jt: over, jf: 0, k: values[at] });
            at += 1;
        }
        self.then(REFUSE)
    }

    /// The field must have none of these bits.
    ///
    /// # Panics
    /// If the rules are longer than 64 instructions: these take six at most.
    pub const fn without(mut self, field: Field, bits: u64) -> Filter {
        self = self.looks_at(field);
        let mut which = 0;
        while which < field.words {
            let k = (bits >> (32 * which)) as u32;
            if k != 0 {
                self = self.then(field.word(which));
                self = self.then(BpfInstruction { code: IF_ANY_BIT, jt: 0, jf: 1, k }).then(REFUSE);
            }
            which += 1;
        }
        self
    }

    /// Operations that have no filter, at the moment that this is registered, are refused from then on.
    pub const fn deny_rest(mut self) -> Filter {
        self.flags |= bpf::DENY_REST;
        self
    }

    /// Registration fails where the operation tells more than the rules look at: for rules that mean
    /// to have looked at everything.
    pub const fn strict(mut self) -> Filter {
        self.flags |= bpf::SZ_STRICT;
        self
    }

    /// The operation that it is for.
    #[must_use]
    pub const fn code(&self) -> u8 {
        self.code
    }

    /// The program: it answers 0 to refuse an entry. What it is asked about is a `struct
    /// io_uring_bpf_ctx`.
    #[must_use]
    pub fn instructions(&self) -> &[BpfInstruction] {
        &self.program[..self.len]
    }

    const fn looks_at(mut self, field: Field) -> Filter {
        let end = field.at + 4 * field.words - Field::START;
        if end > self.told {
            self.told = end;
        }
        self
    }

    /// Puts an instruction before the last one.
    const fn then(mut self, instruction: BpfInstruction) -> Filter {
        assert!(self.len < MOST, "more than 64 instructions");
        self.program[self.len] = self.program[self.len - 1];
        self.program[self.len - 1] = instruction;
        self.len += 1;
        self
    }

    /// As the calls take it. It points to the filter.
    pub(crate) fn described(&self) -> Bpf {
        Bpf {
            cmd_type: bpf::CMD_FILTER,
            opcode: self.code.into(),
            flags: self.flags,
            filter_len: self.len as u32,
            pdu_size: self.told,
            filter_ptr: self.program.as_ptr() as u64,
            ..Bpf::default()
        }
    }
}

const _: () = assert!(op::COUNT <= u8::MAX as usize);

/// Filters.
impl Register<'_> {
    /// Asks this filter about each entry of its operation from now on, before those that were
    /// registered earlier: all must let it pass (`IORING_REGISTER_BPF_FILTER`, Linux 7.0). It cannot be
    /// taken back. As restrictions, it keeps a program to what it meant to do.
    ///
    /// # Errors
    /// - `EINVAL`: there is no such operation, or the kernel is older than Linux 7.0.
    /// - `EMSGSIZE`: the operation does not tell what the filter looks at; or tells more, and it is
    ///   [strict](Filter::strict).
    /// - `ENOMEM`: out of memory.
    pub fn filter(&self, filter: &Filter) -> Result<(), Errno> {
        self.one(register::BPF_FILTER, &mut filter.described(), 1).map(drop)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("operation", &format_args!("{}", crate::op::name(self.code)))
            .field("flags", &self.flags)
            .field("instructions", &self.instructions())
            .finish()
    }
}
