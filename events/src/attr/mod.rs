//! Attributes: what a call is asked to do or to tell beyond its result.
//!
//! A submission carries two masks, of what is *required* and of what is wanted by *best effort*, and
//! a structure of arguments that only grows ([`Wanted`]). A completion carries the mask of what was
//! *handled*, and the values in the order of the mask's bits ([`Answers`]): an event is as long as
//! what was asked. A required attribute that cannot be honoured fails the call up front; a bit of
//! best effort stays clear. Masks of zero cost one test.
//!
//! The size of a value never changes: what grows gets a new bit. So who reads an event steps over
//! values that it does not want, and stops at the first bit that it does not know.

mod answers;
mod extension;
mod kinds;
mod wanted;

pub use answers::Answers;
pub use extension::{Extension, ExtensionAnswer, Extensions, List};
pub use kinds::{
    Cache, CacheOutcome, Checksum, Credentials, Deadline, Full, Ioprio, Path, Place, Retry,
    RwFlags, Timing, Trace,
};
pub use wanted::Wanted;

/// The bit of what has no fixed size: the answers of extensions, behind all other values.
pub const EXTENSIONS: u64 = 1 << 63;

/// Every attribute that this version has a name for.
pub const KNOWN: u64 = Timing::MASK
    | Path::MASK
    | Cache::MASK
    | Deadline::MASK
    | Full::MASK
    | Ioprio::MASK
    | RwFlags::MASK
    | Credentials::MASK
    | Place::MASK
    | Retry::MASK
    | Trace::MASK
    | Checksum::MASK
    | EXTENSIONS;

/// An attribute, by the value that answers it.
pub trait Attribute: Copy {
    /// Its bit in the masks, as a number: 0 to 62.
    const BIT: u32;
    /// The words of its value; 0 where that it was handled is all there is to tell.
    const WORDS: usize;
    /// Its bit in the masks.
    const MASK: u64 = 1 << Self::BIT;

    /// The value in as many words; nothing if it cannot be one.
    fn read(words: &[u64]) -> Option<Self>;

    /// The words of the value, into as many.
    fn write(&self, words: &mut [u64]);
}

/// Words of each known attribute's value, by bit.
const WORDS: [usize; 12] = [
    Timing::WORDS,
    Path::WORDS,
    Cache::WORDS,
    Deadline::WORDS,
    Full::WORDS,
    Ioprio::WORDS,
    RwFlags::WORDS,
    Credentials::WORDS,
    Place::WORDS,
    Retry::WORDS,
    Trace::WORDS,
    Checksum::WORDS,
];

/// Words of all values of a size of their own, together: what an event without extensions has at most
/// behind its four.
pub const ALL_WORDS: usize = start_of(WORDS.len() as u32, u64::MAX);

/// Where the value of a bit begins, if those in `handled` are there.
const fn start_of(bit: u32, handled: u64) -> usize {
    let (mut start, mut below) = (0, 0);
    while below < bit as usize && below < WORDS.len() {
        if handled & 1 << below != 0 {
            start += WORDS[below];
        }
        below += 1;
    }
    start
}

/// Whether the sizes of all values below a bit are known.
const fn is_reachable(bit: u32, handled: u64) -> bool {
    let known = (1u64 << WORDS.len()) - 1;
    handled & !known & ((1u64 << bit) - 1) == 0
}

/// An attribute's value among those of an event.
pub(crate) fn find<A: Attribute>(handled: u64, values: &[u64]) -> Option<A> {
    if handled & A::MASK == 0 || !is_reachable(A::BIT, handled) {
        return None;
    }
    let start = start_of(A::BIT, handled);
    A::read(values.get(start..start + A::WORDS)?)
}

/// The value of the attribute with this bit among those of an event; an empty one of what has none.
/// Nothing of what was not handled, or is not known.
#[must_use]
pub fn value(bit: u32, handled: u64, values: &[u64]) -> Option<&[u64]> {
    let words = *WORDS.get(bit as usize)?;
    if handled & 1 << bit == 0 {
        return None;
    }
    let start = start_of(bit, handled);
    values.get(start..start + words)
}

/// The answer of the extension `number` among the values of an event.
#[must_use]
pub fn extension(number: u32, handled: u64, values: &[u64]) -> Option<&[u64]> {
    extensions(handled, values)?.find(|found| found.number == number).map(|found| found.answer)
}

/// The extensions' answers among the values of an event.
pub(crate) fn extensions(handled: u64, values: &[u64]) -> Option<List<'_>> {
    if handled & EXTENSIONS == 0 || !is_reachable(63, handled) {
        return None;
    }
    values.get(start_of(63, handled)..).map(List::new)
}
