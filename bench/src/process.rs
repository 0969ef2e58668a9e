//! What `sysring run` adds to a process: time before its `main`, and memory beside its ring.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::compare::{Contender, interleave};
use crate::report::{Better, Goal, Metric, Row, Unit};
use crate::{Error, Settings, sysring};

const ENTRIES: u32 = 256;

/// From spawn to exit of `/bin/true`.
pub fn startup(settings: &Settings) -> Result<Vec<Row>, Error> {
    let time = Metric { name: "spawn to exit", unit: Unit::Milliseconds, better: Better::Lower };
    let samples = interleave(
        settings.rounds.unwrap_or(if settings.quick { 15 } else { 101 }),
        &mut [
            Contender::new("alone", || spawn(Command::new("/bin/true"))),
            if settings.noise {
                Contender::new("alone again", || spawn(Command::new("/bin/true")))
            } else {
                Contender::new("sysring run", || spawn(sysring::command(settings, "/bin/true")?))
            },
        ],
    );
    let goal = Goal::Added { at_most: Some(3.0) };
    Ok(vec![Row::new("start-up of /bin/true", (0, time), goal, &samples[0], &samples[1])])
}

fn spawn(mut command: Command) -> Result<Vec<f64>, Error> {
    let start = Instant::now();
    let status = command.status()?;
    if !status.success() {
        return Err(format!("ended with {status}").into());
    }
    Ok(vec![start.elapsed().as_secs_f64() * 1e3])
}

/// A process without a ring, with a ring of the kernel's, and with one under `sysring run`.
pub fn memory(settings: &Settings) -> Result<Vec<Row>, Error> {
    let metric = |name, unit| Metric { name, unit, better: Better::Lower };
    let metrics = [
        metric("resident", Unit::Kibibytes),
        metric("proportional", Unit::Kibibytes),
        metric("descriptors", Unit::Count),
        metric("threads", Unit::Count),
    ];
    let samples = interleave(
        settings.rounds.unwrap_or(if settings.quick { 3 } else { 9 }),
        &mut [
            Contender::new("no ring", || hold(holder()?, 0)),
            Contender::new("kernel", || hold(holder()?, ENTRIES)),
            if settings.noise {
                Contender::new("kernel again", || hold(holder()?, ENTRIES))
            } else {
                let program = std::env::current_exe()?;
                Contender::new("sysring", move || {
                    hold(sysring::command(settings, &program)?, ENTRIES)
                })
            },
        ],
    );
    let work = "memory of a process with one ring of 256";
    let row = |index: usize, baseline: usize, at_most| {
        let goal = Goal::Added { at_most };
        Row::new(work, (index, metrics[index]), goal, &samples[baseline], &samples[2])
    };
    Ok(vec![
        row(0, 0, Some(1024.0)),
        row(1, 0, None),
        row(2, 0, None),
        row(3, 0, None),
        row(0, 1, None),
    ])
}

fn holder() -> Result<Command, Error> {
    Ok(Command::new(std::env::current_exe()?))
}

/// Runs `command` as a holder of a ring and looks at it while it holds.
fn hold(mut command: Command, entries: u32) -> Result<Vec<f64>, Error> {
    command.args(["hold-ring", &entries.to_string()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    let seen = match line.trim().parse() {
        Ok(pid) => look(pid),
        Err(_) => Err("the process that was to hold a ring did not start".into()),
    };
    // The end of its input ends it.
    drop(child.stdin.take());
    let status = child.wait()?;
    if status.success() { seen } else { Err(format!("ended with {status}").into()) }
}

fn look(pid: u32) -> Result<Vec<f64>, Error> {
    let proc = Path::new("/proc").join(pid.to_string());
    let rollup = fs::read_to_string(proc.join("smaps_rollup"))?;
    let kib = |name: &str| -> Result<f64, Error> {
        let line = rollup.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        let value = line.and_then(|l| l.trim().strip_suffix(" kB"));
        Ok(value.ok_or_else(|| format!("smaps_rollup has no {name}"))?.parse()?)
    };
    let count = |what: &str| Ok::<_, Error>(fs::read_dir(proc.join(what))?.count() as f64);
    Ok(vec![kib("Rss")?, kib("Pss")?, count("fd")?, count("task")?])
}

/// The child of `memory`: makes a ring, uses it once, and holds it until its input ends.
pub fn hold_ring(entries: u32) -> Result<(), Error> {
    let mut ring = (entries > 0).then(|| io_uring::IoUring::new(entries)).transpose()?;
    if let Some(ring) = &mut ring {
        let nop = io_uring::opcode::Nop::new().build();
        // SAFETY: a NOP names no memory.
        unsafe { ring.submission().push(&nop) }?;
        ring.submit_and_wait(1)?;
        ring.completion().next().ok_or("the NOP did not complete")?;
    }
    println!("{}", std::process::id());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
