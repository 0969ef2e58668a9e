//! The values that an event carries.

use super::{ALL_WORDS, Attribute, EXTENSIONS, WORDS, start_of};

/// Values of attributes, set in any order, pushed in the masks'.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    handled: u64,
    /// Each value at its place, as if all were there.
    values: [u64; ALL_WORDS],
    extensions: &'a [u64],
}

impl<'a> Answers<'a> {
    /// Nothing was handled.
    #[must_use]
    pub const fn none() -> Answers<'a> {
        Answers { handled: 0, values: [0; ALL_WORDS], extensions: &[] }
    }

    /// The attribute was handled; this is its value.
    pub fn set<A: Attribute>(&mut self, value: &A) {
        let start = const { start_of(A::BIT, u64::MAX) };
        if let Some(words) = self.values.get_mut(start..start + A::WORDS) {
            value.write(words);
            self.handled |= A::MASK;
        }
    }

    /// The answers of extensions; see [`Extensions`](super::Extensions).
    pub fn set_extensions(&mut self, list: &'a [u64]) {
        self.extensions = list;
        self.handled |= EXTENSIONS;
    }

    /// The mask of what was handled.
    #[must_use]
    pub const fn handled(&self) -> u64 {
        self.handled
    }

    /// A value that was set.
    #[must_use]
    pub fn get<A: Attribute>(&self) -> Option<A> {
        let start = const { start_of(A::BIT, u64::MAX) };
        (self.handled & A::MASK != 0).then(|| A::read(self.values.get(start..start + A::WORDS)?))?
    }

    /// Words of the values.
    #[must_use]
    pub fn len(&self) -> usize {
        start_of(WORDS.len() as u32, self.handled) + self.extensions.len()
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values in the order of the mask.
    pub fn words(&self) -> impl Iterator<Item = u64> {
        let fixed = WORDS.iter().enumerate().flat_map(|(bit, &words)| {
            let there = self.handled & 1 << bit != 0;
            let start = start_of(bit as u32, u64::MAX);
            self.values[start..start + if there { words } else { 0 }].iter()
        });
        fixed.chain(self.extensions).copied()
    }
}
