//! `sysring demo`: the main job, shown on real programs.

mod checksum;
pub mod client;
mod fio;
mod measure;
mod scratch;
mod show;
mod tree;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::arguments::Demo;
use crate::run::Report;
use measure::Ended;
use scratch::Scratch;
use show::Show;

/// What was seen of all programs.
#[derive(Serialize)]
struct Findings {
    ok: bool,
    programs: Vec<Program>,
}

/// One program, run in each of the ways.
#[derive(Serialize)]
struct Program {
    name: &'static str,
    runs: Vec<Run>,
}

#[derive(Serialize)]
struct Run {
    way: Way,
    command: String,
    /// Why it failed, in the program's own words or after its output was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<Figures>,
    cpu_seconds: f64,
    /// What `sysring run --stats` said.
    #[serde(skip_serializing_if = "Option::is_none")]
    served: Option<Report>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Kernel,
    Refused,
    Sysring,
}

impl Way {
    const ALL: [Way; 3] = [Way::Kernel, Way::Refused, Way::Sysring];

    fn title(self) -> &'static str {
        match self {
            Way::Kernel => "(a) the kernel's io_uring",
            Way::Refused => "(b) io_uring refused (EPERM)",
            Way::Sysring => "(c) refused, with sysring run",
        }
    }

    /// What stands in front of the program's command.
    fn prefix(self) -> &'static [&'static str] {
        match self {
            Way::Kernel => &[],
            Way::Refused => &["sysring", "refuse", "--"],
            Way::Sysring => &["sysring", "refuse", "--", "sysring", "run", "--stats=json", "--"],
        }
    }
}

/// How fast a program was.
#[derive(Debug, Serialize)]
struct Figures {
    megabytes_per_second: f64,
    operations_per_second: f64,
    operations: u64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
}

pub fn main(demo: &Demo) -> ExitCode {
    match all(demo) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tell!("sysring: the demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn all(demo: &Demo) -> Result<bool, String> {
    let parent = demo.directory.clone().unwrap_or_else(env::temp_dir);
    let scratch = Scratch::create(&parent).map_err(|error| {
        format!("a directory in {} could not be made: {error}", parent.display())
    })?;
    let show = Show::new(demo.json);

    let unheard = |error: io::Error| format!("the findings could not be printed: {error}");
    let mut programs = vec![bundled(demo, &scratch, &show)?];
    show.program(&programs[0]).map_err(unheard)?;
    if demo.no_fio {
        show.note("fio is left out, as asked.").map_err(unheard)?;
    } else if fio::is_installed() {
        let program = with_fio(demo, &scratch, &show)?;
        show.program(&program).map_err(unheard)?;
        programs.push(program);
    } else {
        show.note("fio is not installed (apt-get install fio): only the bundled program was run.")
            .map_err(unheard)?;
    }

    let ok = programs.iter().all(Program::shows_the_job);
    let findings = Findings { ok, programs };
    show.end(&findings).map_err(unheard)?;
    Ok(ok)
}

impl Program {
    /// Refused without sysring, right with it, and served by the engine.
    fn shows_the_job(&self) -> bool {
        self.runs.iter().all(|run| match run.way {
            Way::Kernel => true,
            Way::Refused => run.error.is_some(),
            Way::Sysring => run.error.is_none() && run.served_by_the_engine(),
        })
    }
}

impl Run {
    fn served_by_the_engine(&self) -> bool {
        let counters = self.served.as_ref().and_then(|report| report.counters.as_ref());
        counters.is_some_and(|counters| counters.rings > 0)
    }
}

fn bundled(demo: &Demo, scratch: &Scratch, show: &Show) -> Result<Program, String> {
    let original = scratch.path().join("original");
    let bytes = u64::from(demo.megabytes) * 1_000_000;
    let progress = show.progress("making the tree", bytes);
    tree::generate(&original, demo.files, bytes, |made| progress.add(made))
        .map_err(|error| format!("the tree could not be made: {error}"))?;
    progress.finish();

    let mut runs = Vec::new();
    for way in Way::ALL {
        let copy = scratch.path().join("copy");
        let command: Vec<OsString> = vec![
            "sysring".into(),
            "demo-client".into(),
            original.clone().into(),
            copy.clone().into(),
        ];
        let progress = show.progress(way.title(), bytes);
        let run = run_one(
            way,
            &command,
            scratch.path(),
            |ended| {
                let last = ended.stdout.lines().next_back().unwrap_or_default();
                let summary: client::Summary = serde_json::from_str(last)
                    .map_err(|error| format!("the summary is unreadable: {error}"))?;
                let checksum = tree::verify(&original, &copy)?;
                if summary.checksum != checksum {
                    return Err(format!("its checksum is {}, not {checksum}", summary.checksum));
                }
                Ok(Figures {
                    megabytes_per_second: summary.bytes as f64 / 1e6 / summary.seconds,
                    operations_per_second: summary.operations as f64 / summary.seconds,
                    operations: summary.operations,
                    p50_us: summary.p50_us,
                    p99_us: summary.p99_us,
                    max_us: summary.max_us,
                })
            },
            |line| {
                if let Ok(now) = serde_json::from_str::<client::Progress>(line) {
                    progress.reach(now.bytes);
                }
            },
        )?;
        progress.finish();
        runs.push(run);
        remove(&copy)?;
    }
    remove(&original)?;
    Ok(Program { name: "the bundled program: copies and checksums a tree", runs })
}

fn with_fio(demo: &Demo, scratch: &Scratch, show: &Show) -> Result<Program, String> {
    let directory = scratch.path().join("fio");
    let mut runs = Vec::new();
    for way in Way::ALL {
        fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let command: Vec<OsString> =
            fio::command(&directory, demo.megabytes).into_iter().map(Into::into).collect();
        let progress = show.wait(way.title());
        let run =
            run_one(way, &command, scratch.path(), |ended| fio::figures(&ended.stdout), |_| {})?;
        progress.finish();
        runs.push(run);
        remove(&directory)?;
    }
    Ok(Program { name: "fio: 4 KiB random reads and writes, every block verified", runs })
}

/// Runs a command in one of the ways, and has its output checked if it succeeds.
fn run_one(
    way: Way,
    command: &[OsString],
    directory: &Path,
    check: impl FnOnce(&Ended) -> Result<Figures, String>,
    line: impl FnMut(&str),
) -> Result<Run, String> {
    let shown: Vec<OsString> =
        way.prefix().iter().map(OsString::from).chain(command.iter().cloned()).collect();
    let itself = env::current_exe().map_err(|error| format!("the path of sysring: {error}"))?;
    let started: Vec<OsString> = shown
        .iter()
        .map(|word| if word == "sysring" { itself.clone().into() } else { word.clone() })
        .collect();

    let ended = measure::run(&started, directory, line)
        .map_err(|error| format!("{}: {error}", started[0].display()))?;
    let (served, stderr) = split_report(&ended.stderr);
    let outcome =
        if ended.success { check(&ended) } else { Err(last_words(&stderr, &ended.stdout)) };
    let (figures, error) = match outcome {
        Ok(figures) => (Some(figures), None),
        Err(error) => (None, Some(error)),
    };
    let command: Vec<_> = shown.iter().map(|word| word.to_string_lossy()).collect();
    Ok(Run {
        way,
        command: command.join(" "),
        error,
        figures,
        cpu_seconds: ended.cpu_seconds,
        served,
    })
}

/// Takes the report of `sysring run` from the end of standard error; the rest is the program's.
fn split_report(stderr: &str) -> (Option<Report>, String) {
    let mut lines: Vec<&str> = stderr.lines().collect();
    let report = lines.last().and_then(|line| serde_json::from_str(line).ok());
    if report.is_some() {
        lines.pop();
    }
    (report, lines.join("\n"))
}

/// What a program said of its failure: the last line of standard error, or what it printed before
/// the JSON that it was to print.
fn last_words(stderr: &str, stdout: &str) -> String {
    let said =
        |text: &str| text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned);
    said(stderr)
        .or_else(|| said(stdout.split('{').next().unwrap_or_default()))
        .unwrap_or_else(|| "it said nothing".to_owned())
}

fn remove(tree: &Path) -> Result<(), String> {
    match fs::remove_dir_all(tree) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", tree.display()))
        }
        _ => Ok(()),
    }
}
