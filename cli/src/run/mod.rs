//! `sysring run`: a program with io_uring, the kernel's or ours.

mod counters;
pub mod limit;
mod loader;
mod object;
mod supervise;
mod told;

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::arguments::{Engine, Run, StatsFormat};
use crate::exec::{self, Program};
use crate::kernel::{self, Cause, Support};
use counters::Counters;

pub use counters::Report;

/// Which engine a program gets.
#[derive(Clone, Debug)]
pub enum Choice {
    Kernel,
    /// Ours, because the kernel's is refused.
    UserFor(Cause),
    /// Ours, as was asked.
    UserAsAsked,
    /// Ours, which an outer `sysring run` placed in this process and its children.
    Outer,
    /// None: the engine was to serve, and cannot.
    Nobody(String),
}

impl Choice {
    /// The engine's name, as `--engine` takes it.
    pub fn engine(&self) -> &'static str {
        match self {
            Choice::Kernel => "kernel",
            Choice::UserFor(_) | Choice::UserAsAsked | Choice::Outer => "user",
            Choice::Nobody(_) => "none",
        }
    }

    /// The same, if there is room for the engine's descriptors where it is to serve.
    fn if_it_fits(self) -> Choice {
        match (&self, limit::shortfall(&limit::now())) {
            (Choice::UserFor(_) | Choice::UserAsAsked, Some(why)) => Choice::Nobody(why),
            _ => self,
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Choice::Kernel => write!(f, "the kernel's io_uring"),
            Choice::UserFor(cause) => {
                write!(f, "sysring's engine in userspace (the kernel's io_uring: {cause})")
            }
            Choice::UserAsAsked => write!(f, "sysring's engine in userspace (as asked)"),
            Choice::Outer => write!(f, "sysring's engine in userspace, by an outer sysring run"),
            Choice::Nobody(why) => write!(f, "nobody ({why})"),
        }
    }
}

pub fn main(run: &Run) -> ExitCode {
    prepare_and_start(run).unwrap_or_else(|message| {
        tell!("sysring: {message}");
        ExitCode::from(exec::FAILED)
    })
}

fn prepare_and_start(run: &Run) -> Result<ExitCode, String> {
    let choice = choose(run.engine)?.if_it_fits();
    let name = run.command[0].display();
    // The outer run says so when the program is started.
    let unserved = match &choice {
        Choice::UserFor(_) | Choice::UserAsAsked if loader::is_narrow(&run.command) => {
            let why = format!("{name} is a 32-bit program: io_uring is not served in it");
            tell!("sysring: {why}");
            Some(why)
        }
        Choice::Nobody(why) => {
            let enough = limit::ENOUGH;
            tell!(
                "sysring: io_uring is not served: {why}; raise it to {enough}. {name} runs without"
            );
            None
        }
        _ if run.verbose => {
            tell!("sysring: {choice} serves {name}");
            None
        }
        _ => None,
    };
    let object = match choice {
        // Without the engine it is refused, and finds its fallback: `EMFILE` would not tell it to.
        Choice::Kernel | Choice::Outer | Choice::Nobody(_) => None,
        Choice::UserFor(_) | Choice::UserAsAsked => Some(object::place().map_err(|error| {
            format!(
                "the object that serves io_uring could not be placed: {error}\n\
                 It needs a directory of this user's, not mounted noexec, or memfd_create(2)."
            )
        })?),
    };
    let mut told = None;
    if let Some(object) = &object {
        preload(&object.path, run);
        told =
            object.directory.as_deref().map(|directory| told::begin(directory, unserved.is_some()));
        if let Some(told) = &told {
            exec::set_environment("SYSRING_TOLD", told);
        }
        limit::raise();
    }
    let program = match &object {
        Some(object) => loader::program(&run.command, &object.path),
        None => Program::new(&run.command),
    };
    let Some(format) = run.stats else {
        return Ok(ExitCode::from(exec::exec(&program)));
    };

    let counters = match &object {
        None => None,
        Some(object) => Some(
            Counters::create(object.directory.as_deref())
                .map_err(|error| format!("the counters could not be shared: {error}"))?,
        ),
    };
    if let Some(counters) = &counters {
        exec::set_environment("SYSRING_STATS", counters.path());
    }
    let end = supervise::run(&program)
        .map_err(|error| format!("the program could not be started: {error}"))?;
    let unserved = unserved.or_else(|| {
        let said = told.as_deref().is_some_and(told::is_any_unserved);
        said.then(|| "not every process could be served, as was said when it started".to_owned())
    });
    print_stats(format, &Report::new(&choice, unserved, counters.as_ref()));
    drop(counters);
    Ok(end.pass_on())
}

fn choose(engine: Engine) -> Result<Choice, String> {
    if kernel::is_served() {
        return match engine {
            Engine::Auto | Engine::User => Ok(Choice::Outer),
            Engine::Kernel => Err("the kernel's io_uring is out of reach here: an outer \
                                   `sysring run` serves this process and all that it starts.\n\
                                   Start the program outside of it."
                .to_owned()),
        };
    }
    if engine == Engine::User {
        return Ok(Choice::UserAsAsked);
    }
    let support = kernel::probe()
        .map_err(|error| format!("the kernel's io_uring could not be tried: {error}"))?;
    match (engine, support) {
        (_, Support::Works) => Ok(Choice::Kernel),
        (Engine::Kernel, Support::Refused(cause)) => Err(format!(
            "the kernel's io_uring is refused here: {cause}\n\
             To get it: {}.\n\
             Or let sysring's engine serve the program: sysring run --engine user -- …",
            cause.advice()
        )),
        (_, Support::Refused(cause)) => Ok(Choice::UserFor(cause)),
    }
}

/// Has the object loaded into the program, in front of what is preloaded already.
fn preload(object: &Path, run: &Run) {
    let mut list = OsString::from(object);
    if let Some(others) = env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
        list.push(":");
        list.push(others);
    }
    exec::set_environment("LD_PRELOAD", list);
    exec::set_environment("SYSRING_ENGINE", "user");
    if run.verbose {
        exec::set_environment("SYSRING_VERBOSE", "1");
    }
    if run.no_shortcuts {
        exec::set_environment("SYSRING_SHORTCUTS", "0");
    }
}

fn print_stats(format: StatsFormat, report: &Report) {
    match format {
        StatsFormat::Text => tell!("{report}"),
        StatsFormat::Json => match serde_json::to_string(report).map_err(io::Error::from) {
            Ok(line) => tell!("{line}"),
            Err(error) => tell!("sysring: the statistics could not be printed: {error}"),
        },
    }
}
