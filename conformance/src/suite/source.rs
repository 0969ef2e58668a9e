//! liburing's source, fetched by package name with the machine's own apt and built unmodified.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest version whose suite the expectations were written for.
const OLDEST: (u32, u32) = (2, 15);

/// Why there is no suite: a sentence, on what could not be done, and what to do instead.
#[derive(Debug)]
pub enum Trouble {
    /// This machine has nowhere to get it from.
    NotHere(String),
    Failed(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Trouble {
        Trouble::Failed(why)
    }
}

/// Where the built tests of liburing lie, fetching and building them at the first call.
///
/// # Errors
/// There is no suite to be had here, or it could not be fetched or built.
pub fn tests(cache: &Path) -> Result<PathBuf, Trouble> {
    let built = cache.join("built");
    if !built.exists() {
        let archive = fetch(cache)?;
        let tree = unpack(cache, &archive)?;
        build(&tree)?;
        let name = tree.file_name().unwrap_or_default().to_string_lossy().into_owned();
        fs::write(&built, name).map_err(|e| e.to_string())?;
    }
    let name = fs::read_to_string(&built).map_err(|e| e.to_string())?;
    Ok(cache.join(name).join("test"))
}

/// The same tests, linked with the static library in `library` in place of liburing's own; built
/// anew where that is newer.
///
/// # Errors
/// As [`tests`], and where the library is not there.
pub fn linked(tests: &Path, library: &Path, cache: &Path) -> Result<PathBuf, String> {
    let archive = library.join("liburing.a");
    let time = |path: &Path| path.metadata().and_then(|about| about.modified());
    let made = time(&archive).map_err(|e| {
        format!(
            "{}: {e}; `cargo xtask install --prefix DIR` puts it into DIR/lib",
            archive.display()
        )
    })?;
    let tree = cache.join("linked");
    let done = tree.join("done");
    if time(&done).is_ok_and(|done| done > made) {
        return Ok(tree.join("test"));
    }
    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(|e| e.to_string())?;
    }
    let original = tests.parent().ok_or("the tests lie in no tree")?;
    run(Command::new("cp").arg("-a").arg(original).arg(&tree))?;
    for (folder, ending) in [("src", ".so"), ("src", ".a"), ("test", ".t")] {
        remove(&tree.join(folder), ending).map_err(|e| e.to_string())?;
    }
    fs::copy(&archive, tree.join("src/liburing.a")).map_err(|e| e.to_string())?;
    run(Command::new("make").args(["-j2", "-k", "-C", "test"]).current_dir(&tree))?;
    fs::write(&done, "").map_err(|e| e.to_string())?;
    Ok(tree.join("test"))
}

/// Removes the files of a folder with this in their names.
fn remove(folder: &Path, ending: &str) -> std::io::Result<()> {
    for file in fs::read_dir(folder)? {
        let file = file?;
        if file.file_name().to_string_lossy().contains(ending) {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

/// Downloads the source package from Debian testing, with apt, which checks the signature of the
/// index and the hashes of the files. State and lists are ours: the machine's stay as they are.
fn fetch(cache: &Path) -> Result<PathBuf, Trouble> {
    let mirror = mirror().map_err(Trouble::NotHere)?;
    let apt = cache.join("apt");
    for folder in ["state/lists/partial", "cache/archives/partial", "source"] {
        fs::create_dir_all(apt.join(folder)).map_err(|e| e.to_string())?;
    }
    let list = apt.join("sources.list");
    fs::write(&list, format!("deb-src {mirror} testing main\n")).map_err(|e| e.to_string())?;
    fs::write(apt.join("status"), "").map_err(|e| e.to_string())?;
    let settings = [
        format!("Dir::Etc::sourcelist={}", list.display()),
        "Dir::Etc::sourceparts=-".to_owned(),
        format!("Dir::State={}", apt.join("state").display()),
        format!("Dir::State::status={}", apt.join("status").display()),
        format!("Dir::Cache={}", apt.join("cache").display()),
        // The cache may lie where apt's own unprivileged user cannot write.
        "APT::Sandbox::User=root".to_owned(),
    ];
    for arguments in [&["update", "-qq"][..], &["source", "-qq", "--download-only", "liburing"]] {
        let mut command = Command::new("apt-get");
        for setting in &settings {
            command.args(["-o", setting]);
        }
        run(command.args(arguments).current_dir(apt.join("source")))?;
    }
    newest_archive(&apt.join("source"))
        .ok_or_else(|| Trouble::Failed("apt downloaded no .orig.tar of liburing".to_owned()))
}

fn newest_archive(folder: &Path) -> Option<PathBuf> {
    let archive = |path: &PathBuf| {
        let name = path.to_string_lossy().into_owned();
        name.contains(".orig.tar.") && !name.ends_with(".asc")
    };
    fs::read_dir(folder).ok()?.filter_map(|file| Some(file.ok()?.path())).filter(archive).max()
}

/// The Debian mirror this machine installs its packages from. Ubuntu has none, nor a liburing that is
/// new enough.
fn mirror() -> Result<String, String> {
    let answer = Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(ORIGIN)|$(LABEL)|$(REPO_URI)",
            "Created-By: Packages",
        ])
        .output()
        .map_err(|e| format!("apt-get cannot be run ({e}); {ELSEWHERE}"))?;
    debian(&String::from_utf8_lossy(&answer.stdout))
        .ok_or_else(|| format!("apt has no Debian mirror configured on this machine; {ELSEWHERE}"))
}

/// The first of apt's indexes that is Debian's own.
fn debian(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| line.strip_prefix("Debian|Debian|").map(str::to_owned))
}

const ELSEWHERE: &str = "give the folder of a built liburing with --source instead";

fn unpack(cache: &Path, archive: &Path) -> Result<PathBuf, String> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let version = name.strip_prefix("liburing_").and_then(|rest| rest.split(".orig").next());
    let version = version.ok_or_else(|| format!("cannot read a version from {name}"))?;
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < OLDEST {
        return Err(format!("Debian testing has liburing {version}, older than 2.15: {ELSEWHERE}"));
    }
    let tree = cache.join(format!("liburing-{version}"));
    fs::create_dir_all(&tree).map_err(|e| e.to_string())?;
    run(Command::new("tar").args(["--strip-components=1", "-xf"]).arg(archive).current_dir(&tree))?;
    Ok(tree)
}

fn build(tree: &Path) -> Result<(), String> {
    run(Command::new("./configure").current_dir(tree))?;
    run(Command::new("make").args(["-j2", "-C", "src"]).current_dir(tree))?;
    run(Command::new("make").args(["-j2", "-k", "-C", "test"]).current_dir(tree))
}

/// Runs a tool quietly; what it said is in the error if it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let answer = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run {:?}: {e}", command.get_program()))?;
    if answer.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&answer.stderr);
    let tail: Vec<&str> = said.lines().rev().take(15).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(format!("{command:?}: {}\n{}", answer.status, tail.join("\n")))
}

#[cfg(test)]
mod mirrors {
    use super::*;

    #[test]
    fn the_mirror_is_debians() {
        let debian_too = "Docker|Docker CE|https://a/\nDebian|Debian|http://b/debian/\n";
        assert_eq!(debian(debian_too).as_deref(), Some("http://b/debian/"));
        assert_eq!(debian("Ubuntu|Ubuntu|http://archive.ubuntu.com/ubuntu/\n"), None);
        assert_eq!(debian(""), None);
    }
}
