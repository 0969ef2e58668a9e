//! `docs/coverage.md`, what of io_uring the engine has, and `docs/calls.md`, how it makes each system
//! call: written from the engine's own tables.

mod calls;
mod names;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use sysring_engine::{op, register};
use sysring_sys::abi::io_uring;

use names::Bit;

const HEAD: &str = "\
# What is covered

Written by `cargo xtask coverage` from the tables the engine runs by; `cargo xtask test` fails when
it is not up to date. *Since* is the Linux version that had it first; *partly* is what differs from the
kernel's, as the note says. What is not there is answered `EINVAL`, as by a kernel that is too old for
it, and is not in what a probe reports.

";

type Writer = fn() -> String;

/// The pages, and who writes them.
const PAGES: [(&str, Writer); 2] = [("coverage.md", page), ("calls.md", calls::page)];

/// Writes the pages.
pub fn write() -> io::Result<()> {
    PAGES.iter().try_for_each(|(name, page)| fs::write(path(name), page()))
}

/// Whether the pages say what the tables say.
pub fn is_current() -> bool {
    PAGES
        .iter()
        .all(|(name, page)| fs::read_to_string(path(name)).is_ok_and(|there| there == page()))
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

fn page() -> String {
    let mut page = String::from(HEAD);
    operations(&mut page);
    register_calls(&mut page);
    bits(&mut page, "Setup flags", &names::SETUP, sysring_engine::SETUP_FLAGS);
    bits(&mut page, "Enter flags", &names::ENTER, sysring_engine::ENTER_FLAGS);
    bits(&mut page, "SQE flags", &names::SQE, u32::from(io_uring::sqe_flags::ALL));
    bits(&mut page, "Features", &names::FEATURES, sysring_engine::FEATURES);
    page
}

/// A line of a table: what it is called, since when, and what there is to say.
struct Line<'a> {
    name: &'a str,
    since: &'a str,
    there: bool,
    note: &'a str,
}

fn table<'a>(page: &mut String, title: &str, lines: impl Iterator<Item = Line<'a>> + Clone) {
    let all = lines.clone().count();
    let there = lines.clone().filter(|line| line.there).count();
    // A string takes whatever is written to it.
    let _ = writeln!(page, "## {title}: {there} of {all}\n");
    let _ = writeln!(page, "| name | since | here | note |\n|---|---|---|---|");
    for Line { name, since, there, note } in lines {
        let there = match (there, note) {
            (true, "") => "yes",
            (true, _) => "partly",
            (false, _) => "no",
        };
        let _ = writeln!(page, "| `{name}` | {since} | {there} | {note} |");
    }
    page.push('\n');
}

fn operations(page: &mut String) {
    table(
        page,
        "Operations",
        names::OPERATIONS.iter().enumerate().map(|(code, absent)| {
            match op::table::row(code as u8) {
                Some(row) => Line { name: row.name, since: row.since, there: true, note: row.note },
                None => {
                    Line { name: absent.name, since: absent.since, there: false, note: absent.note }
                }
            }
        }),
    );
}

fn register_calls(page: &mut String) {
    table(
        page,
        "Register calls",
        names::REGISTER.iter().enumerate().map(|(number, absent)| {
            match register::table::row(number as u32) {
                Some(row) => Line { name: row.name, since: row.since, there: true, note: row.note },
                None => {
                    Line { name: absent.name, since: absent.since, there: false, note: absent.note }
                }
            }
        }),
    );
}

fn bits(page: &mut String, title: &str, bits: &[Bit], honoured: u32) {
    table(
        page,
        title,
        bits.iter().map(|bit| Line {
            name: bit.name,
            since: bit.since,
            there: honoured & bit.value != 0,
            note: bit.note,
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names here are for what is absent; where there is a row, both must mean the same.
    #[test]
    fn names_agree_with_rows() {
        for (code, named) in names::OPERATIONS.iter().enumerate() {
            if let Some(row) = op::table::row(code as u8) {
                assert_eq!((row.name, row.since), (named.name, named.since));
            }
        }
        for (number, named) in names::REGISTER.iter().enumerate() {
            if let Some(row) = register::table::row(number as u32) {
                assert_eq!((row.name, row.since), (named.name, named.since));
            }
        }
    }

    /// What is not there, or only in part, has a reason; `as NAME` is one where that has.
    #[test]
    fn what_is_missing_has_a_reason() {
        let page = page();
        let cells = |line: &str| -> Vec<String> {
            line.split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        let lines: Vec<_> = page.lines().map(cells).filter(|cells| cells.len() == 6).collect();
        let note = |name: &str| lines.iter().find(|cells| cells[1] == name).map(|cells| &cells[4]);
        let (mut no, mut partly) = (0, 0);
        for cells in &lines {
            match cells[3].as_str() {
                "no" => no += 1,
                "partly" => partly += 1,
                _ => continue,
            }
            assert!(!cells[4].is_empty(), "{cells:?}");
            let other = cells[4].strip_prefix("as `").and_then(|rest| rest.split('`').next());
            if let Some(other) = other {
                let its = note(&format!("`{other}`"));
                assert!(its.is_some_and(|its| !its.is_empty()), "{cells:?}");
            }
        }
        assert!(no >= 3 && partly >= 10, "{no} and {partly}: the page is read wrongly");
    }

    /// Every bit the engine honours has a line.
    #[test]
    fn every_honoured_bit_is_named() {
        let all = |bits: &[Bit]| bits.iter().fold(0, |all, bit| all | bit.value);
        assert_eq!(sysring_engine::SETUP_FLAGS & !all(&names::SETUP), 0);
        assert_eq!(sysring_engine::ENTER_FLAGS & !all(&names::ENTER), 0);
        assert_eq!(sysring_engine::FEATURES & !all(&names::FEATURES), 0);
    }
}
