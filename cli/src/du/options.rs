//! The command line of `sysring du`.

use std::ffi::{CString, OsString};
use std::num::NonZeroUsize;

use clap::{ArgAction, Args, ValueEnum};
use sysring_walk::Follow;

use super::bounds::{Style, Threshold};
use super::bytes::{Bytes, UNITS};
use crate::files::matching;
use crate::files::units::{self, Unit};

/// Say how much room files and directories take, as du does, with many threads
///
/// The options are those of GNU du and mean the same. The walk is as fast as the processors where
/// everything is cached, and overlaps its waits for the disk where not.
#[derive(Args)]
#[command(
    disable_help_flag = true,
    after_help = "\
Sizes are in units of 1024 bytes, or as DU_BLOCK_SIZE, BLOCK_SIZE or BLOCKSIZE says. SIZE is a
number, a unit (K, M, G, T, P, E of 1024; KB, MB, … of 1000), or both.

Examples:
  sysring du -sh ~                          what a home directory takes
  sysring du -h -d1 /var                    and each directory in /var
  sysring du -sxc --exclude='*.o' src lib   both and their sum, without object files
  sysring du -sh --name='*.jpg' ~           only the pictures
  sysring du -ah -t 1G --time /srv          what is large, and when it was written last
  sysring du --inodes -d1 /usr              where the most files are
  find . -name '*.log' -print0 | sysring du -ch --files0-from=-
  sysring du --json -d1 . | jq '.sizes[] | select(.bytes > 1e9)'

JSON is an object: \"sizes\", each with \"path\", \"bytes\", \"entries\" (files and directories, itself
among them) and, with --time, \"time\" (seconds since 1970, and nanoseconds); \"total\", the same of all
with -c, else null; \"problems\", each with \"path\", \"problem\", \"errno\". A path that is not UTF-8 is in
\"path_bytes\", too.

Exit status:
  0  everything was seen
  1  something could not be read, which is said, and the rest was counted; or the output not written
  2  wrong usage"
)]
pub struct Du {
    /// What to look at: files and directories [default: the current directory]
    #[arg(value_name = "PATH")]
    pub paths: Vec<OsString>,

    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,

    /// List files, too, not only directories
    #[arg(long, short)]
    pub all: bool,

    /// Only a sum for each PATH
    #[arg(long, short, conflicts_with_all = ["all", "max_depth"])]
    pub summarize: bool,

    /// List only what is at most N levels below each PATH
    #[arg(long, short = 'd', value_name = "N", value_parser = units::number)]
    pub max_depth: Option<u32>,

    /// Add a line with the sum of all
    #[arg(long, short = 'c')]
    pub total: bool,

    // Before the other units, which are taken from what it looks at.
    #[command(flatten)]
    pub bytes: Bytes,

    /// Sizes that people can read: 1K, 234M, 2.5G
    #[arg(long, short = 'h', overrides_with_all = UNITS)]
    pub human_readable: bool,

    /// The same in powers of 1000
    #[arg(long, overrides_with_all = UNITS)]
    pub si: bool,

    /// Units of SIZE bytes
    #[arg(long, short = 'B', value_name = "SIZE", value_parser = units::parse,
          overrides_with_all = UNITS)]
    pub block_size: Option<Unit>,

    /// Units of 1024 bytes
    #[arg(short = 'k', overrides_with_all = UNITS)]
    pub kilo: bool,

    /// Units of 1024 × 1024 bytes
    #[arg(short = 'm', overrides_with_all = UNITS)]
    pub mega: bool,

    /// How long files are, not what they take on the disk; directories, which have no length that
    /// means anything, count nothing (as in GNU du from 9.2 on)
    #[arg(long)]
    pub apparent_size: bool,

    /// Count a file with several names as often as it is found, not once
    #[arg(long, short = 'l')]
    pub count_links: bool,

    /// Leave out other file systems
    #[arg(long, short = 'x')]
    pub one_file_system: bool,

    /// Do not add what is in the directories of a directory
    #[arg(long, short = 'S')]
    pub separate_dirs: bool,

    /// Follow all symbolic links; what they lead to is counted once, and its links with it
    #[arg(long, short = 'L', overrides_with_all = LINKS)]
    pub dereference: bool,

    /// Follow symbolic links that are given as PATH
    #[arg(long, short = 'D', visible_short_alias = 'H', overrides_with_all = LINKS)]
    pub dereference_args: bool,

    /// Follow no symbolic links, as if nothing is said
    #[arg(long, short = 'P', overrides_with_all = LINKS)]
    pub no_dereference: bool,

    /// Count files and directories (inodes), not what they take
    #[arg(long)]
    pub inodes: bool,

    /// Leave out lines of less than SIZE, or with -SIZE those of more (of inodes, if these are counted)
    #[arg(long, short = 't', value_name = "SIZE", value_parser = Threshold::parse,
          allow_hyphen_values = true)]
    pub threshold: Option<Threshold>,

    /// On each line the latest time of what is counted there: written (mtime), read (atime), changed
    /// (ctime)
    #[arg(long, value_enum, value_name = "WHICH", num_args = 0..=1, require_equals = true,
          default_missing_value = "mtime", hide_possible_values = true)]
    pub time: Option<Which>,

    /// How times are written: full-iso, long-iso, iso, or +FORMAT as in date [default: TIME_STYLE, or
    /// long-iso]
    #[arg(long, value_name = "STYLE", value_parser = Style::parse)]
    pub time_style: Option<Style>,

    /// Look at the paths in FILE (or -), each with a zero byte behind it, as find -print0 writes them
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    pub files0_from: Option<OsString>,

    /// Leave out what matches the pattern; may be given several times
    #[arg(long, value_name = "PATTERN", value_parser = matching::parse)]
    pub exclude: Vec<CString>,

    /// Leave out what matches a pattern in FILE (or -), which has one on each line
    #[arg(long, short = 'X', value_name = "FILE")]
    pub exclude_from: Vec<OsString>,

    /// Count only what has a name that matches the pattern, and list only where there is such
    #[arg(long, value_name = "PATTERN", value_parser = matching::parse)]
    pub name: Option<CString>,

    /// End each line with a zero byte
    #[arg(long, short = '0')]
    pub null: bool,

    /// Print JSON, with all sizes in bytes
    #[arg(long, conflicts_with_all = ["null", "human_readable", "si"])]
    pub json: bool,

    /// At most N threads [default: one for each processor, and up to 48 while they wait for disks]
    #[arg(long, short = 'j', value_name = "N", value_parser = units::count)]
    pub threads: Option<NonZeroUsize>,
}

/// A time of a file.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    #[value(alias = "modification")]
    Mtime,
    #[value(aliases = ["access", "use"])]
    Atime,
    #[value(alias = "status")]
    Ctime,
}

/// Of these the last one counts.
const LINKS: [&str; 3] = ["dereference", "dereference_args", "no_dereference"];

impl Du {
    /// The units to print.
    pub fn unit(&self) -> Unit {
        match self.asked_unit() {
            // Files are counted one by one.
            Unit::Blocks { .. } if self.inodes => Unit::blocks(1),
            unit => unit,
        }
    }

    fn asked_unit(&self) -> Unit {
        match &self.block_size {
            _ if self.bytes.is_unit => Unit::blocks(1),
            _ if self.human_readable => Unit::Human { base: 1024 },
            _ if self.si => Unit::Human { base: 1000 },
            _ if self.kilo => Unit::blocks(1 << 10),
            _ if self.mega => Unit::blocks(1 << 20),
            Some(unit) => unit.clone(),
            None => units::of_environment(),
        }
    }

    /// How far down lines are printed.
    pub fn depth(&self) -> u32 {
        if self.summarize { 0 } else { self.max_depth.unwrap_or(u32::MAX) }
    }

    /// Whether lengths are counted, not room.
    pub fn apparent(&self) -> bool {
        self.apparent_size || self.bytes.is_said
    }

    pub fn walk_options(&self) -> sysring_walk::Options {
        sysring_walk::Options {
            threads: self.threads.map(NonZeroUsize::get),
            one_file_system: self.one_file_system,
            follow: match (self.dereference, self.dereference_args) {
                (true, _) => Follow::Always,
                (false, true) => Follow::Roots,
                (false, false) => Follow::Never,
            },
        }
    }
}
