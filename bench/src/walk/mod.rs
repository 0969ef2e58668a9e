//! The walk that Linus asked for in 2008: look at everything in a tree, as fast as the trivial
//! program where everything is cached, and overlapped where not.

mod programs;
mod run;
mod tree;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compare::{Contender, Samples, interleave};
use crate::disk::Disk;
use crate::report::{Better, Goal, Metric, Row, Unit};
use crate::{Error, Settings, sysring};

use programs::Program;
use run::Use;

const TIME: Metric = Metric { name: "time", unit: Unit::Milliseconds, better: Better::Lower };
const CPU: Metric =
    Metric { name: "processor time", unit: Unit::Milliseconds, better: Better::Lower };

/// What is compared, and how fast sysring is to be beside Linus' program.
struct Race {
    work: &'static str,
    cold: bool,
    programs: Vec<Program>,
    at_most: f64,
    rounds: usize,
}

/// Where the programs walk: the tree, and nothing, to load a program before it is timed.
struct Places<'s> {
    tree: PathBuf,
    empty: PathBuf,
    /// What the tree lies on, if that keeps an account.
    disk: Option<&'s Disk>,
}

pub fn run(settings: &Settings) -> Result<Vec<Row>, Error> {
    let dir = settings.own_dir()?;
    let (tree, empty) = (tree::provide(&settings.dir()?)?, dir.join("walk-empty"));
    let places = Places { tree, empty, disk: settings.disk.as_ref() };
    fs::create_dir_all(&places.empty)?;
    let linus = compile(&dir)?;
    let sysring = sysring::binary(settings)?;
    check(&sysring, &places.tree)?;
    let rounds = |all| settings.rounds.unwrap_or(if settings.quick { 3 } else { all });
    let linus = Program::new("Linus' program", &linus, &[]);
    let programs = |ours: &[&'static str], others| {
        let ours = Program::new(&format!("sysring {}", ours.join(" ")), &sysring, ours);
        let mut programs = vec![linus.clone(), ours];
        programs.extend(programs::installed(others, &places.empty));
        programs
    };
    let mut races = vec![
        Race {
            work: "walk of 275,000 files, hot, one thread",
            cold: false,
            programs: programs(&["du", "-s", "-j1"], programs::ONE_THREAD),
            at_most: 0.80,
            rounds: rounds(15),
        },
        Race {
            work: "walk of 275,000 files, hot, all processors",
            cold: false,
            programs: programs(&["du", "-s"], programs::ALL_PROCESSORS),
            at_most: 0.55,
            rounds: rounds(15),
        },
        Race {
            work: "walk of 275,000 files, cold",
            cold: true,
            programs: programs(&["du", "-s"], programs::MANY_THREADS),
            at_most: 0.25,
            rounds: rounds(7),
        },
    ];
    match sysring::sibling("examples/walk-in-scope")? {
        scope if scope.is_file() => races.push(Race {
            work: "walk of 275,000 files, cold, straight-line code in a scope",
            cold: true,
            programs: vec![linus.clone(), Program::new("walk-in-scope", &scope, &[])],
            at_most: 0.35,
            rounds: rounds(7),
        }),
        scope => eprintln!("left out: {}, which was not built", scope.display()),
    }
    // What is cached is as fast on any disk.
    races.retain(|race| race.cold || places.disk.is_none());
    let mut rows = Vec::new();
    for race in races {
        rows.extend(race.run(&places, settings.noise)?);
    }
    Ok(rows)
}

impl Race {
    fn run(mut self, places: &Places, noise: bool) -> Result<Vec<Row>, Error> {
        if noise {
            // Linus' program beside itself.
            self.programs.truncate(1);
            self.programs.push(self.programs[0].clone());
        }
        eprintln!("{}: {} programs, {} rounds", self.work, self.programs.len(), self.rounds);
        let used: Vec<Cell<Use>> = self.programs.iter().map(|_| Cell::default()).collect();
        let mut contenders = Vec::new();
        for (program, used) in self.programs.iter().zip(&used) {
            let cold = self.cold;
            // One that fails says so when it is timed.
            let label = match run::threads(program, places, cold) {
                Ok(threads) => format!("{}, {threads} thr.", program.name),
                Err(_) => program.name.clone(),
            };
            contenders.push(Contender::new(label, move || run::timed(program, places, cold, used)));
        }
        // The first walk of a tree changes the times of its directories, which have to be written
        // before they can be forgotten.
        tree::sync();
        let samples = interleave(self.rounds, &mut contenders);
        drop(contenders);
        for (samples, used) in samples.iter().zip(used) {
            let Use { runs, elapsed, account } = used.into_inner();
            if let Some(account) = account {
                eprintln!("{}: {}", samples.label, account.sentence(runs, elapsed));
            }
        }
        Ok(self.rows(&samples))
    }

    /// Everything beside Linus' program, then sysring beside everything else.
    fn rows(&self, samples: &[Samples]) -> Vec<Row> {
        let row = |metric, at_most, baseline, candidate| {
            let metric = [(0, TIME), (1, CPU)][metric];
            Row::new(self.work, metric, Goal::Share { at_most }, baseline, candidate)
        };
        let (linus, ours, others) = (&samples[0], &samples[1], &samples[2..]);
        let mut rows = vec![row(0, Some(self.at_most), linus, ours), row(1, None, linus, ours)];
        rows.extend(others.iter().map(|other| row(0, None, linus, other)));
        rows.extend(others.iter().map(|other| row(0, Some(1.0), other, ours)));
        rows
    }
}

/// Linus' program, as the machine's compiler makes it.
fn compile(dir: &Path) -> Result<PathBuf, Error> {
    let (source, program) = (dir.join("linus.c"), dir.join("linus"));
    fs::write(&source, include_str!("linus.c"))?;
    let status = Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(&source).status();
    match status {
        Ok(status) if status.success() => Ok(program),
        Ok(status) => Err(format!("cc ended with {status}").into()),
        Err(error) => Err(format!("cannot start cc: {error}").into()),
    }
}

/// A fast wrong answer is of no use.
fn check(sysring: &Path, tree: &Path) -> Result<(), Error> {
    let ours = Command::new(sysring).args(["du", "-s"]).arg(tree).output()?;
    let theirs = Command::new("du").arg("-s").arg(tree).output()?;
    if ours.stdout == theirs.stdout && ours.status.success() {
        return Ok(());
    }
    let [ours, theirs] =
        [ours, theirs].map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    Err(format!("sysring du says {ours:?}, du says {theirs:?}").into())
}
