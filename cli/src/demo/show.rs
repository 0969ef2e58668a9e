//! What the demo shows while it runs, and at its end.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Findings, Program, Run, Way};

pub struct Show {
    json: bool,
}

/// The line that moves while something runs.
pub struct Progress(ProgressBar);

impl Progress {
    pub fn add(&self, more: u64) {
        self.0.inc(more);
    }

    pub fn reach(&self, position: u64) {
        self.0.set_position(position);
    }

    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Show {
    pub fn new(json: bool) -> Self {
        Show { json }
    }

    /// Progress through so many bytes. Hidden where standard error is no terminal.
    pub fn progress(&self, title: &str, bytes: u64) -> Progress {
        self.line(
            ProgressBar::new(bytes),
            "{spinner} {msg}  {bar:30}  {decimal_bytes} of {decimal_total_bytes}",
            title,
        )
    }

    /// Progress of something that does not tell how far it is.
    pub fn wait(&self, title: &str) -> Progress {
        self.line(ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}", title)
    }

    fn line(&self, bar: ProgressBar, template: &str, title: &str) -> Progress {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.set_message(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        if !self.json && bar.is_hidden() {
            tell!("{title} …");
        }
        Progress(bar)
    }

    pub fn note(&self, note: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { writeln!(io::stdout(), "\n{note}") }
    }

    /// The table of one program.
    pub fn program(&self, program: &Program) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        writeln!(out, "\n{}", program.name)?;
        writeln!(
            out,
            "  {:<30}{:>9}{:>10}{:>11}{:>11}{:>11}{:>9}",
            "", "MB/s", "op/s", "p50 µs", "p99 µs", "max µs", "CPU s"
        )?;
        for run in &program.runs {
            let title = run.way.title();
            match (&run.figures, &run.error) {
                (Some(figures), _) => writeln!(
                    out,
                    "  {title:<30}{:>9.1}{:>10.0}{:>11.1}{:>11.1}{:>11.1}{:>9.2}  output verified",
                    figures.megabytes_per_second,
                    figures.operations_per_second,
                    figures.p50_us,
                    figures.p99_us,
                    figures.max_us,
                    run.cpu_seconds
                )?,
                (None, error) => {
                    writeln!(
                        out,
                        "  {title:<30}  fails: {}",
                        error.as_deref().unwrap_or_default()
                    )?;
                }
            }
        }
        for report in program.runs.iter().filter_map(|run| run.served.as_ref()) {
            let submitted = report.counters.as_ref().map_or(0, |counters| counters.submitted);
            writeln!(out, "  (c) was served by {}: {submitted} requests", report.served_by)?;
        }
        Ok(())
    }

    /// The verdict.
    pub fn end(&self, findings: &Findings) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, findings)?;
            return writeln!(out);
        }
        writeln!(out)?;
        for program in &findings.programs {
            for trouble in program.runs.iter().filter_map(trouble) {
                writeln!(out, "{trouble}")?;
            }
        }
        if findings.ok {
            writeln!(out, "What io_uring's refusal broke, `sysring run` mended.")?;
        }
        Ok(())
    }
}

/// What is not as it should be, with the command to try it again.
fn trouble(run: &Run) -> Option<String> {
    match (run.way, &run.error) {
        (Way::Kernel, Some(error)) => Some(format!(
            "(a) did not work here: {error}\n    `sysring doctor` says what refuses io_uring"
        )),
        (Way::Refused, None) => {
            Some(format!("(b) should have failed, and did not: {}", run.command))
        }
        (Way::Sysring, Some(error)) => {
            Some(format!("(c) should have worked, but: {error}\n    {}", run.command))
        }
        (Way::Sysring, None) if !run.served_by_the_engine() => {
            Some("(c) worked, but not by sysring's engine: an outer one served it".to_owned())
        }
        _ => None,
    }
}
