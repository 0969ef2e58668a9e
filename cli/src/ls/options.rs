//! The command line of `sysring ls`.

use std::ffi::{CString, OsString};
use std::num::NonZeroUsize;

use clap::{ArgAction, Args};

use crate::files::{matching, units};

/// List what is in directories, as ls does, with many threads
///
/// Made for whole trees (-R). Lines are those of `LC_ALL=C ls`, one name on each, sorted by the bytes
/// of the names if by nothing else; symbolic links are never followed, and access control lists not looked for.
/// On a terminal, names with control characters, or that are not UTF-8, are quoted as for a shell.
#[derive(Args)]
#[command(
    disable_help_flag = true,
    after_help = "\
Examples:
  sysring ls -lR /etc
  sysring ls -R --paths --name='*.rs' src       as find does
  sysring ls -R0 --paths --name='*.rs' src | xargs -0 grep unsafe
  sysring ls -lRh --name='core.*' /var          those files, in their directories
  sysring ls -lRt --name='*.log' /var           the latest of each directory first
  sysring ls -R --json ~ | jq '.entries[] | select(.size > 1e9) | .path'

JSON is an object with two lists. Each of \"entries\" has \"path\", \"inode\", \"mode\" (type and
permissions, in octal), \"links\", \"owner\", \"group\", \"size\", \"disk_bytes\", \"modified\" (seconds since
1970, and nanoseconds), a symbolic link its \"target\"; each of \"problems\" has \"path\", \"problem\",
\"errno\". A path that is not UTF-8 is in \"path_bytes\", too, and such a target in \"target_bytes\".

Exit status:
  0  everything was seen
  1  something could not be read, which is said, and the rest was listed; or the output not written
  2  wrong usage"
)]
pub struct Ls {
    /// What to list: directories and files [default: the current directory]
    #[arg(value_name = "PATH")]
    pub paths: Vec<OsString>,

    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,

    /// With permissions, number of names, owner, group, size and time
    #[arg(short = 'l')]
    pub long: bool,

    /// The same with the numbers of owners and groups, not their names
    #[arg(short = 'n', long = "numeric-uid-gid")]
    pub numeric: bool,

    /// Before each name the number of its inode
    #[arg(short = 'i', long)]
    pub inode: bool,

    /// One name on each line, as in any case
    #[arg(short = '1')]
    pub one: bool,

    /// Directories in directories, too
    #[arg(long, short = 'R')]
    pub recursive: bool,

    /// Names that begin with a dot, too (but never . and ..)
    #[arg(long, short = 'a', visible_short_alias = 'A')]
    pub all: bool,

    /// The latest written first
    #[arg(short = 't', overrides_with = "by_size")]
    pub by_time: bool,

    /// The largest first
    #[arg(short = 'S', overrides_with = "by_time")]
    pub by_size: bool,

    /// The other way round
    #[arg(short = 'r', long)]
    pub reverse: bool,

    /// After each directory's name a slash
    #[arg(short = 'p')]
    pub slash: bool,

    /// With -R, only what lies on the file system of the directory that was named
    #[arg(long)]
    pub one_file_system: bool,

    /// With -l, sizes that people can read: 1K, 234M, 2.5G
    #[arg(long, short = 'h')]
    pub human_readable: bool,

    /// Only what has a name that matches the pattern, and only directories in which such is
    #[arg(long, value_name = "PATTERN", value_parser = matching::parse)]
    pub name: Option<CString>,

    /// On each line the path, instead of names under a heading for each directory
    #[arg(long = "paths")]
    pub full_paths: bool,

    /// With --paths, end each line with a zero byte, for xargs -0
    #[arg(long, short = '0', requires = "full_paths")]
    pub zero: bool,

    /// Print JSON
    #[arg(long, conflicts_with_all = ["human_readable", "full_paths"])]
    pub json: bool,

    /// At most N threads [default: one for each processor, and up to 48 while they wait for disks]
    #[arg(long, short = 'j', value_name = "N", value_parser = units::count)]
    pub threads: Option<NonZeroUsize>,
}

impl Ls {
    /// Whether more than names is wanted.
    pub fn needs_status(&self) -> bool {
        self.is_long() || self.json || self.inode || self.by_time || self.by_size
    }

    /// Whether each name has a line with all columns.
    pub fn is_long(&self) -> bool {
        self.long || self.numeric
    }
}
