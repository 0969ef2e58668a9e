//! A machine whose administrator has switched io_uring off (`kernel.io_uring_disabled`, Linux 6.6):
//! Debian's kernel in QEMU, and a root in memory with programs of this machine. The switch of this
//! machine is left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::emulated::{self, finish};
use crate::files::{copy, list, make, target_directory, told, workspace, write};
use crate::lanes::say;
use crate::prerequisites;
use crate::report::Report;

const NAME: &str = "io_uring switched off";

/// The Debian release with the kernel: later ones have it in other packages.
const RELEASE: &str = "trixie";
const KERNEL: &str = "linux-image-cloud-amd64";

const INIT: &str = include_str!("switched_off/init.sh");

/// What [`INIT`] calls, besides what is built.
const PROGRAMS: [&str; 10] =
    ["cat", "chmod", "dash", "fio", "grep", "mount", "setpriv", "sleep", "timeout", "uname"];
const TOOLS: [&str; 4] = ["apt-get", "cpio", "dpkg-deb", "qemu-system-x86_64"];

/// Runs the tests; the last line counts.
pub fn run() -> ExitCode {
    let report = report();
    println!("{report}");
    if report.tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the tests, where the machine can be had.
pub fn report() -> Report {
    let made = match mirror_for_it() {
        Ok(mirror) => prepare(&mirror),
        Err(why) => {
            say(format_args!("skipped: {NAME}: {why}"));
            return Report::skipped();
        }
    };
    made.map_or_else(
        |why| {
            say(why);
            Report::failed(NAME)
        },
        |(kernel, archive)| boot(&kernel, &archive),
    )
}

/// Where the kernel comes from; or why this machine cannot run one.
fn mirror_for_it() -> Result<String, String> {
    if cfg!(not(target_arch = "x86_64")) {
        return Err("the kernel is for x86-64".to_owned());
    }
    if let Some(tool) = TOOLS.iter().chain(&PROGRAMS).find(|t| !prerequisites::is_installed(t)) {
        return Err(format!("{tool} is not installed"));
    }
    emulated::mirror()
}

fn boot(kernel: &Path, archive: &Path) -> Report {
    // QEMU 7.2 now and then leaves other flags than cmpxchg16b's behind it, where two processors run:
    // one of seven machines had its kernel's lists of free memory in disorder. Linux can do without.
    let words = "qemu-system-x86_64 -machine q35 -cpu max,-cx16 -smp 2 -m 1024 -nographic \
                 -no-reboot -nic none -append";
    let mut command: Vec<&str> = words.split_whitespace().collect();
    let (kernel, archive) = (kernel.display().to_string(), archive.display().to_string());
    command.push("console=ttyS0 quiet oops=panic panic=-1 rdinit=/init");
    command.extend(["-kernel", &kernel, "-initrd", &archive]);
    emulated::run(NAME, &command)
}

/// The kernel, and the root for it.
fn prepare(mirror: &str) -> Result<(PathBuf, PathBuf), String> {
    let folder = target_directory().join("switched-off-machine");
    let kernel = folder.join("vmlinuz");
    if !kernel.exists() {
        fetch(&folder, &kernel, mirror)?;
    }
    let (root, archive) = (folder.join("root"), folder.join("root.cpio"));
    let _ = fs::remove_dir_all(&root);
    let bin = root.join("bin");
    for place in ["bin", "dev", "proc", "run", "sys", "tmp"] {
        make(&root.join(place))?;
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    finish(cargo.args(["build", "--quiet", "--release", "-p", "sysring-cli"]))?;
    copy(&target_directory().join("release/sysring"), &bin.join("sysring"))?;
    let source = workspace().join("cli/tests/programs/behaviour.c");
    for (name, how) in [("behaviour", "-O1"), ("behaviour-static", "-static")] {
        let mut compiler = Command::new("gcc");
        finish(compiler.args([how, "-pthread", "-o"]).arg(bin.join(name)).arg(&source))?;
    }
    for program in PROGRAMS {
        let found = prerequisites::find(program).ok_or(program)?;
        copy(&found, &bin.join(if program == "dash" { "sh" } else { program }))?;
    }
    add_libraries(&root)?;
    emulated::pack(&root, INIT, &archive)?;
    Ok((kernel, archive))
}

/// What the programs are linked with, at its place.
fn add_libraries(root: &Path) -> Result<(), String> {
    let bin = root.join("bin");
    for program in list(&bin)? {
        let asked = Command::new("ldd").arg(program).output();
        let said = asked.map_err(|e| format!("ldd: {e}"))?.stdout;
        for library in String::from_utf8_lossy(&said).split_whitespace() {
            let place = root.join(library.trim_start_matches('/'));
            if library.starts_with('/') && !place.exists() {
                make(place.parent().unwrap_or(root))?;
                copy(Path::new(library), &place)?;
            }
        }
    }
    Ok(())
}

/// The kernel from its package, which this machine's apt fetches and checks. State and lists are ours.
fn fetch(folder: &Path, kernel: &Path, mirror: &str) -> Result<(), String> {
    for place in ["state/lists/partial", "cache/archives/partial", "package"] {
        make(&folder.join(place))?;
    }
    let list = folder.join("sources.list");
    write(&list, &format!("deb {mirror} {RELEASE} main\n"))?;
    let at = |name: &str| folder.join(name).display().to_string();
    let settings = [
        format!("Dir::Etc::sourcelist={}", list.display()),
        "Dir::Etc::sourceparts=-".to_owned(),
        "Dir::State::status=/dev/null".to_owned(),
        format!("Dir::State={}", at("state")),
        format!("Dir::Cache={}", at("cache")),
        // The folder may lie where apt's own unprivileged user cannot write.
        "APT::Sandbox::User=root".to_owned(),
    ];
    let apt = |program: &str, arguments: &[&str]| {
        let mut apt = Command::new(program);
        apt.args(settings.iter().flat_map(|setting| ["-o", setting])).args(arguments);
        apt.current_dir(folder.join("package"));
        apt
    };
    finish(&mut apt("apt-get", &["update", "-qq"]))?;
    // The package by that name only says which one has the kernel.
    let asked = apt("apt-cache", &["depends", KERNEL]).output();
    let said = asked.map_err(|e| format!("apt-cache: {e}"))?.stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let package = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: ").filter(|n| n.contains("image")))
        .ok_or_else(|| format!("{RELEASE} has no kernel behind {KERNEL}"))?;
    finish(&mut apt("apt-get", &["download", "-qq", package]))?;
    let package = one_of(&folder.join("package"), ".deb")?;
    let unpacked = folder.join("unpacked");
    finish(Command::new("dpkg-deb").arg("-x").args([&package, &unpacked]))?;
    copy(&one_of(&unpacked.join("boot"), "vmlinuz-")?, kernel)?;
    fs::remove_dir_all(&unpacked).map_err(|e| told(&unpacked, e))
}

fn one_of(folder: &Path, named: &str) -> Result<PathBuf, String> {
    let is_it = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().contains(named))
    };
    list(folder)?.into_iter().find(is_it).ok_or_else(|| format!("{}: no {named}", folder.display()))
}
