//! Attributes by number, for which a program has registered handlers.
//!
//! A handler runs when the call is issued, on the thread that issues it: threads of the engine run
//! no code of an application's. What it answers, a word, comes with the call's answer.

use sysring_events::attr::{Answers, EXTENSIONS, Extension, Wanted};
use sysring_sys::{Errno, Result, User};

use super::super::Call;
use crate::user;

/// How many extensions a call can be asked for, and a context can have handlers of.
pub const MOST: usize = 4;

/// Runs for each call that is asked for its extension: with the call's number, its arguments, and the
/// argument that was given with the extension.
pub type Handler = fn(u32, &[usize; 6], u64) -> u64;

/// The same in C: with a word of the program's own, which it is given first.
pub type ForeignHandler = unsafe extern "C" fn(usize, u32, *const u64, u64) -> u64;

/// Whom to ask.
#[derive(Clone, Copy, Debug)]
enum Asks {
    Rust(Handler),
    Foreign(ForeignHandler, usize),
}

impl Asks {
    fn ask(self, call: &Call, argument: u64) -> u64 {
        match self {
            Asks::Rust(handler) => handler(call.nr, &call.args, argument),
            Asks::Foreign(handler, data) => {
                let args = call.args.map(|word| word as u64);
                // SAFETY: who registered it has promised that it may be called so.
                unsafe { handler(data, call.nr, args.as_ptr(), argument) }
            }
        }
    }
}

/// The handlers of a context, by number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handlers([Option<(u32, Asks)>; MOST]);

/// What extensions have answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extended {
    answers: [(u32, u64); MOST],
    count: usize,
}

impl Handlers {
    /// Has one more.
    ///
    /// # Errors
    /// `EINVAL`: a number of 0. `EEXIST`: there is one of that number. `ENOSPC`: there are four.
    pub fn add(&mut self, number: u32, handler: Handler) -> Result<()> {
        self.put(number, Asks::Rust(handler))
    }

    /// Has one more, in C, which is given `data`.
    ///
    /// # Safety
    /// It may be called by any thread that issues a call, as long as the context lasts.
    ///
    /// # Errors
    /// As of [`Handlers::add`].
    pub unsafe fn add_foreign(
        &mut self,
        number: u32,
        handler: ForeignHandler,
        data: usize,
    ) -> Result<()> {
        self.put(number, Asks::Foreign(handler, data))
    }

    fn put(&mut self, number: u32, asks: Asks) -> Result<()> {
        if number == 0 {
            return Err(Errno::EINVAL);
        }
        if self.find(number).is_some() {
            return Err(Errno::EEXIST);
        }
        let free = self.0.iter_mut().find(|place| place.is_none()).ok_or(Errno::ENOSPC)?;
        *free = Some((number, asks));
        Ok(())
    }

    fn find(&self, number: u32) -> Option<Asks> {
        let known = self.0.iter().flatten().find(|known| known.0 == number);
        known.map(|known| known.1)
    }

    /// Asks those that are wanted and there.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: one that is required is not there. `E2BIG`: more than four are wanted.
    /// `EFAULT`.
    pub fn agree(&self, call: &Call, wanted: &Wanted) -> Result<Extended> {
        let mut extended = Extended::default();
        if wanted.mask() & EXTENSIONS == 0 {
            return Ok(extended);
        }
        let (address, count) = wanted.extensions();
        let count = count as usize;
        // Number and whether it is required, argument.
        let mut given = [[0u64; 2]; MOST];
        const { assert!(size_of::<Extension>() == size_of::<[u64; 2]>()) };
        let given = given.get_mut(..count).ok_or(Errno::E2BIG)?;
        user::read_slice(given, User::new(address))?;
        let missing = |[head, _]: &[u64; 2]| head >> 32 != 0 && self.find(*head as u32).is_none();
        if given.iter().any(missing) {
            return Err(Errno::EOPNOTSUPP);
        }
        for &mut [head, argument] in given {
            if let Some(asks) = self.find(head as u32) {
                let answer = asks.ask(call, argument);
                extended.answers[extended.count] = (head as u32, answer);
                extended.count += 1;
            }
        }
        Ok(extended)
    }
}

impl Extended {
    /// Puts the answers behind the other values.
    pub fn answer(&self, answers: &mut Answers<'_>) {
        for &(number, answer) in &self.answers[..self.count] {
            answers.add_extension(number, answer);
        }
    }
}
