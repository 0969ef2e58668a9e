//! Both sides as seen by who compares them.

use std::ffi::OsString;
use std::io::{BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::{Options, Which};

/// A side that says nothing for this long is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// The kernel has ended a closed ring's requests after this long.
const ENDING: Duration = Duration::from_millis(50);

/// One side's process.
pub struct Side {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    command: Box<dyn Fn() -> Command + Send>,
}

/// What a side answered, or that it died, and of what.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    Record { text: String, trace: String },
    Died(String),
}

/// Whether a line says that something was lost, came twice, or was left behind.
pub(crate) fn is_loss(line: &str) -> bool {
    line.starts_with("LOST") || line.starts_with("LEAKED") || line.contains("twice")
}

impl Answer {
    /// Whether something went wrong that no timing excuses.
    pub fn loses(&self) -> bool {
        match self {
            Answer::Died(_) => true,
            Answer::Record { text, .. } => text.lines().any(is_loss),
        }
    }

    /// Whether the other side says what the kernel says. Where the kernel itself does not keep an
    /// order that its manual promises (a drained request that is refused does not wait), the other
    /// side may keep it.
    pub fn same(&self, other: &Answer) -> bool {
        let (Answer::Record { text: kernel, .. }, Answer::Record { text: other, .. }) =
            (self, other)
        else {
            return false;
        };
        let is_order = |line: &&str| line.starts_with("order: ");
        let all_but_order = |text: &str| !text.lines().any(|line| is_order(&line));
        if all_but_order(kernel) && all_but_order(other) {
            return kernel == other;
        }
        kernel.lines().filter(|line| !is_order(line)).eq(other.lines().filter(|l| !is_order(l)))
            && other.lines().filter(is_order).all(|line| kernel.lines().any(|l| l == line))
    }
}

impl Side {
    pub fn start(command: Box<dyn Fn() -> Command + Send>) -> Result<Side, String> {
        let mut child = command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("cannot start a side: {e}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a side has no pipes".to_owned());
        };
        Ok(Side { child, input, output: BufReader::new(output), command })
    }

    /// Asks for a program that has just run: what its requests still write as they end comes to the same
    /// memory.
    pub fn ask_again(&mut self, seed: u64, drop: &[usize]) -> std::io::Result<()> {
        std::thread::sleep(ENDING);
        self.ask(seed, drop)
    }

    pub fn ask(&mut self, seed: u64, drop: &[usize]) -> std::io::Result<()> {
        let drop: Vec<String> = drop.iter().map(ToString::to_string).collect();
        writeln!(self.input, "{seed} {}", drop.join(","))
    }

    fn answer(&mut self) -> std::io::Result<(String, String)> {
        let mut texts = [String::new(), String::new()];
        for text in &mut texts {
            let mut len = [0; 4];
            self.output.read_exact(&mut len)?;
            let mut bytes = vec![0; u32::from_le_bytes(len) as usize];
            self.output.read_exact(&mut bytes)?;
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        let [text, trace] = texts;
        Ok((text, trace))
    }

    /// Whether the answer begins to come before it must be called stuck.
    fn speaks(&self) -> bool {
        if !self.output.buffer().is_empty() {
            return true;
        }
        let fd = self.output.get_ref().as_raw_fd();
        let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, as said.
        unsafe { libc::poll(&raw mut entry, 1, STUCK.as_millis() as i32) == 1 }
    }

    /// The answer to the oldest question; a dead or stuck side is replaced.
    pub fn collect(&mut self) -> Result<Answer, String> {
        let speaks = self.speaks();
        if speaks && let Ok((text, trace)) = self.answer() {
            return Ok(Answer::Record { text, trace });
        }
        self.kill();
        if !speaks {
            let command = std::mem::replace(&mut self.command, Box::new(|| Command::new("")));
            *self = Side::start(command)?;
            return Ok(Answer::Died(format!("stuck for {} s", STUCK.as_secs())));
        }
        let status = self.child.wait().map_err(|e| e.to_string())?;
        let command = std::mem::replace(&mut self.command, Box::new(|| Command::new("")));
        *self = Side::start(command)?;
        Ok(Answer::Died(status.to_string()))
    }

    pub fn kill(&mut self) {
        // SAFETY: takes numbers only; the group is the child's own, which is not waited for yet.
        unsafe { libc::kill(-(self.child.id() as i32), libc::SIGKILL) };
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.kill();
        // A thread that spins in the kernel never ends: it is not waited for.
        for _ in 0..500 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The two sides of one job.
pub struct Pair {
    pub kernel: Side,
    pub other: Side,
}

impl Pair {
    pub fn start(options: &Options, job: usize) -> Result<Pair, String> {
        let sysring = options.sysring.clone();
        let backend = options.backend;
        if backend == Which::Run && !sysring.exists() {
            return Err(format!(
                "{}: build it first, or name it with --sysring",
                sysring.display()
            ));
        }
        let threads = options.threads;
        let kernel = Side::start(Box::new(move || {
            let mut command = side_command(Which::Kernel, None, job, "k");
            command.args(["--threads", &threads.to_string()]);
            command
        }))?;
        let other = Side::start(Box::new(move || {
            let mut command = side_command(backend, Some(&sysring), job, "o");
            command.args(["--threads", &threads.to_string()]);
            command
        }))?;
        Ok(Pair { kernel, other })
    }

    /// Runs a program that may have run just now.
    pub fn run(&mut self, seed: u64, drop: &[usize]) -> Result<(Answer, Answer), String> {
        std::thread::sleep(ENDING);
        self.run_first(seed, drop)
    }

    /// Runs a program that has not run yet.
    pub fn run_first(&mut self, seed: u64, drop: &[usize]) -> Result<(Answer, Answer), String> {
        let _ = self.kernel.ask(seed, drop);
        let _ = self.other.ask(seed, drop);
        Ok((self.kernel.collect()?, self.other.collect()?))
    }
}

pub(super) fn side_command(
    backend: Which,
    sysring: Option<&Path>,
    job: usize,
    name: &str,
) -> Command {
    let program = std::env::current_exe().unwrap_or_default();
    let mut command = match (backend, sysring) {
        (Which::Run, Some(sysring)) => {
            let mut command = Command::new(sysring);
            command.args(["run", "--engine", "user", "--"]).arg(program);
            command
        }
        _ => Command::new(program),
    };
    let backend = if backend == Which::Engine { "engine" } else { "kernel" };
    command.args(["side", "--backend", backend]).args(folders(&format!("{job}{name}")));
    command
}

/// The options that name a side's scratch folders, in memory and on disk.
pub(crate) fn folders(name: &str) -> [OsString; 4] {
    let id = std::process::id();
    let shared = Path::new("/dev/shm");
    let fast = if shared.is_dir() { shared.to_path_buf() } else { std::env::temp_dir() };
    [
        "--folder".into(),
        fast.join(format!("sysring-diff-{id}-{name}")).into(),
        "--disk-folder".into(),
        crate::target_folder().join("differential").join(format!("{id}-{name}")).into(),
    ]
}
