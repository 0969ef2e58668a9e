//! Events: four words, and the values of attributes behind them.

use sysring_sys::{Errno, Result};

use crate::attr::{self, Answers, Attribute};

/// The longest event in bytes.
pub const MAX_LEN: usize = 4096;
/// Bytes before the values.
pub(crate) const HEAD: usize = 32;

/// An event to be pushed.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    id: u64,
    result: i64,
    kind: u16,
    flags: u16,
    answers: Option<&'a Answers<'a>>,
}

impl<'a> Event<'a> {
    /// The completion of what is known as `id`, with a result in the kernel's style (negative: an
    /// error number).
    #[must_use]
    pub const fn new(id: u64, result: i64) -> Event<'a> {
        Event { id, result, kind: 0, flags: 0, answers: None }
    }

    /// With a kind and flags, which mean what the ring's users agree on.
    #[must_use]
    pub const fn of_kind(mut self, kind: u16, flags: u16) -> Event<'a> {
        self.kind = kind;
        self.flags = flags;
        self
    }

    /// With values of attributes.
    #[must_use]
    pub const fn with(mut self, answers: &'a Answers<'a>) -> Event<'a> {
        self.answers = Some(answers);
        self
    }

    /// Bytes in the ring.
    #[must_use]
    pub fn len(&self) -> usize {
        HEAD + 8 * self.answers.map_or(0, Answers::len)
    }

    /// Never: an event has at least its four words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The event as it lies in the ring.
    pub fn words(&self) -> impl Iterator<Item = u64> {
        let first = self.len() as u64 | u64::from(self.kind) << 32 | u64::from(self.flags) << 48;
        let handled = self.answers.map_or(0, Answers::handled);
        let values = self.answers.map(Answers::words);
        [first, self.id, self.result as u64, handled]
            .into_iter()
            .chain(values.into_iter().flatten())
    }
}

/// The length that a record's first word gives.
pub(crate) fn len_of(first: u64) -> u32 {
    first as u32
}

/// Whether a record can have that length.
pub(crate) fn is_len(len: u32) -> bool {
    (HEAD..=MAX_LEN).contains(&(len as usize)) && len.is_multiple_of(8)
}

/// Events that were popped, in the order of their pushes.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    words: &'a [u64],
}

impl<'a> Events<'a> {
    pub(crate) fn new(words: &'a [u64]) -> Events<'a> {
        Events { words }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Seen<'a>;

    fn next(&mut self) -> Option<Seen<'a>> {
        let len = len_of(*self.words.first()?) as usize / 8;
        let (event, rest) = self.words.split_at_checked(len)?;
        self.words = rest;
        Some(Seen { words: event })
    }
}

/// An event that was popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    words: &'a [u64],
}

impl<'a> Seen<'a> {
    /// What the event is about.
    #[must_use]
    pub fn id(self) -> u64 {
        self.words[1]
    }

    /// The result in the kernel's style: negative for an error.
    #[must_use]
    pub fn result(self) -> i64 {
        self.words[2] as i64
    }

    /// The result as a value or an error.
    ///
    /// # Errors
    /// The error that the call ended with.
    pub fn outcome(self) -> Result<usize> {
        Errno::from_ret(self.words[2] as isize)
    }

    /// The kind that it was pushed with.
    #[must_use]
    pub fn kind(self) -> u16 {
        (self.words[0] >> 32) as u16
    }

    /// The flags that it was pushed with.
    #[must_use]
    pub fn flags(self) -> u16 {
        (self.words[0] >> 48) as u16
    }

    /// Which attributes were honoured; a bit for each.
    #[must_use]
    pub fn handled(self) -> u64 {
        self.words[3]
    }

    /// The value of an attribute; nothing if it was not handled.
    #[must_use]
    pub fn attr<A: Attribute>(self) -> Option<A> {
        attr::find::<A>(self.handled(), self.values())
    }

    /// The values of all attributes that have a size of their own, and the answers of one word of
    /// the first four extensions.
    #[must_use]
    pub fn answers(self) -> Answers<'static> {
        Answers::read(self.handled(), self.values())
    }

    /// The answer of the handler that is registered as extension `number`.
    #[must_use]
    pub fn extension(self, number: u32) -> Option<&'a [u64]> {
        attr::extension(number, self.handled(), self.values())
    }

    fn values(self) -> &'a [u64] {
        self.words.get(HEAD / 8..).unwrap_or(&[])
    }
}
