//! Values of options that du has for itself: thresholds and styles of times.

use std::ffi::CString;
use std::{env, fmt};

use sysring_walk::Time;

use crate::files::time::local;
use crate::files::units::{self, NoUnit};

/// Which lines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    AtLeast(u64),
    AtMost(u64),
}

impl Threshold {
    pub fn parse(text: &str) -> Result<Threshold, NoUnit> {
        match text.strip_prefix('-') {
            None => units::bytes(text).map(Threshold::AtLeast),
            // Nothing would be left but what is empty: GNU du takes it for a mistake, too.
            Some(most) => match units::bytes(most)? {
                0 => Err(NoUnit),
                most => Ok(Threshold::AtMost(most)),
            },
        }
    }

    pub fn covers(self, value: u64) -> bool {
        match self {
            Threshold::AtLeast(least) => value >= least,
            Threshold::AtMost(most) => value <= most,
        }
    }
}

/// How times are written: a format of strftime(3), in which `%N` stands for nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style(String);

impl Style {
    pub fn parse(text: &str) -> Result<Style, NoStyle> {
        let format = match text {
            "full-iso" => "%Y-%m-%d %H:%M:%S.%N %z",
            "long-iso" => "%Y-%m-%d %H:%M",
            "iso" => "%Y-%m-%d",
            _ => text.strip_prefix('+').filter(|format| !format.contains('\0')).ok_or(NoStyle)?,
        };
        Ok(Style(format.to_owned()))
    }

    /// What the environment asks for, or days and minutes.
    pub fn of_environment() -> Style {
        let asked = env::var("TIME_STYLE").unwrap_or_default();
        let asked = asked.split('\n').next().unwrap_or_default();
        let asked = asked.trim_start_matches("posix-");
        let style = Style::parse(asked).or_else(|_| Style::parse("long-iso"));
        style.unwrap_or_else(|_| Style(String::new()))
    }

    pub fn show(&self, time: Time) -> String {
        let mut format = String::new();
        let mut letters = self.0.chars();
        while let Some(letter) = letters.next() {
            match (letter, letters.as_str().chars().next()) {
                ('%', Some('N')) => {
                    letters.next();
                    format.push_str(&format!("{:09}", time.nanoseconds));
                }
                ('%', Some(other)) => {
                    letters.next();
                    format.extend(['%', other]);
                }
                _ => format.push(letter),
            }
        }
        let shown = CString::new(format).ok().and_then(|format| local(time, &format));
        shown.unwrap_or_else(|| time.seconds.to_string())
    }
}

/// That was no style.
#[derive(Debug)]
pub struct NoStyle;

impl fmt::Display for NoStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a style is full-iso, long-iso, iso, or + and a format")
    }
}

impl std::error::Error for NoStyle {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_at_least_or_at_most() {
        let parse = |text| Threshold::parse(text).ok();
        assert_eq!(parse("4K"), Some(Threshold::AtLeast(4096)));
        assert_eq!(parse("-1MB"), Some(Threshold::AtMost(1_000_000)));
        assert_eq!(parse("0"), Some(Threshold::AtLeast(0)));
        for wrong in ["-0", "", "-", "K", "-x", "1x", "--1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert!(Threshold::AtLeast(5).covers(5) && Threshold::AtMost(5).covers(5));
        assert!(!Threshold::AtLeast(5).covers(4) && !Threshold::AtMost(5).covers(6));
    }

    #[test]
    fn a_format_has_nanoseconds() {
        let style = Style::parse("+%%N %N %% %s").unwrap();
        let shown = style.show(Time { seconds: 17, nanoseconds: 42 });
        assert_eq!(shown, "%N 000000042 % 17");
        assert!(Style::parse("french").is_err());
    }
}
