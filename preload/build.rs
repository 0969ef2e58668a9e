//! How the object is linked: by itself, ready before any other object's constructors, and with an
//! entry point of its own.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_OBJECT").is_none() {
        return;
    }
    for arg in [
        "-nostdlib",
        "-nostartfiles",
        // It is also a program: the loader of statically linked ones.
        "-Wl,--entry=sysring_start",
        // A process that inherited the filter must have its handler before the first constructor
        // of any library runs.
        "-Wl,-z,initfirst",
        // Nothing may be left to be resolved, now or later.
        "-Wl,-z,defs",
        "-Wl,-z,now",
        "-Wl,-z,relro",
        "-Wl,-z,noexecstack",
        "-Wl,-z,nodelete",
        "-Wl,--hash-style=both",
        "-Wl,-Bsymbolic",
        "-Wl,--build-id=none",
        "-Wl,--gc-sections",
        "-Wl,-soname,sysring-preload.so",
    ] {
        println!("cargo::rustc-link-arg={arg}");
    }
}
