//! How the program is linked: with nothing but itself.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for argument in
        ["-nostdlib", "-nostartfiles", "-static", "-Wl,--gc-sections", "-Wl,--build-id=none"]
    {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
