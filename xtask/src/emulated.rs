//! Machines that QEMU emulates: a kernel, and a root in memory whose first process runs the tests.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::files::told;
use crate::lanes::say;
use crate::libtest::Libtest;
use crate::report::Report;
use crate::step;
use crate::tally::Tally;

/// The line that the first process ends with.
const END: &str = "== all tests have ended";

/// Makes the archive that a kernel unpacks of a root, whose first process is `init`.
pub fn pack(root: &Path, init: &str, archive: &Path) -> Result<(), String> {
    let first = root.join("init");
    std::fs::write(&first, init).map_err(|e| told(&first, e))?;
    finish(Command::new("chmod").arg("755").arg(&first))?;
    let archive = File::create(archive).map_err(|e| told(archive, e))?;
    let mut find = Command::new("find")
        .args([".", "-print0"])
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("find: {e}"))?;
    let names = find.stdout.take().expect("stdout was piped");
    finish(
        Command::new("cpio")
            .args(["--create", "--format=newc", "--quiet", "--null", "--owner=0:0"])
            .current_dir(root)
            .stdin(names)
            .stdout(archive),
    )?;
    find.wait().map(drop).map_err(|e| format!("find: {e}"))
}

/// Runs the tests of the machine that `qemu` starts; all of them once more if only such fail as may
/// pass later, or none did and the machine broke off.
pub fn run(name: &str, qemu: &[&str]) -> Report {
    let mut run = boot(name, qemu);
    let tally = run.tally;
    if tally.failed == 0 {
        return Report { tally, ..Report::default() };
    }
    // The machine itself may break off: its kernel, or QEMU.
    let may_pass_later = run.may_pass_later() || run.failed.is_empty();
    if run.failed.is_empty() {
        run.failed.push("broke off".to_owned());
    }
    let failed = run.failed.iter().map(|test| format!("{name}: {test}")).collect();
    let first = Report { tally, failed, said: run.said, later: Vec::new() };
    if may_pass_later && boot(&format!("{name}, once more"), qemu).tally.failed == 0 {
        first.pardoned()
    } else {
        first
    }
}

fn boot(name: &str, qemu: &[&str]) -> Libtest {
    let mut tests = Libtest::default();
    let mut ended = false;
    let well = step::watch(name, qemu, &[], |line| {
        let line = line.trim_end_matches('\r');
        ended |= line == END;
        tests.read(line)
    });
    if !well || !ended {
        say(format_args!("{name} broke off"));
        tests.tally += Tally::FAILED;
    }
    tests
}

/// The Debian mirror that this machine installs its packages from: the machines are Debian's.
///
/// # Errors
/// There is none, as on Ubuntu.
pub fn mirror() -> Result<String, String> {
    let format = "$(ORIGIN)|$(LABEL)|$(REPO_URI)";
    let asked = Command::new("apt-get")
        .args(["indextargets", "--format", format, "Created-By: Packages"])
        .output()
        .map_err(|e| format!("apt-get: {e}"))?;
    debian(&String::from_utf8_lossy(&asked.stdout))
        .ok_or_else(|| "apt has no Debian mirror configured".to_owned())
}

/// The first of apt's indexes that is Debian's own.
fn debian(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| line.strip_prefix("Debian|Debian|").map(str::to_owned))
}

/// Runs a command that must succeed.
pub fn finish(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(e) => Err(format!("{command:?}: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_debians() {
        let mixed = "Docker|Docker CE|https://a/\nDebian|Debian|http://b/debian/\n";
        assert_eq!(debian(mixed).as_deref(), Some("http://b/debian/"));
        assert_eq!(debian("Ubuntu|Ubuntu|http://archive.ubuntu.com/ubuntu/\n"), None);
    }
}
