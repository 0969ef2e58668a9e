//! Attributes by number, which a program registers handlers for.
//!
//! Their answers lie behind all other values, as a list: for each a word with its number in the low
//! half and the length of its answer, in words, in the high half; then the answer. A word of zero,
//! or the event's end, ends the list.

/// What is asked of one extension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Extension {
    /// Which; not 0.
    pub number: u32,
    /// Whether the call fails up front if there is no handler of that number.
    pub required: u32,
    /// What the handler is told.
    pub argument: u64,
}

/// What an extension answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExtensionAnswer<'a> {
    /// Which.
    pub number: u32,
    /// What its handler wrote.
    pub answer: &'a [u64],
}

/// Builds the list of answers in memory of the caller's.
#[derive(Debug)]
pub struct Extensions<'a> {
    memory: &'a mut [u64],
    len: usize,
}

impl<'a> Extensions<'a> {
    /// An empty list.
    pub fn new(memory: &'a mut [u64]) -> Extensions<'a> {
        Extensions { memory, len: 0 }
    }

    /// Adds what `handler` writes into the words it is given, and says to have written. Whether
    /// there was room for it: where there was none, the handler is not called.
    pub fn add(&mut self, number: u32, handler: impl FnOnce(&mut [u64]) -> usize) -> bool {
        let Some([head, room @ ..]) = self.memory.get_mut(self.len..) else { return false };
        let len = handler(room).min(room.len());
        *head = u64::from(number) | (len as u64) << 32;
        self.len += 1 + len;
        true
    }

    /// The list.
    #[must_use]
    pub fn finish(self) -> &'a [u64] {
        &self.memory[..self.len]
    }
}

/// The answers of an event, one by one.
#[derive(Clone, Debug)]
pub struct List<'a> {
    words: &'a [u64],
}

impl<'a> List<'a> {
    pub(crate) fn new(words: &'a [u64]) -> List<'a> {
        List { words }
    }
}

impl<'a> Iterator for List<'a> {
    type Item = ExtensionAnswer<'a>;

    fn next(&mut self) -> Option<ExtensionAnswer<'a>> {
        let (&head, rest) = self.words.split_first()?;
        let number = head as u32;
        let (answer, rest) = rest.split_at_checked((head >> 32) as usize)?;
        self.words = rest;
        (number != 0).then_some(ExtensionAnswer { number, answer })
    }
}
