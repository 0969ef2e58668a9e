//! A part of liburing's suite in gVisor, whose kernel is not Linux: what the engine is made of behaves
//! differently there.

use std::process::{Command, Stdio};

use crate::files::target_directory;
use crate::prerequisites;
use crate::report::Report;
use crate::step::{Outcome, Step};

const NAME: &str = "liburing's suite in gVisor";

/// Some of each kind, that take no time there either.
const TESTS: [&str; 19] = [
    "bind-listen",
    "connect",
    "cq-full",
    "eventfd",
    "fixed-link",
    "fsync",
    "link",
    "mkdir",
    "msg-ring",
    "open-close",
    "personality",
    "pipe",
    "poll-cancel",
    "rename",
    "shutdown",
    "splice",
    "statx",
    "unlink",
    "xattr",
];

/// gVisor gives what it is handed to another user: it gets pipes, and not `/dev/null`.
const INSIDE: &str = ": | runsc --platform=ptrace --network=none --ignore-cgroups do \"$@\" 2>&1";

/// Runs it, where gVisor runs; behind the suite itself, which is built then.
pub fn report() -> Report {
    if let Some(why) = missing() {
        println!("skipped: {NAME}: {why}");
        return Report::skipped();
    }
    let program = target_directory().join("release/conformance").display().to_string();
    let tests = TESTS.join(",");
    let command = ["sh", "-c", INSIDE, "sh", &program, "suite", "--tests", &tests];
    Step { name: NAME, outcome: Outcome::Summary, command: &command, environment: &[] }.run()
}

fn missing() -> Option<String> {
    if !prerequisites::is_installed("runsc") {
        return Some("runsc is not installed".to_owned());
    }
    if !target_directory().join("liburing/built").exists() {
        return Some("liburing's suite was not built".to_owned());
    }
    let tried = Command::new("sh")
        .args(["-c", INSIDE, "sh", "true"])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string());
    match tried {
        Ok(ended) if ended.status.success() => None,
        Ok(ended) => {
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            Some(format!("runsc: {}", said.lines().last().unwrap_or("no reason given")))
        }
        Err(why) => Some(why),
    }
}
