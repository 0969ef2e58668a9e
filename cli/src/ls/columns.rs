//! The columns of a listing with -l.

use sysring_walk::Kind;

use super::list::{Facts, Row};
use super::names::{Names, when};
use crate::files::units::Unit;

/// The cells of one line, and how wide those of its listing are.
pub struct Line {
    permissions: String,
    links: String,
    owner: String,
    group: String,
    size: Size,
    time: String,
}

enum Size {
    Bytes(String),
    Device(String, String),
}

#[derive(Default)]
pub struct Widths {
    links: usize,
    owner: usize,
    group: usize,
    bytes: usize,
    major: usize,
    minor: usize,
}

/// The width of a time, for lines that have none.
const TIME: usize = 12;

impl Line {
    pub fn of(row: &Row, names: &mut Names, unit: &Unit) -> Line {
        let Some(facts) = &row.status else {
            let unknown = || "?".to_owned();
            return Line {
                permissions: format!("{}?????????", letter(row.kind)),
                links: unknown(),
                owner: unknown(),
                group: unknown(),
                size: Size::Bytes(unknown()),
                time: format!("{:>TIME$}", "?"),
            };
        };
        let size = match facts.mode & libc::S_IFMT {
            libc::S_IFCHR | libc::S_IFBLK => {
                Size::Device(facts.device.0.to_string(), facts.device.1.to_string())
            }
            _ => Size::Bytes(unit.show(facts.size)),
        };
        Line {
            permissions: permissions(facts),
            links: facts.links.to_string(),
            owner: names.user(facts.owner).to_owned(),
            group: names.group(facts.group).to_owned(),
            size,
            time: when(facts.modified),
        }
    }

    /// The line up to the name.
    pub fn show(&self, widths: &Widths) -> String {
        let (bytes, minor) = (widths.bytes.max(widths.device()), widths.minor);
        let size = match &self.size {
            Size::Bytes(size) => format!("{size:>bytes$}"),
            Size::Device(major, of) => {
                // What is left of the column is the major number's.
                let width = bytes - minor - 2;
                format!("{major:>width$}, {of:>minor$}")
            }
        };
        format!(
            "{} {:>links$} {} {} {size} {} ",
            self.permissions,
            self.links,
            who(&self.owner, widths.owner),
            who(&self.group, widths.group),
            self.time,
            links = widths.links,
        )
    }
}

impl Widths {
    pub fn of(lines: &[Line]) -> Widths {
        let mut widths = Widths::default();
        for line in lines {
            widths.links = widths.links.max(line.links.len());
            widths.owner = widths.owner.max(line.owner.chars().count());
            widths.group = widths.group.max(line.group.chars().count());
            match &line.size {
                Size::Bytes(size) => widths.bytes = widths.bytes.max(size.len()),
                Size::Device(major, minor) => {
                    widths.major = widths.major.max(major.len());
                    widths.minor = widths.minor.max(minor.len());
                }
            }
        }
        widths
    }

    /// Of both numbers of a device, and what is between them.
    fn device(&self) -> usize {
        if self.major == 0 { 0 } else { self.major + 2 + self.minor }
    }
}

/// A user's or a group's name, or the number of one that has none, each to its side.
fn who(name: &str, width: usize) -> String {
    match name.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("{name:>width$}"),
        false => format!("{name:<width$}"),
    }
}

fn letter(kind: Kind) -> char {
    match kind {
        Kind::Directory => 'd',
        Kind::Link => 'l',
        Kind::File => '-',
        Kind::Special | Kind::Unknown => '?',
    }
}

fn permissions(facts: &Facts) -> String {
    let mode = facts.mode;
    let kind = match mode & libc::S_IFMT {
        libc::S_IFDIR => 'd',
        libc::S_IFLNK => 'l',
        libc::S_IFBLK => 'b',
        libc::S_IFCHR => 'c',
        libc::S_IFIFO => 'p',
        libc::S_IFSOCK => 's',
        _ => '-',
    };
    let mut text = String::from(kind);
    let of = |shift: u32, special: u32, letter: char| {
        let bits = mode >> shift;
        let run = bits & 1 != 0;
        [
            if bits & 4 != 0 { 'r' } else { '-' },
            if bits & 2 != 0 { 'w' } else { '-' },
            match (mode & special != 0, run) {
                (false, false) => '-',
                (false, true) => 'x',
                (true, false) => letter.to_ascii_uppercase(),
                (true, true) => letter,
            },
        ]
    };
    text.extend(of(6, libc::S_ISUID, 's'));
    text.extend(of(3, libc::S_ISGID, 's'));
    text.extend(of(0, libc::S_ISVTX, 't'));
    text
}
