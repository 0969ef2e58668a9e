//! What `sysring du` and `sysring ls` show of a long walk: only to somebody who looks, and only while
//! it lasts.
//!
//! A walk is made to take long by strace, which lets each look into a directory wait.

mod common;

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{SYSRING, Scratch};

/// One in the other: no two can be read at once.
const DIRECTORIES: usize = 60;

/// How long a look into each of them takes, of which the first tells what is in it. All the first
/// together take a second and a half, which is twice as long as nothing is shown for.
const DELAY: &str = "inject=getdents64:delay_enter=25000";

/// What a terminal was sent, or a pipe.
struct Shown {
    out: String,
    error: String,
}

#[derive(Clone, Copy, PartialEq)]
enum To {
    Terminal,
    Pipe,
}

use To::{Pipe, Terminal};

/// A terminal of 80 columns: its two ends.
fn terminal() -> (File, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let none = std::ptr::null_mut();
    // SAFETY: room for two descriptors, which are then nobody else's; neither name nor modes.
    unsafe {
        let made =
            libc::openpty(&raw mut master, &raw mut slave, none, none.cast(), &raw const size);
        assert_eq!(made, 0, "openpty: {}", std::io::Error::last_os_error());
        (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}

fn pipe() -> (File, OwnedFd) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (OwnedFd::from(reader).into(), writer.into())
}

/// All that comes; a terminal ends with an error when the last program has left it.
fn read(mut from: File) -> String {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn walk(slow: bool, arguments: &[&str], directory: &Path, out: To, error: To) -> Shown {
    let mut command = if slow {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=getdents64", "-e", DELAY]);
        strace.arg(SYSRING);
        strace
    } else {
        Command::new(SYSRING)
    };
    let end = |to| if to == Terminal { terminal() } else { pipe() };
    let ((out, out_end), (error, error_end)) = (end(out), end(error));
    command.args(arguments).current_dir(directory).env("TERM", "xterm").stdin(Stdio::null());
    let mut child = command.stdout(out_end).stderr(error_end).spawn().expect("starts");
    // It has the other ends, which must not stay open here.
    drop(command);
    let out = std::thread::spawn(|| read(out));
    let error = read(error);
    assert!(child.wait().expect("waits").success(), "{error}");
    Shown { out: out.join().expect("reads"), error }
}

/// Directories in each other, if they can be made to take long; the test counts as skipped otherwise.
fn deep() -> Option<Scratch> {
    let inject = ["-o", "/dev/null", "-e", "trace=getdents64", "-e", DELAY, "true"];
    let tried = Command::new("strace").args(inject).output();
    let reason = match tried {
        Ok(output) if output.status.success() => {
            let scratch = Scratch::new();
            fs::create_dir_all(scratch.path().join("d/".repeat(DIRECTORIES))).unwrap();
            return Some(scratch);
        }
        Ok(output) => common::stderr(&output),
        Err(error) => error.to_string(),
    };
    println!("skipped: strace does not work here: {reason}");
    None
}

/// Clears the line that the cursor is in.
const CLEAR: &str = "\x1b[2K";

/// How many directories were told of, each time; and that the line was cleared at the end.
#[track_caller]
fn told(error: &str) -> Vec<usize> {
    let last = error.rfind(" directories").unwrap_or_else(|| panic!("no progress: {error:?}"));
    assert!(error[last..].contains(CLEAR), "it stays: {error:?}");
    let before = error.match_indices(" directories").map(|(at, _)| &error[..at]);
    before.map(|text| text.rsplit(' ').next().unwrap().parse().expect("a number")).collect()
}

#[test]
fn a_long_walk_tells_a_terminal_how_far_it_is() {
    let Some(tree) = deep() else { return };
    for arguments in [&["du"][..], &["ls", "-lR"]] {
        let plain = walk(false, arguments, tree.path(), Pipe, Pipe);
        let shown = walk(true, arguments, tree.path(), Pipe, Terminal);
        let told = told(&shown.error);
        assert!(told.is_sorted() && told.last() <= Some(&(DIRECTORIES + 1)), "{told:?}");
        assert!(told.first() < told.last(), "it stands still: {told:?}");
        assert_eq!(shown.out, plain.out, "{arguments:?}");
    }
}

#[test]
fn a_pipe_is_told_nothing() {
    let Some(tree) = deep() else { return };
    let shown = walk(true, &["du"], tree.path(), Pipe, Pipe);
    assert_eq!(shown.error, "");
    assert_eq!(shown.out.lines().count(), DIRECTORIES + 1);
}

/// Whoever sees the lines as they come needs nothing else; with `-s` there are none to see.
#[test]
fn a_terminal_with_the_lines_is_told_nothing_else() {
    let Some(tree) = deep() else { return };
    let shown = walk(true, &["du"], tree.path(), Terminal, Terminal);
    assert_eq!(shown.error, "");
    assert_eq!(shown.out.lines().count(), DIRECTORIES + 1);
    let shown = walk(true, &["du", "-s"], tree.path(), Terminal, Terminal);
    assert!(!told(&shown.error).is_empty());
    assert_eq!(shown.out.lines().count(), 1);
}

#[test]
fn a_short_walk_tells_nothing() {
    let scratch = Scratch::new();
    common::tree::plant(scratch.path());
    let shown = walk(false, &["du"], scratch.path(), Pipe, Terminal);
    assert_eq!(shown.error, "");
}

/// Sent as they are, names could move the cursor, or worse.
#[test]
fn names_that_a_terminal_would_obey_are_quoted_there() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path().join("\x1b[2Jhere")).expect("a directory");
    fs::write(scratch.path().join("\x1b[2Jhere/a\nb"), "").expect("a file");
    fs::write(scratch.path().join("sp ace"), "").expect("a file");
    for options in [&["ls", "-R"][..], &["ls", "-R", "--paths"]] {
        let shown = walk(false, options, scratch.path(), Terminal, Pipe).out;
        assert!(!shown.contains('\x1b') && shown.contains("$'\\033''[2Jhere"), "{shown:?}");
        assert!(shown.contains("$'\\n'") && !shown.contains("sp ace'"), "{shown:?}");
        let piped = walk(false, options, scratch.path(), Pipe, Pipe).out;
        assert!(piped.contains("\x1b[2Jhere") && piped.contains("a\nb"), "{piped:?}");
    }
}
