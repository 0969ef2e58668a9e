//! Runs one test program as liburing's own runner would: its folder, its time, its exit status.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::expect::Verdict;
use super::network;
use crate::refuse::Refusal;

/// The time liburing's runner gives a test.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What a slow test gets, and, alone, any that did not end as wanted beside others: the machine may have been
/// busy.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Exit status of a test that cannot run here.
const SKIP: i32 = 77;

/// What serves the tests' io_uring calls.
#[derive(Clone, Debug)]
pub enum Runner {
    /// The kernel.
    Kernel,
    /// `sysring run` at this path, on a machine that refuses io_uring.
    Run(PathBuf, Refusal),
    /// The library that the tests are linked with, with this engine; with ours on a machine that
    /// refuses io_uring.
    Library(&'static str, Option<Refusal>),
}

/// How one test ended.
#[derive(Debug)]
pub struct Outcome {
    pub name: String,
    pub verdict: Verdict,
    /// How the tries before this one ended: it was not as wanted.
    pub before: Vec<Verdict>,
    pub time: Duration,
    /// The last line it printed, or how it died.
    pub note: String,
}

/// Runs `test` in a scratch folder below `scratch`.
pub fn run(test: &Path, runner: &Runner, scratch: &Path, limit: Duration) -> Outcome {
    let name = test.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let started = Instant::now();
    let ended = attempt(test, &name, runner, scratch, limit);
    let (verdict, note) = match ended {
        Ok(ended) => ended,
        Err(problem) => (Verdict::Fail, format!("could not be run: {problem}")),
    };
    Outcome { name, verdict, before: Vec::new(), time: started.elapsed(), note }
}

fn attempt(
    test: &Path,
    name: &str,
    runner: &Runner,
    scratch: &Path,
    limit: Duration,
) -> std::io::Result<(Verdict, String)> {
    let folder = scratch.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    // Two tests exec this one from their working folder.
    symlink(test.with_file_name("exec-target.t"), folder.join("exec-target.t"))?;
    let mut output = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(scratch.join(format!("{name}.out")))?;
    let mut command = match runner {
        Runner::Kernel => Command::new(test),
        Runner::Run(sysring, refusal) => {
            let mut command = Command::new(sysring);
            command.args(["run", "--engine", "user", "--"]).arg(test);
            refusal.on(&mut command);
            command
        }
        Runner::Library(engine, refusal) => {
            let mut command = Command::new(test);
            command.env("SYSRING_ENGINE", engine);
            if let Some(refusal) = refusal {
                refusal.on(&mut command);
            }
            command
        }
    };
    network::own(&mut command);
    // What a shell starts in the background ignores it, and some tests end their children with it.
    // SAFETY: the call is safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        })
    };
    let mut child = command
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .process_group(0)
        .spawn()?;
    let status = wait(&mut child, limit)?;
    let mut said = Vec::new();
    output.seek(SeekFrom::Start(0))?;
    output.read_to_end(&mut said)?;
    let _ = fs::remove_dir_all(&folder);
    Ok(judge(name, status, limit, &String::from_utf8_lossy(&said)))
}

/// Waits for the child; `None` if its time ran out, and it and its children were killed.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    let group = -(child.id() as i32);
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() >= deadline {
            break None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    // Also what a finished test left running: the group is ours, `process_group(0)` made it.
    // SAFETY: takes numbers only.
    unsafe { libc::kill(group, libc::SIGKILL) };
    if status.is_none() {
        child.wait()?;
    }
    Ok(status)
}

fn judge(name: &str, status: Option<ExitStatus>, limit: Duration, said: &str) -> (Verdict, String) {
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
    let last: String = last.chars().take(100).collect();
    let Some(status) = status else {
        return (Verdict::Hang, format!("still running after {} s: {last}", limit.as_secs()));
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => (Verdict::Pass, String::new()),
        (Some(SKIP), _) => (Verdict::Skip, last),
        (Some(1), _) if name.starts_with("xfail") => (Verdict::Pass, String::new()),
        (Some(code), _) => (Verdict::Fail, format!("exit {code}: {last}")),
        (None, Some(signal)) => (Verdict::Fail, format!("killed by signal {signal}: {last}")),
        (None, None) => (Verdict::Fail, last),
    }
}
