//! The environment of the next program: does it name the object, and what must be added?

use core::ffi::CStr;

use sysring_sys::{Errno, Result, User};

use super::{Block, Carrier, KEPT};
use crate::memory::{self, Pointers};

/// The kernel's limit on one string, and ours on their number.
const STRING_MAX: usize = 128 * 1024;
const COUNT_MAX: usize = 1 << 20;

const PRELOAD: &[u8] = b"LD_PRELOAD=";

/// What to do to an environment.
pub struct Plan {
    envp: User<u64>,
    count: usize,
    preload: Preload,
    /// Which of what is kept is not there.
    missing: [bool; KEPT.len()],
}

enum Preload {
    /// Names the object.
    Complete,
    /// Is not there.
    Missing,
    /// Names other objects: which entry, and the length of its value.
    Foreign { index: usize, value: User<u8>, len: usize },
}

/// How many pointers an array holds before its null; a null array holds none.
pub fn count(array: User<u64>) -> Result<usize> {
    let mut pointers = Pointers::of(array);
    let mut count = 0;
    while pointers.next()?.is_some() {
        count += 1;
        if count > COUNT_MAX {
            return Err(Errno::E2BIG);
        }
    }
    Ok(count)
}

/// Reads the environment through.
pub fn plan(envp: User<u64>, carrier: &Carrier) -> Result<Plan> {
    let mut plan = Plan {
        envp,
        count: count(envp)?,
        preload: Preload::Missing,
        missing: carrier.kept.map(|entry| entry.is_some()),
    };
    let mut entries = Pointers::of(envp);
    let mut index = 0;
    while let Some(entry) = entries.next()? {
        let entry = User::<u8>::new(entry);
        if memory::starts_with(entry, PRELOAD)? {
            let value = entry.add(PRELOAD.len());
            let len = memory::string_len(value, STRING_MAX)?;
            plan.preload = if names(value, len, carrier.path)? {
                Preload::Complete
            } else {
                Preload::Foreign { index, value, len }
            };
        } else {
            for (missing, name) in plan.missing.iter_mut().zip(KEPT) {
                *missing = *missing && !memory::starts_with(entry, name)?;
            }
        }
        index += 1;
    }
    Ok(plan)
}

/// Whether a list of objects, separated by colons or spaces, holds `path`.
fn names(list: User<u8>, len: usize, path: &CStr) -> Result<bool> {
    let path = path.to_bytes();
    let mut chunk = [0u8; 64];
    // How much of the path the current part of the list agrees with; `None`: not at all.
    let mut agreed = Some(0);
    for at in 0..=len {
        let in_chunk = at % chunk.len();
        if in_chunk == 0 {
            let part = (len - at).min(chunk.len());
            memory::read_bytes(&mut chunk[..part], list.add(at))?;
        }
        match chunk[in_chunk] {
            b':' | b' ' => (),
            byte if at < len => {
                agreed = agreed.filter(|&n| path.get(n) == Some(&byte)).map(|n| n + 1);
                continue;
            }
            _ => (),
        }
        if agreed == Some(path.len()) {
            return Ok(true);
        }
        agreed = Some(0);
    }
    Ok(false)
}

impl Plan {
    /// Whether the environment can stay as it is.
    pub fn is_complete(&self) -> bool {
        matches!(self.preload, Preload::Complete) && self.missing == [false; KEPT.len()]
    }

    /// Bytes that [`Plan::write`] needs at most.
    pub fn room(&self) -> usize {
        let merged = match self.preload {
            Preload::Foreign { len, .. } => len + 8192,
            _ => 0,
        };
        (self.count + KEPT.len() + 3) * 8 + merged
    }

    /// Writes what is missing; the address of the environment to use.
    pub fn write(&self, carrier: &Carrier, block: &mut Block<'_>) -> Result<User<u64>> {
        if self.is_complete() {
            return Ok(self.envp);
        }
        let mut merged = None;
        if let Preload::Foreign { index, value, len } = self.preload {
            let at = block.string(&[carrier.preload.to_bytes(), b":"])?;
            block.append(value, len)?;
            merged = Some((index, at));
        }
        let envp = block.align()?;
        let mut entries = Pointers::of(self.envp);
        let mut index = 0;
        while let Some(entry) = entries.next()? {
            block.word(match merged {
                Some((replaced, at)) if replaced == index => at,
                _ => entry,
            })?;
            index += 1;
        }
        if let Preload::Missing = self.preload {
            block.word(carrier.preload.as_ptr() as u64)?;
        }
        for (entry, missing) in carrier.kept.iter().zip(self.missing) {
            if let Some(entry) = entry.filter(|_| missing) {
                block.word(entry.as_ptr() as u64)?;
            }
        }
        block.word(0)?;
        Ok(envp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static CARRIER: Carrier = Carrier {
        path: c"/opt/ring.so",
        preload: c"LD_PRELOAD=/opt/ring.so",
        kept: [Some(c"SYSRING_STATS=/tmp/s"), Some(c"SYSRING_TOLD=/tmp/t")],
    };

    fn carried(environment: &[&CStr]) -> Vec<String> {
        let pointers: Vec<u64> = environment.iter().map(|s| s.as_ptr() as u64).chain([0]).collect();
        let plan = plan(User::of(pointers.as_ptr()), &CARRIER).unwrap();
        let mut bytes = vec![0; plan.room()];
        let envp = plan.write(&CARRIER, &mut Block::new(&mut bytes)).unwrap();
        (0..count(envp).unwrap())
            .map(|i| {
                let entry = memory::read(envp.add(i)).unwrap() as *const core::ffi::c_char;
                // SAFETY: a string of the test's, or one `write` just wrote.
                unsafe { CStr::from_ptr(entry) }.to_str().unwrap().to_owned()
            })
            .collect()
    }

    #[test]
    fn an_empty_environment_gets_what_is_missing() {
        assert_eq!(
            carried(&[]),
            ["LD_PRELOAD=/opt/ring.so", "SYSRING_STATS=/tmp/s", "SYSRING_TOLD=/tmp/t"]
        );
    }

    #[test]
    fn a_complete_environment_stays() {
        let complete = [
            c"A=1",
            c"SYSRING_STATS=/x",
            c"SYSRING_TOLD=/y",
            c"LD_PRELOAD=/a.so /opt/ring.so:/b.so",
        ];
        let pointers: Vec<u64> = complete.iter().map(|s| s.as_ptr() as u64).chain([0]).collect();
        assert!(plan(User::of(pointers.as_ptr()), &CARRIER).unwrap().is_complete());
    }

    #[test]
    fn other_objects_are_kept_behind_ours() {
        assert_eq!(
            carried(&[c"LD_PRELOAD=/opt/ring.so2:/a.so", c"SYSRING_STATS=/x"]),
            [
                "LD_PRELOAD=/opt/ring.so:/opt/ring.so2:/a.so",
                "SYSRING_STATS=/x",
                "SYSRING_TOLD=/tmp/t"
            ]
        );
    }

    #[test]
    fn an_environment_that_cannot_be_read_is_an_error() {
        assert_eq!(plan(User::new(8), &CARRIER).err(), Some(Errno::EFAULT));
        let wild = [8u64, 0];
        assert_eq!(plan(User::of(wild.as_ptr()), &CARRIER).err(), Some(Errno::EFAULT));
        assert!(plan(User::NULL, &CARRIER).is_ok());
    }
}
