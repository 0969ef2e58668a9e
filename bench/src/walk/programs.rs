//! Who walks. Each has to look at the status of everything; what it prints goes nowhere.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program, and its arguments before the tree and after it.
#[derive(Clone)]
pub struct Program {
    pub name: String,
    path: PathBuf,
    before: Vec<&'static str>,
    after: Vec<&'static str>,
}

/// One that others have made, and the options with which it looks at everything.
pub struct Known {
    names: &'static [&'static str],
    before: &'static [&'static str],
    after: &'static [&'static str],
}

const DU: Known = Known { names: &["du"], before: &["-s"], after: &[] };
const FIND: Known = Known { names: &["find"], before: &[], after: &["-printf", "%b\\n"] };
const BFS: Known = Known { names: &["bfs"], before: &[], after: &["-printf", "%b\\n"] };
const FD: Known =
    Known { names: &["fd", "fdfind"], before: &["-u", "--size=+0b", "."], after: &[] };
const DISKUS: Known = Known { names: &["diskus"], before: &[], after: &[] };
const PDU: Known = Known { names: &["pdu"], before: &["--max-depth=1"], after: &[] };
const DUST: Known = Known { names: &["dust"], before: &["-P", "-d0"], after: &[] };
const DUA: Known = Known { names: &["dua"], before: &[], after: &[] };

/// With one thread, those that have one or can be told to.
pub const ONE_THREAD: &[(&Known, &str)] = &[
    (&DU, ""),
    (&FIND, ""),
    (&BFS, "-j1"),
    (&DISKUS, "-j1"),
    (&PDU, "--threads=1"),
    (&DUA, "-t1"),
];

/// With as many as they see fit.
pub const ALL_PROCESSORS: &[(&Known, &str)] =
    &[(&DU, ""), (&BFS, ""), (&FD, ""), (&DISKUS, ""), (&PDU, ""), (&DUST, ""), (&DUA, "")];

/// With as many as they gain by while they wait for a disk.
pub const MANY_THREADS: &[(&Known, &str)] = &[
    (&DU, ""),
    (&BFS, ""),
    (&BFS, "-j32"),
    (&FD, "-j32"),
    (&DISKUS, ""),
    (&DISKUS, "-j32"),
    (&PDU, "--threads=32"),
    (&DUST, "-T32"),
    (&DUA, "-t32"),
];

impl Program {
    pub fn new(name: &str, path: &Path, before: &[&'static str]) -> Program {
        let (name, path) = (name.to_owned(), path.to_owned());
        Program { name, path, before: before.to_vec(), after: Vec::new() }
    }

    /// The one that is installed, or why it is left out.
    fn find(known: &Known, threads: &'static str, empty: &Path) -> Result<Program, String> {
        let name = format!("{} {threads}", known.names[0]).trim_end().to_owned();
        let path = known.names.iter().find_map(|name| search(name));
        let path = path.ok_or_else(|| format!("{} is not installed", known.names[0]))?;
        let mut program = Program::new(&name, &path, known.before);
        program.after = known.after.to_vec();
        if !threads.is_empty() {
            program.before.insert(0, threads);
        }
        let tried = program.command(empty).stderr(Stdio::null()).status();
        match tried {
            Ok(status) if status.success() => Ok(program),
            _ => Err(format!("the version that is installed does not work as `{name}`")),
        }
    }

    /// The command that walks `tree`, without a word.
    pub fn command(&self, tree: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.before).arg(tree).args(&self.after);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// Those that are installed and take these options; says which are left out.
pub fn installed(known: &[(&Known, &'static str)], empty: &Path) -> Vec<Program> {
    let found = known.iter().map(|(known, threads)| Program::find(known, threads, empty));
    found.filter_map(|program| program.map_err(|why| eprintln!("left out: {why}")).ok()).collect()
}

fn search(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}
