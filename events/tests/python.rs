//! The reader in another language, which knows no more than `docs/events.md`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use sysring_events::attr::{Answers, Path, Place, Timing, Trace};
use sysring_events::{Config, Event, Ring};

/// Pushes while the reader reads, more than the ring holds, so that events go round the end and into
/// the overflow area.
#[test]
fn python_reads_what_is_pushed() {
    const EVENTS: u64 = 5000;
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        println!("skipped: python3 is not installed");
        return;
    }
    let ring = Ring::new(&Config { size: 1 << 16, overflow: 1 << 20, shared: true }).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), ring.file().unwrap().raw());
    let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/events.py");
    let mut child =
        Command::new("python3").args([reader, &path]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();

    let mut overflowed = false;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..EVENTS {
                ring.push(&Event::new(n, -(n as i64)).with(&answers(n))).unwrap();
                overflowed |= ring.is_overflowing();
            }
        });
        for (n, line) in (0..EVENTS).zip(lines) {
            assert_eq!(line.unwrap(), expected(n));
        }
    });
    assert!(overflowed, "the test is to see the overflow area used");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn answers(n: u64) -> Answers<'static> {
    let mut answers = Answers::none();
    if n.is_multiple_of(2) {
        answers.set(&Timing { queued: n, issued: n + 1, completed: n + 2 });
        answers.set(&Path::Worker);
    }
    if n.is_multiple_of(3) {
        answers.set(&Place { cpu: 1, thread: n as u32 });
        answers.set(&Trace(u64::MAX - n));
    }
    answers
}

fn expected(n: u64) -> String {
    let mut text = format!("{{'id': {n}, 'result': {}", -(n as i64));
    if n.is_multiple_of(2) {
        text += &format!(", 'timing': ({n}, {}, {}), 'path': 'worker'", n + 1, n + 2);
    }
    if n.is_multiple_of(3) {
        text += &format!(", 'place': (1, {n}), 'trace': ({},)", u64::MAX - n);
    }
    text + "}"
}
