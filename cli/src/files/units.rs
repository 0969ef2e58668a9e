//! Units of size, on the command line and in the output.

use std::env;
use std::fmt;
use std::num::NonZeroUsize;

const LETTERS: &str = "KMGTPEZY";

/// How a size is written. Fractions are rounded up, as room on a disk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// So many blocks of so many bytes, with the unit's name if there was no number before it.
    Blocks { bytes: u64, suffix: String },
    /// With one or two digits that matter and a letter.
    Human { base: u64 },
}

impl Unit {
    pub fn blocks(bytes: u64) -> Unit {
        Unit::Blocks { bytes, suffix: String::new() }
    }

    pub fn show(&self, size: u64) -> String {
        match self {
            Unit::Blocks { bytes, suffix } => format!("{}{suffix}", size.div_ceil(*bytes)),
            Unit::Human { base } => human(size, *base),
        }
    }
}

/// What the environment asks for, else 1024 bytes.
pub fn of_environment() -> Unit {
    let asked = ["DU_BLOCK_SIZE", "BLOCK_SIZE", "BLOCKSIZE"].iter().find_map(env::var_os);
    let default = if env::var_os("POSIXLY_CORRECT").is_some() { 512 } else { 1024 };
    let unit = asked.and_then(|size| parse(size.to_str()?).ok());
    unit.unwrap_or(Unit::blocks(default))
}

/// A number of levels. (What std says of a wrong one is for programmers.)
pub fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("a number from 0 to {} is needed", u32::MAX))
}

/// A number of threads.
pub fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "a number from 1 on is needed".to_owned())
}

/// What `--block-size` says.
pub fn parse(text: &str) -> Result<Unit, NoUnit> {
    match text {
        "human-readable" => return Ok(Unit::Human { base: 1024 }),
        "si" => return Ok(Unit::Human { base: 1000 }),
        _ => {}
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let count = if number.is_empty() { 1 } else { number.parse().map_err(|_| NoUnit)? };
    let bytes = power(unit)?.checked_mul(count).filter(|&bytes| bytes > 0).ok_or(NoUnit)?;
    let suffix = if number.is_empty() { name(unit, bytes) } else { String::new() };
    Ok(Unit::Blocks { bytes, suffix })
}

/// A number of bytes, as a size is written.
pub fn bytes(text: &str) -> Result<u64, NoUnit> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let count: u64 = number.parse().map_err(|_| NoUnit)?;
    power(unit)?.checked_mul(count).ok_or(NoUnit)
}

/// `K` or `KiB` are 1024, `KB` or `kB` are 1000.
fn power(unit: &str) -> Result<u64, NoUnit> {
    let mut rest = unit.chars();
    let Some(letter) = rest.next() else { return Ok(1) };
    let exponent = LETTERS.find(letter.to_ascii_uppercase()).ok_or(NoUnit)? as u32 + 1;
    let base: u64 = match rest.as_str() {
        "" | "iB" => 1024,
        "B" => 1000,
        _ => return Err(NoUnit),
    };
    base.checked_pow(exponent).ok_or(NoUnit)
}

/// The unit as it is written behind a number.
fn name(unit: &str, bytes: u64) -> String {
    if bytes == 1 {
        return String::new();
    }
    let mut name = unit.to_uppercase();
    if unit.ends_with("iB") {
        name = name.replace("IB", "iB");
    } else if unit.ends_with('B') {
        name = name.replacen('K', "k", 1);
    }
    name
}

/// That was no size.
#[derive(Debug)]
pub struct NoUnit;

impl fmt::Display for NoUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size is a number, one of K, M, G, T, P, E (or KB, MB, …), or both")
    }
}

impl std::error::Error for NoUnit {}

fn human(size: u64, base: u64) -> String {
    if size < base {
        return size.to_string();
    }
    let (size, base) = (u128::from(size), u128::from(base));
    let mut unit = base;
    let mut letters = LETTERS.chars();
    let mut letter = letters.next().unwrap_or_default();
    // Up to the letter that needs no more than three or four digits, once rounded.
    while size.div_ceil(unit) >= base {
        unit *= base;
        letter = letters.next().unwrap_or_default();
    }
    if base == 1000 && letter == 'K' {
        letter = 'k';
    }
    let tenths = (size * 10).div_ceil(unit);
    if tenths < 100 {
        // What was rounded up to the next letter is less than one of it.
        let tenths = tenths.max(10);
        return format!("{}.{}{letter}", tenths / 10, tenths % 10);
    }
    format!("{}{letter}", size.div_ceil(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_two_digits_rounded_up() {
        let of = |size| human(size, 1024);
        let sizes = [0, 1023, 1024, 1025, 10_137, 10_240, 10_241, 1_047_553, 1 << 20, u64::MAX];
        let read = sizes.map(of);
        let expected = ["0", "1023", "1.0K", "1.1K", "9.9K", "10K", "11K", "1.0M", "1.0M", "16E"];
        assert_eq!(read, expected);
        assert_eq!(human(999, 1000), "999");
        assert_eq!(human(1001, 1000), "1.1k");
        assert_eq!(human(2_000_000, 1000), "2.0M");
    }

    #[test]
    fn a_unit_without_a_number_is_printed() {
        let show = |text: &str, size| parse(text).map(|unit| unit.show(size)).unwrap();
        assert_eq!(show("M", (1 << 20) + 1), "2M");
        assert_eq!(show("1M", (1 << 20) + 1), "2");
        assert_eq!(show("kB", 2000), "2kB");
        assert_eq!(show("KiB", 2048), "2KiB");
        assert_eq!(show("2K", 2049), "2");
        assert_eq!(show("512", 513), "2");
        assert_eq!(show("si", 1500), "1.5k");
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "0", "x", "1x", "KX", "99999999999999999999", "99Z", "-1"] {
            assert!(parse(text).is_err() || text.is_empty(), "{text}");
        }
    }
}
