//! The values that an event carries.

use super::{ALL_WORDS, Attribute, EXTENSIONS, List, WORDS, start_of};

/// Words for answers of one word each, of extensions: four of them.
const OWN: usize = 8;

/// Values of attributes, set in any order, pushed in the masks'.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    handled: u64,
    /// Each value at its place, as if all were there.
    values: [u64; ALL_WORDS],
    extensions: &'a [u64],
    /// A list of the same form behind it.
    own: [u64; OWN],
    own_len: usize,
}

impl<'a> Answers<'a> {
    /// Nothing was handled.
    #[must_use]
    pub const fn none() -> Answers<'a> {
        Answers { handled: 0, values: [0; ALL_WORDS], extensions: &[], own: [0; OWN], own_len: 0 }
    }

    /// Those of an event, without its extensions.
    pub(crate) fn read(handled: u64, values: &[u64]) -> Answers<'static> {
        let mut answers = Answers::none();
        let mut from = 0;
        for (bit, &words) in WORDS.iter().enumerate().filter(|(bit, _)| handled & 1 << bit != 0) {
            let start = start_of(bit as u32, u64::MAX);
            let Some(value) = values.get(from..from + words) else { break };
            answers.values[start..start + words].copy_from_slice(value);
            answers.handled |= 1 << bit;
            from += words;
        }
        for found in super::extensions(handled, values).into_iter().flatten() {
            if let [answer] = *found.answer {
                answers.add_extension(found.number, answer);
            }
        }
        answers
    }

    /// Forgets all of them.
    #[inline]
    pub fn clear(&mut self) {
        self.handled = 0;
        self.extensions = &[];
        self.own_len = 0;
    }

    /// The attribute was handled; this is its value.
    #[inline]
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

    /// The answer of an extension, of one word. Whether there was room for it: there is for four.
    pub fn add_extension(&mut self, number: u32, answer: u64) -> bool {
        let Some([head, word]) = self.own.get_mut(self.own_len..self.own_len + 2) else {
            return false;
        };
        (*head, *word) = (u64::from(number) | 1 << 32, answer);
        self.own_len += 2;
        self.handled |= EXTENSIONS;
        true
    }

    /// What an extension answered, in one word.
    #[must_use]
    pub fn extension(&self, number: u32) -> Option<u64> {
        let mut found = List::new(&self.own[..self.own_len]);
        found.find(|found| found.number == number)?.answer.first().copied()
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
        start_of(WORDS.len() as u32, self.handled) + self.extensions.len() + self.own_len
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
        fixed.chain(self.extensions).chain(&self.own[..self.own_len]).copied()
    }
}

impl PartialEq for Answers<'_> {
    fn eq(&self, other: &Answers<'_>) -> bool {
        // What was not handled may hold anything.
        self.handled == other.handled && self.words().eq(other.words())
    }
}

impl Eq for Answers<'_> {}
