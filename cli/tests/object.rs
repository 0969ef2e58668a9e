//! The object that this binary carries must load into any process: it may need nothing, and may
//! take the place of nothing.

use std::process::Command;

const OBJECT: &str = env!("SYSRING_OBJECT");

/// What a tool of binutils prints about the object; none where it is not installed.
fn about_the_object(tool: &str, options: &[&str]) -> Option<String> {
    let Ok(output) = Command::new(tool).env("LC_ALL", "C").args(options).arg(OBJECT).output()
    else {
        println!("skipped: {tool} is not installed (apt-get install binutils)");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn it_needs_no_library() {
    let Some(dynamic) = about_the_object("readelf", &["--dynamic", "--wide"]) else { return };
    assert!(dynamic.contains("(SONAME)"), "{dynamic}");
    for unwanted in ["(NEEDED)", "(TEXTREL)", "(RUNPATH)", "(RPATH)"] {
        assert!(!dynamic.contains(unwanted), "{dynamic}");
    }
}

#[test]
fn it_has_no_undefined_symbol() {
    let Some(undefined) = about_the_object("nm", &["--dynamic", "--undefined-only"]) else {
        return;
    };
    assert_eq!(undefined, "");
    let Some(undefined) = about_the_object("nm", &["--undefined-only"]) else { return };
    assert_eq!(undefined, "");
}

#[test]
fn it_exports_nothing_that_an_application_may_have() {
    let Some(exported) = about_the_object("nm", &["--dynamic", "--defined-only", "--format=posix"])
    else {
        return;
    };
    let names: Vec<_> = exported.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.iter().all(|name| name.starts_with("sysring_")), "{names:?}");
}

#[test]
fn it_has_no_thread_local_storage_and_no_writable_code() {
    let Some(segments) = about_the_object("readelf", &["--program-headers", "--wide"]) else {
        return;
    };
    assert!(segments.contains("LOAD"), "{segments}");
    assert!(!segments.lines().any(|line| line.trim_start().starts_with("TLS")), "{segments}");
    assert!(!segments.contains("RWE"), "{segments}");
}

/// A change of what it is made of makes a new one: the build watches every package of the workspace
/// that the object depends on.
#[test]
fn what_it_is_made_of_is_watched() {
    let workspace = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = workspace.canonicalize().expect("the workspace is there");
    let Ok(listed) = Command::new(env!("CARGO"))
        .current_dir(&workspace)
        .args(["tree", "--locked", "--offline", "--package=sysring-preload", "--features=object"])
        .args(["--edges=normal", "--prefix=none", "--no-dedupe", "--format={p}"])
        .output()
    else {
        println!("skipped: this machine has no cargo");
        return;
    };
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    // `sysring-sys v0.1.0 (/folder/of/it)`; what comes from a registry has no folder.
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut wanted: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_once(" (")?.1.split(')').next())
        .filter_map(|folder| folder.strip_prefix(workspace.to_str()?)?.strip_prefix('/'))
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    assert!(wanted.contains(&"preload") && wanted.contains(&"engine"), "{listed}");
    let watched: Vec<&str> = env!("SYSRING_OBJECT_PACKAGES").split(' ').collect();
    assert_eq!(watched, wanted);
}
