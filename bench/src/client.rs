//! Clients of io_uring beside each other: this repository's, liburing in C, the `io-uring` crate, on
//! the kernel's io_uring; and this repository's on the engine, called as a function.
//!
//! Each is a program of its own (`bin/client.rs`, `bin/client.c`), so that a profiler counts the
//! instructions of the loop and nothing else: callgrind runs it with so many rounds and with twice
//! as many, and the difference is the loop's.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::compare::{Contender, Samples, interleave};
use crate::report::{Better, Goal, Metric, Row, Unit};
use crate::{Error, Settings, c, scratch, sysring};

const TIME: Metric =
    Metric { name: "per operation", unit: Unit::Nanoseconds, better: Better::Lower };
const INSTRUCTIONS: Metric =
    Metric { name: "instructions", unit: Unit::Instructions, better: Better::Lower };

const C_SOURCE: &str = include_str!("bin/client.c");

/// One of the clients, as a program.
struct Client {
    label: &'static str,
    program: Vec<PathBuf>,
}

/// What a client is told to do.
struct Work {
    name: &'static str,
    depth: u32,
    file: PathBuf,
}

pub fn run(settings: &Settings) -> Result<Vec<Row>, Error> {
    let rust = |label, name: &str| -> Result<Client, Error> {
        let program = vec![sysring::sibling("sysring-bench-client")?, name.into()];
        Ok(Client { label, program })
    };
    let ours = rust("sysring", if settings.noise { "io-uring" } else { "sysring" })?;
    let in_c = c::program(&settings.dir()?, "client", C_SOURCE, "liburing.a", "liburing-dev")?;
    let in_c = Client { label: "liburing", program: vec![in_c] };
    let others = [in_c, rust("io-uring crate", "io-uring")?];
    let engine = rust("engine", "sysring-user")?;
    let file = settings.file("clients", 1 << 20)?;
    scratch::warm(&file)?;

    let mut rows = Vec::new();
    for (name, depth) in [("nop", 1), ("nop", 64), ("read", 1), ("read", 64)] {
        let work = Work { name, depth, file: file.clone() };
        for other in &others {
            rows.extend(work.beside(settings, other, &ours));
        }
    }
    let work = Work { name: "nop", depth: 64, file: file.clone() };
    let samples = work.timed(settings, &[&ours, &engine]);
    let goal = Goal::Absolute { at_most: Some(25.0) };
    rows.push(Row::new(work.title(), (0, TIME), goal, &samples[0], &samples[1]));
    // A system call for each read, or one for all of them: the engine's, too, where they are neighbours.
    for name in ["read", "scattered"] {
        let work = Work { name, depth: 32, file: file.clone() };
        let samples = work.timed(settings, &[&others[0], &engine]);
        let goal = Goal::Ratio { at_least: Some(1.0) };
        rows.push(Row::new(work.title(), (0, TIME), goal, &samples[0], &samples[1]));
    }
    Ok(rows)
}

impl Work {
    fn title(&self) -> String {
        match self.name {
            "nop" => format!("client: NOP, depth {}", self.depth),
            "scattered" => format!("client: cached 4 KiB reads, scattered, depth {}", self.depth),
            _ => format!("client: cached 4 KiB reads, depth {}", self.depth),
        }
    }

    /// Instructions, then time, of ours beside another.
    fn beside(&self, settings: &Settings, other: &Client, ours: &Client) -> [Row; 2] {
        let goal = Goal::Ratio { at_least: Some(1.0) };
        let counted = [other, ours].map(|client| Samples {
            label: client.label.to_owned(),
            rounds: self.count(client).map(|count| vec![vec![count]]),
        });
        let timed = self.timed(settings, &[other, ours]);
        let no_goal = Goal::Ratio { at_least: None };
        [
            Row::new(self.title(), (0, INSTRUCTIONS), goal, &counted[0], &counted[1]),
            Row::new(self.title(), (0, TIME), no_goal, &timed[0], &timed[1]),
        ]
    }

    fn timed(&self, settings: &Settings, clients: &[&Client]) -> Vec<Samples> {
        let rounds = if settings.quick { 100_000 } else { 1_000_000 } / u64::from(self.depth);
        let contenders = clients.iter().map(|client| {
            let mut command = self.command(client, rounds);
            Contender::new(client.label, move || {
                let output = command.stderr(Stdio::inherit()).output()?;
                if !output.status.success() {
                    return Err(format!("ended with {}", output.status).into());
                }
                Ok(vec![String::from_utf8(output.stdout)?.trim().parse()?])
            })
        });
        let mut contenders: Vec<Contender> = contenders.collect();
        let turns = settings.rounds.unwrap_or(if settings.quick { 5 } else { 15 });
        interleave(turns, &mut contenders)
    }

    fn command(&self, client: &Client, rounds: u64) -> Command {
        let mut command = Command::new(&client.program[0]);
        command.args(&client.program[1..]);
        self.tell(&mut command, rounds);
        command
    }

    fn tell(&self, command: &mut Command, rounds: u64) {
        command.arg(self.name).arg(self.depth.to_string()).arg(rounds.to_string()).arg(&self.file);
    }

    /// The loop's instructions, for each operation.
    fn count(&self, client: &Client) -> Result<f64, Error> {
        let rounds = 20_000 / u64::from(self.depth);
        let [once, twice] = [rounds, 2 * rounds].map(|rounds| self.collect(client, rounds));
        Ok((twice? - once?) / f64::from(self.depth) / rounds as f64)
    }

    fn collect(&self, client: &Client, rounds: u64) -> Result<f64, Error> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).args(&client.program);
        self.tell(&mut command, rounds);
        let output = command.output().map_err(|e| format!("valgrind: {e}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let count = said.lines().find_map(|line| line.split_once("Collected : "));
        let (_, count) = count.ok_or_else(|| format!("valgrind ended with {}", output.status))?;
        Ok(count.trim().parse()?)
    }
}
