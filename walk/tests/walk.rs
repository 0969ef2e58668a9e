//! A walk sees everything once, and folds it in the order of the tree, whatever the threads do.

use std::cmp::Ordering;
use std::ffi::{CStr, CString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use sysring_walk::{
    Directory, Entry, Errno, Fold, Options, Problem, Progress, Status, Survey, walk_with,
};

/// Notes the names in each directory.
struct Names;

#[derive(Default)]
struct Found {
    names: Vec<(u32, String)>,
    problem: Option<Errno>,
}

impl Survey for Names {
    type Report = Found;

    fn directory(&self, _: &Directory, status: &Status, _: &mut Found) {
        assert!(status.links() > 0);
    }

    fn entry(&self, _: &Directory, entry: &Entry, status: Option<&Status>, found: &mut Found) {
        assert_eq!(status.map(Status::size), Some(3));
        found.names.push((entry.index, entry.name.to_string_lossy().into_owned()));
    }

    fn problem(&self, _: &Directory, _: Problem, error: Errno, found: &mut Found) {
        found.problem = Some(error);
    }

    fn combine(&self, found: &mut Found, part: Found) {
        found.names.extend(part.names);
        found.problem = found.problem.or(part.problem);
    }
}

/// Writes down what it is told, in the order in which it is told.
#[derive(Default)]
struct Story {
    told: Vec<String>,
    left_out: &'static str,
}

impl Fold<Found> for Story {
    fn enter(&mut self, directory: &Directory, path: &[u8], found: &mut Found) -> bool {
        let name = directory.name.to_string_lossy();
        self.told.push(format!("enter {}", name_of(path)));
        if let Some(error) = found.problem {
            self.told.push(error.name().to_owned());
        }
        name != self.left_out
    }

    fn sequence(&self, _: &Found, one: (&CStr, u32), other: (&CStr, u32)) -> Ordering {
        one.0.cmp(other.0)
    }

    fn leave(&mut self, _: &Directory, path: &[u8], mut found: Found) {
        found.names.sort_by(|one, other| one.1.cmp(&other.1));
        let mut indexes: Vec<u32> = found.names.iter().map(|(index, _)| *index).collect();
        indexes.sort_unstable();
        assert!(indexes.windows(2).all(|two| two[0] < two[1]), "each index once");
        let names: Vec<_> = found.names.into_iter().map(|(_, name)| name).collect();
        self.told.push(format!("leave {}: {}", name_of(path), names.join(" ")));
    }
}

fn name_of(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// A directory of the test's own, removed at its end.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Tree {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Tree(path)
    }

    fn file(&self, path: &str) {
        let path = self.0.join(path);
        path.parent().map(fs::create_dir_all).unwrap().unwrap();
        fs::write(path, "abc").unwrap();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // A test that failed has said so; what is left behind is only untidy.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tell(root: &Path, threads: usize, left_out: &'static str) -> (Vec<String>, u64) {
    let options = Options { threads: Some(threads), ..Options::default() };
    let root = CString::new(root.as_os_str().as_encoded_bytes()).unwrap();
    let mut story = Story { left_out, ..Story::default() };
    let progress = Progress::default();
    let summary = walk_with(&[&root], &options, &Names, &mut story, &progress);
    assert!((1..=threads).contains(&summary.threads));
    (story.told, progress.entries.load(Relaxed))
}

#[test]
fn the_order_is_that_of_the_tree() {
    let tree = Tree::new("order");
    for path in ["b/two", "b/one", "a/deep/er/x", "a/y", "z"] {
        tree.file(path);
    }
    for threads in [1, 2, 16] {
        let (told, entries) = tell(&tree.0, threads, "");
        let expected = [
            "enter order",
            "enter a",
            "enter deep",
            "enter er",
            "leave er: x",
            "leave deep: ",
            "leave a: y",
            "enter b",
            "leave b: one two",
            "leave order: z",
        ];
        assert_eq!(told, expected, "{threads} threads");
        assert_eq!(entries, 9);
    }
}

#[test]
fn what_the_fold_does_not_enter_is_left_out() {
    let tree = Tree::new("left-out");
    for path in ["a/deep/er/x", "b/one"] {
        tree.file(path);
    }
    let (told, _) = tell(&tree.0, 4, "a");
    let expected = ["enter left-out", "enter a", "enter b", "leave b: one", "leave left-out: "];
    assert_eq!(told, expected);
}

#[test]
fn many_threads_tell_what_one_tells() {
    let tree = Tree::new("many");
    for directory in 0..300 {
        for file in 0..directory % 7 {
            tree.file(&format!("{}/{}/{directory}/{file}", directory % 5, directory % 11));
        }
    }
    for file in 0..3000 {
        // More than one read of the directory.
        tree.file(&format!("large/a name that takes some room in the buffer {file}"));
    }
    let one = tell(&tree.0, 1, "");
    assert!(one.0.len() > 500);
    for threads in [2, 5, 40] {
        assert!(tell(&tree.0, threads, "") == one, "{threads} threads");
    }
}

#[test]
fn a_root_that_is_not_there_is_a_problem() {
    let tree = Tree::new("missing");
    let (told, entries) = tell(&tree.0.join("nothing"), 2, "");
    assert_eq!(told, ["enter nothing", "ENOENT", "leave nothing: "]);
    assert_eq!(entries, 0);
}

/// Waits at each file of the root until the directory beside them is looked at.
#[derive(Default)]
struct Slow {
    below: Mutex<bool>,
    changed: Condvar,
    late: AtomicBool,
}

impl Survey for Slow {
    type Report = ();

    fn directory(&self, directory: &Directory, _: &Status, (): &mut ()) {
        // As if it had come from a disk.
        thread::sleep(Duration::from_millis(5));
        if directory.depth > 0 {
            *self.below.lock().unwrap() = true;
            self.changed.notify_all();
        }
    }

    fn entry(&self, _: &Directory, _: &Entry, _: Option<&Status>, (): &mut ()) {
        let below = self.below.lock().unwrap();
        let long = Duration::from_secs(20);
        let answer = self.changed.wait_timeout_while(below, long, |below| !*below).unwrap();
        self.late.fetch_or(answer.1.timed_out(), Relaxed);
    }

    fn combine(&self, (): &mut (), (): ()) {}
}

struct Nothing;

impl Fold<()> for Nothing {
    fn leave(&mut self, _: &Directory, _: &[u8], (): ()) {}
}

#[test]
fn where_files_are_waited_for_directories_are_opened_meanwhile() {
    let tree = Tree::new("meanwhile");
    ["a", "below/b", "c"].iter().for_each(|file| tree.file(file));
    let root = CString::new(tree.0.as_os_str().as_encoded_bytes()).unwrap();
    let options = Options { threads: Some(4), ..Options::default() };
    let slow = Slow::default();
    walk_with(&[&root], &options, &slow, &mut Nothing, &Progress::default());
    assert!(!slow.late.load(Relaxed), "the directory had to wait for the files beside it");
}

#[test]
fn a_deep_tree_takes_no_deep_stack() {
    let tree = Tree::new("deep");
    let deep = vec!["d"; 1900].join("/");
    tree.file(&format!("{deep}/x"));
    let root = tree.0.clone();
    let walk = move || tell(&root, 1, "").0.len();
    let told = thread::Builder::new().stack_size(256 << 10).spawn(walk).unwrap().join();
    assert_eq!(told.unwrap(), 2 * 1901);
}

/// Reports that there are: all are to be gone when the walk is over.
static REPORTS: AtomicUsize = AtomicUsize::new(0);

struct Counted;

impl Default for Counted {
    fn default() -> Counted {
        REPORTS.fetch_add(1, Relaxed);
        Counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        REPORTS.fetch_sub(1, Relaxed);
    }
}

#[derive(Default)]
struct Seen(AtomicUsize);

impl Survey for Seen {
    type Report = Counted;

    fn directory(&self, _: &Directory, _: &Status, _: &mut Counted) {
        self.0.fetch_add(1, Relaxed);
    }

    fn entry(&self, _: &Directory, _: &Entry, _: Option<&Status>, _: &mut Counted) {}

    fn combine(&self, _: &mut Counted, _: Counted) {}
}

/// Hears of so many directories.
struct Few(usize);

impl Fold<Counted> for Few {
    fn enter(&mut self, _: &Directory, _: &[u8], _: &mut Counted) -> bool {
        self.0 = self.0.checked_sub(1).expect("no more are told");
        true
    }

    fn is_over(&self) -> bool {
        self.0 == 0
    }

    fn leave(&mut self, _: &Directory, _: &[u8], _: Counted) {}
}

#[test]
fn a_walk_ends_when_the_fold_has_heard_enough() {
    let tree = Tree::new("enough");
    for directory in 0..400 {
        tree.file(&format!("{}/{directory}/below/file", directory % 7));
    }
    let root = CString::new(tree.0.as_os_str().as_encoded_bytes()).unwrap();
    for threads in [1, 2, 16] {
        let options = Options { threads: Some(threads), ..Options::default() };
        let (seen, mut few) = (Seen::default(), Few(5));
        walk_with(&[&root, &root], &options, &seen, &mut few, &Progress::default());
        assert_eq!(few.0, 0);
        assert_eq!(REPORTS.load(Relaxed), 0, "{threads} threads");
        // Others may have come far before the fifth was told.
        assert!(threads > 1 || seen.0.load(Relaxed) < 50, "{}", seen.0.load(Relaxed));
    }
}
